/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a translated module (a shared object made from PTX) and the executor agree on, and what the emulated libcuda
 * calls to run one kernel.
 *
 * A module exports `const struct kernel_module accelpool_module`. It calls nothing by name: whatever it needs from the
 * executor comes through kernel_thread.services, so it can be opened with RTLD_LOCAL.
 *
 * Device addresses are host addresses. Three windows at the bottom of the address space stand for memory that belongs
 * to a block or a thread; no mapping of the host and no device allocation lies there.
 */
#ifndef ACCELPOOL_MOCK_KERNEL_H
#define ACCELPOOL_MOCK_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#define KERNEL_ABI 1u

/* Generic addresses of the windows; offsets inside them are the .shared / .local / .param addresses. */
#define KERNEL_WINDOW 0x01000000ull
#define KERNEL_SHARED 0x01000000ull
#define KERNEL_LOCAL 0x02000000ull
#define KERNEL_PARAM 0x03000000ull
#define KERNEL_CODE 0x04000000ull /* function addresses: KERNEL_CODE + 16 * index */

/* The page state table: one byte per 64 KiB of the 47-bit address space. */
#define KERNEL_PAGE_SHIFT 16
#define KERNEL_ADDRESS_BITS 47
enum kernel_page { KERNEL_PAGE_NONE = 0, KERNEL_PAGE_UNTOUCHED = 1, KERNEL_PAGE_COMMITTED = 2 };

/* CUresult values that the executor answers. */
enum kernel_result {
    KERNEL_YIELDED = -1, /* budget used or interrupted: call kernel_step again */
    KERNEL_DONE = 0,
    KERNEL_INVALID_VALUE = 1,
    KERNEL_OUT_OF_MEMORY = 2,
    KERNEL_ILLEGAL_ADDRESS = 700,
    KERNEL_OUT_OF_RESOURCES = 701,
    KERNEL_ASSERT = 710,
    KERNEL_STACK_ERROR = 714,
    KERNEL_ILLEGAL_INSTRUCTION = 715,
    KERNEL_MISALIGNED_ADDRESS = 716,
    KERNEL_INVALID_PC = 718,
    KERNEL_LAUNCH_FAILED = 719, /* a deadlock inside one block, or trap */
};

struct kernel_thread;

/* --- module -------------------------------------------------------------------------------------------------- */

struct kernel_param {
    uint32_t offset, size;
};

struct kernel_function {
    const char *name; /* NUL-terminated, the bytes of the PTX name */
    void (*entry)(struct kernel_thread *);
    const struct kernel_param *params;
    uint32_t param_count, param_bytes;
    uint32_t shared_bytes;    /* static; dynamic shared memory follows, aligned to 16 */
    uint32_t local_bytes;     /* per thread */
    uint32_t stack_bytes;     /* of the C stack of one thread, an upper estimate */
    uint32_t registers;       /* estimate for CU_FUNC_ATTRIBUTE_NUM_REGS */
    uint32_t max_threads;     /* of a block: from .maxntid / .reqntid, else 1024 */
    uint32_t required_ntid[3]; /* zeros without .reqntid: a launch with another shape is an INVALID_VALUE */
    uint32_t ptx_version;     /* 10 * major + minor */
    uint32_t target;          /* 10 * compute capability: sm_86 -> 86 */
};

struct kernel_global {
    const char *name; /* "" for one that only its own unit sees */
    uint64_t size;
    uint64_t init_size; /* bytes in init; the rest is zero */
    const uint8_t *init;
    uint32_t align;
    uint32_t constant; /* 1: .const */
    uint32_t visible;  /* 1: cuModuleGetGlobal finds it */
    uint32_t reserved;
};

/* The 8 bytes at `offset` of global `global` are the address of global `target` plus `addend`. */
struct kernel_relocation {
    uint32_t global, target;
    uint64_t offset;
    int64_t addend;
};

struct kernel_module {
    uint32_t abi; /* KERNEL_ABI */
    uint32_t function_count, global_count, relocation_count;
    const struct kernel_function *functions;
    const struct kernel_global *globals;
    const struct kernel_relocation *relocations;
};

#define KERNEL_MODULE_SYMBOL "accelpool_module"

/* Checks the ABI number and every table's plausibility: 0, or -1. */
int kernel_module_check(const struct kernel_module *module);
/* Fills `image` (globals[index].size bytes) with the initial value; `bases` are the device addresses of all globals. */
void kernel_global_image(const struct kernel_module *module, uint32_t index, const uint64_t *bases, uint8_t *image);

/* --- launching ----------------------------------------------------------------------------------------------- */

struct kernel_launch {
    const struct kernel_function *function;
    const uint64_t *globals; /* device address of each global of the module */
    const void *params;      /* function->param_bytes bytes; copied by kernel_start */
    uint32_t grid[3], block[3];
    uint32_t dynamic_shared;
    /* How many blocks may be alive at once (a block that spins lets others start): 0 = the executor's default. A
     * cooperative launch passes the number of blocks of the grid; more than 65536 threads are OUT_OF_RESOURCES. */
    uint32_t resident;
    /* Cooperative launches: device address of 64 zeroed bytes for the barrier of the whole grid; else 0, and a kernel
     * that asks for such a barrier traps. */
    uint64_t workspace;
    uint8_t *pages; /* the page state table */
    void *opaque;
    /* First store to an untouched 64 KiB page (index = address >> 16): sets its state to COMMITTED and returns 0, or
     * returns a CUresult, with which the launch fails. */
    int (*commit)(void *opaque, uint64_t page);
    /* Host memory of the executor itself (stacks, local and shared memory), before it is used and after it is freed
     * (negative): 0 ok, else the launch fails with OUT_OF_MEMORY. May be NULL. */
    int (*charge)(void *opaque, int64_t bytes);
    /* Text of a device-side printf or assert. May be NULL (text is dropped). */
    void (*print)(void *opaque, const char *text, size_t length);
};

/* Where and why the last error of a run happened (for a log). */
struct kernel_fault {
    int code;
    uint32_t block[3], thread[3];
    uint64_t address;
};

struct kernel_engine; /* stacks and buffers that one launch leaves for the next; used by one thread at a time */
struct kernel_run;

struct kernel_engine *kernel_engine_create(void); /* NULL: out of memory */
void kernel_engine_destroy(struct kernel_engine *engine);
/* Prepares a launch. NULL with *error = CUresult. Several runs of one engine may be alive; end each. */
struct kernel_run *kernel_start(struct kernel_engine *engine, const struct kernel_launch *launch, int *error);
/* Runs blocks until the grid is done, an error, or about budget_ns nanoseconds have passed. */
int kernel_step(struct kernel_run *run, uint64_t budget_ns);
/* From any thread or signal handler: kernel_step returns YIELDED soon (within some 100 us of tenant code). */
void kernel_interrupt(struct kernel_run *run);
/* At any time, also in the middle of the grid. */
void kernel_end(struct kernel_run *run);
const struct kernel_fault *kernel_last_fault(const struct kernel_run *run);

/* --- between generated code and executor --------------------------------------------------------------------- */

enum kernel_barrier { KERNEL_BAR_SYNC, KERNEL_BAR_ARRIVE, KERNEL_BAR_POPC, KERNEL_BAR_AND, KERNEL_BAR_OR };

enum kernel_warp {
    KERNEL_WARP_SYNC,
    KERNEL_WARP_SHFL_UP,
    KERNEL_WARP_SHFL_DOWN,
    KERNEL_WARP_SHFL_BFLY,
    KERNEL_WARP_SHFL_IDX,
    KERNEL_WARP_VOTE_ALL,
    KERNEL_WARP_VOTE_ANY,
    KERNEL_WARP_VOTE_UNI,
    KERNEL_WARP_VOTE_BALLOT,
    KERNEL_WARP_MATCH_ANY,
    KERNEL_WARP_MATCH_ALL,
    KERNEL_WARP_REDUX_ADD,
    KERNEL_WARP_REDUX_MIN_U,
    KERNEL_WARP_REDUX_MAX_U,
    KERNEL_WARP_REDUX_MIN_S,
    KERNEL_WARP_REDUX_MAX_S,
    KERNEL_WARP_REDUX_AND,
    KERNEL_WARP_REDUX_OR,
    KERNEL_WARP_REDUX_XOR,
    KERNEL_WARP_ACTIVE,
    KERNEL_WARP_ELECT,
};

/* Operands and results of a warp-wide operation. */
struct kernel_warp_io {
    uint64_t value; /* in: the lane's value; out: the result */
    uint32_t b, c;  /* shfl: source lane operand, clamp and segment mask */
    uint32_t mask;  /* member mask; ignored when site is not 0 */
    uint32_t site;  /* not 0: an old form without mask: all lanes that reach this place together */
    uint32_t predicate; /* out */
};

struct kernel_services {
    void (*fault)(struct kernel_thread *, int code, uint64_t address) __attribute__((noreturn));
    void (*exit)(struct kernel_thread *) __attribute__((noreturn));
    void (*yield)(struct kernel_thread *, uint32_t sleep); /* refills fuel; sleep: lets the others go first */
    /* count 0 = every thread of the block that has not exited */
    uint32_t (*barrier)(struct kernel_thread *, uint32_t id, uint32_t count, enum kernel_barrier op, uint32_t predicate);
    void (*warp)(struct kernel_thread *, enum kernel_warp op, struct kernel_warp_io *io);
    /* Host address of `size` bytes at a generic address that failed the quick check; faults by itself. */
    uint8_t *(*access)(struct kernel_thread *, uint64_t address, uint32_t size, uint32_t write);
    uint32_t (*print)(struct kernel_thread *, uint64_t format, uint64_t arguments);
    uint64_t (*time)(void); /* nanoseconds */
};

struct kernel_place {
    uint32_t ntid[3], nctaid[3], ctaid[3];
    uint32_t warps; /* of the block */
};

struct kernel_thread {
    const struct kernel_services *services;
    uint8_t *pages;
    const uint64_t *globals;
    const uint8_t *params;
    uint8_t *shared;
    uint8_t *local;
    const struct kernel_place *place;
    uintptr_t stack_limit;
    uint32_t tid[3];
    uint32_t lane, warp, linear;
    uint32_t shared_bytes;  /* static and dynamic */
    uint32_t dynamic_offset; /* where dynamic shared memory starts */
    uint32_t local_bytes, local_top;
    uint32_t param_bytes;
    int32_t fuel; /* back-edges and calls left before the thread must yield */
    uint64_t grid_id;
    uint64_t workspace; /* of a cooperative launch */
};

#endif
