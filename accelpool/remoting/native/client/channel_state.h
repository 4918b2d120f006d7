/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two locks, never taken in the order wait_lock -> send_lock by blocking: `send_lock` orders what goes out, `wait_lock`
 * guards who waits and who reads. Exactly one thread at a time has the reader's role: a waiting caller, or the background
 * thread while nobody waits. A reader never blocks on `send_lock` and never blocks in a write, because the worker may
 * itself be blocked until somebody reads.
 */
#ifndef ACCELPOOL_CLIENT_CHANNEL_STATE_H
#define ACCELPOOL_CLIENT_CHANNEL_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "channel.h"

#define OUT_SIZE (256u << 10)  /* coalesced frames at most */
#define IN_SIZE (128u << 10)
#define CHECKPOINTS 1024u
#define PRINTED_MOST (64u << 20) /* bytes; a worker keeps less */

struct waiter {
    uint64_t sequence;
    struct channel_reply *reply;
    size_t head_received;
    int status, sticky, done;
    struct waiter *next;
};

/* After `sequence` the session had sent `bytes` in total. */
struct checkpoint {
    uint64_t sequence, bytes;
};

struct channel {
    struct stream stream;
    int wake;
    uint64_t window;
    pthread_t background;
    atomic_int lost, closing, sticky;
    channel_recall recall;
    void *recall_opaque;
    _Atomic uint64_t recalled; /* number of the last recall; 0: none that waits */

    pthread_mutex_t send_lock;
    uint64_t sequence;     /* of the last frame appended */
    uint64_t bytes;        /* sent in total */
    uint8_t *out;
    size_t out_start, out_end;
    atomic_int flush_wanted;
    atomic_int partial;    /* the kernel took a part only: the background thread waits for room */
    _Atomic uint64_t out_pending; /* out_end - out_start and what the stream has not sent, for a look without the lock */
    _Atomic uint64_t flushed; /* last sequence handed to the kernel */

    pthread_mutex_t ring_lock;
    struct checkpoint ring[CHECKPOINTS];
    unsigned ring_first, ring_count;
    _Atomic uint64_t acknowledged, acknowledged_bytes;

    pthread_mutex_t print_lock;
    char *printed;         /* by kernels, for the next caller that has its answer */
    size_t printed_bytes;

    pthread_mutex_t wait_lock;
    pthread_cond_t changed;
    struct waiter *waiters;
    atomic_int waiting;
    int reading;
    uint8_t *in; /* belongs to whoever has the reader's role */
    size_t in_start, in_end;
};

/* --- channel.c --- */
/* The connection is gone: wakes everybody. */
void channel_lose(struct channel *c);
/* Whether an error is one that every later call returns too. */
int channel_stays(int error);
void channel_note_sticky(struct channel *c, int error);

/* --- channel_send.c: only under send_lock, except channel_kick and the last two --- */
int channel_append(struct channel *c, uint16_t opcode, uint16_t flags, const struct iovec *parts, int count);
int channel_flush(struct channel *c);
int channel_send_data(struct channel *c, const void *data, size_t length);
/* Gives the lock up, and sends what a reader has left behind meanwhile. */
void channel_unlock_send(struct channel *c);
/* After acknowledgements: sends what was coalesced; never blocks. */
void channel_kick(struct channel *c);
int channel_everything_acknowledged(struct channel *c);
void channel_acknowledge(struct channel *c, uint64_t sequence);

/* --- channel_read.c --- */
/* Reads until `ready` says so or the connection is lost, taking turns with other callers. */
void channel_serve(struct channel *c, int (*ready)(struct channel *, const void *), const void *what);
/* Writes what kernels have printed where a local driver writes it; for callers, without locks and roles. */
void channel_print(struct channel *c);
/* The background thread; its argument is the channel. */
void *channel_background(void *opaque);

#endif
