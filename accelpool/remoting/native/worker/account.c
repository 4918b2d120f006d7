/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the slice's ledger (the agent's) is charged for this session: leases, what the vendor allocates by itself, and what
 * is mapped beyond the leases, as where a program has freed pieces of granules. The first ACCOUNT_ROUNDING of that are part of
 * what the device is charged beside the slice.
 */
#include "state.h"

#define ACCOUNT_ROUNDING (UINT64_C(64) << 20)

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
