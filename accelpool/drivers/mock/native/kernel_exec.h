/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the executor: fibers (one suspended thread each), warps, blocks and runs. */
#ifndef ACCELPOOL_MOCK_KERNEL_EXEC_H
#define ACCELPOOL_MOCK_KERNEL_EXEC_H

#include "kernel.h"

#include <stdbool.h>
#include <stdatomic.h>

#define WARP_LANES 32u
#define MAX_BLOCK_THREADS 1024u
#define MAX_WARPS (MAX_BLOCK_THREADS / WARP_LANES)
#define MAX_SHARED_BYTES (227u * 1024u) /* of one block, compute capability 9.0 */
#define BARRIERS 16u
#define STACK_CLASSES 4u

struct block;

/* A C stack on which threads of one block run one after the other until one of them has to wait. */
struct fiber {
    void *sp;
    struct fiber *next; /* in a queue or in the pool */
    struct block *block;
    uint8_t *stack, *local;
    size_t stack_bytes;
    uint32_t local_bytes, stack_class, colour, slices;
    enum kernel_warp warp_op;        /* while it waits in a warp-wide operation */
    struct kernel_warp_io *warp_io;
    uint32_t barrier, predicate, result; /* while it waits at a block barrier */
    void *sanitizer;                 /* AddressSanitizer's fake stack */
    bool exited; /* its thread left by `exit` inside a call: the stack starts anew */
    struct kernel_thread thread;
};

struct queue {
    struct fiber *head, *tail;
};

struct warp {
    uint32_t live;    /* lanes that have not exited (started or not) */
    uint32_t waiting; /* lanes in a warp-wide operation */
    uint32_t blocked; /* lanes at a block barrier */
    struct fiber *lanes[WARP_LANES]; /* set for waiting and blocked lanes */
};

struct barrier {
    uint32_t arrived, expected; /* expected 0: every live thread */
    uint32_t waiters, ones, contributors;
};

struct block {
    struct kernel_run *run;
    struct block *next; /* in the engine's free list */
    struct kernel_place place;
    uint8_t *shared;
    uint32_t shared_capacity;
    uint32_t started, live; /* threads */
    uint32_t next_tid[3];
    uint32_t waiters; /* threads at block barriers */
    uint32_t site_waiters; /* threads in warp operations without member mask */
    uint32_t idle_rounds; /* rounds over spinning threads that changed nothing */
    uint32_t stalled_count; /* in this round */
    bool few_spin;          /* a few threads spin, the others stand at a barrier */
    uint64_t progress;      /* exits, arrivals and completions */
    struct queue ready, stalled;
    struct barrier barriers[BARRIERS];
    struct warp warps[MAX_WARPS];
};

struct kernel_engine {
    struct fiber *pool[STACK_CLASSES];
    uint32_t pooled;
    struct block *blocks; /* a free list */
    uint32_t colours;
};

struct kernel_run {
    struct kernel_engine *engine;
    struct kernel_launch launch;
    uint8_t *params;
    uint64_t total_blocks, next_block, done_blocks, grid_id;
    uint32_t threads, shared_bytes, dynamic_offset, stack_class;
    uint32_t resident_limit, resident, current;
    struct block **blocks;
    struct fiber *fibers; /* idle ones of this run */
    struct fiber *running;
    void *scheduler_sp, *scheduler_fake;
    const void *scheduler_stack;
    size_t scheduler_stack_bytes;
    uint64_t deadline;
    int64_t charged;
    bool leaving; /* the step's time is up */
    int error;
    atomic_int interrupted;
    struct kernel_fault fault;
};

/* kernel_fiber.c */
struct fiber *fiber_take(struct kernel_run *run);
void fiber_release(struct kernel_run *run, struct fiber *fiber); /* back to the run's idle list, stack as new */
void fiber_drop(struct kernel_engine *engine, struct fiber *fiber); /* back to the engine's pool */
void fiber_free(struct fiber *fiber);
int fiber_stack_class(uint32_t bytes); /* -1: too large */
void fiber_resume(struct kernel_run *run, struct fiber *fiber);
void fiber_suspend(struct fiber *fiber);
void fiber_abandon(struct fiber *fiber) __attribute__((noreturn)); /* its stack is never resumed */
void fiber_main(struct fiber *fiber) __attribute__((noreturn)); /* kernel_block.c */
enum block_state { BLOCK_DONE, BLOCK_SPINS, BLOCK_PREEMPTED, BLOCK_FAILED };
uint64_t kernel_now(void);
bool kernel_due(struct kernel_run *run);
struct fiber *kernel_fiber(struct kernel_thread *thread);
void queue_push(struct queue *queue, struct fiber *fiber);
void kernel_raise(struct kernel_thread *thread, int code, uint64_t address) __attribute__((noreturn));
struct block *block_take(struct kernel_run *run); /* NULL: out of memory */
void block_start(struct block *block, uint64_t index);
enum block_state block_run(struct kernel_run *run, struct block *block);
void block_forget(struct kernel_run *run, struct block *block);
void block_drop(struct kernel_run *run, struct block *block);

/* kernel_warp.c */
void kernel_warp_service(struct kernel_thread *thread, enum kernel_warp op, struct kernel_warp_io *io);
uint32_t kernel_barrier_service(struct kernel_thread *thread, uint32_t id, uint32_t count, enum kernel_barrier op,
                                uint32_t predicate);
void warp_thread_exited(struct block *block, struct warp *warp); /* may complete what others wait for */
bool warp_release_sites(struct block *block); /* true when some lanes went on */

/* kernel_access.c, kernel_print.c */
uint8_t *kernel_access_service(struct kernel_thread *thread, uint64_t address, uint32_t size, uint32_t write);
uint32_t kernel_print_service(struct kernel_thread *thread, uint64_t format, uint64_t arguments);

#endif
