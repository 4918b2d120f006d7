/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of the CUDA calls that are written by hand on both sides. */
#ifndef ACCELPOOL_CUDA_CALLS_H
#define ACCELPOOL_CUDA_CALLS_H

#include "wire.h"

#define TENSOR_RANK 5u      /* dimensions at most */
#define TENSOR_MAP_WORDS 16 /* CUtensorMap: opaque */

/* cuTensorMapEncodeTiled, cuTensorMapEncodeIm2col; every member lies where its type wants it. */
struct cuda_tensor_map {
    uint64_t address;
    uint64_t dimensions[TENSOR_RANK], strides[TENSOR_RANK - 1]; /* strides: bytes, from the second dimension on */
    uint32_t element_strides[TENSOR_RANK];
    uint32_t box[TENSOR_RANK];                                    /* tiled */
    int32_t lower[TENSOR_RANK - 2], upper[TENSOR_RANK - 2];       /* im2col, as the next two */
    uint32_t channels, pixels;
    uint32_t rank;
    int32_t type, interleave, swizzle, promotion, fill;
};

/* cuTensorMapReplaceAddress */
struct cuda_tensor_replace {
    uint64_t address, map[TENSOR_MAP_WORDS];
};

struct cuda_tensor_reply {
    struct wire_reply reply;
    uint64_t map[TENSOR_MAP_WORDS];
} WIRE_PACKED;

/* cuOccupancyMaxActiveClusters, cuOccupancyMaxPotentialClusterSize: struct wire_launch and its attributes */
struct cuda_cluster_reply {
    struct wire_reply reply;
    int32_t value;
} WIRE_PACKED;

_Static_assert(sizeof(struct cuda_tensor_map) == 176, "no padding");
_Static_assert(sizeof(struct cuda_tensor_replace) == 136, "no padding");

#endif
