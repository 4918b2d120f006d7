/* SPDX-License-Identifier: Apache-2.0 */
/* The least that runs a translated module: device memory, globals, one launch at a time. Linked with kernel_*.c. */
#include "kernel.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct loaded {
    const struct kernel_module *module;
    uint64_t *globals;
};

static uint8_t *pages;
static struct kernel_engine *engine;
static struct kernel_fault fault;
static char printed[65536];
static size_t printed_length;
static int64_t charged;
static uint64_t committed;
static uint64_t workspace;

__attribute__((visibility("default"))) int harness_start(void)
{
    pages = mmap(NULL, 1ull << (KERNEL_ADDRESS_BITS - KERNEL_PAGE_SHIFT), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    engine = kernel_engine_create();
    return pages == MAP_FAILED || !engine;
}

/* Whole 64 KiB pages; the page behind them stays unmapped. */
__attribute__((visibility("default"))) uint64_t harness_allocate(uint64_t bytes)
{
    static uint64_t next = 0x200000000000ull;
    uint64_t size = (bytes + 0xffff) & ~0xffffull;
    uint64_t address = next;
    next += size + 0x10000;
    void *map = mmap((void *)address, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (map == MAP_FAILED)
        return 0;
    memset(pages + (address >> KERNEL_PAGE_SHIFT), KERNEL_PAGE_UNTOUCHED, size >> KERNEL_PAGE_SHIFT);
    return address;
}

static int commit(void *opaque, uint64_t page)
{
    (void)opaque;
    pages[page] = KERNEL_PAGE_COMMITTED;
    committed++;
    return 0;
}

static int charge(void *opaque, int64_t bytes)
{
    (void)opaque;
    charged += bytes;
    return 0;
}

static void print(void *opaque, const char *text, size_t length)
{
    (void)opaque;
    if (length > sizeof printed - printed_length)
        length = sizeof printed - printed_length;
    memcpy(printed + printed_length, text, length);
    printed_length += length;
}

__attribute__((visibility("default"))) struct loaded *harness_load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct kernel_module *module = library ? dlsym(library, KERNEL_MODULE_SYMBOL) : NULL;
    if (!module || kernel_module_check(module))
        return NULL;
    struct loaded *loaded = calloc(1, sizeof *loaded);
    loaded->module = module;
    loaded->globals = calloc(module->global_count + 1, sizeof(uint64_t));
    for (uint32_t i = 0; i < module->global_count; i++)
        loaded->globals[i] = harness_allocate(module->globals[i].size + 1);
    for (uint32_t i = 0; i < module->global_count; i++)
        kernel_global_image(module, i, loaded->globals, (uint8_t *)loaded->globals[i]);
    return loaded;
}

static const struct kernel_function *find(const struct loaded *loaded, const char *name)
{
    for (uint32_t i = 0; i < loaded->module->function_count; i++)
        if (!strcmp(loaded->module->functions[i].name, name))
            return &loaded->module->functions[i];
    return NULL;
}

__attribute__((visibility("default"))) uint64_t harness_global(const struct loaded *loaded, const char *name)
{
    for (uint32_t i = 0; i < loaded->module->global_count; i++)
        if (!strcmp(loaded->module->globals[i].name, name))
            return loaded->globals[i];
    return 0;
}

__attribute__((visibility("default"))) int harness_attribute(const struct loaded *loaded, const char *name, int which)
{
    const struct kernel_function *function = find(loaded, name);
    const uint32_t values[] = {function->shared_bytes, function->local_bytes, function->max_threads,
                               function->required_ntid[0], function->param_bytes, function->ptx_version,
                               function->target};
    return (int)values[which];
}

/* steps: how many kernel_step calls of budget_ns at most (0: until the end). */
__attribute__((visibility("default"))) int harness_launch(const struct loaded *loaded, const char *name,
                                                          const uint32_t *shape, uint32_t shared, const void *params,
                                                          uint64_t budget_ns, uint32_t steps)
{
    if (!workspace)
        workspace = harness_allocate(64);
    struct kernel_launch launch = {0};
    int error;
    launch.function = find(loaded, name);
    if (!launch.function)
        return 500;
    launch.globals = loaded->globals;
    launch.params = params;
    memcpy(launch.grid, shape, sizeof launch.grid);
    memcpy(launch.block, shape + 3, sizeof launch.block);
    launch.dynamic_shared = shared;
    launch.workspace = workspace;
    memset((void *)workspace, 0, 64);
    launch.pages = pages;
    launch.commit = commit;
    launch.charge = charge;
    launch.print = print;
    printed_length = 0;
    struct kernel_run *run = kernel_start(engine, &launch, &error);
    if (!run)
        return error;
    uint32_t step = 0;
    int result;
    do
        result = kernel_step(run, budget_ns);
    while (result == KERNEL_YIELDED && (!steps || ++step < steps));
    fault = *kernel_last_fault(run);
    kernel_end(run);
    return result;
}

__attribute__((visibility("default"))) const char *harness_printed(size_t *length)
{
    *length = printed_length;
    return printed;
}

__attribute__((visibility("default"))) int64_t harness_charged(void)
{
    return charged;
}

__attribute__((visibility("default"))) uint64_t harness_committed(void)
{
    return committed;
}

__attribute__((visibility("default"))) uint64_t harness_fault_address(void)
{
    return fault.address;
}
