/* SPDX-License-Identifier: Apache-2.0 */
/* What a context remembers and tells: device, flags, limits, configuration; waiting for all of its work. */
#include "emu.h"

API CUresult cuCtxGetDevice(CUdevice *device) {
    struct context *context;
    TRY(context_current(&context));
    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    *device = 0;
    return CUDA_SUCCESS;
}

API CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext handle) {
    struct context *context;
    TRY(context_find(handle, &context));
    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    *device = 0;
    return CUDA_SUCCESS;
}

API CUresult cuCtxGetId(CUcontext handle, unsigned long long *id) {
    struct context *context;
    TRY(context_find(handle, &context));
    if (!id)
        return CUDA_ERROR_INVALID_VALUE;
    *id = context->id;
    return CUDA_SUCCESS;
}

API CUresult cuCtxGetApiVersion(CUcontext handle, unsigned *version) {
    struct context *context;
    TRY(context_find(handle, &context));
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = 3020; /* of every context made by the _v2 and later calls */
    return CUDA_SUCCESS;
}

API CUresult cuCtxGetFlags(unsigned *flags) {
    struct context *context;
    TRY(context_enter(&context));
    if (!flags)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = context->flags;
    return CUDA_SUCCESS;
}

API CUresult cuCtxSetFlags(unsigned flags) {
    struct context *context;
    TRY(context_enter(&context));
    if (flags & ~(unsigned)CU_CTX_FLAGS_MASK)
        return CUDA_ERROR_INVALID_VALUE;
    context->flags = flags;
    return CUDA_SUCCESS;
}

API CUresult cuCtxGetLimit(size_t *value, int limit) {
    struct context *context;
    TRY(context_enter(&context));
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    if (limit < 0 || limit > CU_LIMIT_PERSISTING_L2_CACHE_SIZE)
        return CUDA_ERROR_UNSUPPORTED_LIMIT;
    *value = context->limits[limit];
    return CUDA_SUCCESS;
}

API CUresult cuCtxSetLimit(int limit, size_t value) {
    struct context *context;
    TRY(context_enter(&context));
    if (limit < 0 || limit >= CU_LIMIT_MAX)
        return CUDA_ERROR_INVALID_VALUE;
    if (limit > CU_LIMIT_PERSISTING_L2_CACHE_SIZE)
        return CUDA_ERROR_UNSUPPORTED_LIMIT;
    if (limit == CU_LIMIT_PERSISTING_L2_CACHE_SIZE && value)
        return CUDA_ERROR_UNSUPPORTED_LIMIT;
    context->limits[limit] = value;
    return CUDA_SUCCESS;
}

API CUresult cuCtxGetCacheConfig(int *config) {
    struct context *context;
    TRY(context_enter(&context));
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    *config = context->cache_config;
    return CUDA_SUCCESS;
}

API CUresult cuCtxSetCacheConfig(int config) {
    struct context *context;
    TRY(context_enter(&context));
    if (config < 0 || config > 3)
        return CUDA_ERROR_INVALID_VALUE;
    context->cache_config = config;
    return CUDA_SUCCESS;
}

API CUresult cuCtxGetSharedMemConfig(int *config) {
    struct context *context;
    TRY(context_enter(&context));
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    *config = 1; /* four-byte banks: fixed on this hardware */
    return CUDA_SUCCESS;
}

API CUresult cuCtxSetSharedMemConfig(int config) {
    struct context *context;
    TRY(context_enter(&context));
    return config < 0 || config > 2 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

API CUresult cuCtxResetPersistingL2Cache(void) {
    struct context *context;
    return context_enter(&context);
}

API CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    struct context *context;
    TRY(context_enter(&context));
    if (least)
        *least = 0;
    if (greatest)
        *greatest = -5;
    return CUDA_SUCCESS;
}

API CUresult cuCtxSynchronize_v2(CUcontext handle) {
    struct context *context;
    TRY(context_find(handle, &context));
    if (!atomic_load(&context->error))
        context_drain(context);
    return atomic_load(&context->error);
}

API CUresult cuCtxSynchronize(void) {
    return cuCtxSynchronize_v2(NULL);
}

API CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
    struct context *context;
    TRY(context_enter(&context));
    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(context_find(peer, &context));
    return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
}

API CUresult cuCtxDisablePeerAccess(CUcontext peer) {
    struct context *context;
    TRY(context_enter(&context));
    TRY(context_find(peer, &context));
    return CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
}
