/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's engine: one thread that takes work from the heads of the streams.
 *
 * Every stream is a ring with one consumer. Work starts in stream order; the legacy stream and the blocking streams of
 * a context wait for one another by submission sequence numbers. A kernel that has not ended after a slice of time
 * stays at its stream's head and the next stream gets its turn, so no kernel can starve the others.
 */
#include <stdlib.h>
#include <string.h>

#include "engine.h"

#define RING_BYTES (RING_SIZE * sizeof(struct work)) /* a stream's queue counts as touched memory of the host */
#define SLICE_NS 1000000u /* of one stream before the others get a look; longer with priority */

struct engine engine = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER,
                        .done = PTHREAD_COND_INITIALIZER};

static struct work *head_of(struct stream *stream) {
    uint64_t position = atomic_load_explicit(&stream->completed, memory_order_relaxed);
    if (position == atomic_load_explicit(&stream->submitted, memory_order_acquire))
        return NULL;
    return &stream->ring[position % RING_SIZE];
}

static bool earlier(struct stream *other, const struct work *work) {
    struct work *head = head_of(other);
    return head && head->sequence < work->sequence;
}

/* Without the engine lock a legacy stream that others are ordered with cannot tell, and says no. */
static bool in_order(struct stream *stream, const struct work *work, bool locked) {
    if (stream->flags & CU_STREAM_NON_BLOCKING)
        return true;
    if (!stream->legacy)
        return !earlier(stream->context->legacy, work);
    if (!atomic_load_explicit(&stream->context->ordered_streams, memory_order_acquire))
        return true;
    if (!locked)
        return false;
    for (struct stream *other = engine.streams; other; other = other->next)
        if (other->context == stream->context && !(other->flags & CU_STREAM_NON_BLOCKING) && !other->legacy &&
            earlier(other, work))
            return false;
    return true;
}

static bool can_start(struct stream *stream, struct work *work, bool locked) {
    if (atomic_load_explicit(&stream->context->error, memory_order_acquire))
        return atomic_load(&work->host_state) != 1; /* it is dropped */
    if (work->kind == WORK_WAIT && !atomic_load_explicit(&work->record->done, memory_order_acquire))
        return false;
    if (atomic_load_explicit(&work->host_state, memory_order_acquire) == 1)
        return false;
    return stream->run || in_order(stream, work, locked);
}

/* Engine lock held: the next stream in turn whose head can run. */
static struct stream *pick(void) {
    struct stream *start = engine.cursor && engine.cursor->next ? engine.cursor->next : engine.streams, *stream = start;
    if (!start)
        return NULL;
    do {
        struct work *work = head_of(stream);
        if (work && can_start(stream, work, true))
            return stream;
        stream = stream->next ? stream->next : engine.streams;
    } while (stream != start);
    return NULL;
}

static void retire(struct stream *stream) {
    uint64_t position = atomic_load_explicit(&stream->completed, memory_order_relaxed) + 1;
    atomic_store(&stream->completed, position);
    if (position >= atomic_load(&stream->awaited)) {
        pthread_mutex_lock(&engine.lock);
        atomic_store(&stream->awaited, UINT64_MAX);
        pthread_cond_broadcast(&engine.done);
        pthread_mutex_unlock(&engine.lock);
    }
}

static void run_stream(struct stream *stream) {
    uint64_t slice = SLICE_NS * (uint64_t)(1 - stream->priority), end = device_time_ns() + slice;
    struct work *work = head_of(stream);
    do {
        enum turn turn = work_run(stream, work, slice);
        if (turn == TURN_WAITS)
            return;
        if (turn == TURN_FINISHED)
            retire(stream);
        work = head_of(stream);
    } while (work && can_start(stream, work, false) && device_time_ns() < end);
}

static void stream_release(struct stream *stream) {
    free(stream->ring);
    free(stream);
    if (emu_host)
        emu_host->untouch(emu_host->opaque, RING_BYTES);
}

/* Engine lock held. */
static void stream_free(struct stream *stream) {
    if (stream->next)
        stream->next->previous = stream->previous;
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        engine.streams = stream->next;
    if (engine.cursor == stream)
        engine.cursor = stream->previous;
    if (!stream->legacy && !(stream->flags & CU_STREAM_NON_BLOCKING))
        atomic_fetch_sub(&stream->context->ordered_streams, 1);
    pthread_mutex_destroy(&stream->producer);
    stream_release(stream);
}

static bool reapable(struct stream *stream) {
    return stream->destroyed && !stream->pins && engine.running != stream && stream_empty(stream);
}

/* Engine lock held. */
static void reap(void) {
    for (struct stream *stream = engine.streams, *next; stream; stream = next) {
        next = stream->next;
        if (reapable(stream))
            stream_free(stream);
    }
    engine.destroyed = 0;
    for (struct stream *stream = engine.streams; stream; stream = stream->next)
        engine.destroyed += stream->destroyed;
}

static void *engine_main(void *unused) {
    (void)unused;
    pthread_mutex_lock(&engine.lock);
    for (;;) {
        struct stream *stream = pick();
        if (!stream) {
            if (engine.destroyed)
                reap();
            pthread_mutex_unlock(&engine.lock);
            meter_idle();
            pthread_mutex_lock(&engine.lock);
            atomic_store(&engine.sleeping, 1);
            if (!pick())
                pthread_cond_wait(&engine.wake, &engine.lock);
            atomic_store(&engine.sleeping, 0);
            continue;
        }
        engine.running = engine.cursor = stream;
        pthread_mutex_unlock(&engine.lock);
        run_stream(stream);
        pthread_mutex_lock(&engine.lock);
        engine.running = NULL;
        if (reapable(stream))
            stream_free(stream);
        if (engine.watchers)
            pthread_cond_broadcast(&engine.done);
    }
    return NULL;
}

CUresult engine_start(void) {
    pthread_t thread;
    if (engine.started)
        return CUDA_SUCCESS;
    CUresult status = work_start();
    if (status != CUDA_SUCCESS)
        return status;
    if (pthread_create(&thread, NULL, engine_main, NULL))
        return CUDA_ERROR_OPERATING_SYSTEM;
    pthread_detach(thread);
    engine.started = true;
    return CUDA_SUCCESS;
}

void engine_wake(void) {
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&engine.sleeping)) {
        pthread_mutex_lock(&engine.lock);
        pthread_cond_signal(&engine.wake);
        pthread_mutex_unlock(&engine.lock);
    }
}

CUresult stream_new(struct context *context, unsigned flags, int priority, bool legacy, struct stream **result) {
    struct stream *stream = aligned_alloc(64, sizeof *stream);
    if (!stream || (emu_host && emu_host->touch(emu_host->opaque, RING_BYTES))) {
        free(stream);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memset(stream, 0, sizeof *stream);
    stream->ring = calloc(RING_SIZE, sizeof *stream->ring);
    stream->handle = legacy ? NULL : (CUstream)handle_new(HANDLE_STREAM, stream);
    if (!stream->ring || (!legacy && !stream->handle)) {
        handle_drop((uint64_t)stream->handle);
        stream_release(stream);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    stream->context = context;
    stream->flags = flags;
    stream->priority = priority;
    stream->legacy = legacy;
    atomic_store(&stream->awaited, UINT64_MAX);
    pthread_mutex_init(&stream->producer, NULL);
    pthread_mutex_lock(&engine.lock);
    stream->id = ++engine.next_id;
    stream->next = engine.streams;
    if (stream->next)
        stream->next->previous = stream;
    engine.streams = stream;
    if (!legacy && !(flags & CU_STREAM_NON_BLOCKING))
        atomic_fetch_add(&context->ordered_streams, 1);
    pthread_mutex_unlock(&engine.lock);
    *result = stream;
    return CUDA_SUCCESS;
}

/* Engine lock held. */
static void mark_destroyed(struct stream *stream) {
    if (!stream->destroyed && stream->handle)
        handle_drop((uint64_t)stream->handle);
    stream->destroyed = true;
    engine.destroyed++;
}

void stream_retire(struct stream *stream) {
    pthread_mutex_lock(&engine.lock);
    mark_destroyed(stream);
    if (reapable(stream))
        stream_free(stream);
    pthread_mutex_unlock(&engine.lock);
}

/* Engine lock held: the first stream of a context, or NULL. */
static struct stream *first_of(const struct context *context) {
    struct stream *stream = engine.streams;
    while (stream && stream->context != context)
        stream = stream->next;
    return stream;
}

void streams_retire(struct context *context) {
    struct stream *stream;
    pthread_mutex_lock(&engine.lock);
    for (stream = engine.streams; stream; stream = stream->next)
        if (stream->context == context)
            mark_destroyed(stream);
    while ((stream = first_of(context))) {
        if (reapable(stream)) {
            stream_free(stream);
            continue;
        }
        engine.watchers++; /* the engine is about to let go of it, or a thread that waits is; either may free it */
        pthread_cond_wait(&engine.done, &engine.lock);
        engine.watchers--;
    }
    pthread_mutex_unlock(&engine.lock);
}
