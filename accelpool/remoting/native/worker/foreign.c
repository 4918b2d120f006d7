/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of other sessions at places of this one's range: it is not leased, so no lease touches it, and is charged by itself. */
#include "granules.h"

/* With the lock. */
static int foreign_map(struct memory *m, uint64_t first, uint64_t end,
                       int (*next)(void *opaque, uint64_t index, uint64_t *memory), void *opaque)
{
    const struct vendor_access access = {.location = {.type = 1, .id = vendor.device}, .flags = 3};
    const uint64_t at = m->base + first * vendor.granule;
    uint64_t index = first, memory;
    int status = CU_SUCCESS;

    for (; index < end && !status; index += !status) {
        status = next(opaque, index - first, &memory);
        if (status)
            break;
        status = vendor.map(m->base + index * vendor.granule, vendor.granule, 0, memory, 0);
        vendor.release(memory);
    }
    if (!status)
        status = vendor.set_access(at, (end - first) * vendor.granule, &access, 1);
    if (status) {
        while (index-- > first)
            vendor.unmap(m->base + index * vendor.granule, vendor.granule);
        return status;
    }
    bits_set(m->foreign, first, end, 1);
    bits_set(m->granules, first, end, 1);
    return CU_SUCCESS;
}

int memory_adopt(struct session *s, uint64_t address, uint64_t length, uint64_t ticket,
                 int (*next)(void *opaque, uint64_t index, uint64_t *memory), void *opaque)
{
    struct memory *m = &s->memory;
    int status;

    if (!length || !range_aligned(m, address, length))
        return CU_INVALID_VALUE;
    status = memory_charge(s, length);
    if (status)
        return status;
    const uint64_t first = (address - m->base) / vendor.granule, end = first + length / vendor.granule;
    returns_wait(m, ticket);
    status = granules_run(m, first, end, 0) == end ? foreign_map(m, first, end, next, opaque) : CU_INVALID_VALUE;
    pthread_mutex_unlock(&m->lock);
    if (status)
        memory_discharge(s, length);
    return status;
}

int memory_is_foreign(struct session *s, uint64_t address, uint64_t length)
{
    const struct memory *m = &s->memory;
    int foreign = 0;

    if (!length || !range_inside(m, address, length))
        return 0;
    for (uint64_t i = (address - m->base) / vendor.granule; i <= (address - m->base + length - 1) / vendor.granule; i++)
        foreign |= bit_is_set(m->foreign, i);
    return foreign;
}

int memory_abandon(struct session *s, uint64_t address, uint64_t length)
{
    struct memory *m = &s->memory;
    int status = CU_SUCCESS;

    if (!length || !range_aligned(m, address, length))
        return CU_INVALID_VALUE;
    if (!session_idle())
        status = vendor.context_sync();
    const uint64_t first = (address - m->base) / vendor.granule, end = first + length / vendor.granule;
    pthread_mutex_lock(&m->lock);
    uint64_t at = first;
    while (at < end && bit_is_set(m->foreign, at))
        at++;
    if (at < end) {
        pthread_mutex_unlock(&m->lock);
        return CU_INVALID_VALUE;
    }
    pthread_rwlock_wrlock(&m->mapping);
    bits_set(m->granules, first, end, 0);
    bits_set(m->foreign, first, end, 0);
    for (at = first; at < end; at++)
        vendor.unmap(m->base + at * vendor.granule, vendor.granule);
    pthread_rwlock_unlock(&m->mapping);
    pthread_mutex_unlock(&m->lock);
    memory_discharge(s, length);
    return status;
}
