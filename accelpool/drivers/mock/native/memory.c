/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device memory as the process sees it: address space, the page state table, and who pays for touched pages.
 *
 * A device address is a host address. Mapped memory costs the host nothing until somebody writes to it: each 64 KiB
 * page is paid for (accelpool_backend_host.touch) before its first write, and reading an unwritten page gives zeros
 * without any page behind it.
 */
#include <string.h>
#include <sys/mman.h>

#include "emu.h"

#define TABLE_BYTES ((size_t)1 << (ADDRESS_BITS - PAGE_SHIFT))

uint8_t *page_state;
struct range *memory_reservations, *memory_blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t charged;

void memory_lock(void) {
    pthread_mutex_lock(&lock);
}

void memory_unlock(void) {
    pthread_mutex_unlock(&lock);
}

CUresult memory_start(void) {
    if (page_state)
        return CUDA_SUCCESS;
    void *table = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table == MAP_FAILED)
        return CUDA_ERROR_OUT_OF_MEMORY;
    madvise(table, TABLE_BYTES, MADV_NOHUGEPAGE);
    page_state = table;
    return CUDA_SUCCESS;
}

static uint8_t state_of(uint64_t address) {
    return __atomic_load_n(&page_state[address >> PAGE_SHIFT], __ATOMIC_RELAXED);
}

bool memory_charge(uint64_t size) {
    memory_lock();
    bool fits = size <= emu_device.total_bytes - charged;
    if (fits)
        charged += size;
    memory_unlock();
    return fits;
}

void memory_discharge(uint64_t size) {
    memory_lock();
    charged -= size;
    memory_unlock();
}

uint64_t memory_free_bytes(void) {
    memory_lock();
    uint64_t left = emu_device.total_bytes - charged;
    memory_unlock();
    return left;
}

uint64_t address_space_take(uint64_t size, uint64_t alignment, uint64_t at) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    if (at) {
        void *fixed = mmap((void *)at, size, PROT_NONE, flags | MAP_FIXED_NOREPLACE, -1, 0); /* NOLINT: an address */
        if (fixed == (void *)at)
            return at;
        if (fixed != MAP_FAILED)
            munmap(fixed, size);
        return 0;
    }
    if (size + alignment < size)
        return 0;
    void *place = mmap(NULL, size + alignment, PROT_NONE, flags, -1, 0);
    if (place == MAP_FAILED)
        return 0;
    uint64_t start = (uint64_t)place, aligned = (start + alignment - 1) & ~(alignment - 1);
    if (aligned > start)
        munmap(place, aligned - start);
    if (aligned - start < alignment)
        munmap((void *)(aligned + size), alignment - (aligned - start));
    return aligned;
}

void pages_open(uint64_t base, uint64_t size, uint8_t state) {
    for (uint64_t page = base >> PAGE_SHIFT; page < (base + size + PAGE_BYTES - 1) >> PAGE_SHIFT; page++)
        __atomic_store_n(&page_state[page], state, __ATOMIC_RELAXED);
}

void pages_close(uint64_t base, uint64_t size) {
    uint64_t committed = 0;
    memory_lock();
    for (uint64_t page = base >> PAGE_SHIFT; page < (base + size + PAGE_BYTES - 1) >> PAGE_SHIFT; page++)
        committed += __atomic_exchange_n(&page_state[page], 0, __ATOMIC_RELAXED) == 2;
    memory_unlock();
    if (committed && emu_host)
        emu_host->untouch(emu_host->opaque, committed << PAGE_SHIFT);
}

/* Whole granules that are paid for in one go may be huge pages: one fault instead of 512. Memory lock held. */
static void prefer_huge_pages(uint64_t first, uint64_t last) {
    const uint64_t pages = GRANULE >> PAGE_SHIFT;
    uint64_t begin = (first + pages - 1) / pages * pages, end = (last + 1) / pages * pages;
    for (uint64_t page = begin; page < end; page++) {
        if (page_state[page] != 1) /* some of it was touched before: leave its granule alone */
            begin = (page / pages + 1) * pages;
        else if ((page + 1) % pages == 0 && begin <= page)
            madvise((void *)((page + 1 - pages) << PAGE_SHIFT), GRANULE, MADV_HUGEPAGE);
    }
}

CUresult memory_commit(uint64_t address, uint64_t size) {
    uint64_t first = address >> PAGE_SHIFT, last = (address + size - 1) >> PAGE_SHIFT, untouched = 0;
    if (!size)
        return CUDA_SUCCESS;
    for (uint64_t page = first; page <= last && !untouched; page++)
        untouched = __atomic_load_n(&page_state[page], __ATOMIC_RELAXED) == 1;
    if (!untouched)
        return CUDA_SUCCESS;
    CUresult status = CUDA_SUCCESS;
    memory_lock();
    untouched = 0;
    for (uint64_t page = first; page <= last; page++)
        untouched += page_state[page] == 1;
    if (untouched && emu_host && emu_host->touch(emu_host->opaque, untouched << PAGE_SHIFT))
        status = CUDA_ERROR_OUT_OF_MEMORY;
    if (status == CUDA_SUCCESS && size >= GRANULE)
        prefer_huge_pages(first, last);
    for (uint64_t page = first; page <= last && status == CUDA_SUCCESS; page++)
        if (page_state[page] == 1)
            __atomic_store_n(&page_state[page], 2, __ATOMIC_RELAXED);
    memory_unlock();
    return status;
}

CUresult memory_write(uint64_t to, const void *from, uint64_t size) {
    TRY(memory_commit(to, size));
    memmove((void *)to, from, size);
    return CUDA_SUCCESS;
}

/* Length of the run at address whose pages are all untouched, or all not. */
static uint64_t run_length(uint64_t address, uint64_t size, bool *untouched) {
    uint64_t length = PAGE_BYTES - (address & (PAGE_BYTES - 1));
    *untouched = state_of(address) == 1;
    while (length < size && (state_of(address + length) == 1) == *untouched)
        length += PAGE_BYTES;
    return length < size ? length : size;
}

CUresult memory_read(void *to, uint64_t from, uint64_t size) {
    uint64_t length;
    bool untouched;
    for (uint64_t done = 0; done < size; done += length) {
        length = run_length(from + done, size - done, &untouched);
        if (untouched)
            memset((uint8_t *)to + done, 0, length);
        else
            memcpy((uint8_t *)to + done, (const void *)(from + done), length);
    }
    return CUDA_SUCCESS;
}

CUresult memory_copy(uint64_t to, uint64_t from, uint64_t size) {
    uint64_t length;
    bool untouched;
    if (to > from && to - from < size) /* overlapping, upwards: in one piece */
        return memory_write(to, (const void *)from, size);
    for (uint64_t done = 0; done < size; done += length) {
        length = run_length(from + done, size - done, &untouched);
        if (untouched)
            TRY(memory_fill(to + done, 0, 1, length));
        else
            TRY(memory_write(to + done, (const void *)(from + done), length));
    }
    return CUDA_SUCCESS;
}

CUresult memory_fill(uint64_t to, uint32_t value, unsigned width, uint64_t count) {
    uint64_t size = count * width, length;
    bool untouched;
    if (!value) { /* untouched pages are zero already */
        for (uint64_t done = 0; done < size; done += length) {
            length = run_length(to + done, size - done, &untouched);
            if (!untouched)
                memset((void *)(to + done), 0, length);
        }
        return CUDA_SUCCESS;
    }
    TRY(memory_commit(to, size));
    if (width == 1)
        memset((void *)to, (int)value, count);
    else if (width == 2)
        for (uint64_t i = 0; i < count; i++)
            ((uint16_t *)to)[i] = (uint16_t)value;
    else
        for (uint64_t i = 0; i < count; i++)
            ((uint32_t *)to)[i] = value;
    return CUDA_SUCCESS;
}

bool memory_covers(uint64_t address, uint64_t size) {
    if (!size)
        return true;
    if (address + size < address || address + size > (uint64_t)1 << ADDRESS_BITS)
        return false;
    memory_lock();
    struct range *range = range_at(memory_blocks, address);
    bool mapped = range && range->kind == RANGE_MAPPED;
    while (range && range->accessible && range->base + range->size - address < size) {
        uint64_t end = range->base + range->size; /* neighbouring mappings are one piece, allocations are not */
        range = mapped ? range_at(memory_blocks, end) : NULL;
        if (range && range->kind != RANGE_MAPPED)
            range = NULL;
        size -= end - address;
        address = end;
    }
    bool covered = range && range->accessible;
    memory_unlock();
    return covered;
}

static enum range_kind kind_at(uint64_t address, uint64_t size) {
    memory_lock();
    struct range *range = range_at(memory_blocks, address);
    enum range_kind kind = range && range->base + range->size - address >= size ? range->kind : RANGE_RESERVED;
    memory_unlock();
    return kind;
}

bool memory_is_device(uint64_t address) {
    enum range_kind kind = kind_at(address, 1);
    return kind == RANGE_MAPPED || kind == RANGE_ALLOCATED;
}

bool memory_is_pinned(const void *pointer, uint64_t size) {
    enum range_kind kind = kind_at((uint64_t)pointer, size);
    return kind == RANGE_HOST || kind == RANGE_REGISTERED;
}

API CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    struct context *context;
    TRY(context_enter(&context));
    if (free_bytes)
        *free_bytes = memory_free_bytes();
    if (total)
        *total = emu_device.total_bytes;
    return CUDA_SUCCESS;
}
