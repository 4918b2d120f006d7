/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in; only whoever has the reader's role runs this. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#include "channel_state.h"

/* While callers are active the background thread looks this rarely, so that it never races them for replies. */
#define BACKGROUND_NAP_NS 1000000

/* Receives more into the buffer: 1 got some, 0 nothing there (only with MSG_DONTWAIT), -1 the end. */
static int fill(struct channel *c, int flags)
{
    if (c->in_start == c->in_end)
        c->in_start = c->in_end = 0;
    else if (c->in_end == IN_SIZE) {
        memmove(c->in, c->in + c->in_start, c->in_end - c->in_start);
        c->in_end -= c->in_start;
        c->in_start = 0;
    }
    for (;;) {
        const struct iovec room = {c->in + c->in_end, IN_SIZE - c->in_end};
        ssize_t got = stream_receive(&c->stream, &room, 1, flags);
        if (got > 0) {
            c->in_end += (size_t)got;
            return 1;
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && (flags & MSG_DONTWAIT))
            return 0;
        return -1;
    }
}

/* Moves exactly `size` bytes to `to`: first what is buffered, then straight from the socket. */
static int take(struct channel *c, void *to, size_t size)
{
    size_t buffered = c->in_end - c->in_start, first = size < buffered ? size : buffered;

    if (first)
        memcpy(to, c->in + c->in_start, first);
    c->in_start += first;
    for (size_t done = first; done < size;) {
        if (size - done < IN_SIZE / 2) {
            if (fill(c, 0) < 0)
                return -1;
            size_t now = c->in_end - c->in_start;
            if (now > size - done)
                now = size - done;
            memcpy((char *)to + done, c->in + c->in_start, now);
            c->in_start += now;
            done += now;
        } else {
            const struct iovec room = {(char *)to + done, size - done};
            ssize_t got = stream_receive(&c->stream, &room, 1, MSG_WAITALL);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                return -1;
            done += (size_t)got;
        }
    }
    return 0;
}

static int room_in_body(struct channel_reply *reply, size_t more)
{
    size_t total;

    if (__builtin_add_overflow(reply->body_received, more, &total) || total > reply->body_size)
        return -1;
    if (reply->grow && more) {
        void *larger = realloc(reply->body, total);
        if (!larger)
            return -1;
        reply->body = larger;
    }
    return 0;
}

/* One frame of an answer. */
static int take_reply(struct channel *c, const struct wire_header *header)
{
    struct waiter *waiter;
    struct wire_reply start;
    size_t length = header->length;

    pthread_mutex_lock(&c->wait_lock);
    for (waiter = c->waiters; waiter && waiter->sequence != header->sequence; waiter = waiter->next)
        ;
    pthread_mutex_unlock(&c->wait_lock);
    if (!waiter || length < sizeof start || take(c, &start, sizeof start))
        return -1;
    length -= sizeof start;
    if (!waiter->status)
        waiter->status = start.status;
    if (!waiter->sticky)
        waiter->sticky = start.sticky;

    struct channel_reply *reply = waiter->reply;
    if (!waiter->head_received) {
        size_t rest = reply->head_size - sizeof start;
        if (rest > length)
            rest = length;
        memcpy(reply->head, &start, sizeof start);
        if (take(c, (char *)reply->head + sizeof start, rest))
            return -1;
        waiter->head_received = sizeof start + rest;
        length -= rest;
    }
    if (room_in_body(reply, length) || take(c, (char *)reply->body + reply->body_received, length))
        return -1;
    reply->body_received += length;
    if (header->flags & WIRE_MORE)
        return 0;
    channel_acknowledge(c, header->sequence);
    pthread_mutex_lock(&c->wait_lock);
    waiter->done = 1;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->wait_lock);
    return 0;
}

/* What kernels have printed: kept for a caller, because whoever reads never blocks in a write. What nobody fetches is lost. */
static int take_output(struct channel *c, size_t length)
{
    char *bytes = length ? malloc(length) : NULL;

    if (length && (!bytes || take(c, bytes, length))) {
        free(bytes);
        return -1;
    }
    pthread_mutex_lock(&c->print_lock);
    char *larger = length && length <= PRINTED_MOST - c->printed_bytes ? realloc(c->printed, c->printed_bytes + length) : NULL;
    if (larger) {
        memcpy(larger + c->printed_bytes, bytes, length);
        c->printed = larger;
        c->printed_bytes += length;
    }
    pthread_mutex_unlock(&c->print_lock);
    free(bytes);
    return 0;
}

void channel_print(struct channel *c)
{
    pthread_mutex_lock(&c->print_lock);
    char *text = c->printed;
    const size_t bytes = c->printed_bytes;
    c->printed = NULL;
    c->printed_bytes = 0;
    pthread_mutex_unlock(&c->print_lock);
    if (!text)
        return;
    fwrite(text, 1, bytes, stdout);
    fflush(stdout); /* a local driver's text waits for the program's end in a pipe or file; this is no later than that */
    free(text);
}

static int take_notice(struct channel *c, const struct wire_header *header)
{
    union {
        struct wire_ack ack;
        struct wire_recall recall;
    } payload;

    if (header->opcode == WIRE_OUTPUT)
        return take_output(c, header->length);
    memset(&payload, 0, sizeof payload);
    if (header->length > sizeof payload || take(c, &payload, header->length))
        return -1;
    switch (header->opcode) {
    case WIRE_ACK:
        channel_note_sticky(c, payload.ack.sticky);
        channel_acknowledge(c, payload.ack.done_seq);
        return 0;
    case WIRE_RECALL:
        atomic_store(&c->recalled, payload.recall.number);
        return eventfd_write(c->wake, 1);
    default: /* BYE, or what this version does not know */
        return -1;
    }
}

static int read_frame(struct channel *c)
{
    struct wire_header header;

    if (take(c, &header, sizeof header) || header.length > WIRE_PAYLOAD_MAX)
        return -1;
    return header.flags & WIRE_REPLY ? take_reply(c, &header) : take_notice(c, &header);
}

/* Whether a whole frame lies in the buffer, or as much of one as fits there. */
static int frame_buffered(const struct channel *c)
{
    struct wire_header header;
    size_t buffered = c->in_end - c->in_start;

    if (buffered < sizeof header)
        return 0;
    memcpy(&header, c->in + c->in_start, sizeof header);
    return buffered - sizeof header >= header.length || buffered == IN_SIZE;
}

/* Whether a frame can be read that the socket would tell nobody of: 1, 0, or -1 at the end of the connection. */
static int frame_here(struct channel *c)
{
    while (!frame_buffered(c)) {
        int more = stream_holds(&c->stream) ? fill(c, MSG_DONTWAIT) : 0;
        if (more <= 0)
            return more;
    }
    return 1;
}

void channel_serve(struct channel *c, int (*ready)(struct channel *, const void *), const void *what)
{
    atomic_fetch_add(&c->waiting, 1);
    pthread_mutex_lock(&c->wait_lock);
    while (!atomic_load(&c->lost) && !ready(c, what)) {
        if (c->reading) {
            pthread_cond_wait(&c->changed, &c->wait_lock);
            continue;
        }
        c->reading = 1;
        pthread_mutex_unlock(&c->wait_lock);
        int bad = read_frame(c), more;
        while (!bad && (more = frame_here(c)))
            bad = more < 0 || read_frame(c);
        if (bad)
            channel_lose(c);
        channel_kick(c);
        pthread_mutex_lock(&c->wait_lock);
        c->reading = 0;
        pthread_cond_broadcast(&c->changed);
    }
    pthread_mutex_unlock(&c->wait_lock);
    atomic_fetch_sub(&c->waiting, 1);
}

static void read_in_background(struct channel *c)
{
    pthread_mutex_lock(&c->wait_lock);
    int mine = !c->reading && !atomic_load(&c->waiting);
    if (mine)
        c->reading = 1;
    pthread_mutex_unlock(&c->wait_lock);
    if (!mine) {
        nanosleep(&(struct timespec){.tv_nsec = BACKGROUND_NAP_NS}, NULL);
        return;
    }
    int more = fill(c, MSG_DONTWAIT);
    while (more >= 0 && (more = frame_here(c)) > 0)
        more = read_frame(c) ? -1 : 0;
    if (more < 0)
        channel_lose(c);
    channel_kick(c);
    pthread_mutex_lock(&c->wait_lock);
    c->reading = 0;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->wait_lock);
}

void *channel_background(void *opaque)
{
    struct channel *c = opaque;
    struct pollfd watched[2] = {{.fd = c->wake, .events = POLLIN}, {.fd = c->stream.fd, .events = POLLIN}};

    while (!atomic_load(&c->closing) && !atomic_load(&c->lost)) {
        watched[1].events = atomic_load(&c->partial) ? POLLIN | POLLOUT : POLLIN;
        if (poll(watched, 2, -1) < 0)
            continue;
        if (watched[0].revents) {
            eventfd_t ignored;
            eventfd_read(c->wake, &ignored);
            uint64_t number = atomic_exchange(&c->recalled, 0);
            if (number && c->recall)
                c->recall(c->recall_opaque, number);
        }
        if (watched[1].revents & ~POLLOUT)
            read_in_background(c);
        if (watched[1].revents & POLLOUT) {
            atomic_store(&c->partial, 0);
            channel_kick(c);
        }
    }
    return NULL;
}
