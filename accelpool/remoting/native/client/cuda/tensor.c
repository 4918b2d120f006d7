/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensor maps. What is in one is the vendor's secret, so the worker's library encodes it; addresses are the same on both sides.
 */
#include <string.h>

#include "client.h"
#include "cuda_calls.h"
#include "cuda_wire.h"

#define MAP_ALIGNMENT 64

static CUresult ask(uint16_t opcode, const void *call, size_t length, CUtensorMap *map)
{
    struct cuda_tensor_reply reply;
    struct device *device;
    CUresult status = client_enter(&device);

    if (!status && (!map || (uintptr_t)map % MAP_ALIGNMENT))
        status = CLIENT_INVALID_VALUE;
    if (!status)
        status = session_wait(device, opcode, call, length, &reply.reply, sizeof reply, 0);
    if (!status)
        memcpy(map, reply.map, sizeof reply.map);
    return status;
}

/* The arrays that both kinds have; the rank says how long they are. */
static CUresult read_arrays(struct cuda_tensor_map *call, const cuuint64_t *dimensions, const cuuint64_t *strides,
                            const cuuint32_t *element_strides)
{
    if (!call->rank || call->rank > TENSOR_RANK || !dimensions || (call->rank > 1 && !strides) || !element_strides)
        return CLIENT_INVALID_VALUE;
    memcpy(call->dimensions, dimensions, call->rank * sizeof *dimensions);
    if (call->rank > 1)
        memcpy(call->strides, strides, (call->rank - 1) * sizeof *strides);
    memcpy(call->element_strides, element_strides, call->rank * sizeof *element_strides);
    return 0;
}

CUresult cuTensorMapEncodeTiled(CUtensorMap *tensorMap, CUtensorMapDataType tensorDataType, cuuint32_t tensorRank,
                                void *globalAddress, const cuuint64_t *globalDim, const cuuint64_t *globalStrides,
                                const cuuint32_t *boxDim, const cuuint32_t *elementStrides, CUtensorMapInterleave interleave,
                                CUtensorMapSwizzle swizzle, CUtensorMapL2promotion l2Promotion,
                                CUtensorMapFloatOOBfill oobFill)
{
    struct cuda_tensor_map call = {.address = (uintptr_t)globalAddress, .rank = tensorRank, .type = tensorDataType,
                                   .interleave = interleave, .swizzle = swizzle, .promotion = l2Promotion, .fill = oobFill};
    CUresult status = read_arrays(&call, globalDim, globalStrides, elementStrides);

    if (status || !boxDim)
        return client_ready() ? CLIENT_NOT_INITIALIZED : CLIENT_INVALID_VALUE;
    memcpy(call.box, boxDim, tensorRank * sizeof *boxDim);
    return ask(CUDA_OP_cuTensorMapEncodeTiled, &call, sizeof call, tensorMap);
}

CUresult cuTensorMapEncodeIm2col(CUtensorMap *tensorMap, CUtensorMapDataType tensorDataType, cuuint32_t tensorRank,
                                 void *globalAddress, const cuuint64_t *globalDim, const cuuint64_t *globalStrides,
                                 const int *pixelBoxLowerCorner, const int *pixelBoxUpperCorner, cuuint32_t channelsPerPixel,
                                 cuuint32_t pixelsPerColumn, const cuuint32_t *elementStrides,
                                 CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                 CUtensorMapL2promotion l2Promotion, CUtensorMapFloatOOBfill oobFill)
{
    struct cuda_tensor_map call = {.address = (uintptr_t)globalAddress, .rank = tensorRank, .type = tensorDataType,
                                   .channels = channelsPerPixel, .pixels = pixelsPerColumn, .interleave = interleave,
                                   .swizzle = swizzle, .promotion = l2Promotion, .fill = oobFill};
    CUresult status = read_arrays(&call, globalDim, globalStrides, elementStrides);

    if (status || tensorRank < 3 || !pixelBoxLowerCorner || !pixelBoxUpperCorner)
        return client_ready() ? CLIENT_NOT_INITIALIZED : CLIENT_INVALID_VALUE;
    memcpy(call.lower, pixelBoxLowerCorner, (tensorRank - 2) * sizeof *call.lower);
    memcpy(call.upper, pixelBoxUpperCorner, (tensorRank - 2) * sizeof *call.upper);
    return ask(CUDA_OP_cuTensorMapEncodeIm2col, &call, sizeof call, tensorMap);
}

CUresult cuTensorMapReplaceAddress(CUtensorMap *tensorMap, void *globalAddress)
{
    struct cuda_tensor_replace call = {.address = (uintptr_t)globalAddress};

    if (tensorMap)
        memcpy(call.map, tensorMap, sizeof call.map);
    return ask(CUDA_OP_cuTensorMapReplaceAddress, &call, sizeof call, tensorMap);
}
