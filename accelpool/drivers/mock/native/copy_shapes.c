/* SPDX-License-Identifier: Apache-2.0 */
/* Two- and three-dimensional copies between linear memory; arrays are not supported. */
#include <string.h>

#include "copy.h"

struct side {
    int type;
    uint64_t host, device, x, y, z, pitch, rows;
};

/* Address of the first byte of one side, and whether it is the device's. */
static CUresult resolve(const struct side *side, uint64_t width, uint64_t height, uint64_t depth, uint64_t *address,
                        bool *device) {
    uint64_t slice, offset_y, offset_z;
    switch (side->type) {
    case CU_MEMORYTYPE_HOST:
        *address = side->host;
        *device = false;
        break;
    case CU_MEMORYTYPE_DEVICE:
        *address = side->device;
        *device = true;
        break;
    case CU_MEMORYTYPE_UNIFIED:
        *address = side->device;
        *device = memory_is_device(side->device) || memory_is_pinned((const void *)side->device, 1);
        break;
    case CU_MEMORYTYPE_ARRAY:
        return CUDA_ERROR_NOT_SUPPORTED;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    if ((height > 1 || depth > 1) && (side->pitch < width || side->pitch - width < side->x))
        return CUDA_ERROR_INVALID_VALUE;
    if (depth > 1 && (side->rows < height || side->rows - height < side->y))
        return CUDA_ERROR_INVALID_VALUE;
    if (__builtin_mul_overflow(side->pitch, side->rows, &slice) || __builtin_mul_overflow(side->pitch, side->y, &offset_y) ||
        __builtin_mul_overflow(slice, side->z, &offset_z) || __builtin_add_overflow(*address, offset_y, address) ||
        __builtin_add_overflow(*address, offset_z, address) || __builtin_add_overflow(*address, side->x, address))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

CUresult copy_3d(const CUDA_MEMCPY3D *copy, CUstream stream, bool wait) {
    TRY(initialised());
    if (!copy || copy->srcLOD || copy->dstLOD)
        return CUDA_ERROR_INVALID_VALUE;
    struct side from = {copy->srcMemoryType, (uint64_t)copy->srcHost, copy->srcDevice, copy->srcXInBytes, copy->srcY,
                        copy->srcZ, copy->srcPitch, copy->srcHeight};
    struct side to = {copy->dstMemoryType, (uint64_t)copy->dstHost, copy->dstDevice, copy->dstXInBytes, copy->dstY,
                      copy->dstZ, copy->dstPitch, copy->dstHeight};
    struct plane plane = {.width = copy->WidthInBytes, .height = copy->Height, .depth = copy->Depth,
                          .to_pitch = to.pitch, .from_pitch = from.pitch, .to_slice = to.pitch * to.rows,
                          .from_slice = from.pitch * from.rows};
    TRY(resolve(&from, plane.width, plane.height, plane.depth, &plane.from, &plane.from_device));
    TRY(resolve(&to, plane.width, plane.height, plane.depth, &plane.to, &plane.to_device));
    return plane_submit(&plane, stream, wait);
}

CUresult copy_2d(const CUDA_MEMCPY2D *copy, CUstream stream, bool wait) {
    TRY(initialised());
    if (!copy)
        return CUDA_ERROR_INVALID_VALUE;
    CUDA_MEMCPY3D whole = {
        .srcXInBytes = copy->srcXInBytes, .srcY = copy->srcY, .srcMemoryType = copy->srcMemoryType,
        .srcHost = copy->srcHost, .srcDevice = copy->srcDevice, .srcArray = copy->srcArray, .srcPitch = copy->srcPitch,
        .dstXInBytes = copy->dstXInBytes, .dstY = copy->dstY, .dstMemoryType = copy->dstMemoryType,
        .dstHost = copy->dstHost, .dstDevice = copy->dstDevice, .dstArray = copy->dstArray, .dstPitch = copy->dstPitch,
        .WidthInBytes = copy->WidthInBytes, .Height = copy->Height, .Depth = 1,
    };
    return copy_3d(&whole, stream, wait);
}

API CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *copy) {
    return copy_2d(copy, NULL, true);
}

API CUresult cuMemcpy2D_v2_ptds(const CUDA_MEMCPY2D *copy) {
    return copy_2d(copy, CU_STREAM_PER_THREAD, true);
}

API CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *copy) {
    return copy_2d(copy, NULL, true);
}

API CUresult cuMemcpy2DUnaligned_v2_ptds(const CUDA_MEMCPY2D *copy) {
    return copy_2d(copy, CU_STREAM_PER_THREAD, true);
}

API CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *copy, CUstream stream) {
    return copy_2d(copy, stream, false);
}

API CUresult cuMemcpy2DAsync_v2_ptsz(const CUDA_MEMCPY2D *copy, CUstream stream) {
    return copy_2d(copy, stream_or_per_thread(stream), false);
}

API CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D *copy) {
    return copy_3d(copy, NULL, true);
}

API CUresult cuMemcpy3D_v2_ptds(const CUDA_MEMCPY3D *copy) {
    return copy_3d(copy, CU_STREAM_PER_THREAD, true);
}

API CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *copy, CUstream stream) {
    return copy_3d(copy, stream, false);
}

API CUresult cuMemcpy3DAsync_v2_ptsz(const CUDA_MEMCPY3D *copy, CUstream stream) {
    return copy_3d(copy, stream_or_per_thread(stream), false);
}
