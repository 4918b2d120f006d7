/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that the quick check in generated code did not settle: windows, first stores, faults. */
#include "kernel_exec.h"

static bool window(uint64_t address, uint32_t size, uint64_t base, uint32_t limit, uint64_t *offset)
{
    if (address < base || address >= base + KERNEL_WINDOW)
        return false;
    *offset = address - base;
    return *offset + size <= limit;
}

uint8_t *kernel_access_service(struct kernel_thread *thread, uint64_t address, uint32_t size, uint32_t write)
{
    uint64_t offset;
    if (address & (size - 1u))
        kernel_raise(thread, KERNEL_MISALIGNED_ADDRESS, address);
    if (window(address, size, KERNEL_SHARED, thread->shared_bytes, &offset))
        return thread->shared + offset;
    if (window(address, size, KERNEL_LOCAL, thread->local_bytes, &offset))
        return thread->local + offset;
    if (!write && window(address, size, KERNEL_PARAM, thread->param_bytes, &offset))
        return (uint8_t *)(uintptr_t)(thread->params + offset);
    if (address >> KERNEL_ADDRESS_BITS)
        kernel_raise(thread, KERNEL_ILLEGAL_ADDRESS, address);
    uint64_t page = address >> KERNEL_PAGE_SHIFT;
    uint8_t state = __atomic_load_n(&thread->pages[page], __ATOMIC_RELAXED);
    if (state == KERNEL_PAGE_NONE)
        kernel_raise(thread, KERNEL_ILLEGAL_ADDRESS, address);
    if (write && state != KERNEL_PAGE_COMMITTED) {
        const struct kernel_launch *launch = &kernel_fiber(thread)->block->run->launch;
        int error = launch->commit ? launch->commit(launch->opaque, page) : KERNEL_ILLEGAL_ADDRESS;
        if (error)
            kernel_raise(thread, error, address);
    }
    return (uint8_t *)(uintptr_t)address;
}
