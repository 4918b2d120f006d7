/* SPDX-License-Identifier: Apache-2.0 */
/* Page-locked host memory: kernels reach it at its host address, and asynchronous copies need not stage it. */
#include <stdlib.h>
#include <sys/mman.h>

#include "emu.h"

static unsigned long long next_id = 1ull << 48;

static CUresult block_add(struct context *context, uint64_t base, uint64_t size, enum range_kind kind, unsigned flags) {
    struct range *range = calloc(1, sizeof *range);
    if (!range)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memory_lock();
    *range = (struct range){.base = base, .size = size, .kind = kind, .accessible = true, .host_flags = flags,
                            .id = next_id++, .context = context};
    struct range *after = range_next(memory_blocks, base);
    bool taken = range_at(memory_blocks, base) || (after && after->base < base + size);
    if (!taken) {
        range_insert(&memory_blocks, range);
        pages_open(base & ~(PAGE_BYTES - 1), size + (base & (PAGE_BYTES - 1)), 2);
    }
    memory_unlock();
    if (taken)
        free(range);
    return taken ? CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED : CUDA_SUCCESS;
}

/* A page that another registration shares stays open. */
static void pages_close_unshared(uint64_t base, uint64_t size) {
    for (uint64_t page = base >> PAGE_SHIFT; page <= (base + size - 1) >> PAGE_SHIFT; page++) {
        uint64_t start = page << PAGE_SHIFT;
        struct range *after = range_next(memory_blocks, start);
        if (!range_at(memory_blocks, start) && !(after && after->base < start + PAGE_BYTES))
            __atomic_store_n(&page_state[page], 0, __ATOMIC_RELAXED);
    }
}

static struct range *block_remove(const void *pointer, enum range_kind kind) {
    memory_lock();
    struct range *range = range_at(memory_blocks, (uint64_t)pointer);
    if (range && (range->base != (uint64_t)pointer || range->kind != kind))
        range = NULL;
    if (range) {
        range_remove(&memory_blocks, range);
        pages_close_unshared(range->base, range->size);
    }
    memory_unlock();
    return range;
}

API CUresult cuMemHostAlloc(void **pointer, size_t size, unsigned flags) {
    struct context *context;
    TRY(context_enter(&context));
    if (!pointer || !size || flags & ~7u)
        return CUDA_ERROR_INVALID_VALUE;
    if (size >> ADDRESS_BITS)
        return CUDA_ERROR_OUT_OF_MEMORY;
    uint64_t bytes = (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    uint64_t base = address_space_take(bytes, PAGE_BYTES, 0);
    if (!base)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult status = mprotect((void *)base, bytes, PROT_READ | PROT_WRITE) ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
    if (status == CUDA_SUCCESS)
        status = block_add(context, base, size, RANGE_HOST, flags | CU_MEMHOSTALLOC_DEVICEMAP);
    if (status != CUDA_SUCCESS)
        munmap((void *)base, bytes);
    else
        *pointer = (void *)base;
    return status;
}

API CUresult cuMemAllocHost_v2(void **pointer, size_t size) {
    return cuMemHostAlloc(pointer, size, 0);
}

API CUresult cuMemFreeHost(void *pointer) {
    struct context *context;
    TRY(context_enter(&context));
    if (!pointer)
        return CUDA_SUCCESS;
    device_drain();
    struct range *range = block_remove(pointer, RANGE_HOST);
    if (!range)
        return CUDA_ERROR_INVALID_VALUE;
    munmap(pointer, (range->size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1));
    free(range);
    return CUDA_SUCCESS;
}

API CUresult cuMemHostRegister_v2(void *pointer, size_t size, unsigned flags) {
    struct context *context;
    TRY(context_enter(&context));
    uint64_t base = (uint64_t)pointer;
    if (!pointer || !size || flags & ~(unsigned)CU_MEMHOSTREGISTER_FLAGS_MASK || base + size < base ||
        base + size > (uint64_t)1 << ADDRESS_BITS)
        return CUDA_ERROR_INVALID_VALUE;
    return block_add(context, base, size, RANGE_REGISTERED, flags | CU_MEMHOSTALLOC_DEVICEMAP);
}

API CUresult cuMemHostUnregister(void *pointer) {
    struct context *context;
    TRY(context_enter(&context));
    if (!pointer)
        return CUDA_ERROR_INVALID_VALUE;
    device_drain();
    struct range *range = block_remove(pointer, RANGE_REGISTERED);
    free(range);
    return range ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}

static CUresult host_lookup(void *pointer, unsigned *flags) {
    memory_lock();
    struct range *range = range_at(memory_blocks, (uint64_t)pointer);
    bool host = range && (range->kind == RANGE_HOST || range->kind == RANGE_REGISTERED);
    if (host)
        *flags = range->host_flags;
    memory_unlock();
    return host ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *address, void *pointer, unsigned flags) {
    struct context *context;
    unsigned ignored;
    TRY(context_enter(&context));
    if (!address || flags)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(host_lookup(pointer, &ignored));
    *address = (CUdeviceptr)pointer;
    return CUDA_SUCCESS;
}

API CUresult cuMemHostGetFlags(unsigned *flags, void *pointer) {
    struct context *context;
    TRY(context_enter(&context));
    return flags ? host_lookup(pointer, flags) : CUDA_ERROR_INVALID_VALUE;
}
