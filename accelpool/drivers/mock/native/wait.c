/* SPDX-License-Identifier: Apache-2.0 */
/* Handing work to a stream, and waiting for it. */
#include <stdlib.h>

#include "engine.h"
#include "shared_memory.h"

#define SPIN 400 /* looks before a waiter sleeps: some 10 us, the round trip of a short kernel */
#define STAGED_MOST ((size_t)64 << 20) /* bytes of the whole process; who wants more waits for the device */

/* Host memory that queued work owns: sources of copies, large parameter blocks. */
struct staging {
    _Alignas(16) size_t size;
};
static _Atomic size_t staged_bytes;

struct work *work_begin(struct stream *stream) {
    pthread_mutex_lock(&stream->producer);
    uint64_t position = atomic_load_explicit(&stream->submitted, memory_order_relaxed);
    if (position >= RING_SIZE)
        stream_wait(stream, position - RING_SIZE + 1);
    struct work *work = &stream->ring[position % RING_SIZE];
    atomic_store_explicit(&work->host_state, 0, memory_order_relaxed);
    return work;
}

void work_submit(struct stream *stream) {
    uint64_t position = atomic_load_explicit(&stream->submitted, memory_order_relaxed);
    stream->ring[position % RING_SIZE].sequence = atomic_fetch_add(&stream->context->sequence, 1);
    atomic_store_explicit(&stream->submitted, position + 1, memory_order_release);
    engine_wake();
    pthread_mutex_unlock(&stream->producer);
}

void *staging_new(size_t size) {
    if (atomic_fetch_add(&staged_bytes, size) + size <= STAGED_MOST) {
        struct staging *staging = malloc(sizeof *staging + size);
        if (staging) {
            staging->size = size;
            return staging + 1;
        }
    }
    atomic_fetch_sub(&staged_bytes, size);
    return NULL;
}

void staging_free(void *data) {
    if (!data)
        return;
    struct staging *staging = (struct staging *)data - 1;
    atomic_fetch_sub(&staged_bytes, staging->size);
    free(staging);
}

bool stream_empty(struct stream *stream) {
    return atomic_load_explicit(&stream->completed, memory_order_acquire) ==
           atomic_load_explicit(&stream->submitted, memory_order_acquire);
}

bool stream_idle(struct stream *stream) {
    if (!stream_empty(stream))
        return false;
    if (stream->flags & CU_STREAM_NON_BLOCKING)
        return true;
    if (!stream->legacy)
        return stream_empty(stream->context->legacy);
    bool idle = true;
    pthread_mutex_lock(&engine.lock);
    for (struct stream *other = engine.streams; other && idle; other = other->next)
        if (other->context == stream->context && !(other->flags & CU_STREAM_NON_BLOCKING))
            idle = stream_empty(other);
    pthread_mutex_unlock(&engine.lock);
    return idle;
}

bool device_idle(void) {
    bool idle = true;
    pthread_mutex_lock(&engine.lock);
    for (struct stream *stream = engine.streams; stream && idle; stream = stream->next)
        idle = stream_empty(stream) && !atomic_load(&stream->context->error);
    pthread_mutex_unlock(&engine.lock);
    return idle;
}

static bool reached(struct stream *stream, uint64_t position) {
    return atomic_load_explicit(&stream->completed, memory_order_acquire) >= position;
}

static void spin_once(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void stream_wait(struct stream *stream, uint64_t position) {
    for (int i = 0; i < SPIN; i++) {
        if (reached(stream, position))
            return;
        spin_once();
    }
    pthread_mutex_lock(&engine.lock);
    for (;;) {
        if (atomic_load(&stream->awaited) > position)
            atomic_store(&stream->awaited, position);
        if (atomic_load(&stream->completed) >= position)
            break;
        pthread_cond_wait(&engine.done, &engine.lock);
    }
    pthread_mutex_unlock(&engine.lock);
}

/* Waits for what `context` (NULL: anybody) has submitted until now; `ordered`: only streams that order with legacy. */
static void drain(struct context *context, bool ordered) {
    bool outlived = false; /* a stream was destroyed meanwhile and only our pin kept it */
    pthread_mutex_lock(&engine.lock);
    for (struct stream *stream = engine.streams; stream; stream = stream->next) {
        if ((context && stream->context != context) || (ordered && stream->flags & CU_STREAM_NON_BLOCKING) ||
            stream_empty(stream))
            continue;
        uint64_t position = atomic_load(&stream->submitted);
        stream->pins++;
        pthread_mutex_unlock(&engine.lock);
        stream_wait(stream, position);
        pthread_mutex_lock(&engine.lock);
        stream->pins--;
        outlived |= stream->destroyed;
    }
    if (outlived) {
        pthread_cond_signal(&engine.wake);
        pthread_cond_broadcast(&engine.done);
    }
    pthread_mutex_unlock(&engine.lock);
}

CUresult stream_drain(struct stream *stream) {
    if (stream->legacy)
        drain(stream->context, true);
    else
        stream_wait(stream, atomic_load(&stream->submitted));
    return atomic_load(&stream->context->error);
}

CUresult stream_settle(struct stream *stream) {
    if (!stream->legacy && !(stream->flags & CU_STREAM_NON_BLOCKING))
        stream_wait(stream->context->legacy, atomic_load(&stream->context->legacy->submitted));
    return stream_drain(stream);
}

void context_drain(struct context *context) {
    drain(context, false);
}

void device_drain(void) {
    drain(NULL, false);
}

struct record *record_new(void) {
    struct record *record = calloc(1, sizeof *record);
    if (record)
        atomic_store(&record->references, 1);
    return record;
}

void record_finish(struct record *record) {
    record->time_ns = device_time_ns();
    pthread_mutex_lock(&engine.lock);
    atomic_store_explicit(&record->done, 1, memory_order_release);
    if (record->cell)
        cell_reach(record->cell, record->number);
    pthread_cond_broadcast(&engine.done);
    pthread_mutex_unlock(&engine.lock);
}

void record_release(struct record *record) {
    if (record && atomic_fetch_sub(&record->references, 1) == 1)
        free(record);
}

void record_wait(struct record *record) {
    pthread_mutex_lock(&engine.lock);
    while (!atomic_load_explicit(&record->done, memory_order_acquire))
        pthread_cond_wait(&engine.done, &engine.lock);
    pthread_mutex_unlock(&engine.lock);
}

/* For the worker: host pointer to device memory that straight copies may use, and whether they may. */
API void *accelpool_backend_access(uint64_t address, uint64_t bytes, int write) {
    if (initialised() != CUDA_SUCCESS || !memory_covers(address, bytes))
        return NULL;
    if (write && memory_commit(address, bytes) != CUDA_SUCCESS)
        return NULL;
    return (void *)address;
}

API int accelpool_backend_idle(void) {
    return initialised() == CUDA_SUCCESS && device_idle();
}
