/* SPDX-License-Identifier: Apache-2.0 */
/* One piece of work at the head of a stream, executed by the engine thread; host functions by a thread of their own. */
#include <stdio.h>
#include <time.h>

#include "engine.h"
#include "kernel.h"

#define COPY_STEP ((uint64_t)4 << 20) /* bytes between two looks at the gate */

static struct kernel_engine *executor;
static pthread_cond_t host_wake = PTHREAD_COND_INITIALIZER;
static struct stream *host_first, *host_last; /* engine lock */

uint64_t device_time_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int commit_page(void *opaque, uint64_t page) {
    (void)opaque;
    return memory_commit(page << PAGE_SHIFT, 1);
}

static int charge_host(void *opaque, int64_t bytes) {
    (void)opaque;
    if (!emu_host)
        return 0;
    if (bytes < 0)
        emu_host->untouch(emu_host->opaque, (uint64_t)-bytes);
    return bytes > 0 ? emu_host->touch(emu_host->opaque, (uint64_t)bytes) : 0;
}

static void print_text(void *opaque, const char *text, size_t length) {
    (void)opaque;
    fwrite(text, 1, length, stdout);
    fflush(stdout);
}

static void fail(struct context *context, CUresult code) {
    int expected = CUDA_SUCCESS;
    atomic_compare_exchange_strong(&context->error, &expected, code);
}

static int kernel_begin(struct stream *stream, struct work *work) {
    struct function *function = work->kernel.function;
    struct kernel_launch launch = {
        .function = function->entry,
        .globals = (const uint64_t *)function->module->globals,
        .params = work->kernel.parameters ? work->kernel.parameters : work->kernel.inside,
        .grid = {work->kernel.grid[0], work->kernel.grid[1], work->kernel.grid[2]},
        .block = {work->kernel.block[0], work->kernel.block[1], work->kernel.block[2]},
        .dynamic_shared = work->kernel.shared,
        .resident = work->kernel.resident,
        .workspace = work->kernel.workspace,
        .pages = page_state,
        .commit = commit_page,
        .charge = charge_host,
        .print = print_text,
    };
    int error = KERNEL_OUT_OF_MEMORY;
    stream->run = kernel_start(executor, &launch, &error);
    return stream->run ? KERNEL_YIELDED : error;
}

static void kernel_release(struct stream *stream, struct work *work) {
    if (stream->run)
        kernel_end(stream->run);
    stream->run = NULL;
    staging_free(work->kernel.parameters);
    if (work->kernel.workspace)
        allocation_free(work->kernel.workspace);
}

static enum turn kernel_turn(struct stream *stream, struct work *work, uint64_t slice_ns) {
    meter_enter();
    int result = stream->run ? KERNEL_YIELDED : kernel_begin(stream, work);
    if (stream->run)
        result = kernel_step(stream->run, meter_budget(slice_ns));
    meter_tick();
    if (result == KERNEL_YIELDED)
        return TURN_MORE;
    kernel_release(stream, work);
    if (result != KERNEL_DONE)
        fail(stream->context, result);
    return TURN_FINISHED;
}

static enum turn plane_turn(struct stream *stream, struct work *work) {
    bool done = false;
    meter_enter();
    CUresult status = plane_step(&work->plane, COPY_STEP, &done);
    meter_tick();
    if (status != CUDA_SUCCESS)
        fail(stream->context, status);
    else if (!done)
        return TURN_MORE;
    staging_free(work->plane.staged);
    return TURN_FINISHED;
}

static enum turn task_turn(struct stream *stream, struct work *work, uint64_t slice_ns) {
    meter_enter();
    int result = work->task->step(work->task, meter_budget(slice_ns));
    meter_tick();
    if (!result)
        return TURN_MORE;
    work->task->release(work->task);
    if (result < 0)
        fail(stream->context, -result);
    return TURN_FINISHED;
}

static void *host_main(void *unused) {
    (void)unused;
    pthread_mutex_lock(&engine.lock);
    for (;;) {
        struct stream *stream = host_first;
        if (!stream) {
            pthread_cond_wait(&host_wake, &engine.lock);
            continue;
        }
        host_first = stream->next_host;
        pthread_mutex_unlock(&engine.lock);
        struct work *work = &stream->ring[atomic_load(&stream->completed) % RING_SIZE];
        if (work->kind == WORK_HOST)
            work->host.function(work->host.data);
        else
            work->host.callback(stream->handle, atomic_load(&stream->context->error), work->host.data);
        atomic_store_explicit(&work->host_state, 2, memory_order_release);
        engine_wake();
        pthread_mutex_lock(&engine.lock);
    }
    return NULL;
}

static enum turn host_turn(struct stream *stream, struct work *work) {
    static bool started; /* engine thread */
    pthread_t thread;
    if (atomic_load_explicit(&work->host_state, memory_order_acquire) == 2)
        return TURN_FINISHED;
    if (!started && pthread_create(&thread, NULL, host_main, NULL)) {
        fail(stream->context, CUDA_ERROR_OPERATING_SYSTEM);
        return TURN_FINISHED;
    }
    if (!started)
        pthread_detach(thread);
    started = true;
    atomic_store(&work->host_state, 1);
    pthread_mutex_lock(&engine.lock);
    stream->next_host = NULL;
    if (host_first)
        host_last->next_host = stream;
    else
        host_first = stream;
    host_last = stream;
    pthread_cond_signal(&host_wake);
    pthread_mutex_unlock(&engine.lock);
    return TURN_WAITS;
}

/* The context has failed: nothing runs any more, but nobody may wait for ever. */
static enum turn drop(struct stream *stream, struct work *work) {
    switch (work->kind) {
    case WORK_KERNEL:
        kernel_release(stream, work);
        break;
    case WORK_COPY:
    case WORK_FILL:
        staging_free(work->plane.staged);
        break;
    case WORK_RECORD:
        record_finish(work->record);
        record_release(work->record);
        break;
    case WORK_WAIT:
        record_release(work->record);
        break;
    case WORK_TASK:
        work->task->release(work->task);
        break;
    case WORK_CALLBACK: /* callbacks are told of the error */
        return host_turn(stream, work);
    case WORK_HOST:
    case WORK_FREE:
        break;
    }
    return TURN_FINISHED;
}

enum turn work_run(struct stream *stream, struct work *work, uint64_t slice_ns) {
    if (atomic_load_explicit(&stream->context->error, memory_order_acquire))
        return drop(stream, work);
    switch (work->kind) {
    case WORK_KERNEL:
        return kernel_turn(stream, work, slice_ns);
    case WORK_COPY:
    case WORK_FILL:
        return plane_turn(stream, work);
    case WORK_RECORD:
        record_finish(work->record);
        record_release(work->record);
        return TURN_FINISHED;
    case WORK_WAIT:
        record_release(work->record);
        return TURN_FINISHED;
    case WORK_HOST:
    case WORK_CALLBACK:
        return host_turn(stream, work);
    case WORK_FREE:
        allocation_free(work->address);
        return TURN_FINISHED;
    case WORK_TASK:
        return task_turn(stream, work, slice_ns);
    }
    return TURN_FINISHED;
}

CUresult work_start(void) {
    executor = executor ? executor : kernel_engine_create();
    return executor ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
