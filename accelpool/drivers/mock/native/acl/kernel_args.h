/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the emulated operators hand to the emulated device's kernels: one address per tensor, then the address of the
 * tiling data, which a place holder lets the runtime fill in; then that data. The same order as vendor's kernels have.
 * Without a place holder the tiling data lies in device memory.
 */
#ifndef ACCELPOOL_EMU_KERNEL_ARGS_H
#define ACCELPOOL_EMU_KERNEL_ARGS_H

#include <stdint.h>

#define NPU_BINARY_MAGIC "ACCELPOOL-NPU-KERNELS\n" /* then the name of one kernel on each line */
#define NPU_TENSORS 8u
#define NPU_RANK 8
#define NPU_NUMBERS 4
#define NPU_INTEGERS 12

struct npu_shape {
    int32_t type, rank; /* aclDataType */
    int64_t sizes[NPU_RANK], strides[NPU_RANK], offset; /* elements */
};

struct npu_tiling {
    uint32_t tensors, zero;
    double numbers[NPU_NUMBERS];
    int64_t integers[NPU_INTEGERS];
    struct npu_shape shapes[NPU_TENSORS]; /* as many as there are tensors */
};

#endif
