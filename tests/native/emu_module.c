/* SPDX-License-Identifier: Apache-2.0 */
/* emu_kernels.ptx by hand, in the form that the translator gives. */
#include "kernel.h"

static uint32_t *at(struct kernel_thread *thread, uint64_t address, uint32_t write) {
    return (uint32_t *)(void *)thread->services->access(thread, address, 4, write);
}

static uint64_t param64(const struct kernel_thread *thread, unsigned offset) {
    uint64_t value;
    __builtin_memcpy(&value, thread->params + offset, sizeof value);
    return value;
}

static uint32_t param32(const struct kernel_thread *thread, unsigned offset) {
    uint32_t value;
    __builtin_memcpy(&value, thread->params + offset, sizeof value);
    return value;
}

static void k_empty(struct kernel_thread *thread) {
    (void)thread;
}

static void k_fill(struct kernel_thread *thread) {
    uint32_t index = thread->place->ctaid[0] * thread->place->ntid[0] + thread->tid[0];
    if (index < param32(thread, 12))
        *at(thread, param64(thread, 0) + 4ull * index, 1) = param32(thread, 8);
}

static void k_step(struct kernel_thread *thread) {
    uint32_t *value = at(thread, param64(thread, 0), 1);
    *value = *value * 2 + 1;
}

static void k_poke(struct kernel_thread *thread) {
    *at(thread, param64(thread, 0), 1) = 1;
}

static void k_spin(struct kernel_thread *thread) {
    uint32_t seen;
    while (!(seen = __atomic_load_n(at(thread, param64(thread, 0), 0), __ATOMIC_RELAXED)))
        if (--thread->fuel <= 0)
            thread->services->yield(thread, 0);
    *at(thread, param64(thread, 0) + 4, 1) = seen;
}

static void k_read_table(struct kernel_thread *thread) {
    uint64_t table;
    __builtin_memcpy(&table, thread->services->access(thread, thread->globals[1], 8, 0), sizeof table);
    *at(thread, param64(thread, 0), 1) = *at(thread, table + 8, 0) * 10 + *at(thread, thread->globals[2], 0);
}

static void k_wide(struct kernel_thread *thread) {
    *at(thread, param64(thread, 0), 1) = param32(thread, 8 + 236);
}

static const struct kernel_param p_fill[] = {{0, 8}, {8, 4}, {12, 4}}, p_one[] = {{0, 8}}, p_wide[] = {{0, 8}, {8, 240}};

#define KERNEL(text, code, table, count, bytes, most, shared)                                                          \
    {                                                                                                                  \
        .name = text, .entry = code, .params = table, .param_count = count, .param_bytes = bytes,                      \
        .shared_bytes = shared, .stack_bytes = 1024, .registers = 16, .max_threads = most, .ptx_version = 70,          \
        .target = 52                                                                                                   \
    }

static const struct kernel_function functions[] = {
    KERNEL("empty", k_empty, 0, 0, 0, 1024, 0),          KERNEL("fill", k_fill, p_fill, 3, 16, 1024, 0),
    KERNEL("step", k_step, p_one, 1, 8, 1024, 0),        KERNEL("poke", k_poke, p_one, 1, 8, 1024, 0),
    KERNEL("spin", k_spin, p_one, 1, 8, 1024, 0),        KERNEL("read_table", k_read_table, p_one, 1, 8, 1024, 0),
    KERNEL("wide", k_wide, p_wide, 2, 248, 1024, 0),     KERNEL("bounded", k_empty, p_one, 1, 8, 64, 1024),
};

static const uint32_t table[] = {1, 2, 3, 4}, factor[] = {5};

static const struct kernel_global globals[] = {
    {.name = "table", .size = 16, .init_size = 16, .init = (const uint8_t *)table, .align = 4, .visible = 1},
    {.name = "pointer", .size = 8, .align = 8, .visible = 1},
    {.name = "factor", .size = 4, .init_size = 4, .init = (const uint8_t *)factor, .align = 4, .constant = 1, .visible = 1},
    {.name = "", .size = 8, .align = 4},
};

static const struct kernel_relocation relocations[] = {{.global = 1, .target = 0, .offset = 0, .addend = 0}};

__attribute__((visibility("default"))) const struct kernel_module accelpool_module = {
    .abi = KERNEL_ABI, .function_count = 8, .global_count = 4, .relocation_count = 1, .functions = functions,
    .globals = globals, .relocations = relocations,
};
