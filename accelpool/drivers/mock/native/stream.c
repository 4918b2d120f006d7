/* SPDX-License-Identifier: Apache-2.0 */
/* Streams as programs see them. */
#include <stdlib.h>

#include "emu.h"

/* Each thread's own default streams, one per context. They go with the thread, or with their context. */
struct own {
    CUcontext context;
    CUstream stream;
    struct own *next;
};
static pthread_key_t own_key;
static pthread_once_t own_once = PTHREAD_ONCE_INIT;

static void own_end(void *list) {
    for (struct own *own = list, *next; own; own = next) {
        next = own->next;
        struct stream *stream = handle_object(HANDLE_STREAM, (uint64_t)own->stream);
        if (stream)
            stream_retire(stream);
        free(own);
    }
}

static void own_start(void) {
    pthread_key_create(&own_key, own_end);
}

static CUresult own_stream(struct context *context, struct stream **stream) {
    pthread_once(&own_once, own_start);
    for (struct own *own = pthread_getspecific(own_key); own; own = own->next) {
        *stream = own->context == context->handle ? handle_object(HANDLE_STREAM, (uint64_t)own->stream) : NULL;
        if (*stream)
            return CUDA_SUCCESS;
    }
    struct own *own = malloc(sizeof *own);
    if (!own)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult status = stream_new(context, 0, 0, false, stream);
    if (status != CUDA_SUCCESS) {
        free(own);
        return status;
    }
    *own = (struct own){.context = context->handle, .stream = (*stream)->handle, .next = pthread_getspecific(own_key)};
    pthread_setspecific(own_key, own);
    return CUDA_SUCCESS;
}

CUresult stream_find(CUstream handle, struct stream **stream) {
    struct context *context;
    if (!handle || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD) {
        TRY(context_enter(&context));
        if (handle == CU_STREAM_PER_THREAD)
            return own_stream(context, stream);
        *stream = context->legacy;
        return CUDA_SUCCESS;
    }
    TRY(initialised());
    *stream = handle_object(HANDLE_STREAM, (uint64_t)handle);
    if (!*stream)
        return CUDA_ERROR_INVALID_HANDLE;
    return atomic_load_explicit(&(*stream)->context->error, memory_order_acquire);
}

CUstream stream_or_per_thread(CUstream handle) {
    return handle ? handle : CU_STREAM_PER_THREAD;
}

API CUresult cuStreamCreateWithPriority(CUstream *handle, unsigned flags, int priority) {
    struct context *context;
    struct stream *stream;
    TRY(context_enter(&context));
    if (!handle || flags & ~CU_STREAM_NON_BLOCKING)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(stream_new(context, flags, priority > 0 ? 0 : priority < -5 ? -5 : priority, false, &stream));
    *handle = stream->handle;
    return CUDA_SUCCESS;
}

API CUresult cuStreamCreate(CUstream *handle, unsigned flags) {
    return cuStreamCreateWithPriority(handle, flags, 0);
}

API CUresult cuStreamDestroy_v2(CUstream handle) {
    TRY(initialised());
    struct stream *stream = handle_object(HANDLE_STREAM, (uint64_t)handle);
    if (!stream)
        return CUDA_ERROR_INVALID_HANDLE;
    stream_retire(stream);
    return CUDA_SUCCESS;
}

API CUresult cuStreamDestroy(CUstream handle) {
    return cuStreamDestroy_v2(handle);
}

API CUresult cuStreamSynchronize(CUstream handle) {
    struct stream *stream;
    TRY(stream_find(handle, &stream));
    return stream_drain(stream);
}

API CUresult cuStreamQuery(CUstream handle) {
    struct stream *stream;
    TRY(stream_find(handle, &stream));
    bool finished = stream->legacy ? stream_idle(stream) : stream_empty(stream);
    TRY(atomic_load(&stream->context->error));
    return finished ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

API CUresult cuStreamGetPriority(CUstream handle, int *priority) {
    struct stream *stream;
    TRY(stream_find(handle, &stream));
    if (!priority)
        return CUDA_ERROR_INVALID_VALUE;
    *priority = stream->priority;
    return CUDA_SUCCESS;
}

API CUresult cuStreamGetFlags(CUstream handle, unsigned *flags) {
    struct stream *stream;
    TRY(stream_find(handle, &stream));
    if (!flags)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = stream->flags;
    return CUDA_SUCCESS;
}

API CUresult cuStreamGetId(CUstream handle, unsigned long long *id) {
    struct stream *stream;
    TRY(stream_find(handle, &stream));
    if (!id)
        return CUDA_ERROR_INVALID_VALUE;
    *id = stream->id;
    return CUDA_SUCCESS;
}

API CUresult cuStreamGetCtx(CUstream handle, CUcontext *context) {
    struct stream *stream;
    TRY(stream_find(handle, &stream));
    if (!context)
        return CUDA_ERROR_INVALID_VALUE;
    *context = stream->context->handle;
    return CUDA_SUCCESS;
}

API CUresult cuStreamGetDevice(CUstream handle, CUdevice *device) {
    struct stream *stream;
    TRY(stream_find(handle, &stream));
    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    *device = 0;
    return CUDA_SUCCESS;
}

API CUresult cuStreamIsCapturing(CUstream handle, int *status) {
    struct stream *stream;
    TRY(stream_find(handle, &stream));
    if (!status)
        return CUDA_ERROR_INVALID_VALUE;
    *status = 0; /* graphs are not supported, so nothing ever is */
    return CUDA_SUCCESS;
}

API CUresult cuThreadExchangeStreamCaptureMode(int *mode) {
    static __thread int current; /* CU_STREAM_CAPTURE_MODE_GLOBAL */
    TRY(initialised());
    if (!mode || *mode < 0 || *mode > 2)
        return CUDA_ERROR_INVALID_VALUE;
    int previous = current;
    current = *mode;
    *mode = previous;
    return CUDA_SUCCESS;
}

static CUresult submit_host(CUstream handle, struct work like) {
    struct stream *stream;
    TRY(stream_find(handle, &stream));
    struct work *work = work_begin(stream);
    work->kind = like.kind;
    work->host.function = like.host.function;
    work->host.callback = like.host.callback;
    work->host.data = like.host.data;
    work_submit(stream);
    return CUDA_SUCCESS;
}

API CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void *data) {
    if (!function)
        return CUDA_ERROR_INVALID_VALUE;
    return submit_host(handle, (struct work){.kind = WORK_HOST, .host = {.function = function, .data = data}});
}

API CUresult cuStreamAddCallback(CUstream handle, CUstreamCallback callback, void *data, unsigned flags) {
    if (!callback || flags)
        return CUDA_ERROR_INVALID_VALUE;
    return submit_host(handle, (struct work){.kind = WORK_CALLBACK, .host = {.callback = callback, .data = data}});
}
