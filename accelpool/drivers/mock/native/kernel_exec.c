/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the blocks of one grid. A thread runs on a fiber until it exits or waits; a fiber whose thread exited goes on
 * with the next thread of the block, so a kernel without barriers uses one stack and no switches at all.
 *
 * Order inside a block: threads that can go on, then threads not started yet, then threads that used up their fuel
 * (they may be spinning on something that the others have to do). When a whole round over the latter changes nothing,
 * the block may be waiting for another block: the next one is started beside it, up to the resident limit.
 */
#include "kernel_exec.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FUEL 4096          /* back-edges and calls between two looks at the clock */
#define THREAD_COST 32     /* fuel that starting a thread costs */
#define SLICES 8u          /* of FUEL, before a thread goes behind the others */
#define PATIENCE 8u        /* idle rounds of busy threads before another block starts beside theirs */
#define SITE_PATIENCE 64u  /* idle rounds before lanes stop waiting for a spinning lane of their warp */
#define RESIDENT_THREADS 16384u
#define COOPERATIVE_THREADS 65536u
#define RESIDENT_BYTES (512ull << 20)

enum block_state { BLOCK_DONE, BLOCK_SPINS, BLOCK_PREEMPTED, BLOCK_FAILED };

uint64_t kernel_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t service_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct fiber *kernel_fiber(struct kernel_thread *thread)
{
    return (struct fiber *)(void *)((char *)thread - offsetof(struct fiber, thread));
}

void queue_push(struct queue *queue, struct fiber *fiber)
{
    fiber->next = NULL;
    if (queue->head)
        queue->tail->next = fiber;
    else
        queue->head = fiber;
    queue->tail = fiber;
}

static struct fiber *queue_pop(struct queue *queue)
{
    struct fiber *fiber = queue->head;
    if (fiber)
        queue->head = fiber->next;
    return fiber;
}

/* Whether this step has to end; every part of the scheduler then hands control back as soon as it sees the flag. */
static bool due(struct kernel_run *run)
{
    if (atomic_load_explicit(&run->interrupted, memory_order_relaxed) || kernel_now() >= run->deadline)
        run->leaving = true;
    return run->leaving;
}

/* --- one thread ---------------------------------------------------------------------------------------------- */

void kernel_raise(struct kernel_thread *thread, int code, uint64_t address)
{
    struct fiber *fiber = kernel_fiber(thread);
    struct kernel_run *run = fiber->block->run;
    run->error = code;
    run->fault.code = code;
    run->fault.address = address;
    memcpy(run->fault.block, thread->place->ctaid, sizeof run->fault.block);
    memcpy(run->fault.thread, thread->tid, sizeof run->fault.thread);
    fiber_abandon(fiber);
}

static void thread_finished(struct fiber *fiber)
{
    struct block *block = fiber->block;
    struct warp *warp = &block->warps[fiber->thread.warp];
    warp->live &= ~(1u << fiber->thread.lane);
    block->live--;
    block->progress++;
    if (warp->waiting || block->waiters)
        warp_thread_exited(block, warp);
}

static void __attribute__((noreturn)) service_exit(struct kernel_thread *thread)
{
    struct fiber *fiber = kernel_fiber(thread);
    thread_finished(fiber);
    fiber->exited = true;
    fiber_abandon(fiber);
}

static void service_yield(struct kernel_thread *thread, uint32_t sleep)
{
    struct fiber *fiber = kernel_fiber(thread);
    thread->fuel = FUEL;
    if (++fiber->slices < SLICES && !sleep && !due(fiber->block->run))
        return;
    fiber->slices = 0;
    fiber->block->stalled_count++;
    queue_push(&fiber->block->stalled, fiber);
    fiber_suspend(fiber);
}

static const struct kernel_services services = {
    .fault = kernel_raise,
    .exit = service_exit,
    .yield = service_yield,
    .barrier = kernel_barrier_service,
    .warp = kernel_warp_service,
    .access = kernel_access_service,
    .print = kernel_print_service,
    .time = service_time,
};

static void thread_init(struct fiber *fiber, struct block *block)
{
    struct kernel_thread *thread = &fiber->thread;
    uint32_t linear = block->started++;
    thread->linear = linear;
    thread->lane = linear % WARP_LANES;
    thread->warp = linear / WARP_LANES;
    thread->local_top = 0;
    memcpy(thread->tid, block->next_tid, sizeof thread->tid);
    if (++block->next_tid[0] == block->place.ntid[0]) {
        block->next_tid[0] = 0;
        if (++block->next_tid[1] == block->place.ntid[1]) {
            block->next_tid[1] = 0;
            block->next_tid[2]++;
        }
    }
    fiber->slices = 0;
}

void fiber_main(struct fiber *fiber)
{
    for (;;) {
        struct block *block = fiber->block;
        struct kernel_run *run = block->run;
        void (*entry)(struct kernel_thread *) = run->launch.function->entry;
        bool pause = false;
        while (!pause && !block->ready.head && block->started < run->threads) {
            thread_init(fiber, block);
            entry(&fiber->thread);
            thread_finished(fiber);
            fiber->thread.fuel -= THREAD_COST;
            if (fiber->thread.fuel <= 0) {
                fiber->thread.fuel = FUEL;
                pause = due(run);
            }
        }
        fiber->next = run->fibers;
        run->fibers = fiber;
        fiber_suspend(fiber);
    }
}

static void fiber_bind(struct fiber *fiber, struct block *block)
{
    struct kernel_run *run = block->run;
    struct kernel_thread *thread = &fiber->thread;
    fiber->block = block;
    thread->services = &services;
    thread->pages = run->launch.pages;
    thread->globals = run->launch.globals;
    thread->params = run->params;
    thread->param_bytes = run->launch.function->param_bytes;
    thread->shared = block->shared;
    thread->shared_bytes = run->shared_bytes;
    thread->dynamic_offset = run->dynamic_offset;
    thread->local = fiber->local;
    thread->local_bytes = run->launch.function->local_bytes;
    thread->place = &block->place;
    thread->stack_limit = (uintptr_t)fiber->stack + fiber->stack_bytes / 4;
    thread->grid_id = run->grid_id;
    thread->workspace = run->launch.workspace;
    if (thread->fuel <= 0 || thread->fuel > FUEL)
        thread->fuel = FUEL;
}

/* --- one block ----------------------------------------------------------------------------------------------- */

static struct block *block_take(struct kernel_run *run)
{
    struct kernel_engine *engine = run->engine;
    struct block *block = engine->blocks;
    if (block)
        engine->blocks = block->next;
    else if (!(block = calloc(1, sizeof *block)))
        return NULL;
    if (block->shared_capacity < run->shared_bytes) {
        free(block->shared);
        block->shared_capacity = 0;
        block->shared = aligned_alloc(256, (run->shared_bytes + 255u) & ~255u);
        if (!block->shared) {
            free(block);
            return NULL;
        }
        block->shared_capacity = run->shared_bytes;
    }
    block->run = run;
    return block;
}

static void block_start(struct block *block, uint64_t index)
{
    struct kernel_run *run = block->run;
    const struct kernel_launch *launch = &run->launch;
    memcpy(block->place.ntid, launch->block, sizeof launch->block);
    memcpy(block->place.nctaid, launch->grid, sizeof launch->grid);
    block->place.ctaid[0] = (uint32_t)(index % launch->grid[0]);
    block->place.ctaid[1] = (uint32_t)(index / launch->grid[0] % launch->grid[1]);
    block->place.ctaid[2] = (uint32_t)(index / launch->grid[0] / launch->grid[1]);
    block->place.warps = (run->threads + WARP_LANES - 1) / WARP_LANES;
    block->started = 0;
    block->live = run->threads;
    memset(block->next_tid, 0, sizeof block->next_tid);
    block->waiters = block->site_waiters = block->idle_rounds = block->stalled_count = 0;
    block->few_spin = false;
    block->progress = 0;
    block->ready.head = block->stalled.head = NULL;
    memset(block->barriers, 0, sizeof block->barriers);
    for (uint32_t i = 0; i < block->place.warps; i++) {
        uint32_t lanes = run->threads - i * WARP_LANES;
        block->warps[i].live = lanes >= WARP_LANES ? ~0u : (1u << lanes) - 1u;
        block->warps[i].waiting = block->warps[i].blocked = 0;
    }
}

static int block_fail(struct kernel_run *run, struct block *block, int code)
{
    run->error = code;
    run->fault.code = code;
    memcpy(run->fault.block, block->place.ctaid, sizeof run->fault.block);
    return BLOCK_FAILED;
}

/* Lets one fiber run. False: the run failed. */
static bool block_switch(struct kernel_run *run, struct fiber *fiber)
{
    fiber_resume(run, fiber);
    if (run->error) {
        fiber_release(run, fiber);
        return false;
    }
    if (fiber->exited) {
        fiber->exited = false;
        fiber_release(run, fiber);
    }
    return true;
}

static int block_run(struct kernel_run *run, struct block *block)
{
    uint64_t before = block->progress;
    uint32_t switches = 0;
    for (;;) {
        struct fiber *fiber = queue_pop(&block->ready);
        if (!fiber && block->started < run->threads) {
            fiber = fiber_take(run);
            if (!fiber)
                return block_fail(run, block, KERNEL_OUT_OF_MEMORY);
            fiber_bind(fiber, block);
        }
        if (fiber) {
            if (!block_switch(run, fiber))
                return BLOCK_FAILED;
            if (run->leaving || (++switches % 64u == 0 && due(run)))
                return BLOCK_PREEMPTED;
            continue;
        }
        if (!block->live)
            return BLOCK_DONE;
        if (block->stalled.head) {
            if (due(run))
                return BLOCK_PREEMPTED;
            bool idle = before == block->progress;
            before = block->progress;
            block->idle_rounds = idle ? block->idle_rounds + 1 : 0;
            block->few_spin = block->stalled_count <= WARP_LANES && block->waiters;
            block->stalled_count = 0;
            if (block->site_waiters && block->idle_rounds % SITE_PATIENCE == SITE_PATIENCE - 1u && warp_release_sites(block))
                continue;
            block->ready = block->stalled;
            block->stalled.head = NULL;
            if (idle)
                return BLOCK_SPINS;
            continue;
        }
        if (!block->site_waiters || !warp_release_sites(block))
            return block_fail(run, block, KERNEL_LAUNCH_FAILED);
    }
}

/* Every stack of a block that did not end is forgotten where it stands. */
static void block_forget(struct kernel_run *run, struct block *block)
{
    struct fiber *fiber;
    while ((fiber = queue_pop(&block->ready)) || (fiber = queue_pop(&block->stalled)))
        fiber_release(run, fiber);
    for (uint32_t i = 0; i < block->place.warps; i++) {
        uint32_t lanes = block->warps[i].waiting | block->warps[i].blocked;
        for (; lanes; lanes &= lanes - 1u)
            fiber_release(run, block->warps[i].lanes[__builtin_ctz(lanes)]);
    }
}

static void block_drop(struct kernel_run *run, struct block *block)
{
    block->next = run->engine->blocks;
    run->engine->blocks = block;
}

/* --- the grid ------------------------------------------------------------------------------------------------ */

static void scheduler_stack(struct kernel_run *run)
{
#if defined(__SANITIZE_ADDRESS__)
    pthread_attr_t attributes;
    void *stack;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, &stack, &run->scheduler_stack_bytes);
        run->scheduler_stack = stack;
        pthread_attr_destroy(&attributes);
    }
#else
    (void)run;
#endif
}

static int check_launch(const struct kernel_launch *launch)
{
    const struct kernel_function *function = launch->function;
    uint64_t threads = 1;
    for (int i = 0; i < 3; i++) {
        if (!launch->grid[i] || !launch->block[i] || launch->block[i] > MAX_BLOCK_THREADS)
            return KERNEL_INVALID_VALUE;
        if (function->required_ntid[i] && function->required_ntid[i] != launch->block[i])
            return KERNEL_INVALID_VALUE;
        threads *= launch->block[i];
    }
    if (launch->grid[0] > 0x7fffffffu || launch->grid[1] > 65535u || launch->grid[2] > 65535u)
        return KERNEL_INVALID_VALUE;
    if (threads > MAX_BLOCK_THREADS || threads > function->max_threads)
        return KERNEL_INVALID_VALUE;
    if (((uint64_t)function->shared_bytes + 15u) / 16u * 16u + launch->dynamic_shared > MAX_SHARED_BYTES)
        return KERNEL_INVALID_VALUE;
    if (fiber_stack_class(function->stack_bytes) < 0 || launch->resident * threads > COOPERATIVE_THREADS)
        return KERNEL_OUT_OF_RESOURCES;
    return 0;
}

static uint32_t resident_limit(const struct kernel_run *run)
{
    uint64_t per_thread = (uint64_t)run->launch.function->local_bytes + (16u << 10);
    uint64_t limit = RESIDENT_BYTES / (per_thread * run->threads);
    if (limit > RESIDENT_THREADS / run->threads)
        limit = RESIDENT_THREADS / run->threads;
    if (run->launch.resident)
        limit = run->launch.resident;
    if (limit > run->total_blocks)
        limit = run->total_blocks;
    return limit ? (uint32_t)limit : 1u;
}

struct kernel_run *kernel_start(struct kernel_engine *engine, const struct kernel_launch *launch, int *error)
{
    static _Atomic uint64_t grids;
    *error = check_launch(launch);
    if (*error)
        return NULL;
    *error = KERNEL_OUT_OF_MEMORY;
    const struct kernel_function *function = launch->function;
    struct kernel_run *run = calloc(1, sizeof *run + function->param_bytes + 16u);
    if (!run)
        return NULL;
    run->engine = engine;
    run->launch = *launch;
    run->params = (uint8_t *)(run + 1);
    run->params += (16u - ((uintptr_t)run->params & 15u)) & 15u;
    if (function->param_bytes)
        memcpy(run->params, launch->params, function->param_bytes);
    run->threads = launch->block[0] * launch->block[1] * launch->block[2];
    run->total_blocks = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2];
    run->dynamic_offset = (function->shared_bytes + 15u) & ~15u;
    run->shared_bytes = run->dynamic_offset + launch->dynamic_shared;
    run->stack_class = (uint32_t)fiber_stack_class(function->stack_bytes);
    run->grid_id = atomic_fetch_add(&grids, 1) + 1;
    run->resident_limit = resident_limit(run);
    run->blocks = calloc(run->resident_limit, sizeof(struct block *));
    if (!run->blocks) {
        free(run);
        return NULL;
    }
    *error = 0;
    return run;
}

/* One more block beside those that are alive. */
static int grid_add(struct kernel_run *run)
{
    const struct kernel_launch *launch = &run->launch;
    if (launch->charge && launch->charge(launch->opaque, run->shared_bytes) != 0)
        return KERNEL_OUT_OF_MEMORY;
    run->charged += run->shared_bytes;
    struct block *block = block_take(run);
    if (!block)
        return KERNEL_OUT_OF_MEMORY;
    block_start(block, run->next_block++);
    run->current = run->resident;
    run->blocks[run->resident++] = block;
    return 0;
}

/* A block whose few running threads spin while the others stand at a barrier waits for another block. Threads that
 * are all busy may just have much to do: another block would cost memory and gain nothing, so it starts later. */
static bool grid_wants_more(const struct kernel_run *run)
{
    const struct block *block = run->blocks[run->current];
    if (run->resident >= run->resident_limit || run->next_block >= run->total_blocks)
        return false;
    return block->few_spin || block->idle_rounds >= PATIENCE;
}

static void grid_next(struct kernel_run *run)
{
    struct block *block = run->blocks[run->current];
    run->done_blocks++;
    if (run->next_block < run->total_blocks) {
        block_start(block, run->next_block++);
        return;
    }
    block_drop(run, block);
    run->blocks[run->current] = run->blocks[--run->resident];
    if (run->current >= run->resident)
        run->current = 0;
}

static int grid_leave(struct kernel_run *run)
{
    run->leaving = false;
    atomic_store(&run->interrupted, 0);
    return KERNEL_YIELDED;
}

int kernel_step(struct kernel_run *run, uint64_t budget_ns)
{
    uint64_t now = kernel_now();
    run->deadline = budget_ns > UINT64_MAX - now ? UINT64_MAX : now + budget_ns;
    scheduler_stack(run);
    uint32_t blocks = 0;
    while (!run->error) {
        if (!run->resident) {
            if (run->next_block >= run->total_blocks)
                return KERNEL_DONE;
            run->error = grid_add(run);
            continue;
        }
        switch (block_run(run, run->blocks[run->current])) {
        case BLOCK_DONE:
            grid_next(run);
            if (run->resident && (run->leaving || (++blocks % 64u == 0 && due(run))))
                return grid_leave(run);
            break;
        case BLOCK_SPINS:
            if (grid_wants_more(run))
                run->error = grid_add(run);
            else
                run->current = (run->current + 1) % run->resident;
            break;
        case BLOCK_PREEMPTED:
            return grid_leave(run);
        default:
            break;
        }
    }
    return run->error;
}

void kernel_interrupt(struct kernel_run *run)
{
    atomic_store(&run->interrupted, 1);
}

void kernel_end(struct kernel_run *run)
{
    for (uint32_t i = 0; i < run->resident; i++) {
        block_forget(run, run->blocks[i]);
        block_drop(run, run->blocks[i]);
    }
    struct fiber *fiber;
    while ((fiber = run->fibers)) {
        run->fibers = fiber->next;
        fiber_drop(run->engine, fiber);
    }
    if (run->launch.charge && run->charged)
        (void)run->launch.charge(run->launch.opaque, -run->charged);
    free(run->blocks);
    free(run);
}

const struct kernel_fault *kernel_last_fault(const struct kernel_run *run)
{
    return &run->fault;
}

struct kernel_engine *kernel_engine_create(void)
{
    return calloc(1, sizeof(struct kernel_engine));
}

void kernel_engine_destroy(struct kernel_engine *engine)
{
    for (uint32_t i = 0; i < STACK_CLASSES; i++)
        while (engine->pool[i]) {
            struct fiber *fiber = engine->pool[i];
            engine->pool[i] = fiber->next;
            fiber_free(fiber);
        }
    while (engine->blocks) {
        struct block *block = engine->blocks;
        engine->blocks = block->next;
        free(block->shared);
        free(block);
    }
    free(engine);
}
