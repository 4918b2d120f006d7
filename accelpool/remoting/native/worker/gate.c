/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session's side of the compute arbiter. The backend asks before it runs a queue segment and reports what the
 * segment used. A grant is kept until the agent revokes it, so a lone tenant never waits and sends no packet per launch.
 */
#include <string.h>
#include <time.h>

#include "state.h"

#define GATE_REPORT_NS UINT64_C(100000000) /* USAGE at most this often */

static uint64_t gate_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

int gate_open(struct session *s)
{
    memset(&s->gate, 0, sizeof s->gate);
    s->gate.idle = 1;
    s->gate.reported = gate_now();
    return pthread_mutex_init(&s->gate.lock, NULL) || pthread_cond_init(&s->gate.changed, NULL) ? -1 : 0;
}

/* With the lock held. */
static void gate_yield(struct session *s, int more)
{
    struct gate *gate = &s->gate;
    uint64_t used = gate->used;

    gate->granted = gate->revoked = 0;
    gate->budget = 0;
    gate->used = 0;
    agent_tell(s, CONTROL_YIELD, used, (uint64_t)more, 0);
}

/* With the lock held. */
static void gate_report(struct session *s)
{
    struct gate *gate = &s->gate;

    gate->reported = gate_now();
    agent_tell(s, CONTROL_USAGE, gate->used, atomic_load(&s->memory.leased) + atomic_load(&s->memory.charged),
               atomic_exchange(&gate->launches, 0));
    gate->used = 0;
}

int gate_enter(struct session *s)
{
    struct gate *gate = &s->gate;
    int ended;

    pthread_mutex_lock(&gate->lock);
    gate->idle = 0;
    if (gate->granted && gate->revoked && gate->budget <= 0)
        gate_yield(s, 1);
    while (!gate->granted && !gate->ended) {
        if (!gate->wanted) {
            gate->wanted = 1;
            agent_tell(s, CONTROL_WANT, 0, 0, 0);
        }
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    ended = gate->ended;
    pthread_mutex_unlock(&gate->lock);
    return ended ? -1 : 0;
}

int gate_granted(struct session *s)
{
    struct gate *gate = &s->gate;
    int granted;

    pthread_mutex_lock(&gate->lock);
    gate->idle = 0;
    granted = gate->granted && !gate->ended && !(gate->revoked && gate->budget <= 0);
    pthread_mutex_unlock(&gate->lock);
    return granted;
}

/* With the lock held. */
static void gate_count(struct gate *gate, uint64_t used)
{
    gate->used += used;
    gate->budget -= used > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)used;
    if (gate->budget < INT64_MIN / 4)
        gate->budget = INT64_MIN / 4;
}

void gate_used(struct session *s, uint64_t used)
{
    pthread_mutex_lock(&s->gate.lock);
    gate_count(&s->gate, used);
    if (gate_now() - s->gate.reported >= GATE_REPORT_NS)
        gate_report(s);
    pthread_mutex_unlock(&s->gate.lock);
}

void gate_empty(struct session *s, int more)
{
    struct gate *gate = &s->gate;

    pthread_mutex_lock(&gate->lock);
    gate->idle = !more;
    if (gate->granted && gate->revoked && (!more || gate->budget <= 0))
        gate_yield(s, more);
    pthread_mutex_unlock(&gate->lock);
}

uint64_t hook_gate_enter(void *opaque)
{
    struct session *s = opaque;
    struct gate *gate = &s->gate;
    uint64_t budget;

    pthread_mutex_lock(&gate->lock);
    gate->idle = 0;
    if (gate->granted && gate->revoked && gate->budget <= 0)
        gate_yield(s, 1);
    while (!gate->granted || gate->ended) { /* ended: the process is about to exit and runs nothing more */
        if (!gate->wanted && !gate->ended) {
            gate->wanted = 1;
            agent_tell(s, CONTROL_WANT, 0, 0, 0);
        }
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    budget = gate->budget > 0 ? (uint64_t)gate->budget : 1;
    pthread_mutex_unlock(&gate->lock);
    return budget;
}

int hook_gate_charge(void *opaque, uint64_t used)
{
    struct session *s = opaque;
    struct gate *gate = &s->gate;
    int keep;

    pthread_mutex_lock(&gate->lock);
    gate_count(gate, used);
    if (gate->granted && gate->revoked && gate->budget <= 0)
        gate_yield(s, 1);
    else if (gate_now() - gate->reported >= GATE_REPORT_NS)
        gate_report(s);
    keep = gate->granted && !gate->ended;
    pthread_mutex_unlock(&gate->lock);
    return keep;
}

void hook_gate_idle(void *opaque)
{
    struct session *s = opaque;
    struct gate *gate = &s->gate;

    pthread_mutex_lock(&gate->lock);
    gate->idle = 1;
    if (gate->granted && gate->revoked)
        gate_yield(s, 0);
    pthread_mutex_unlock(&gate->lock);
}

void gate_grant(struct session *s, uint64_t budget)
{
    struct gate *gate = &s->gate;

    pthread_mutex_lock(&gate->lock);
    gate->granted = 1;
    gate->revoked = gate->wanted = 0;
    gate->budget = budget > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)budget;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

void gate_revoke(struct session *s)
{
    struct gate *gate = &s->gate;

    pthread_mutex_lock(&gate->lock);
    if (gate->granted) {
        gate->revoked = 1;
        if (gate->idle)
            gate_yield(s, 0);
    }
    pthread_mutex_unlock(&gate->lock);
}

void gate_end(struct session *s)
{
    pthread_mutex_lock(&s->gate.lock);
    s->gate.ended = 1;
    pthread_cond_broadcast(&s->gate.changed); /* gate_enter() */
    pthread_mutex_unlock(&s->gate.lock);
}

void gate_flush(struct session *s)
{
    pthread_mutex_lock(&s->gate.lock);
    gate_report(s);
    pthread_mutex_unlock(&s->gate.lock);
}

static void usage_job(struct session *s, const struct call *call)
{
    const struct control_packet question = {.type = CONTROL_MEMINFO};
    struct control_packet answer;

    if (agent_ask(s, &question, NULL, &answer, NULL))
        call_status(s, call, CU_SYSTEM_FAILURE);
    else
        call_reply(s, call, CU_SUCCESS, &answer.c, sizeof answer.c);
}

void gate_usage(struct session *s, const struct call *call)
{
    if (call->length != 0 || !(call->flags & WIRE_WANT_REPLY))
        session_end(s, "USAGE: malformed");
    else
        side_submit(s, call, usage_job);
}
