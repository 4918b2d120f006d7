/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for CANN's operator library (libopapi.so), for programs that use an emulated Ascend device: it runs in the
 * program, as CANN's does, and knows the device only through AscendCL. An operator is a list of kernel launches.
 */
#ifndef ACCELPOOL_EMU_OPAPI_H
#define ACCELPOOL_EMU_OPAPI_H

#include <stdbool.h>

#include "acl_abi.h"
#include "kernel_args.h"

#define EXPORT __attribute__((visibility("default")))

enum {
    ACLNN_OK = 0,
    ACLNN_ERR_PARAM_NULLPTR = 161001,
    ACLNN_ERR_PARAM_INVALID = 161002,
    ACLNN_ERR_INNER = 561000,
};

typedef struct aclTensor {
    struct npu_shape shape;
    uint8_t *data;
} aclTensor;
typedef struct aclScalar {
    int type;
    bool whole; /* an integer or a bool */
    double number;
    int64_t integer;
} aclScalar;
typedef struct aclIntArray {
    uint64_t size;
    int64_t values[];
} aclIntArray;
typedef struct aclTensorList {
    uint64_t size;
    const aclTensor *tensors[];
} aclTensorList;

struct step {
    const char *kernel;
    unsigned tensor_count;
    uint64_t addresses[NPU_TENSORS];
    struct npu_tiling tiling;
};
typedef struct aclOpExecutor {
    unsigned count, room;
    int error;
    struct step *steps, spare; /* the spare one takes what is written when there is no memory */
} aclOpExecutor;

/* --- executor.c --- */
/* NULL: out of memory. */
aclOpExecutor *executor_new(void);
/* The next launch, which is valid until the one after it; its tensors follow by step_tensor(). Never NULL. */
struct step *executor_step(aclOpExecutor *executor, const char *kernel);
/* NULL fails the operator. */
void step_tensor(aclOpExecutor *executor, struct step *step, const aclTensor *tensor);
/* The operand that stands in place of a last tensor. */
void step_scalar(struct step *step, const aclScalar *scalar);
void step_alpha(struct step *step, const aclScalar *alpha);
/* End of a GetWorkspaceSize: hands the executor out or frees it. */
int executor_done(aclOpExecutor *executor, uint64_t *workspace, aclOpExecutor **result);
void executor_free(aclOpExecutor *executor);
/* Launches all and frees the executor. */
int executor_run(aclOpExecutor *executor, aclrtStream stream);

int64_t count_of(const aclTensor *tensor);

/* --- what every operator is made of: a static plan function named plan_<Name>, then ACLNN(Name, (its parameters), (names)) --- */
#define UNPACK(...) __VA_ARGS__
#define ACLNN(name, parameters, arguments)                                                                             \
    EXPORT int aclnn##name##GetWorkspaceSize(UNPACK parameters, uint64_t *workspace, aclOpExecutor **result);          \
    EXPORT int aclnn##name##GetWorkspaceSize(UNPACK parameters, uint64_t *workspace, aclOpExecutor **result) {         \
        aclOpExecutor *executor = executor_new();                                                                      \
        if (!executor)                                                                                                 \
            return ACLNN_ERR_INNER;                                                                                    \
        plan_##name(executor, UNPACK arguments);                                                                       \
        return executor_done(executor, workspace, result);                                                             \
    }                                                                                                                  \
    EXPORT int aclnn##name(void *memory, uint64_t size, aclOpExecutor *executor, aclrtStream stream);                  \
    EXPORT int aclnn##name(void *memory, uint64_t size, aclOpExecutor *executor, aclrtStream stream) {                 \
        (void)memory, (void)size;                                                                                      \
        return executor_run(executor, stream);                                                                         \
    }

#endif
