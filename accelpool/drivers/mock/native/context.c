/* SPDX-License-Identifier: Apache-2.0 */
/* Initialisation, contexts, and the stack of current contexts that every thread has. */
#include <stdlib.h>
#include <string.h>

#include "emu.h"

#define STACK_DEPTH 128

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int ready;   /* cuInit succeeded in this process */
static int forked;          /* the parent had initialised: this process never can */
static struct context primary;
static unsigned long long next_id = 1;
static __thread struct {
    CUcontext items[STACK_DEPTH];
    unsigned depth;
} stack;

const struct accelpool_backend_host *emu_host;
static struct accelpool_backend_host host_copy;

void api_lock(void) {
    pthread_mutex_lock(&lock);
}

void api_unlock(void) {
    pthread_mutex_unlock(&lock);
}

API int accelpool_backend_attach(const struct accelpool_backend_host *host) {
    if (!host || host->version != ACCELPOOL_BACKEND_VERSION)
        return -1;
    host_copy = *host;
    emu_host = &host_copy;
    return 0;
}

static void after_fork(void) {
    forked = 1;
    atomic_store(&ready, 0);
}

CUresult initialised(void) {
    return atomic_load_explicit(&ready, memory_order_acquire) ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

API CUresult cuInit(unsigned flags) {
    if (flags)
        return CUDA_ERROR_INVALID_VALUE;
    if (forked)
        return CUDA_ERROR_NOT_INITIALIZED;
    CUresult status = CUDA_SUCCESS;
    api_lock();
    if (!atomic_load(&ready)) {
        device_describe();
        status = memory_start();
        primary.primary = true;
        if (status == CUDA_SUCCESS && !primary.handle)
            primary.handle = (CUcontext)handle_new(HANDLE_CONTEXT, &primary);
        if (status == CUDA_SUCCESS && !primary.handle)
            status = CUDA_ERROR_OUT_OF_MEMORY;
        if (status == CUDA_SUCCESS) {
            pthread_atfork(NULL, NULL, after_fork);
            atomic_store(&ready, 1);
        }
    }
    api_unlock();
    return status;
}

CUresult context_find(CUcontext handle, struct context **context) {
    TRY(initialised());
    if (!handle) {
        if (!stack.depth || !stack.items[stack.depth - 1])
            return CUDA_ERROR_INVALID_CONTEXT;
        handle = stack.items[stack.depth - 1];
        *context = handle_object(HANDLE_CONTEXT, (uint64_t)handle);
        return *context && (*context)->alive ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
    }
    *context = handle_object(HANDLE_CONTEXT, (uint64_t)handle);
    if (!*context)
        return CUDA_ERROR_INVALID_CONTEXT;
    return (*context)->alive ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

CUresult context_current(struct context **context) {
    return context_find(NULL, context);
}

CUresult context_enter(struct context **context) {
    TRY(context_find(NULL, context));
    return atomic_load_explicit(&(*context)->error, memory_order_acquire);
}

static const size_t default_limits[CU_LIMIT_MAX] = {
    [CU_LIMIT_STACK_SIZE] = 1024,
    [CU_LIMIT_PRINTF_FIFO_SIZE] = 1 << 20,
    [CU_LIMIT_MALLOC_HEAP_SIZE] = 8 << 20,
    [CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH] = 2,
    [CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT] = 2048,
    [CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = 64,
};

/* Api lock held. */
static CUresult context_open(struct context *context, unsigned flags) {
    TRY(engine_start());
    atomic_store(&context->error, CUDA_SUCCESS);
    context->flags = flags;
    context->id = next_id++;
    context->cache_config = context->shared_config = 0;
    memcpy(context->limits, default_limits, sizeof context->limits);
    TRY(stream_new(context, 0, 0, true, &context->legacy));
    context->alive = true;
    return CUDA_SUCCESS;
}

/* Takes everything down that belongs to the context. No lock held; the context is no longer alive. */
static void context_close(struct context *context) {
    int expected = CUDA_SUCCESS; /* what still waits in its queues is dropped, and a running kernel is broken off */
    atomic_compare_exchange_strong(&context->error, &expected, CUDA_ERROR_CONTEXT_IS_DESTROYED);
    context_drain(context);
    api_lock();
    while (context->modules)
        module_free(context->modules);
    api_unlock();
    allocation_free_all(context);
    streams_retire(context);
    context->legacy = NULL;
}

static CUresult push(CUcontext handle) {
    if (stack.depth == STACK_DEPTH)
        return CUDA_ERROR_OUT_OF_MEMORY;
    stack.items[stack.depth++] = handle;
    return CUDA_SUCCESS;
}

API CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    TRY(device_check(device));
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    api_lock();
    CUresult status = primary.alive ? CUDA_SUCCESS : context_open(&primary, primary.flags);
    if (status == CUDA_SUCCESS) {
        primary.primary_references++;
        *context = primary.handle;
    }
    api_unlock();
    return status;
}

static CUresult primary_release(bool all) {
    api_lock();
    if (!primary.primary_references) {
        api_unlock();
        return all ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
    }
    primary.primary_references = all ? 0 : primary.primary_references - 1;
    bool last = !primary.primary_references;
    if (last)
        primary.alive = false;
    api_unlock();
    if (last)
        context_close(&primary);
    return CUDA_SUCCESS;
}

API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    TRY(device_check(device));
    return primary_release(false);
}

API CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
    return cuDevicePrimaryCtxRelease_v2(device);
}

API CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
    TRY(device_check(device));
    return primary_release(true);
}

API CUresult cuDevicePrimaryCtxReset(CUdevice device) {
    return cuDevicePrimaryCtxReset_v2(device);
}

API CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
    TRY(device_check(device));
    if (flags & ~(unsigned)CU_CTX_FLAGS_MASK)
        return CUDA_ERROR_INVALID_VALUE;
    primary.flags = flags;
    return CUDA_SUCCESS;
}

API CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags) {
    return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

API CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
    TRY(device_check(device));
    if (flags)
        *flags = primary.flags;
    if (active)
        *active = primary.alive;
    return CUDA_SUCCESS;
}

API CUresult cuCtxCreate_v2(CUcontext *handle, unsigned flags, CUdevice device) {
    TRY(device_check(device));
    if (!handle || (flags & ~(unsigned)CU_CTX_FLAGS_MASK))
        return CUDA_ERROR_INVALID_VALUE;
    struct context *context = calloc(1, sizeof *context);
    if (!context)
        return CUDA_ERROR_OUT_OF_MEMORY;
    context->handle = (CUcontext)handle_new(HANDLE_CONTEXT, context);
    api_lock();
    CUresult status = context->handle ? context_open(context, flags) : CUDA_ERROR_OUT_OF_MEMORY;
    api_unlock();
    if (status == CUDA_SUCCESS)
        status = push(context->handle);
    if (status != CUDA_SUCCESS) {
        handle_drop((uint64_t)context->handle);
        free(context);
        return status;
    }
    *handle = context->handle;
    return CUDA_SUCCESS;
}

API CUresult cuCtxCreate_v3(CUcontext *handle, void *affinity, int count, unsigned flags, CUdevice device) {
    if (affinity || count)
        return CUDA_ERROR_NOT_SUPPORTED;
    return cuCtxCreate_v2(handle, flags, device);
}

API CUresult cuCtxCreate_v4(CUcontext *handle, void *parameters, unsigned flags, CUdevice device) {
    if (parameters)
        return CUDA_ERROR_NOT_SUPPORTED;
    return cuCtxCreate_v2(handle, flags, device);
}

API CUresult cuCtxDestroy_v2(CUcontext handle) {
    struct context *context;
    TRY(initialised());
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(context_find(handle, &context));
    if (context->primary)
        return CUDA_ERROR_INVALID_CONTEXT;
    handle_drop((uint64_t)handle);
    context->alive = false;
    if (stack.depth && stack.items[stack.depth - 1] == handle)
        stack.depth--;
    context_close(context);
    free(context);
    return CUDA_SUCCESS;
}

API CUresult cuCtxDestroy(CUcontext handle) {
    return cuCtxDestroy_v2(handle);
}

API CUresult cuCtxPushCurrent_v2(CUcontext handle) {
    struct context *context;
    TRY(initialised());
    if (!handle)
        return CUDA_ERROR_INVALID_CONTEXT;
    TRY(context_find(handle, &context));
    return push(handle);
}

API CUresult cuCtxPopCurrent_v2(CUcontext *handle) {
    TRY(initialised());
    if (!stack.depth)
        return CUDA_ERROR_INVALID_CONTEXT;
    stack.depth--;
    if (handle)
        *handle = stack.items[stack.depth];
    return CUDA_SUCCESS;
}

API CUresult cuCtxSetCurrent(CUcontext handle) {
    struct context *context;
    TRY(initialised());
    if (handle) {
        TRY(context_find(handle, &context));
        if (!stack.depth)
            return push(handle);
        stack.items[stack.depth - 1] = handle;
    } else if (stack.depth) {
        stack.depth--;
    }
    return CUDA_SUCCESS;
}

API CUresult cuCtxGetCurrent(CUcontext *handle) {
    TRY(initialised());
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    *handle = stack.depth ? stack.items[stack.depth - 1] : NULL;
    return CUDA_SUCCESS;
}
