/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual memory management: address reservations, physical memory, and mappings between them.
 *
 * Physical memory is private anonymous memory at the place where it is mapped. A handle that outlives its mapping
 * keeps the pages parked elsewhere. One handle can be mapped at one place at a time. What is unmapped is given back to
 * the host at once; the page state table, not the host's protection, keeps kernels out of it. What is shared with other
 * processes lies in a file instead, and is paid for as a whole by each of them, since nobody sees the others' first writes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "emu.h"
#include "shared_memory.h"

struct physical {
    uint64_t handle, size, mapped, parked;
    unsigned references;
    struct shared_granule shared; /* its pages are in a file, for other processes too */
    uint8_t *states; /* of the pages while they are not accessible; NULL: all untouched */
};

static unsigned long long next_id = 1ull << 32;

static uint64_t committed_pages(const struct physical *physical) {
    uint64_t count = 0;
    for (uint64_t i = 0; physical->states && i < physical->size >> PAGE_SHIFT; i++)
        count += physical->states[i] == 2;
    return count;
}

static CUresult check_properties(const CUmemAllocationProp *properties) {
    if (!properties || properties->type != CU_MEM_ALLOCATION_TYPE_PINNED)
        return CUDA_ERROR_INVALID_VALUE;
    if (properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (properties->location.id != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    return properties->requestedHandleTypes ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
}

API CUresult cuMemGetAllocationGranularity(size_t *granularity, const CUmemAllocationProp *properties, int option) {
    TRY(initialised());
    if (!granularity || option < 0 || option > 1)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(check_properties(properties));
    *granularity = GRANULE;
    return CUDA_SUCCESS;
}

API CUresult cuMemAddressReserve(CUdeviceptr *address, size_t size, size_t alignment, CUdeviceptr at,
                                 unsigned long long flags) {
    TRY(initialised());
    if (!address || !size || size % GRANULE || flags || (alignment & (alignment - 1)) || size >> ADDRESS_BITS ||
        alignment >> ADDRESS_BITS)
        return CUDA_ERROR_INVALID_VALUE;
    if (alignment < GRANULE)
        alignment = GRANULE;
    struct range *range = calloc(1, sizeof *range);
    if (!range)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (at && at % alignment == 0 && at >= KERNEL_WINDOWS_END && !(at >> ADDRESS_BITS) && !((at + size) >> ADDRESS_BITS))
        range->base = address_space_take(size, alignment, at);
    if (!range->base) /* the address is a hint */
        range->base = address_space_take(size, alignment, 0);
    if (!range->base) {
        free(range);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    range->size = size;
    range->kind = RANGE_RESERVED;
    memory_lock();
    range_insert(&memory_reservations, range);
    memory_unlock();
    *address = range->base;
    return CUDA_SUCCESS;
}

API CUresult cuMemAddressFree(CUdeviceptr address, size_t size) {
    TRY(initialised());
    memory_lock();
    struct range *range = range_at(memory_reservations, address);
    bool exact = range && range->base == address && range->size == size;
    struct range *block = exact ? range_next(memory_blocks, address) : NULL;
    if (block && block->base < address + size)
        exact = false;
    if (exact)
        range_remove(&memory_reservations, range);
    memory_unlock();
    if (!exact)
        return CUDA_ERROR_INVALID_VALUE;
    munmap((void *)address, size);
    free(range);
    return CUDA_SUCCESS;
}

API CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t size, const CUmemAllocationProp *properties,
                         unsigned long long flags) {
    TRY(initialised());
    if (!handle || !size || size % GRANULE || flags)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(check_properties(properties));
    struct physical *physical = calloc(1, sizeof *physical);
    if (!physical || !memory_charge(size)) {
        free(physical);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    physical->size = size;
    physical->references = 1;
    physical->handle = handle_new(HANDLE_MEMORY, physical);
    if (!physical->handle) {
        memory_discharge(size);
        free(physical);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *handle = physical->handle;
    return CUDA_SUCCESS;
}

/* Nobody refers to it and it is not mapped. */
static void physical_free(struct physical *physical) {
    uint64_t committed = committed_pages(physical);
    if (physical->parked)
        munmap((void *)physical->parked, physical->size);
    if (committed && emu_host)
        emu_host->untouch(emu_host->opaque, committed << PAGE_SHIFT);
    if (physical->shared.file) {
        memory_lock();
        shared_drop(&physical->shared);
        memory_unlock();
    }
    memory_discharge(physical->size);
    free(physical->states);
    free(physical);
}

API CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
    TRY(initialised());
    memory_lock();
    struct physical *physical = handle_object(HANDLE_MEMORY, handle);
    bool last = physical && --physical->references == 0;
    if (last)
        handle_drop(handle);
    bool unused = last && !physical->mapped;
    memory_unlock();
    if (!physical)
        return CUDA_ERROR_INVALID_VALUE;
    if (unused)
        physical_free(physical);
    return CUDA_SUCCESS;
}

API CUresult cuMemMap(CUdeviceptr address, size_t size, size_t offset, CUmemGenericAllocationHandle handle,
                      unsigned long long flags) {
    TRY(initialised());
    if (!size || offset || flags || address % GRANULE || address + size < address)
        return CUDA_ERROR_INVALID_VALUE;
    struct range *range = calloc(1, sizeof *range);
    if (!range)
        return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult status = CUDA_SUCCESS;
    memory_lock();
    struct physical *physical = handle_object(HANDLE_MEMORY, handle);
    struct range *reserved = range_at(memory_reservations, address);
    struct range *after = range_next(memory_blocks, address);
    if (!physical || size != physical->size || !reserved || reserved->base + reserved->size < address + size)
        status = CUDA_ERROR_INVALID_VALUE;
    else if (range_at(memory_blocks, address) || (after && after->base < address + size))
        status = CUDA_ERROR_INVALID_VALUE;
    else if (physical->mapped)
        status = CUDA_ERROR_NOT_SUPPORTED;
    if (status == CUDA_SUCCESS && physical->shared.file && !shared_map(&physical->shared, address))
        status = CUDA_ERROR_OPERATING_SYSTEM;
    if (status == CUDA_SUCCESS && physical->parked) {
        void *moved = mremap((void *)physical->parked, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)address);
        if (moved == MAP_FAILED)
            status = CUDA_ERROR_OPERATING_SYSTEM;
        else
            physical->parked = 0;
    }
    if (status == CUDA_SUCCESS) {
        *range = (struct range){.base = address, .size = size, .kind = RANGE_MAPPED, .physical = physical, .id = next_id++};
        physical->mapped = address;
        range_insert(&memory_blocks, range);
    }
    memory_unlock();
    if (status != CUDA_SUCCESS)
        free(range);
    return status;
}

/* Memory lock held. */
static CUresult make_accessible(struct range *range) {
    struct physical *physical = range->physical;
    if (range->accessible)
        return CUDA_SUCCESS;
    if (mprotect((void *)range->base, range->size, PROT_READ | PROT_WRITE))
        return CUDA_ERROR_OUT_OF_MEMORY;
    madvise((void *)range->base, range->size, MADV_NOHUGEPAGE); /* so that a touched page costs a page */
    if (physical->states)
        memcpy(page_state + (range->base >> PAGE_SHIFT), physical->states, range->size >> PAGE_SHIFT);
    else
        pages_open(range->base, range->size, 1);
    free(physical->states);
    physical->states = NULL;
    range->accessible = true;
    return CUDA_SUCCESS;
}

/* Memory lock held. The states move to the physical memory. */
static CUresult make_inaccessible(struct range *range) {
    struct physical *physical = range->physical;
    uint64_t pages = range->size >> PAGE_SHIFT;
    if (!range->accessible)
        return CUDA_SUCCESS;
    physical->states = malloc(pages);
    if (!physical->states)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (uint64_t i = 0; i < pages; i++)
        physical->states[i] = __atomic_exchange_n(&page_state[(range->base >> PAGE_SHIFT) + i], 0, __ATOMIC_RELAXED);
    range->accessible = false;
    return CUDA_SUCCESS;
}

/* Memory lock held: [address, address+size) is made of whole mappings? */
static bool whole_mappings(uint64_t address, uint64_t size) {
    uint64_t at = address;
    while (at < address + size) {
        struct range *range = range_at(memory_blocks, at);
        if (!range || range->kind != RANGE_MAPPED || range->base != at)
            return false;
        at += range->size;
    }
    return at == address + size;
}

API CUresult cuMemSetAccess(CUdeviceptr address, size_t size, const CUmemAccessDesc *descriptions, size_t count) {
    TRY(initialised());
    if (!size || !descriptions || count != 1 || address + size < address)
        return CUDA_ERROR_INVALID_VALUE;
    if (descriptions->location.type != CU_MEM_LOCATION_TYPE_DEVICE || descriptions->location.id != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    int flags = descriptions->flags;
    if (flags != CU_MEM_ACCESS_FLAGS_PROT_NONE && flags != CU_MEM_ACCESS_FLAGS_PROT_READ &&
        flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult status = CUDA_SUCCESS;
    memory_lock();
    if (!whole_mappings(address, size))
        status = CUDA_ERROR_INVALID_VALUE;
    for (uint64_t at = address; at < address + size && status == CUDA_SUCCESS;) {
        struct range *range = range_at(memory_blocks, at);
        status = flags ? make_accessible(range) : make_inaccessible(range);
        at += range->size;
    }
    memory_unlock();
    return status;
}

API CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr address) {
    TRY(initialised());
    if (!flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE || location->id != 0)
        return CUDA_ERROR_INVALID_VALUE;
    memory_lock();
    struct range *range = range_at(memory_blocks, address);
    bool mapped = range && range->kind == RANGE_MAPPED;
    *flags = mapped && range->accessible ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    memory_unlock();
    return mapped ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Memory lock held: the pages of a handle that lives on go to a place of their own; the mapping's place stays taken. */
static CUresult park(struct physical *physical) {
    void *moved = mremap((void *)physical->mapped, physical->size, physical->size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    if (moved == MAP_FAILED)
        return CUDA_ERROR_OPERATING_SYSTEM;
    physical->parked = (uint64_t)moved;
    return CUDA_SUCCESS;
}

/* Memory lock held: the place is empty address space again. */
static CUresult vacate(const struct range *range) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    return mmap((void *)range->base, range->size, PROT_NONE, flags, -1, 0) == MAP_FAILED ? CUDA_ERROR_OPERATING_SYSTEM
                                                                                         : CUDA_SUCCESS;
}

API CUresult cuMemUnmap(CUdeviceptr address, size_t size) {
    TRY(initialised());
    if (!size || address + size < address)
        return CUDA_ERROR_INVALID_VALUE;
    memory_lock();
    CUresult status = whole_mappings(address, size) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    struct range *freed = NULL;
    for (uint64_t at = address; at < address + size && status == CUDA_SUCCESS;) {
        struct range *range = range_at(memory_blocks, at);
        struct physical *physical = range->physical;
        at += range->size;
        status = make_inaccessible(range);
        if (status == CUDA_SUCCESS && physical->shared.file)
            status = vacate(range);
        else if (status == CUDA_SUCCESS && physical->references && physical->states)
            status = park(physical);
        if (status != CUDA_SUCCESS)
            break;
        if (!physical->parked)
            madvise((void *)range->base, range->size, MADV_DONTNEED);
        physical->mapped = 0;
        range_remove(&memory_blocks, range);
        range->left = freed;
        freed = range;
    }
    memory_unlock();
    while (freed) {
        struct range *next = freed->left;
        if (!freed->physical->references)
            physical_free(freed->physical);
        free(freed);
        freed = next;
    }
    return status;
}

API CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address) {
    TRY(initialised());
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult status = CUDA_ERROR_INVALID_VALUE;
    memory_lock();
    struct range *range = range_at(memory_blocks, (uint64_t)address);
    if (range && range->kind == RANGE_MAPPED && range->physical->references) {
        range->physical->references++;
        *handle = range->physical->handle;
        status = CUDA_SUCCESS;
    }
    memory_unlock();
    return status;
}

API CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *properties, CUmemGenericAllocationHandle handle) {
    TRY(initialised());
    if (!properties || !handle_object(HANDLE_MEMORY, handle))
        return CUDA_ERROR_INVALID_VALUE;
    *properties = (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                        .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}};
    return CUDA_SUCCESS;
}

/* --- other processes ----------------------------------------------------------------------------------------------- */

/* Memory lock held: the mapped granule that the handle stands for, or NULL. */
static struct physical *sharable(CUmemGenericAllocationHandle handle) {
    struct physical *physical = handle_object(HANDLE_MEMORY, handle);
    struct range *range = physical && physical->mapped ? range_at(memory_blocks, physical->mapped) : NULL;
    return range && range->accessible && physical->size == GRANULE ? physical : NULL;
}

CUresult physical_share(CUmemGenericAllocationHandle handle, uint64_t *number) {
    memory_lock();
    struct physical *physical = sharable(handle);
    const uint64_t address = physical ? physical->mapped : 0;
    memory_unlock();
    if (!physical)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(memory_commit(address, GRANULE));
    CUresult status = CUDA_SUCCESS;
    memory_lock();
    physical = sharable(handle);
    if (!physical || physical->mapped != address)
        status = CUDA_ERROR_INVALID_VALUE;
    if (status == CUDA_SUCCESS && !physical->shared.file) {
        status = shared_new(&physical->shared, (const void *)address);
        if (status == CUDA_SUCCESS &&
            (!shared_map(&physical->shared, address) || mprotect((void *)address, GRANULE, PROT_READ | PROT_WRITE)))
            status = CUDA_ERROR_OPERATING_SYSTEM;
    }
    if (status == CUDA_SUCCESS)
        *number = shared_number(&physical->shared);
    memory_unlock();
    return status;
}

CUresult physical_adopt(uint64_t number, CUmemGenericAllocationHandle *handle) {
    const uint64_t pages = GRANULE >> PAGE_SHIFT;
    struct physical *physical = calloc(1, sizeof *physical);
    uint8_t *states = malloc(pages);
    if (!physical || !states || !memory_charge(GRANULE)) {
        free(physical);
        free(states);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *physical = (struct physical){.size = GRANULE, .references = 1, .states = states};
    memset(states, 0, pages);
    memory_lock();
    CUresult status = shared_find(number, &physical->shared);
    memory_unlock();
    if (status == CUDA_SUCCESS && emu_host && emu_host->touch(emu_host->opaque, GRANULE))
        status = CUDA_ERROR_OUT_OF_MEMORY;
    if (status == CUDA_SUCCESS)
        memset(states, 2, pages);
    if (status == CUDA_SUCCESS && !(physical->handle = handle_new(HANDLE_MEMORY, physical)))
        status = CUDA_ERROR_OUT_OF_MEMORY;
    if (status == CUDA_SUCCESS)
        *handle = physical->handle;
    else
        physical_free(physical);
    return status;
}
