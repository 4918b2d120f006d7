/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metering for vendor libraries that know nothing of us. Work is handed to the device only while the slice holds the grant;
 * each segment of it lies between two timing events, and the grant goes back only when everything that was handed over is
 * done, because contexts that run at the same time could not be told apart. How much is under way is bounded by time, from
 * what segments took so far: enough to keep the device busy, little enough to give it back soon. One kernel that runs for long
 * cannot be stopped; it is charged in full, and the others have precedence afterwards.
 *
 * One thread at a time hands work over; the meter's own thread waits for the oldest segment, charges it and forgets it.
 */
#include <string.h>
#include <time.h>

#include "state.h"

#define METER_UNDER_WAY_NS 4000000.0 /* device time that may be under way */
#define METER_CALLS_MIN 2            /* one runs, one waits */
#define METER_CALLS_MAX 256
#define METER_SEGMENT_CALLS 8        /* calls that share a pair of events ... */
#define METER_SEGMENT_GAP_NS 50000   /* ... when they follow each other this closely: gaps would count as work */

static uint64_t meter_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static struct meter_segment *segment_at(struct meter *m, unsigned index)
{
    return &m->segments[(m->first + index) % METER_SEGMENTS];
}

/* With the lock. The time of a segment that others overlap counts once. */
static void segment_charge(struct session *s, struct meter_segment *segment)
{
    struct meter *m = &s->meter;
    float begin = 0, end = 0;

    if (segment->broken || vendor.event_elapsed(&begin, m->base, segment->before) ||
        vendor.event_elapsed(&end, m->base, segment->after) || end <= 0)
        return;
    const double used = 1e6 * (double)(end - (begin > 0 ? begin : 0));
    void *swap = m->base;
    m->base = segment->after; /* what comes next is measured from here: a float holds no long times */
    segment->after = swap;
    m->average += (used / segment->calls - m->average) / 8;
    gate_used(s, (uint64_t)used);
}

static void *meter_run(void *opaque)
{
    struct session *s = opaque;
    struct meter *m = &s->meter;

    vendor.context_set(vendor.context);
    pthread_mutex_lock(&m->lock);
    for (;;) {
        struct meter_segment *oldest = segment_at(m, 0);

        if (!m->count || oldest->open) {
            pthread_cond_wait(&m->changed, &m->lock);
            continue;
        }
        const unsigned calls = oldest->calls;
        pthread_mutex_unlock(&m->lock);
        if (vendor.event_sync(oldest->after))
            oldest->broken = 1; /* the context is; its calls say so to the program */
        pthread_mutex_lock(&m->lock);
        if (oldest->open || oldest->calls != calls)
            continue; /* it has grown */
        segment_charge(s, oldest);
        m->calls -= calls;
        m->first = (m->first + 1) % METER_SEGMENTS;
        m->count--;
        if (!m->count)
            gate_empty(s, m->waiting);
        pthread_cond_broadcast(&m->changed);
    }
    return NULL;
}

int meter_open(struct session *s)
{
    struct meter *m = &s->meter;

    memset(m, 0, sizeof *m);
    if (pthread_mutex_init(&m->submit, NULL) || pthread_mutex_init(&m->lock, NULL) || pthread_cond_init(&m->changed, NULL))
        return -1;
    if (vendor.attach || !vendor.event_elapsed)
        return 0;
    for (unsigned i = 0; i < METER_SEGMENTS; i++)
        if (vendor.event_create(&m->segments[i].before, VENDOR_EVENT_BLOCKING) ||
            vendor.event_create(&m->segments[i].after, VENDOR_EVENT_BLOCKING))
            return -1;
    if (vendor.event_create(&m->base, VENDOR_EVENT_BLOCKING) || vendor.event_record(m->base, NULL) ||
        pthread_create(&m->thread, NULL, meter_run, s))
        return -1;
    m->on = 1;
    return 0;
}

void meter_wake(struct session *s)
{
    pthread_mutex_lock(&s->meter.lock);
    pthread_cond_broadcast(&s->meter.changed);
    pthread_mutex_unlock(&s->meter.lock);
}

/* With the lock: whether one more call may be under way. */
static int meter_has_room(const struct meter *m)
{
    double most = m->average > 0 ? METER_UNDER_WAY_NS / m->average : METER_CALLS_MIN;

    if (most < METER_CALLS_MIN)
        most = METER_CALLS_MIN;
    return m->count < METER_SEGMENTS && m->calls < METER_CALLS_MAX && m->calls < most;
}

/* Waits until work may be handed over; then the lock is held. -1: the session is over. */
static int meter_wait(struct session *s)
{
    struct meter *m = &s->meter;

    for (;;) {
        if (atomic_load(&s->ended))
            return -1;
        pthread_mutex_lock(&m->lock);
        const int granted = gate_granted(s);
        if (granted && meter_has_room(m))
            return 0;
        if (m->count) { /* also without the grant: it goes back when the device is done */
            m->waiting = 1;
            pthread_cond_wait(&m->changed, &m->lock);
            m->waiting = 0;
            pthread_mutex_unlock(&m->lock);
            continue;
        }
        pthread_mutex_unlock(&m->lock);
        if (gate_enter(s))
            return -1;
    }
}

int meter_begin(struct session *s, void *stream)
{
    struct meter *m = &s->meter;
    struct meter_segment *segment;

    if (!m->on)
        return 0;
    pthread_mutex_lock(&m->submit);
    if (meter_wait(s)) {
        pthread_mutex_unlock(&m->submit);
        return -1;
    }
    segment = m->count ? segment_at(m, m->count - 1) : NULL;
    if (!segment || segment->stream != stream || segment->calls >= METER_SEGMENT_CALLS ||
        meter_now() - segment->touched > METER_SEGMENT_GAP_NS) {
        segment = segment_at(m, m->count++);
        segment->stream = stream;
        segment->calls = 0;
        segment->broken = vendor.event_record(segment->before, stream) != 0;
    }
    segment->open = 1;
    pthread_mutex_unlock(&m->lock);
    return 0;
}

void meter_end(struct session *s)
{
    struct meter *m = &s->meter;

    if (!m->on)
        return;
    pthread_mutex_lock(&m->lock);
    struct meter_segment *segment = segment_at(m, m->count - 1);
    if (vendor.event_record(segment->after, segment->stream))
        segment->broken = 1;
    segment->calls++;
    segment->open = 0;
    segment->touched = meter_now();
    m->calls++;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    pthread_mutex_unlock(&m->submit);
}
