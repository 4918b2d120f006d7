/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the slice's ledger (the agent's) is charged for this session: leases, what the vendor allocates by itself, and what
 * is mapped beyond the leases, as where a program has freed pieces of granules. The first ACCOUNT_ROUNDING of that, and the
 * first ACCOUNT_TAKEN of what the vendor takes for code and the like, are part of what the device is charged beside the slice.
 */
#include "state.h"

#define ACCOUNT_ROUNDING (UINT64_C(64) << 20)
#define ACCOUNT_TAKEN (UINT64_C(32) << 20)

/* --- ledger ------------------------------------------------------------------------------------------------------ */

uint64_t ledger_reserve(struct session *s, uint64_t need, uint64_t extra)
{
    const struct control_packet question = {.type = CONTROL_RESERVE, .a = need, .b = extra};
    struct control_packet answer;

    return agent_ask(s, &question, NULL, &answer, NULL) || answer.a < need ? 0 : answer.a;
}

void ledger_release(struct session *s, uint64_t bytes)
{
    if (bytes)
        agent_tell(s, CONTROL_RELEASE, bytes, 0, 0);
}

int memory_charge(struct session *s, uint64_t bytes)
{
    if (bytes > s->params->memory_limit || (bytes && !ledger_reserve(s, bytes, 0)))
        return CU_OUT_OF_MEMORY;
    atomic_fetch_add(&s->memory.charged, bytes);
    return CU_SUCCESS;
}

void memory_discharge(struct session *s, uint64_t bytes)
{
    atomic_fetch_sub(&s->memory.charged, bytes);
    ledger_release(s, bytes);
}

/* --- what is mapped is paid for ---------------------------------------------------------------------------------- */

/* With the account's lock: what the slice owes for it. */
static uint64_t account_due(const struct memory *m, uint64_t leased)
{
    const uint64_t covered = leased + ACCOUNT_ROUNDING;

    return m->mapped > covered ? m->mapped - covered : 0;
}

int account_map(struct session *s, uint64_t bytes, uint64_t leased)
{
    struct memory *m = &s->memory;
    uint64_t due, missing;

    pthread_mutex_lock(&m->account);
    m->mapped += bytes; /* from now on returns know of it */
    due = account_due(m, leased);
    missing = due > m->rounding ? due - m->rounding : 0;
    pthread_mutex_unlock(&m->account);
    const int poor = missing && !ledger_reserve(s, missing, 0);
    pthread_mutex_lock(&m->account);
    if (poor)
        m->mapped -= bytes;
    else
        m->rounding += missing;
    pthread_mutex_unlock(&m->account);
    return poor ? -1 : 0;
}

void account_unmap(struct memory *m, uint64_t bytes)
{
    pthread_mutex_lock(&m->account);
    m->mapped -= bytes;
    pthread_mutex_unlock(&m->account);
}

uint64_t account_free(struct memory *m, uint64_t bytes)
{
    uint64_t back = bytes;

    pthread_mutex_lock(&m->account);
    const uint64_t due = account_due(m, atomic_load(&m->leased));
    if (due > m->rounding) {
        const uint64_t kept = due - m->rounding < bytes ? due - m->rounding : bytes;

        m->rounding += kept;
        back -= kept;
    } else {
        back += m->rounding - due;
        m->rounding = due;
    }
    pthread_mutex_unlock(&m->account);
    return back;
}

/* --- what the vendor takes is paid for --------------------------------------------------------------------------- */

static uint64_t taken_due(const struct memory *m)
{
    return m->taken > ACCOUNT_TAKEN ? m->taken - ACCOUNT_TAKEN : 0;
}

/* What was paid and is not due any more. */
static void taken_settle(struct session *s)
{
    struct memory *m = &s->memory;

    pthread_mutex_lock(&m->account);
    const uint64_t due = taken_due(m), back = m->taken_paid > due ? m->taken_paid - due : 0;
    m->taken_paid -= back;
    pthread_mutex_unlock(&m->account);
    ledger_release(s, back);
}

int account_take(struct session *s, uint64_t bytes)
{
    struct memory *m = &s->memory;
    uint64_t due, missing;

    if (bytes > s->params->memory_limit + ACCOUNT_TAKEN)
        return CU_OUT_OF_MEMORY;
    pthread_mutex_lock(&m->account);
    m->taken += bytes;
    due = taken_due(m);
    missing = due > m->taken_paid ? due - m->taken_paid : 0;
    pthread_mutex_unlock(&m->account);
    const int poor = missing && !ledger_reserve(s, missing, 0);
    pthread_mutex_lock(&m->account);
    if (poor)
        m->taken -= bytes;
    else
        m->taken_paid += missing;
    pthread_mutex_unlock(&m->account);
    taken_settle(s); /* another thread may have paid the same */
    return poor ? CU_OUT_OF_MEMORY : CU_SUCCESS;
}

void account_give(struct session *s, uint64_t bytes)
{
    pthread_mutex_lock(&s->memory.account);
    s->memory.taken -= bytes;
    pthread_mutex_unlock(&s->memory.account);
    taken_settle(s);
}
