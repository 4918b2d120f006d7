/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the threads of one block. A thread runs on a fiber until it exits or waits; a fiber whose thread exited goes on
 * with the next thread of the block, so a kernel without barriers uses one stack and no switches at all.
 *
 * Order inside a block: threads that can go on, then threads not started yet, then threads that used up their fuel
 * (they may be spinning on something that the others have to do). When a whole round over the latter changes nothing,
 * the block may be waiting for another block, and says so to kernel_exec.c.
 */
#include "kernel_exec.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FUEL 4096         /* back-edges and calls between two looks at the clock */
#define THREAD_COST 32    /* fuel that starting a thread costs */
#define SLICES 8u         /* of FUEL, before a thread goes behind the others */
#define SITE_PATIENCE 64u /* idle rounds before lanes stop waiting for a spinning lane of their warp */

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
bool kernel_due(struct kernel_run *run)
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
    if (++fiber->slices < SLICES && !sleep && !kernel_due(fiber->block->run))
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
                pause = kernel_due(run);
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

struct block *block_take(struct kernel_run *run)
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

void block_start(struct block *block, uint64_t index)
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

static enum block_state block_fail(struct kernel_run *run, struct block *block, int code)
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

enum block_state block_run(struct kernel_run *run, struct block *block)
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
            if (run->leaving || (++switches % 64u == 0 && kernel_due(run)))
                return BLOCK_PREEMPTED;
            continue;
        }
        if (!block->live)
            return BLOCK_DONE;
        if (block->stalled.head) {
            if (kernel_due(run))
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
void block_forget(struct kernel_run *run, struct block *block)
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

void block_drop(struct kernel_run *run, struct block *block)
{
    block->next = run->engine->blocks;
    run->engine->blocks = block;
}
