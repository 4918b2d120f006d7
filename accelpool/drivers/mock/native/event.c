/* SPDX-License-Identifier: Apache-2.0 */
/* Events: each recording is an object of its own, so that who waits for an older one is not moved to a newer one. */
#include <stdlib.h>

#include "engine.h"
#include "shared_memory.h"

struct event {
    struct context *context;
    unsigned flags;
    bool foreign;              /* another process records it */
    struct shared_event shared; /* no file: nobody else has it */
    pthread_mutex_t lock;
    struct record *last; /* NULL: never recorded */
};

static CUresult event_find(CUevent handle, struct event **event) {
    TRY(initialised());
    *event = handle_object(HANDLE_EVENT, (uint64_t)handle);
    return *event ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

/* The other process's latest recording becomes one of ours, which is done when that is. Event lock. */
static void follow(struct event *event) {
    const uint64_t number = cell_recorded(event->shared.cell);
    if (event->last ? event->last->number == number : !number)
        return;
    struct record *record = record_new();
    if (!record)
        return; /* an older one: that is late, but not wrong for ever */
    record->number = number;
    if (shared_event_follow(&event->shared, record)) {
        record_release(record);
        return;
    }
    record_release(event->last);
    event->last = record;
}

/* A reference to the latest recording, or NULL. */
static struct record *last_record(struct event *event) {
    pthread_mutex_lock(&event->lock);
    if (event->foreign)
        follow(event);
    struct record *record = event->last;
    if (record)
        atomic_fetch_add(&record->references, 1);
    pthread_mutex_unlock(&event->lock);
    return record;
}

API CUresult cuEventCreate(CUevent *handle, unsigned flags) {
    struct context *context;
    TRY(context_enter(&context));
    if (!handle || flags & ~(unsigned)(CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS))
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & CU_EVENT_INTERPROCESS)
        return flags & CU_EVENT_DISABLE_TIMING ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
    return event_new(handle, flags);
}

CUresult event_new(CUevent *handle, unsigned flags) {
    struct context *context;
    TRY(context_enter(&context));
    struct event *event = calloc(1, sizeof *event);
    if (!event)
        return CUDA_ERROR_OUT_OF_MEMORY;
    event->context = context;
    event->flags = flags;
    pthread_mutex_init(&event->lock, NULL);
    *handle = (CUevent)handle_new(HANDLE_EVENT, event);
    if (*handle)
        return CUDA_SUCCESS;
    free(event);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

API CUresult cuEventDestroy_v2(CUevent handle) {
    struct event *event;
    TRY(event_find(handle, &event));
    handle_drop((uint64_t)handle);
    record_release(event->last);
    if (event->shared.file)
        shared_event_drop(&event->shared);
    pthread_mutex_destroy(&event->lock);
    free(event);
    return CUDA_SUCCESS;
}

API CUresult cuEventDestroy(CUevent handle) {
    return cuEventDestroy_v2(handle);
}

API CUresult cuEventRecord(CUevent handle, CUstream stream_handle) {
    struct event *event;
    struct stream *stream;
    TRY(stream_find(stream_handle, &stream));
    TRY(event_find(handle, &event));
    if (event->context != stream->context)
        return CUDA_ERROR_INVALID_HANDLE;
    if (event->foreign)
        return CUDA_ERROR_NOT_SUPPORTED;
    struct record *record = record_new();
    if (!record)
        return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&event->lock);
    if (event->shared.file) {
        record->cell = event->shared.cell;
        record->number = cell_record(record->cell);
    }
    pthread_mutex_unlock(&event->lock);
    if (stream_idle(stream)) {
        record_finish(record);
    } else {
        atomic_fetch_add(&record->references, 1);
        struct work *work = work_begin(stream);
        work->kind = WORK_RECORD;
        work->record = record;
        work_submit(stream);
    }
    pthread_mutex_lock(&event->lock);
    struct record *old = event->last;
    event->last = record;
    pthread_mutex_unlock(&event->lock);
    record_release(old);
    return CUDA_SUCCESS;
}

API CUresult cuEventRecordWithFlags(CUevent handle, CUstream stream, unsigned flags) {
    return flags & ~1u ? CUDA_ERROR_INVALID_VALUE : cuEventRecord(handle, stream);
}

API CUresult cuEventQuery(CUevent handle) {
    struct event *event;
    TRY(event_find(handle, &event));
    TRY(atomic_load(&event->context->error));
    struct record *record = last_record(event);
    bool done = !record || atomic_load_explicit(&record->done, memory_order_acquire);
    record_release(record);
    return done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

API CUresult cuEventSynchronize(CUevent handle) {
    struct event *event;
    TRY(event_find(handle, &event));
    struct record *record = last_record(event);
    if (record)
        record_wait(record);
    record_release(record);
    return atomic_load(&event->context->error);
}

static CUresult elapsed(float *milliseconds, struct event *start, struct event *end, struct record *first,
                        struct record *second) {
    if (start->flags & CU_EVENT_DISABLE_TIMING || end->flags & CU_EVENT_DISABLE_TIMING || !first || !second)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!atomic_load_explicit(&first->done, memory_order_acquire) ||
        !atomic_load_explicit(&second->done, memory_order_acquire))
        return CUDA_ERROR_NOT_READY;
    *milliseconds = (float)((double)(int64_t)(second->time_ns - first->time_ns) * 1e-6);
    return CUDA_SUCCESS;
}

static CUresult elapsed_of(float *milliseconds, CUevent start_handle, CUevent end_handle) {
    struct event *start, *end;
    TRY(event_find(start_handle, &start));
    TRY(event_find(end_handle, &end));
    TRY(atomic_load(&start->context->error));
    if (!milliseconds)
        return CUDA_ERROR_INVALID_VALUE;
    struct record *first = last_record(start), *second = last_record(end);
    CUresult status = elapsed(milliseconds, start, end, first, second);
    record_release(first);
    record_release(second);
    return status;
}

API CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end) {
    return elapsed_of(milliseconds, start, end);
}

API CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
    return elapsed_of(milliseconds, start, end);
}

CUresult event_time(CUevent handle, uint64_t *ns) {
    struct event *event;
    TRY(event_find(handle, &event));
    TRY(atomic_load(&event->context->error));
    struct record *record = last_record(event);
    CUresult status = !record ? CUDA_ERROR_NOT_FOUND
                      : atomic_load_explicit(&record->done, memory_order_acquire) ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
    if (status == CUDA_SUCCESS)
        *ns = record->time_ns;
    record_release(record);
    return status;
}

API CUresult cuStreamWaitEvent(CUstream stream_handle, CUevent handle, unsigned flags) {
    struct event *event;
    struct stream *stream;
    TRY(stream_find(stream_handle, &stream));
    TRY(event_find(handle, &event));
    if (flags & ~1u)
        return CUDA_ERROR_INVALID_VALUE;
    struct record *record = last_record(event);
    if (!record || atomic_load_explicit(&record->done, memory_order_acquire)) {
        record_release(record);
        return CUDA_SUCCESS;
    }
    struct work *work = work_begin(stream);
    work->kind = WORK_WAIT;
    work->record = record; /* the reference goes with it */
    work_submit(stream);
    return CUDA_SUCCESS;
}

/* --- other processes ----------------------------------------------------------------------------------------------- */

CUresult event_share(CUevent handle, uint64_t *number) {
    struct event *event;
    CUresult status = CUDA_SUCCESS;
    TRY(event_find(handle, &event));
    if (event->foreign || !(event->flags & CU_EVENT_INTERPROCESS))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&event->lock);
    if (!event->shared.file) {
        status = shared_event_new(&event->shared);
        pthread_mutex_lock(&engine.lock);
        if (status == CUDA_SUCCESS && event->last && !atomic_load(&event->last->done)) { /* under way already */
            event->last->cell = event->shared.cell;
            event->last->number = cell_record(event->shared.cell);
        }
        pthread_mutex_unlock(&engine.lock);
    }
    if (status == CUDA_SUCCESS)
        *number = shared_event_number(&event->shared);
    pthread_mutex_unlock(&event->lock);
    return status;
}

CUresult event_adopt(uint64_t number, CUevent *handle) {
    struct shared_event shared;
    struct event *event;
    TRY(shared_event_find(number, &shared));
    CUresult status = event_new(handle, 0);
    if (status == CUDA_SUCCESS)
        status = event_find(*handle, &event);
    if (status != CUDA_SUCCESS) {
        shared_event_drop(&shared);
        return status;
    }
    event->shared = shared;
    event->foreign = true;
    return CUDA_SUCCESS;
}
