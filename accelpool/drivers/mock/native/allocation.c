/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuMemAlloc and its relatives, on top of memory.c.
 *
 * Small sizes come from 2 MiB chunks cut into equal slots of a power of two bytes (at least 256, so every address
 * suits every type); from 1 MiB on an allocation has address space of its own. Device memory is charged in granules.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "emu.h"

#define SMALLEST 8u /* log2 of the smallest slot */
#define CLASSES 12u /* 256 B .. 512 KiB */
#define LARGE ((uint64_t)1 << 20)
#define PITCH_ALIGNMENT 512u

struct chunk {
    uint64_t base;
    unsigned class, free_slots;
    struct chunk *next, *previous;
    uint64_t taken[(GRANULE >> SMALLEST) / 64];
};

static struct chunk *chunks[CLASSES]; /* memory lock; those with a free slot stand in front */
static unsigned long long next_id = 1;

static unsigned slots_of(unsigned class) {
    return (unsigned)(GRANULE >> (SMALLEST + class));
}

static uint64_t region_take(uint64_t size) {
    if (!memory_charge(size))
        return 0;
    uint64_t base = address_space_take(size, GRANULE, 0);
    if (!base) {
        memory_discharge(size);
        return 0;
    }
    if (mprotect((void *)base, size, PROT_READ | PROT_WRITE)) {
        munmap((void *)base, size);
        memory_discharge(size);
        return 0;
    }
    madvise((void *)base, size, MADV_NOHUGEPAGE);
    pages_open(base, size, 1);
    return base;
}

static void region_give(uint64_t base, uint64_t size) {
    pages_close(base, size);
    munmap((void *)base, size);
    memory_discharge(size);
}

static void chunk_unlink(struct chunk *chunk) {
    if (chunk->previous)
        chunk->previous->next = chunk->next;
    else
        chunks[chunk->class] = chunk->next;
    if (chunk->next)
        chunk->next->previous = chunk->previous;
}

static void chunk_link(struct chunk *chunk) {
    chunk->previous = NULL;
    chunk->next = chunks[chunk->class];
    if (chunk->next)
        chunk->next->previous = chunk;
    chunks[chunk->class] = chunk;
}

/* Memory lock held; full chunks are in no list. 0: no chunk of this class has a free slot. */
static uint64_t slot_take_from(unsigned class, struct chunk **owner) {
    struct chunk *chunk = chunks[class];
    if (!chunk)
        return 0;
    unsigned word = 0;
    while (chunk->taken[word] == UINT64_MAX)
        word++;
    unsigned slot = word * 64 + (unsigned)__builtin_ctzll(~chunk->taken[word]);
    chunk->taken[word] |= (uint64_t)1 << slot % 64;
    if (--chunk->free_slots == 0)
        chunk_unlink(chunk);
    *owner = chunk;
    return chunk->base + ((uint64_t)slot << (SMALLEST + class));
}

static struct chunk *chunk_new(unsigned class) {
    struct chunk *chunk = calloc(1, sizeof *chunk);
    if (!chunk)
        return NULL;
    chunk->base = region_take(GRANULE);
    if (!chunk->base) {
        free(chunk);
        return NULL;
    }
    chunk->class = class;
    chunk->free_slots = slots_of(class);
    return chunk;
}

static uint64_t slot_take(unsigned class, struct chunk **owner) {
    memory_lock();
    uint64_t address = slot_take_from(class, owner);
    memory_unlock();
    if (address)
        return address;
    struct chunk *fresh = chunk_new(class);
    if (!fresh)
        return 0;
    memory_lock();
    chunk_link(fresh);
    address = slot_take_from(class, owner);
    memory_unlock();
    return address;
}

static void slot_give(struct chunk *chunk, uint64_t address) {
    unsigned slot = (unsigned)((address - chunk->base) >> (SMALLEST + chunk->class));
    memory_lock();
    chunk->taken[slot / 64] &= ~((uint64_t)1 << slot % 64);
    if (chunk->free_slots++ == 0)
        chunk_link(chunk);
    bool empty = chunk->free_slots == slots_of(chunk->class);
    if (empty)
        chunk_unlink(chunk);
    memory_unlock();
    if (empty) {
        region_give(chunk->base, GRANULE);
        free(chunk);
    }
}

static uint64_t region_size(uint64_t size) {
    return (size + GRANULE - 1) & ~(GRANULE - 1);
}

CUresult allocation_new(struct context *context, uint64_t size, CUdeviceptr *address) {
    if (!size)
        return CUDA_ERROR_INVALID_VALUE;
    if (size > emu_device.total_bytes)
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct range *range = calloc(1, sizeof *range);
    if (!range)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (size >= LARGE / 2 + 1) {
        range->base = region_take(region_size(size));
    } else {
        unsigned class = 0;
        while (size > (uint64_t)1 << (SMALLEST + class))
            class++;
        range->base = slot_take(class, &range->chunk);
    }
    if (!range->base) {
        free(range);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    range->size = size;
    range->kind = RANGE_ALLOCATED;
    range->accessible = true;
    range->context = context;
    memory_lock();
    range->id = next_id++;
    range_insert(&memory_blocks, range);
    memory_unlock();
    *address = range->base;
    return CUDA_SUCCESS;
}

static void give_back(struct range *range) {
    if (range->chunk)
        slot_give(range->chunk, range->base);
    else
        region_give(range->base, region_size(range->size));
    free(range);
}

CUresult allocation_free(CUdeviceptr address) {
    memory_lock();
    struct range *range = range_at(memory_blocks, address);
    if (range && (range->base != address || range->kind != RANGE_ALLOCATED))
        range = NULL;
    if (range)
        range_remove(&memory_blocks, range);
    memory_unlock();
    if (!range)
        return CUDA_ERROR_INVALID_VALUE;
    give_back(range);
    return CUDA_SUCCESS;
}

void allocation_free_all(struct context *context) {
    for (uint64_t from = 0;;) {
        memory_lock();
        struct range *range = range_next(memory_blocks, from);
        while (range && (range->context != context || range->kind != RANGE_ALLOCATED))
            range = range_next(memory_blocks, range->base + 1);
        if (range)
            range_remove(&memory_blocks, range);
        memory_unlock();
        if (!range)
            return;
        from = range->base;
        give_back(range);
    }
}

API CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t size) {
    struct context *context;
    TRY(context_enter(&context));
    if (!address)
        return CUDA_ERROR_INVALID_VALUE;
    return allocation_new(context, size, address);
}

API CUresult cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned element) {
    struct context *context;
    TRY(context_enter(&context));
    if (!address || !pitch || !width || !height || (element != 4 && element != 8 && element != 16))
        return CUDA_ERROR_INVALID_VALUE;
    if (width > emu_device.total_bytes)
        return CUDA_ERROR_OUT_OF_MEMORY;
    size_t row = (width + PITCH_ALIGNMENT - 1) & ~(size_t)(PITCH_ALIGNMENT - 1);
    if (height > emu_device.total_bytes / row)
        return CUDA_ERROR_OUT_OF_MEMORY;
    TRY(allocation_new(context, row * height, address));
    *pitch = row;
    return CUDA_SUCCESS;
}

API CUresult cuMemFree_v2(CUdeviceptr address) {
    struct context *context;
    TRY(context_enter(&context));
    if (!address)
        return CUDA_SUCCESS;
    if (!memory_is_device(address))
        return CUDA_ERROR_INVALID_VALUE;
    device_drain();
    TRY(atomic_load(&context->error));
    return allocation_free(address);
}

API CUresult cuMemAllocAsync(CUdeviceptr *address, size_t size, CUstream handle) {
    struct stream *stream;
    TRY(stream_find(handle, &stream));
    if (!address)
        return CUDA_ERROR_INVALID_VALUE;
    return allocation_new(stream->context, size, address);
}

API CUresult cuMemFreeAsync(CUdeviceptr address, CUstream handle) {
    struct stream *stream;
    TRY(stream_find(handle, &stream));
    memory_lock();
    struct range *range = range_at(memory_blocks, address);
    bool known = range && range->base == address && range->kind == RANGE_ALLOCATED;
    memory_unlock();
    if (!known)
        return CUDA_ERROR_INVALID_VALUE;
    struct work *work = work_begin(stream);
    work->kind = WORK_FREE;
    work->address = address;
    work_submit(stream);
    return CUDA_SUCCESS;
}

API CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr address) {
    struct context *context;
    TRY(context_enter(&context));
    memory_lock();
    struct range *range = range_at(memory_blocks, address);
    bool device = range && (range->kind == RANGE_ALLOCATED || range->kind == RANGE_MAPPED);
    if (device && base)
        *base = range->base;
    if (device && size)
        *size = range->size;
    memory_unlock();
    return device ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
