/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that may wait for the device run here, so that the ordered stream goes on. The pool grows while every thread is
 * busy; beyond its limits the stream waits, which is what a full device queue does to a local program as well.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "state.h"

#define SIDE_THREADS 64u
#define SIDE_JOBS 1024u
#define SIDE_BYTES (8u << 20)
#define SIDE_STACK (8u << 20) /* the vendor's compiler and linker run here; what is not touched costs nothing */
#define SIDE_PATIENCE 1 /* seconds at the end of a session */

struct side_job {
    struct side_job *next;
    call_handler handler;
    call_handler drop; /* instead of handler when the session ends first; NULL: nothing to free */
    struct call call;
    uint8_t payload[];
};

int side_open(struct session *s)
{
    s->side.first = NULL;
    s->side.last = &s->side.first;
    return pthread_mutex_init(&s->side.lock, NULL) || pthread_cond_init(&s->side.work, NULL) ||
                   pthread_cond_init(&s->side.room, NULL)
               ? -1
               : 0;
}

static void *side_run(void *opaque)
{
    struct session *s = opaque;
    struct side *side = &s->side;

    vendor.context_set(vendor.context);
    pthread_mutex_lock(&side->lock);
    for (;;) {
        while (!side->first && !side->stopping) {
            side->idle++;
            pthread_cond_wait(&side->work, &side->lock);
            side->idle--;
        }
        if (side->stopping)
            break;
        struct side_job *job = side->first;
        side->first = job->next;
        if (!side->first)
            side->last = &side->first;
        side->queued--;
        side->queued_bytes -= job->call.length;
        side->running++;
        pthread_cond_broadcast(&side->room);
        pthread_mutex_unlock(&side->lock);
        job->handler(s, &job->call);
        free(job);
        pthread_mutex_lock(&side->lock);
        side->running--;
        pthread_cond_broadcast(&side->room);
    }
    side->threads--;
    pthread_cond_broadcast(&side->room);
    pthread_mutex_unlock(&side->lock);
    return NULL;
}

/* With the lock held. */
static int side_grow(struct session *s)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int result;

    if (pthread_attr_init(&attributes))
        return -1;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, SIDE_STACK);
    result = pthread_create(&thread, &attributes, side_run, s);
    pthread_attr_destroy(&attributes);
    if (result)
        return -1;
    s->side.threads++;
    return 0;
}

static void job_drop(struct session *s, struct side_job *job)
{
    if (job->drop)
        job->drop(s, &job->call);
    free(job);
}

void side_submit(struct session *s, const struct call *call, call_handler handler)
{
    side_submit_owner(s, call, handler, NULL);
}

void side_submit_owner(struct session *s, const struct call *call, call_handler handler, call_handler drop)
{
    struct side *side = &s->side;
    struct side_job *job = malloc(sizeof *job + call->length);

    if (!job) {
        if (drop)
            drop(s, call);
        call_status(s, call, CU_OUT_OF_MEMORY);
        return;
    }
    *job = (struct side_job){.handler = handler, .drop = drop, .call = *call};
    memcpy(job->payload, call->payload, call->length);
    job->call.payload = job->payload;

    pthread_mutex_lock(&side->lock);
    while (!side->stopping && side->queued > 0 &&
           (side->queued >= SIDE_JOBS || side->queued_bytes + call->length > SIDE_BYTES))
        pthread_cond_wait(&side->room, &side->lock);
    if (side->stopping) {
        pthread_mutex_unlock(&side->lock);
        job_drop(s, job);
        return;
    }
    *side->last = job;
    side->last = &job->next;
    side->queued++;
    side->queued_bytes += call->length;
    if (side->idle < side->queued && side->threads < SIDE_THREADS && side_grow(s) && side->threads == 0) {
        side->stopping = 1;
        pthread_mutex_unlock(&side->lock);
        session_end(s, "no thread for a call that waits");
        return;
    }
    pthread_cond_signal(&side->work);
    pthread_mutex_unlock(&side->lock);
}

void side_stop(struct session *s)
{
    pthread_mutex_lock(&s->side.lock);
    s->side.stopping = 1;
    pthread_cond_broadcast(&s->side.work);
    pthread_cond_broadcast(&s->side.room);
    pthread_mutex_unlock(&s->side.lock);
}

int side_close(struct session *s)
{
    struct side *side = &s->side;
    struct timespec until;
    int late = 0;

    side_stop(s);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SIDE_PATIENCE;
    pthread_mutex_lock(&side->lock);
    while (side->threads && !late)
        late = pthread_cond_timedwait(&side->room, &side->lock, &until);
    for (struct side_job *job; !late && (job = side->first);) {
        side->first = job->next;
        job_drop(s, job);
    }
    pthread_mutex_unlock(&side->lock);
    return late ? -1 : 0;
}
