/* SPDX-License-Identifier: Apache-2.0 */
/* A channel's life, its errors, and the calls that the rest of the library makes. */
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel_state.h"

#define OUT_FLUSH (64u << 10)  /* sent from here on, acknowledged or not */

/* --- the end ---------------------------------------------------------------------------------------------------- */

void channel_lose(struct channel *c)
{
    if (atomic_exchange(&c->lost, 1))
        return;
    shutdown(c->stream.fd, SHUT_RDWR);
    pthread_mutex_lock(&c->wait_lock);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->wait_lock);
}

/* Errors after which a CUDA context is of no more use: they are returned again and again (CUDA driver API, CUresult). */
int channel_stays(int error)
{
    return error == 700 || error == 702 || error == CHANNEL_LOST || error == 710 || (error >= 714 && error <= 719) ||
           error == 999;
}

void channel_note_sticky(struct channel *c, int error)
{
    int none = 0;

    if (error)
        atomic_compare_exchange_strong(&c->sticky, &none, error);
}

int channel_broken(struct channel *c)
{
    int error = atomic_load_explicit(&c->sticky, memory_order_relaxed);

    if (atomic_load_explicit(&c->lost, memory_order_relaxed))
        return CHANNEL_LOST;
    return channel_stays(error) ? error : 0;
}

int channel_error(struct channel *c)
{
    if (atomic_load(&c->lost))
        return CHANNEL_LOST;
    int error = atomic_load_explicit(&c->sticky, memory_order_relaxed);
    if (error && !channel_stays(error))
        atomic_compare_exchange_strong(&c->sticky, &error, 0);
    return error;
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

int channel_send(struct channel *c, uint16_t opcode, const struct iovec *parts, int count)
{
    int error = channel_error(c);

    return error ? error : channel_tell(c, opcode, parts, count);
}

int channel_tell(struct channel *c, uint16_t opcode, const struct iovec *parts, int count)
{
    if (atomic_load(&c->lost))
        return CHANNEL_LOST;
    pthread_mutex_lock(&c->send_lock);
    int idle = channel_everything_acknowledged(c) && c->out_start == c->out_end;
    int error = channel_append(c, opcode, 0, parts, count);
    if (!error && (idle || c->out_end - c->out_start >= OUT_FLUSH || channel_everything_acknowledged(c)))
        error = channel_flush(c);
    channel_unlock_send(c);
    return error;
}

int channel_send_bulk(struct channel *c, uint16_t opcode, const struct iovec *parts, int count, const void *data,
                      size_t length)
{
    int error = channel_error(c);

    if (error)
        return error;
    pthread_mutex_lock(&c->send_lock);
    error = channel_append(c, opcode, 0, parts, count);
    if (!error)
        error = channel_send_data(c, data, length);
    channel_unlock_send(c);
    return error;
}

static int answered(struct channel *c, const void *waiter)
{
    (void)c;
    return ((const struct waiter *)waiter)->done;
}

int channel_call_bulk(struct channel *c, uint16_t opcode, const struct iovec *parts, int count, const void *data,
                      size_t length, struct channel_reply *reply)
{
    struct waiter waiter = {.reply = reply};
    int error = channel_error(c);

    reply->body_received = 0;
    if (error)
        return error;
    pthread_mutex_lock(&c->send_lock);
    error = channel_append(c, opcode, WIRE_WANT_REPLY, parts, count);
    if (!error) {
        waiter.sequence = c->sequence;
        pthread_mutex_lock(&c->wait_lock);
        waiter.next = c->waiters;
        c->waiters = &waiter;
        pthread_mutex_unlock(&c->wait_lock);
        error = length ? channel_send_data(c, data, length) : channel_flush(c);
    }
    channel_unlock_send(c);
    if (!waiter.sequence)
        return error;
    if (!error)
        channel_serve(c, answered, &waiter);

    pthread_mutex_lock(&c->wait_lock);
    /* A reader may be writing into the reply right now; it ends soon, for the socket is shut down then. */
    while (!waiter.done && c->reading)
        pthread_cond_wait(&c->changed, &c->wait_lock);
    for (struct waiter **link = &c->waiters; *link; link = &(*link)->next)
        if (*link == &waiter) {
            *link = waiter.next;
            break;
        }
    pthread_mutex_unlock(&c->wait_lock);
    channel_print(c);
    if (!waiter.done)
        return CHANNEL_LOST;
    if (waiter.sticky && (waiter.status || channel_stays(waiter.sticky)))
        channel_note_sticky(c, waiter.sticky);
    if (channel_stays(waiter.status))
        channel_note_sticky(c, waiter.status);
    return waiter.status ? waiter.status : waiter.sticky;
}

int channel_call(struct channel *c, uint16_t opcode, const struct iovec *parts, int count, struct channel_reply *reply)
{
    return channel_call_bulk(c, opcode, parts, count, NULL, 0, reply);
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static void release(struct channel *c)
{
    stream_close(&c->stream);
    close(c->stream.fd);
    if (c->wake >= 0)
        close(c->wake);
    free(c->out);
    free(c->in);
    free(c->printed);
    free(c);
}

/* The program's signals are not for this thread. */
static int start_background(struct channel *c)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&c->background, NULL, channel_background, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct channel *channel_open(const struct stream *stream, uint64_t window_bytes)
{
    struct channel *c = calloc(1, sizeof *c);

    if (!c) {
        struct stream mine = *stream;
        stream_close(&mine);
        close(mine.fd);
        return NULL;
    }
    c->stream = *stream;
    c->window = window_bytes;
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->out = malloc(OUT_SIZE);
    c->in = malloc(IN_SIZE);
    pthread_mutex_init(&c->send_lock, NULL);
    pthread_mutex_init(&c->ring_lock, NULL);
    pthread_mutex_init(&c->print_lock, NULL);
    pthread_mutex_init(&c->wait_lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    if (c->wake < 0 || !c->out || !c->in || start_background(c)) {
        release(c);
        return NULL;
    }
    return c;
}

void channel_on_recall(struct channel *c, channel_recall recall, void *opaque)
{
    c->recall_opaque = opaque;
    c->recall = recall;
}

void channel_close(struct channel *c)
{
    pthread_mutex_lock(&c->send_lock);
    if (!atomic_load(&c->lost) && !channel_append(c, WIRE_BYE, 0, NULL, 0))
        channel_flush(c);
    pthread_mutex_unlock(&c->send_lock);
    atomic_store(&c->closing, 1);
    eventfd_write(c->wake, 1);
    pthread_join(c->background, NULL);
    release(c);
}

void channel_forget(struct channel *c)
{
    close(c->stream.fd);
    close(c->wake);
}
