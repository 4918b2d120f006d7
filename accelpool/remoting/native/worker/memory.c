/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device memory of the session. The client chooses addresses inside one range that both sides have reserved; a lease is
 * bytes from the slice's ledger (the agent's) plus granules that are mapped before the answer goes out, so that an
 * allocation inside it cannot fail later. The client is not trusted with either: what it may touch is what the bitmap
 * says is mapped, and what is mapped is paid for from the ledger (account.c).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "granules.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define MEMORY_TRIES 8u              /* RANGE frames of one session */
#define MEMORY_ADDRESS_MAX (UINT64_C(1) << 47)
#define MEMORY_RANGE_MAX (2048 * GIB)
#define MEMORY_STREAM_FLAGS 1u       /* CU_STREAM_NON_BLOCKING */
/*
 * Bytes of a lease from which on the granules inside are mapped together, for a vendor takes as long for a small mapping as for
 * a large one (for 2 GiB in granules about a hundred times as long as in one piece: GMLake, ASPLOS 2024). They belong to one
 * allocation of more than a client keeps (KEEP_MAX in client/heap.c), so it gives them back together.
 */
#define MEMORY_TOGETHER (24 * MIB)

/* Frames of this file with what the main thread noted when they came. */
struct memory_job {
    union {
        struct wire_lease lease;
        struct wire_lease_return back;
    };
    uint64_t ticket; /* LEASE_RETURN frames that came before */
};

uint64_t memory_range_size(uint64_t limit)
{
    uint64_t size = WIRE_RANGE_MIN;

    while (size < MEMORY_RANGE_MAX && size / 4 < limit)
        size *= 2; /* room for fragmentation of addresses, which cost nothing */
    return size;
}

int memory_open(struct session *s)
{
    struct memory *m = &s->memory;

    return pthread_mutex_init(&m->lock, NULL) || pthread_mutex_init(&m->account, NULL) ||
                   pthread_cond_init(&m->returned, NULL) || pthread_rwlock_init(&m->mapping, NULL)
               ? -1
               : 0;
}

void memory_close(struct session *s)
{
    free((void *)s->memory.granules);
    free((void *)s->memory.foreign);
    free((void *)s->memory.joined);
    s->memory.granules = s->memory.foreign = s->memory.joined = NULL;
    s->memory.size = 0;
}

/* --- what is mapped ---------------------------------------------------------------------------------------------- */

int bit_is_set(const _Atomic uint64_t *bits, uint64_t index)
{
    return (int)(atomic_load_explicit(&bits[index / 64], memory_order_relaxed) >> (index % 64) & 1);
}

void bits_set(_Atomic uint64_t *bits, uint64_t first, uint64_t end, int value)
{
    for (uint64_t i = first; i < end; i++)
        if (value)
            atomic_fetch_or_explicit(&bits[i / 64], UINT64_C(1) << (i % 64), memory_order_relaxed);
        else
            atomic_fetch_and_explicit(&bits[i / 64], ~(UINT64_C(1) << (i % 64)), memory_order_relaxed);
}

uint64_t granules_run(const struct memory *m, uint64_t at, uint64_t end, int mapped)
{
    const uint64_t same = mapped ? UINT64_MAX : 0;

    while (at < end) {
        if (at % 64 == 0 && end - at >= 64 &&
            atomic_load_explicit(&m->granules[at / 64], memory_order_relaxed) == same) {
            at += 64;
            continue;
        }
        if (bit_is_set(m->granules, at) != mapped)
            break;
        at++;
    }
    return at;
}

int range_inside(const struct memory *m, uint64_t address, uint64_t length)
{
    return length == 0 || (m->size && address >= m->base && length <= m->size && address - m->base <= m->size - length);
}

int memory_contains(struct session *s, uint64_t address, uint64_t length)
{
    const struct memory *m = &s->memory;
    uint64_t first, end;

    if (length == 0)
        return 1;
    if (!range_inside(m, address, length))
        return module_contains(s, address, length);
    first = (address - m->base) / vendor.granule;
    end = (address - m->base + length - 1) / vendor.granule + 1;
    return granules_run(m, first, end, 1) == end;
}

void *memory_use(struct session *s, uint64_t address, uint64_t length, int write)
{
    void *host = NULL;

    if (!vendor.access)
        return NULL;
    pthread_rwlock_rdlock(&s->memory.mapping);
    if (memory_contains(s, address, length))
        host = vendor.access(address, length, write);
    if (!host)
        pthread_rwlock_unlock(&s->memory.mapping);
    return host;
}

void memory_done(struct session *s)
{
    pthread_rwlock_unlock(&s->memory.mapping);
}

/* --- RANGE, BARRIER ---------------------------------------------------------------------------------------------- */

/* The usual size, or a half, a quarter ... of it. */
static int size_is_ours(uint64_t size, uint64_t limit)
{
    uint64_t usual = memory_range_size(limit);

    while (usual > size)
        usual /= 2;
    return size == usual && size >= WIRE_RANGE_MIN && size >= limit;
}

static int range_is_possible(uint64_t base, uint64_t size)
{
    return base && base % vendor.granule == 0 && base < MEMORY_ADDRESS_MAX && size <= MEMORY_ADDRESS_MAX - base;
}

/* The address may be a hint to the vendor's library, which a client's range cannot be. */
static int range_reserve(struct session *s, const struct wire_range *range, uint64_t *address)
{
    int status = vendor.reserve(address, range->size, 0, range->base, 0);

    if (!status && (*address == range->base ||
                    ((vendor.chooses_range || !range->base) && range_is_possible(*address, range->size))))
        return CU_SUCCESS;
    fprintf(stderr,
            "accelpool-worker[%d] slice %s: the vendor's library reserves no %" PRIu64 " GiB of addresses at 0x%" PRIx64
            ": code %d, at 0x%" PRIx64 "\n",
            (int)getpid(), s->params->slice, range->size / GIB, range->base, status, *address);
    if (status)
        return status;
    vendor.unreserve(*address, range->size);
    return CU_OUT_OF_MEMORY;
}

void memory_range(struct session *s, const struct call *call)
{
    struct memory *m = &s->memory;
    struct wire_range range;
    uint64_t address = 0;
    int status;

    if (call->length != sizeof range || m->size || ++m->tries > MEMORY_TRIES) {
        session_end(s, "RANGE: malformed, repeated or tried too often");
        return;
    }
    memcpy(&range, call->payload, sizeof range);
    if (!size_is_ours(range.size, s->params->memory_limit) || (range.base && !range_is_possible(range.base, range.size))) {
        call_status(s, call, CU_INVALID_VALUE);
        return;
    }
    status = range_reserve(s, &range, &address);
    if (!status) {
        m->granules = calloc(range.size / vendor.granule / 64 + 1, sizeof *m->granules);
        m->foreign = calloc(range.size / vendor.granule / 64 + 1, sizeof *m->foreign);
        m->joined = calloc(range.size / vendor.granule / 64 + 1, sizeof *m->joined);
        if (!m->granules || !m->foreign || !m->joined) {
            memory_close(s);
            vendor.unreserve(address, range.size);
            status = CU_OUT_OF_MEMORY;
        }
    }
    if (!status) {
        m->base = address;
        m->size = range.size;
    }
    call_reply(s, call, status, &m->base, sizeof m->base);
}

void memory_barrier(struct session *s, const struct call *call)
{
    call_status(s, call, session_idle() ? CU_SUCCESS : vendor.context_sync());
}

/* --- LEASE, LEASE_RETURN, MEMINFO -------------------------------------------------------------------------------- */

/* With the lock. A backend of ours hands out zeros; a vendor's library may hand out what another tenant left there. */
static int granules_clear(struct session *s, uint64_t address, uint64_t length)
{
    struct memory *m = &s->memory;
    int status = CU_SUCCESS;

    if (vendor.attach)
        return CU_SUCCESS;
    if (!vendor.memset || !vendor.stream_create)
        return CU_NOT_SUPPORTED;
    if (!m->clearing) /* a stream that waits for none of the session's kernels */
        status = vendor.stream_create(&m->clearing, MEMORY_STREAM_FLAGS);
    if (status)
        return status;
    if (meter_begin(s, m->clearing)) /* who only allocates and frees takes the device's time, too */
        return CU_SYSTEM_FAILURE;
    status = vendor.memset(address, 0, length, m->clearing);
    meter_end(s);
    return status ? status : vendor.stream_sync(m->clearing);
}

/* With the lock: the end of the mapping that a granule is part of. */
static uint64_t mapping_end(const struct memory *m, uint64_t at)
{
    do
        at++;
    while (bit_is_set(m->joined, at));
    return at;
}

/* With the lock: takes the mappings from `at` to `end` away. */
static void mappings_remove(struct memory *m, uint64_t at, uint64_t end)
{
    for (uint64_t next; at < end; at = next) {
        next = mapping_end(m, at);
        vendor.unmap(m->base + at * vendor.granule, (next - at) * vendor.granule);
        bits_set(m->joined, at, next, 0);
    }
}

/* With the lock: one mapping. Nothing stays after a failure. */
static int mapping_make(struct memory *m, uint64_t at, uint64_t end)
{
    const struct vendor_allocation_prop prop = {.type = 1, .location = {.type = 1, .id = vendor.device}};
    const uint64_t bytes = (end - at) * vendor.granule;
    uint64_t memory = 0;
    int status = vendor.create(&memory, bytes, &prop, 0);

    if (status)
        return status;
    status = vendor.map(m->base + at * vendor.granule, bytes, 0, memory, 0);
    vendor.release(memory); /* lives on as long as it is mapped */
    if (!status)
        bits_set(m->joined, at + 1, end, 1);
    return status;
}

/*
 * With the lock: maps the granules [first, end), none of which is mapped; nothing stays mapped after a failure. Those at the
 * ends may hold more than one allocation, so each is a mapping of its own, and so are all of them where `together` is 0.
 */
static int granules_map(struct session *s, uint64_t first, uint64_t end, int together)
{
    struct memory *m = &s->memory;
    const struct vendor_access access = {.location = {.type = 1, .id = vendor.device}, .flags = 3};
    const uint64_t at = m->base + first * vendor.granule;
    const uint64_t most = vendor.mapping / vendor.granule;
    uint64_t index = first, next;
    int status = CU_SUCCESS;

    while (index < end && !status) {
        next = index + 1;
        if (together && index > first && next < end)
            next = end - 1 - index < most ? end - 1 : index + most;
        status = mapping_make(m, index, next);
        if (!status)
            index = next;
    }
    if (!status)
        status = vendor.set_access(at, (end - first) * vendor.granule, &access, 1);
    if (!status)
        status = granules_clear(s, at, (end - first) * vendor.granule);
    if (status)
        mappings_remove(m, first, index);
    else
        bits_set(m->granules, first, end, 1);
    return status;
}

/*
 * With the lock; the range is granule-aligned and inside. What is another session's was never leased: it stays, and so does
 * a mapping of which the range is only a part: the session goes on paying for it.
 */
static void granules_unmap(struct memory *m, uint64_t address, uint64_t length)
{
    uint64_t at = (address - m->base) / vendor.granule, end = at + length / vendor.granule, bytes = 0;

    for (uint64_t next; (at = granules_run(m, at, end, 0)) < end; at = next) {
        next = mapping_end(m, at);
        if (bit_is_set(m->foreign, at) || bit_is_set(m->joined, at) || next > end)
            continue;
        bits_set(m->granules, at, next, 0);
        mappings_remove(m, at, next);
        bytes += (next - at) * vendor.granule;
    }
    account_unmap(m, bytes);
}

/* With the lock: maps what is not mapped of [address, address + length); leased includes what this lease was granted. */
static int lease_map(struct session *s, uint64_t address, uint64_t length, uint64_t leased)
{
    struct memory *m = &s->memory;
    const uint64_t first = (address - m->base) / vendor.granule, end = first + length / vendor.granule;
    uint64_t missing = 0, mapped = 0, at, run;
    int status = CU_SUCCESS;

    for (at = first; (at = granules_run(m, at, end, 1)) < end; at = run) {
        run = granules_run(m, at, end, 0);
        missing += run - at;
    }
    if (missing && account_map(s, missing * vendor.granule, leased)) /* no overflow: the range is smaller than 2^47 */
        return CU_OUT_OF_MEMORY;
    for (at = first; !status && (at = granules_run(m, at, end, 1)) < end; at = run) {
        run = granules_run(m, at, end, 0);
        status = granules_map(s, at, run, run - at == end - first && length >= MEMORY_TOGETHER);
        /* What this lease mapped before the failure stays mapped: it is paid for and the client may ask again. */
        mapped += status ? 0 : run - at;
    }
    account_unmap(m, (missing - mapped) * vendor.granule);
    return status;
}

int range_aligned(const struct memory *m, uint64_t address, uint64_t length)
{
    return length == 0 || (range_inside(m, address, length) && (address - m->base) % vendor.granule == 0 &&
                           length % vendor.granule == 0);
}

void returns_wait(struct memory *m, uint64_t ticket)
{
    pthread_mutex_lock(&m->lock);
    while (m->returns_done < ticket)
        pthread_cond_wait(&m->returned, &m->lock);
}

static void lease_job(struct session *s, const struct call *call)
{
    struct memory *m = &s->memory;
    struct memory_job job;
    uint64_t granted = 0;
    int status = CU_SUCCESS;

    memcpy(&job, call->payload, sizeof job);
    const struct wire_lease *lease = &job.lease;
    returns_wait(m, job.ticket); /* the ledger and the granules have what the client gave back before */
    pthread_mutex_unlock(&m->lock);
    if (lease->need) {
        granted = ledger_reserve(s, lease->need, lease->extra);
        if (granted < lease->need)
            status = CU_OUT_OF_MEMORY;
    }
    if (!status && lease->length) {
        pthread_mutex_lock(&m->lock);
        status = lease_map(s, lease->address, lease->length, atomic_load(&m->leased) + granted);
        pthread_mutex_unlock(&m->lock);
    }
    if (status) {
        ledger_release(s, granted);
        granted = 0;
    }
    atomic_fetch_add(&m->leased, granted);
    ledger_release(s, account_free(m, 0));
    const uint64_t body[3] = {granted, status ? 0 : lease->address, status ? 0 : lease->length};
    call_reply(s, call, status, body, sizeof body);
}

static void memory_submit(struct session *s, const struct call *call, struct memory_job *job, call_handler handler)
{
    struct call copy = *call;

    job->ticket = s->memory.returns_seen;
    copy.payload = (const uint8_t *)job;
    copy.length = sizeof *job;
    side_submit(s, &copy, handler);
}

void memory_lease(struct session *s, const struct call *call)
{
    struct memory_job job = {0};

    if (call->length != sizeof job.lease || !(call->flags & WIRE_WANT_REPLY)) {
        session_end(s, "LEASE: malformed");
        return;
    }
    memcpy(&job.lease, call->payload, sizeof job.lease);
    if (!range_aligned(&s->memory, job.lease.address, job.lease.length))
        call_status(s, call, CU_INVALID_VALUE);
    else if (job.lease.need > s->params->memory_limit)
        call_status(s, call, CU_OUT_OF_MEMORY);
    else
        memory_submit(s, call, &job, lease_job);
}

static void return_job(struct session *s, const struct call *call)
{
    struct memory *m = &s->memory;
    struct memory_job job;

    memcpy(&job, call->payload, sizeof job);
    if (!session_idle()) {
        int status = vendor.context_sync();

        if (status)
            send_deferred(s, status);
    }
    returns_wait(m, job.ticket);
    pthread_rwlock_wrlock(&m->mapping);
    granules_unmap(m, job.back.address, job.back.length);
    pthread_rwlock_unlock(&m->mapping);
    ledger_release(s, account_free(m, job.back.bytes));
    m->returns_done++;
    pthread_cond_broadcast(&m->returned);
    pthread_mutex_unlock(&m->lock);
}

void memory_lease_return(struct session *s, const struct call *call)
{
    struct memory_job job = {0};

    if (call->length != sizeof job.back || call->flags) {
        session_end(s, "LEASE_RETURN: malformed");
        return;
    }
    memcpy(&job.back, call->payload, sizeof job.back);
    if (!range_aligned(&s->memory, job.back.address, job.back.length) ||
        job.back.bytes > atomic_load(&s->memory.leased)) { /* only this thread makes it smaller */
        session_end(s, "LEASE_RETURN: not leased");
        return;
    }
    atomic_fetch_sub(&s->memory.leased, job.back.bytes);
    if (job.back.length == 0) { /* at once: another session's allocation may be waiting for it */
        /* Not one that crossed the recall on its way: the agent would take it for all that there is. */
        const int answer = job.back.recall && job.back.recall == atomic_load(&s->memory.recalls);

        const uint64_t back = account_free(&s->memory, job.back.bytes);

        if (back || answer)
            agent_tell(s, CONTROL_RELEASE, back, (uint64_t)answer, 0);
        return;
    }
    memory_submit(s, call, &job, return_job);
    s->memory.returns_seen++;
}

static void info_job(struct session *s, const struct call *call)
{
    const struct control_packet question = {.type = CONTROL_MEMINFO};
    struct control_packet answer;
    struct memory_job job;

    memcpy(&job, call->payload, sizeof job);
    returns_wait(&s->memory, job.ticket);
    pthread_mutex_unlock(&s->memory.lock);
    if (agent_ask(s, &question, NULL, &answer, NULL)) {
        call_status(s, call, CU_SYSTEM_FAILURE);
        return;
    }
    const uint64_t body[2] = {answer.a, answer.b};
    call_reply(s, call, CU_SUCCESS, body, sizeof body);
}

void memory_info(struct session *s, const struct call *call)
{
    struct memory_job job = {0};

    if (call->length != 0 || !(call->flags & WIRE_WANT_REPLY)) {
        session_end(s, "MEMINFO: malformed");
        return;
    }
    memory_submit(s, call, &job, info_job);
}
