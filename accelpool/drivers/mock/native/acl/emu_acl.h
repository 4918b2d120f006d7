/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emulated Ascend device: AscendCL's runtime interface on top of the same engine, memory and meter as the emulated
 * CUDA device, so that both are paid for, preempted and bounded in one way. Its kernel binaries are lists of names of the
 * CPU functions below.
 */
#ifndef ACCELPOOL_EMU_ACL_H
#define ACCELPOOL_EMU_ACL_H

#include "acl_abi.h"
#include "cuda_entry.h"
#include "emu.h"
#include "kernel_args.h"

aclError aclrtSynchronizeDevice(void);
aclError aclrtGetCurrentContext(aclrtContext *context);
/* What AscendCL calls a result of the engine. */
aclError acl_status(CUresult status);

#define ACL_TRY(call)                                                                                                  \
    do {                                                                                                               \
        CUresult acl_try_status = (call);                                                                              \
        if (acl_try_status != CUDA_SUCCESS)                                                                            \
            return acl_status(acl_try_status);                                                                         \
    } while (0)

/* One tensor of a launch, checked: every element that its shape reaches lies in device memory. */
struct tensor {
    uint8_t *data;
    int type, rank;
    int64_t sizes[NPU_RANK], strides[NPU_RANK]; /* elements */
    int64_t count;                              /* elements */
};

/* A launch that runs. A kernel does items [first, end) of `items` and is asked again until all are done. */
struct run {
    struct tensor tensors[NPU_TENSORS];
    unsigned tensor_count;
    const double *numbers;
    const int64_t *integers;
    int64_t items;
};

struct npu_kernel {
    const char *name;
    unsigned tensors;                  /* at least */
    unsigned outputs;                  /* the first ones: written */
    /* Checks shapes and sets run->items; 0 or -1. */
    int (*prepare)(struct run *run);
    void (*execute)(struct run *run, int64_t first, int64_t end);
    int64_t cost;                      /* rough elements behind one item, for NULL: 1 */
};

/* Tables end with a NULL name. */
extern const struct npu_kernel kernels_element[], kernels_reduce[], kernels_matrix[], kernels_index[], kernels_loss[];
const struct npu_kernel *kernel_find(const char *name, size_t length);

/* --- tensor.c: elements by index --- */
unsigned type_bytes(int type); /* 0: not a type that this device computes with */
int type_is_integer(int type);
double get_number(const struct tensor *tensor, int64_t element); /* element: an offset in elements */
void set_number(const struct tensor *tensor, int64_t element, double value);
int64_t get_integer(const struct tensor *tensor, int64_t element);
void set_integer(const struct tensor *tensor, int64_t element, int64_t value);
/* Offset of the index-th element in row-major order. */
int64_t offset_of(const struct tensor *tensor, int64_t index);
/* The same, where a size-1 (or missing leading) dimension of `tensor` is repeated to the shape of `like`. */
int64_t offset_like(const struct tensor *tensor, const struct tensor *like, int64_t index);
/* 1 when `tensor` can be repeated to the shape of `like`. */
int fits(const struct tensor *tensor, const struct tensor *like);

/* --- binary.c --- */
struct npu_function {
    uint64_t handle;
    const struct npu_kernel *kernel;
    struct npu_function *next;
};
/* NULL: no such function. */
const struct npu_kernel *function_kernel(aclrtFuncHandle handle);

#endif
