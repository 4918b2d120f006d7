/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that the driver takes for the session's kernels by itself: local memory of every thread that the device can hold at
 * the same time, and what cuCtxSetLimit() sets aside. What the context starts with is charged to the device; whatever comes on
 * top of it is the slice's. Kernels that need more local memory than is there get it at their launch and it stays, so they are
 * paid for when they are loaded.
 */
#include "cuda_worker.h"
#include "modules.h"
#include "ranges.h"

#define ATTRIBUTE_MULTIPROCESSORS 16 /* CUdevice_attribute */
#define ATTRIBUTE_THREADS_PER_MULTIPROCESSOR 39
#define MIB (UINT64_C(1) << 20)

enum { LIMIT_STACK, LIMIT_PRINTF, LIMIT_HEAP, LIMIT_SYNC_DEPTH, LIMIT_PENDING_LAUNCHES }; /* CUlimit */

struct limit_job {
    int32_t limit;
    uint64_t value;
};

static uint64_t device_attribute(int attribute)
{
    int value = 0;

    return vendor.device_attribute && !vendor.device_attribute(&value, attribute, vendor.device) && value > 0 ? (uint64_t)value
                                                                                                             : 1;
}

/* Bytes of device memory for one of what the limit counts. */
static uint64_t unit(int limit)
{
    switch (limit) {
    case LIMIT_STACK:
        return device_attribute(ATTRIBUTE_MULTIPROCESSORS) * device_attribute(ATTRIBUTE_THREADS_PER_MULTIPROCESSOR);
    case LIMIT_SYNC_DEPTH:
        return 150 * MIB; /* the state of a device that is full of waiting blocks, as the programming guide has it */
    case LIMIT_PENDING_LAUNCHES:
        return 8192; /* more than a launch and its parameters take */
    default:
        return 1;
    }
}

/* With the lock: pays for `value` instead of what the limit was paid for. */
static int pay(struct session *s, int limit, uint64_t value)
{
    struct limit *l = &s->modules->limits[limit];
    const uint64_t due = value > l->initial ? span(value - l->initial, unit(limit)) : 0;

    if (due > l->paid && account_take(s, due - l->paid))
        return CU_OUT_OF_MEMORY;
    if (due < l->paid)
        account_give(s, l->paid - due);
    l->paid = due;
    return CU_SUCCESS;
}

/* With the lock: what holds now; before the first change that is what the context started with. */
static int current(struct session *s, int limit, uint64_t *value)
{
    struct limit *l = &s->modules->limits[limit];
    size_t now = 0;
    int status = vendor.limit_get ? vendor.limit_get(&now, limit) : CU_NOT_SUPPORTED;

    if (!status && !l->known) {
        l->known = 1;
        l->initial = now;
    }
    *value = now;
    return status;
}

/* Bytes that a thread of some loaded kernel needs. */
static uint64_t local_needed(struct session *s)
{
    uint64_t most = 0;

    pthread_mutex_lock(&s->modules->lock);
    for (const struct module *module = s->modules->loaded; module; module = module->next)
        most = module->local > most ? module->local : most;
    pthread_mutex_unlock(&s->modules->lock);
    return most;
}

static uint64_t needed(struct session *s, int limit, uint64_t value)
{
    const uint64_t local = limit == LIMIT_STACK ? local_needed(s) : 0;

    return local > value ? local : value;
}

/* With the lock. Paid for before the driver takes it; what it gives back is given back after. */
static int change(struct session *s, int limit, uint64_t value)
{
    struct limit *l = &s->modules->limits[limit];
    uint64_t before = 0, now = 0;
    int status = current(s, limit, &before);
    const uint64_t paid = l->paid;

    if (!status && value > before)
        status = pay(s, limit, needed(s, limit, value));
    if (status)
        return status;
    status = vendor.limit_set(limit, value);
    if (!status) {
        status = current(s, limit, &now);
        if (!status)
            status = pay(s, limit, needed(s, limit, now)); /* the driver may have rounded it */
        if (!status)
            return CU_SUCCESS;
        vendor.limit_set(limit, before);
    }
    if (l->paid > paid) {
        account_give(s, l->paid - paid);
        l->paid = paid;
    }
    return status;
}

static void limit_job(struct session *s, const struct call *call)
{
    struct limit_job job;
    int status;

    memcpy(&job, call->payload, sizeof job);
    pthread_mutex_lock(&s->modules->limits_lock);
    status = change(s, job.limit, job.value);
    pthread_mutex_unlock(&s->modules->limits_lock);
    call_status(s, call, status);
}

void worker_cuCtxSetLimit(struct session *s, const struct call *call)
{
    struct decoder d = decoder_of(call);
    struct call copy = *call;
    struct limit_job job = {.limit = dec_i32(&d)};

    job.value = dec_u64(&d);
    if (dec_done(&d)) {
        session_end(s, "cuCtxSetLimit: malformed");
        return;
    }
    if (!vendor.limit_set) {
        call_status(s, call, CU_NOT_SUPPORTED);
    } else if (job.limit < 0 || job.limit >= MODULE_LIMITS) {
        call_status(s, call, vendor.limit_set(job.limit, job.value));
    } else {
        copy.payload = (const uint8_t *)&job;
        copy.length = sizeof job;
        side_submit(s, &copy, limit_job); /* it may wait for the device, and for the agent */
    }
}

int limits_kernel(struct session *s, struct module *module, uint64_t local)
{
    const struct limit *l = &s->modules->limits[LIMIT_STACK];
    uint64_t stack;
    int status = CU_SUCCESS;

    if (local && !current(s, LIMIT_STACK, &stack) && local > l->initial + l->paid / unit(LIMIT_STACK))
        status = pay(s, LIMIT_STACK, local);
    if (!status && local > module->local)
        module->local = local;
    return status;
}

int limits_loaded(struct session *s, struct module *module)
{
    int status;

    pthread_mutex_lock(&s->modules->limits_lock);
    status = limits_kernel(s, module, module->local);
    if (!status) {
        pthread_mutex_lock(&s->modules->lock);
        module->next = s->modules->loaded;
        s->modules->loaded = module;
        pthread_mutex_unlock(&s->modules->lock);
    }
    pthread_mutex_unlock(&s->modules->limits_lock);
    return status;
}
