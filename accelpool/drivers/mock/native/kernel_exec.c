/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the blocks of one grid, one after the other; only a block that seems to wait for another block lets the next one
 * start beside it, up to the resident limit.
 */
#include "kernel_exec.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE 8u /* idle rounds of busy threads before another block starts beside theirs */
#define RESIDENT_THREADS 16384u
#define COOPERATIVE_THREADS 65536u
#define RESIDENT_BYTES (512ull << 20)

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
            if (run->resident && (run->leaving || (++blocks % 64u == 0 && kernel_due(run))))
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
