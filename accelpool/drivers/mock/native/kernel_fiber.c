/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks and the switch between them. A fiber runs only on the thread that calls kernel_step. */
#include "kernel_exec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define LEAVE(fake, bottom, size) __sanitizer_start_switch_fiber((fake), (bottom), (size))
#define ENTER(fake, bottom, size) __sanitizer_finish_switch_fiber((fake), (bottom), (size))
#else
#define LEAVE(fake, bottom, size) ((void)0)
#define ENTER(fake, bottom, size) ((void)0)
#endif

#define GUARD_BYTES 4096u
#define POOL_LIMIT 2048u
#define TOUCHED_BYTES 8192u /* what a suspended thread's stack is charged */

static const uint32_t stack_classes[STACK_CLASSES] = {128u << 10, 256u << 10, 1u << 20, 8u << 20};

/* Saves the callee-saved state on the current stack, its address in *save, and continues at `load`. */
void kernel_switch_stack(void **save, void *load) __attribute__((visibility("hidden")));
void kernel_stack_entry(void) __attribute__((visibility("hidden")));

#if defined(__x86_64__)
__asm__(".text\n.globl kernel_switch_stack\n.hidden kernel_switch_stack\n.type kernel_switch_stack,@function\n"
        "kernel_switch_stack:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n  ret\n"
        ".size kernel_switch_stack, .-kernel_switch_stack\n"
        ".globl kernel_stack_entry\n.hidden kernel_stack_entry\n.type kernel_stack_entry,@function\n"
        "kernel_stack_entry:\n  movq %r12, %rdi\n  callq *%r13\n  ud2\n"
        ".size kernel_stack_entry, .-kernel_stack_entry\n");
#define FRAME_WORDS 9u /* r15 r14 r13 r12 rbx rbp return 0 0: the entry finds an aligned stack */
static void frame_fill(void **frame, struct fiber *fiber, void (*entry)(struct fiber *))
{
    frame[2] = (void *)(uintptr_t)entry;
    frame[3] = fiber;
    frame[6] = (void *)(uintptr_t)kernel_stack_entry;
}
#elif defined(__aarch64__)
__asm__(".text\n.globl kernel_switch_stack\n.hidden kernel_switch_stack\n.type kernel_switch_stack,%function\n"
        "kernel_switch_stack:\n"
        "  sub sp, sp, #160\n"
        "  stp x19, x20, [sp]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n  stp x25, x26, [sp, #48]\n"
        "  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n"
        "  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
        "  mov x9, sp\n  str x9, [x0]\n  mov sp, x1\n"
        "  ldp x19, x20, [sp]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n  ldp x25, x26, [sp, #48]\n"
        "  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n"
        "  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n"
        "  add sp, sp, #160\n  ret\n"
        ".size kernel_switch_stack, .-kernel_switch_stack\n"
        ".globl kernel_stack_entry\n.hidden kernel_stack_entry\n.type kernel_stack_entry,%function\n"
        "kernel_stack_entry:\n  mov x0, x19\n  blr x20\n  brk #0\n"
        ".size kernel_stack_entry, .-kernel_stack_entry\n");
#define FRAME_WORDS 20u
static void frame_fill(void **frame, struct fiber *fiber, void (*entry)(struct fiber *))
{
    frame[0] = fiber;
    frame[1] = (void *)(uintptr_t)entry;
    frame[11] = (void *)(uintptr_t)kernel_stack_entry;
}
#else
#error "the executor knows x86-64 and aarch64"
#endif

int fiber_stack_class(uint32_t bytes)
{
    for (uint32_t i = 0; i < STACK_CLASSES; i++)
        if (bytes <= stack_classes[i])
            return (int)i;
    return -1;
}

static void fiber_started(struct fiber *fiber)
{
    ENTER(NULL, &fiber->block->run->scheduler_stack, &fiber->block->run->scheduler_stack_bytes);
    fiber_main(fiber);
}

/* Stacks start at different cache lines, or all of them would compete for the same few sets. */
static void fiber_rewind(struct fiber *fiber)
{
    uintptr_t top = (uintptr_t)fiber->stack + fiber->stack_bytes - (size_t)(fiber->colour % 32u) * 192u;
    void **frame = (void **)(top & ~(uintptr_t)15) - FRAME_WORDS;
    memset(frame, 0, FRAME_WORDS * sizeof *frame);
    frame_fill(frame, fiber, fiber_started);
    fiber->sp = frame;
}

static struct fiber *fiber_create(struct kernel_engine *engine, uint32_t stack_class)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    if (!fiber)
        return NULL;
    fiber->stack_class = stack_class;
    fiber->stack_bytes = stack_classes[stack_class];
    uint8_t *map = mmap(NULL, fiber->stack_bytes + GUARD_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED) {
        free(fiber);
        return NULL;
    }
    fiber->stack = map + GUARD_BYTES;
    if (mprotect(map, GUARD_BYTES, PROT_NONE) != 0) {
        fiber_free(fiber);
        return NULL;
    }
    fiber->colour = engine->colours++;
    return fiber;
}

void fiber_free(struct fiber *fiber)
{
    munmap(fiber->stack - GUARD_BYTES, fiber->stack_bytes + GUARD_BYTES);
    free(fiber->local);
    free(fiber);
}

struct fiber *fiber_take(struct kernel_run *run)
{
    struct fiber *fiber = run->fibers;
    if (fiber) {
        run->fibers = fiber->next;
        return fiber;
    }
    const struct kernel_launch *launch = &run->launch;
    uint32_t local = launch->function->local_bytes;
    int64_t bytes = (int64_t)local + TOUCHED_BYTES;
    if (launch->charge && launch->charge(launch->opaque, bytes) != 0)
        return NULL;
    run->charged += bytes;
    struct kernel_engine *engine = run->engine;
    fiber = engine->pool[run->stack_class];
    if (fiber) {
        engine->pool[run->stack_class] = fiber->next;
        engine->pooled--;
    } else {
        fiber = fiber_create(engine, run->stack_class);
        if (!fiber)
            return NULL;
    }
    if (fiber->local_bytes < local) {
        free(fiber->local);
        fiber->local_bytes = 0;
        fiber->local = calloc(1, local);
        if (!fiber->local) {
            fiber_free(fiber);
            return NULL;
        }
        fiber->local_bytes = local;
    }
    fiber_rewind(fiber);
    return fiber;
}

void fiber_release(struct kernel_run *run, struct fiber *fiber)
{
    fiber_rewind(fiber);
    fiber->next = run->fibers;
    run->fibers = fiber;
}

void fiber_drop(struct kernel_engine *engine, struct fiber *fiber)
{
    if (engine->pooled >= POOL_LIMIT || fiber->local_bytes > (64u << 10)) {
        fiber_free(fiber);
        return;
    }
    fiber->next = engine->pool[fiber->stack_class];
    engine->pool[fiber->stack_class] = fiber;
    engine->pooled++;
}

void fiber_resume(struct kernel_run *run, struct fiber *fiber)
{
    run->running = fiber;
    LEAVE(&run->scheduler_fake, fiber->stack, fiber->stack_bytes);
    kernel_switch_stack(&run->scheduler_sp, fiber->sp);
    ENTER(run->scheduler_fake, NULL, NULL);
}

void fiber_suspend(struct fiber *fiber)
{
    struct kernel_run *run = fiber->block->run;
    LEAVE(&fiber->sanitizer, run->scheduler_stack, run->scheduler_stack_bytes);
    kernel_switch_stack(&fiber->sp, run->scheduler_sp);
    ENTER(fiber->sanitizer, &run->scheduler_stack, &run->scheduler_stack_bytes);
}

void fiber_abandon(struct fiber *fiber)
{
    struct kernel_run *run = fiber->block->run;
    LEAVE(NULL, run->scheduler_stack, run->scheduler_stack_bytes);
    kernel_switch_stack(&fiber->sp, run->scheduler_sp);
    abort();
}
