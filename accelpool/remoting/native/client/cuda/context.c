/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts are the client's own affair: a session has one context at the worker, and whatever the program creates here
 * stands for it. Which one is current is a matter of the calling thread.
 */
#include <pthread.h>
#include <stdlib.h>

#include "cuda_wire.h"
#include "module.h"

#define DEPTH 128
#define FLAGS_MASK 0xffu
#define SCHEDULE_MASK 7u

static _Thread_local struct {
    struct context *contexts[DEPTH];
    unsigned depth;
} stack;

static _Atomic uint64_t last_id;

struct context *context_current(void)
{
    return stack.depth ? stack.contexts[stack.depth - 1] : NULL;
}

static CUcontext name_context(struct context *context)
{
    uint64_t id = handle_new(HANDLE_CONTEXT, context->device, context);

    context->id = atomic_fetch_add(&last_id, 1) + 1;
    context->value = id ? handle_value(HANDLE_CONTEXT, id) : NULL;
    return context->value;
}

/* By ordinal: the primary context, and how many contexts live (the primary one counts once). */
static struct {
    struct context primary;
    atomic_uint living;
} of_device[ATTACHMENT_DEVICES];

static void open_primaries(void)
{
    for (unsigned i = 0; i < client_device_count(); i++) {
        of_device[i].primary = (struct context){.device = client_device((int)i), .primary = 1, .api_version = 3020};
        name_context(&of_device[i].primary);
    }
}

struct context *context_primary(struct device *device)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, open_primaries);
    return &of_device[device->ordinal].primary;
}

static atomic_uint *living(const struct device *device)
{
    return &of_device[device->ordinal].living;
}

/* A context of the program's; *context is NULL for NULL. */
static CUresult look_up(CUcontext value, struct context **context)
{
    CUresult status = client_ready();

    *context = NULL;
    if (status || !value)
        return status;
    *context = handle_object(HANDLE_CONTEXT, value);
    if (!*context)
        return CLIENT_INVALID_CONTEXT;
    return atomic_load(&(*context)->references) ? 0 : CLIENT_CONTEXT_IS_DESTROYED;
}

/* The current context, which must be there. */
static CUresult current(struct context **context)
{
    struct device *device;
    CUresult status = client_enter(&device);

    *context = context_current();
    return status;
}

/* --- the end of a device's last context --------------------------------------------------------------------------- */

static void end_event(struct device *device, uint64_t id)
{
    struct cuda_cuEventDestroy_v2_call call = {id};

    session_post(device, CUDA_OP_cuEventDestroy_v2, &call, sizeof call, CALL_ALWAYS);
    handle_free(HANDLE_EVENT, id);
}

/* Contexts share the worker's one, so what they held goes when the last of them does. */
static void clear(struct device *device)
{
    session_wait(device, CUDA_OP_cuCtxSynchronize, NULL, 0, NULL, 0, CALL_IDLE); /* and what kernels have printed comes */
    module_unload_all(device);
    handle_each(HANDLE_EVENT, device, NULL, end_event);
    handle_each(HANDLE_STREAM, device, NULL, stream_end);
    heap_clear(device->heap);
}

static void leave(struct device *device)
{
    if (atomic_fetch_sub(living(device), 1) == 1)
        clear(device);
}

/* --- primary ------------------------------------------------------------------------------------------------------ */

static CUresult primary_of(CUdevice dev, struct context **context)
{
    CUresult status = client_ready();
    struct device *device = status ? NULL : client_device(dev);

    if (status)
        return status;
    *context = device ? context_primary(device) : NULL;
    return device ? 0 : CLIENT_INVALID_DEVICE;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev)
{
    struct context *context;
    CUresult status = primary_of(dev, &context);

    if (!status && !pctx)
        status = CLIENT_INVALID_VALUE;
    if (status)
        return status;
    if (!atomic_fetch_add(&context->references, 1))
        atomic_fetch_add(living(context->device), 1);
    *pctx = context->value;
    return 0;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice dev)
{
    struct context *context;
    CUresult status = primary_of(dev, &context);
    unsigned references = status ? 0 : atomic_load(&context->references);

    if (status)
        return status;
    do {
        if (!references)
            return CLIENT_INVALID_CONTEXT;
    } while (!atomic_compare_exchange_weak(&context->references, &references, references - 1));
    if (references == 1)
        leave(context->device);
    return 0;
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice dev)
{
    struct context *context;
    CUresult status = primary_of(dev, &context);

    if (!status && atomic_load(&context->references))
        clear(context->device); /* its users keep their references */
    return status;
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice dev, unsigned int flags)
{
    struct context *context;
    CUresult status = primary_of(dev, &context);

    if (!status && (flags & ~FLAGS_MASK || (flags & SCHEDULE_MASK) > 4 || (flags & SCHEDULE_MASK) == 3))
        status = CLIENT_INVALID_VALUE;
    if (!status)
        context->flags = flags;
    return status;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice dev, unsigned int *flags, int *active)
{
    struct context *context;
    CUresult status = primary_of(dev, &context);

    if (!status && (!flags || !active))
        status = CLIENT_INVALID_VALUE;
    if (!status) {
        *flags = context->flags;
        *active = atomic_load(&context->references) > 0;
    }
    return status;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice dev)
{
    return cuDevicePrimaryCtxRelease_v2(dev);
}

CUresult cuDevicePrimaryCtxReset(CUdevice dev)
{
    return cuDevicePrimaryCtxReset_v2(dev);
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice dev, unsigned int flags)
{
    return cuDevicePrimaryCtxSetFlags_v2(dev, flags);
}

/* --- created ------------------------------------------------------------------------------------------------------ */

static CUresult create(CUcontext *pctx, unsigned flags, CUdevice dev)
{
    struct context *primary, *context;
    CUresult status = primary_of(dev, &primary);

    if (!status && (!pctx || flags & ~FLAGS_MASK))
        status = CLIENT_INVALID_VALUE;
    if (status)
        return status;
    context = calloc(1, sizeof *context);
    if (!context || stack.depth == DEPTH) {
        free(context);
        return CLIENT_OUT_OF_MEMORY;
    }
    context->device = primary->device;
    context->flags = flags;
    context->api_version = 3020;
    atomic_store(&context->references, 1);
    if (!name_context(context)) {
        free(context);
        return CLIENT_OUT_OF_MEMORY;
    }
    atomic_fetch_add(living(context->device), 1);
    stack.contexts[stack.depth++] = context;
    *pctx = context->value;
    return 0;
}

CUresult cuCtxCreate_v2(CUcontext *pctx, unsigned int flags, CUdevice dev)
{
    return create(pctx, flags, dev);
}

CUresult cuCtxCreate_v3(CUcontext *pctx, CUexecAffinityParam *paramsArray, int numParams, unsigned int flags, CUdevice dev)
{
    return paramsArray || numParams ? CLIENT_NOT_SUPPORTED : create(pctx, flags, dev);
}

CUresult cuCtxCreate_v4(CUcontext *pctx, CUctxCreateParams *ctxCreateParams, unsigned int flags, CUdevice dev)
{
    if (ctxCreateParams && (ctxCreateParams->numExecAffinityParams || ctxCreateParams->cigParams))
        return CLIENT_NOT_SUPPORTED;
    return create(pctx, flags, dev);
}

/* The struct stays: other threads may still have it on their stacks, and must then hear that it is gone. */
CUresult cuCtxDestroy_v2(CUcontext ctx)
{
    struct context *context;
    CUresult status = look_up(ctx, &context);
    unsigned one = 1;

    if (status)
        return status;
    if (!context)
        return CLIENT_INVALID_VALUE;
    if (context->primary || !atomic_compare_exchange_strong(&context->references, &one, 0))
        return CLIENT_INVALID_CONTEXT;
    if (context_current() == context)
        stack.depth--;
    leave(context->device);
    return 0;
}

/* --- current ------------------------------------------------------------------------------------------------------ */

CUresult cuCtxPushCurrent_v2(CUcontext ctx)
{
    struct context *context;
    CUresult status = look_up(ctx, &context);

    if (status)
        return status;
    if (!context)
        return CLIENT_INVALID_CONTEXT;
    if (stack.depth == DEPTH)
        return CLIENT_OUT_OF_MEMORY;
    stack.contexts[stack.depth++] = context;
    return 0;
}

CUresult cuCtxPopCurrent_v2(CUcontext *pctx)
{
    CUresult status = client_ready();

    if (status)
        return status;
    if (!stack.depth)
        return CLIENT_INVALID_CONTEXT;
    stack.depth--;
    if (pctx)
        *pctx = stack.contexts[stack.depth]->value;
    return 0;
}

CUresult cuCtxSetCurrent(CUcontext ctx)
{
    struct context *context;
    CUresult status = look_up(ctx, &context);

    if (status)
        return status;
    if (!context)
        stack.depth -= stack.depth > 0;
    else
        stack.contexts[stack.depth ? stack.depth - 1 : stack.depth++] = context;
    return 0;
}

CUresult cuCtxGetCurrent(CUcontext *pctx)
{
    CUresult status = client_ready();

    if (!status && !pctx)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *pctx = stack.depth ? context_current()->value : NULL;
    return status;
}

CUresult cuCtxGetDevice(CUdevice *device)
{
    struct context *context;
    CUresult status = current(&context);

    if (!status && !device)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *device = context->device->ordinal;
    return status;
}

CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext ctx)
{
    struct context *context;
    CUresult status = ctx ? look_up(ctx, &context) : current(&context);

    if (!status && !device)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *device = context->device->ordinal;
    return status;
}

/* All contexts of a device share the worker's one: to wait for one is to wait for the device. */
CUresult cuCtxSynchronize_v2(CUcontext ctx)
{
    struct context *context;
    CUresult status = ctx ? cuCtxPushCurrent_v2(ctx) : current(&context);

    if (status)
        return status;
    status = cuCtxSynchronize();
    if (ctx)
        stack.depth--;
    return status;
}

/* --- properties --------------------------------------------------------------------------------------------------- */

CUresult cuCtxGetId(CUcontext ctx, unsigned long long *ctxId)
{
    struct context *context;
    CUresult status = ctx ? look_up(ctx, &context) : current(&context);

    if (!status && !ctxId)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *ctxId = context->id;
    return status;
}

CUresult cuCtxGetApiVersion(CUcontext ctx, unsigned int *version)
{
    struct context *context;
    CUresult status = ctx ? look_up(ctx, &context) : current(&context);

    if (!status && !version)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *version = context->api_version;
    return status;
}

CUresult cuCtxGetFlags(unsigned int *flags)
{
    struct context *context;
    CUresult status = current(&context);

    if (!status && !flags)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *flags = context->flags;
    return status;
}

CUresult cuCtxSetFlags(unsigned int flags)
{
    struct context *context;
    CUresult status = current(&context);

    if (!status && flags & ~FLAGS_MASK)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        context->flags = flags;
    return status;
}

CUresult cuCtxGetStreamPriorityRange(int *leastPriority, int *greatestPriority)
{
    struct context *context;
    CUresult status = current(&context);

    if (status)
        return status;
    if (leastPriority)
        *leastPriority = context->device->snapshot.priority_least;
    if (greatestPriority)
        *greatestPriority = context->device->snapshot.priority_greatest;
    return 0;
}

/* Cache and bank preferences are hints; the vendor's default serves, and the program reads back what it set. */
static CUresult hint(int *to, int value, int highest)
{
    if (value < 0 || value > highest)
        return CLIENT_INVALID_VALUE;
    *to = value;
    return 0;
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
    struct context *context;
    CUresult status = current(&context);

    return status ? status : hint(&context->cache_config, config, 3);
}

CUresult cuCtxGetCacheConfig(CUfunc_cache *pconfig)
{
    struct context *context;
    CUresult status = current(&context);

    if (!status && !pconfig)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *pconfig = context->cache_config;
    return status;
}

CUresult cuCtxSetSharedMemConfig(CUsharedconfig config)
{
    struct context *context;
    CUresult status = current(&context);

    return status ? status : hint(&context->shared_config, config, 2);
}

CUresult cuCtxGetSharedMemConfig(CUsharedconfig *pConfig)
{
    struct context *context;
    CUresult status = current(&context);

    if (!status && !pConfig)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *pConfig = context->shared_config ? context->shared_config : 1; /* four-byte banks */
    return status;
}

CUresult cuCtxEnablePeerAccess(CUcontext peerContext, unsigned int Flags)
{
    struct context *context;
    CUresult status = look_up(peerContext, &context);

    if (!status && (!context || Flags))
        status = context ? CLIENT_INVALID_VALUE : CLIENT_INVALID_CONTEXT;
    return status ? status : CLIENT_PEER_ACCESS_UNSUPPORTED;
}

CUresult cuCtxDisablePeerAccess(CUcontext peerContext)
{
    struct context *context;
    CUresult status = look_up(peerContext, &context);

    return status ? status : context ? CLIENT_PEER_ACCESS_NOT_ENABLED : CLIENT_INVALID_CONTEXT;
}
