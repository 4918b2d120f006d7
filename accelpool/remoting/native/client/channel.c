/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two locks, never taken in the order wait_lock -> send_lock by blocking: `send_lock` orders what goes out, `wait_lock`
 * guards who waits and who reads. Exactly one thread at a time has the reader's role: a waiting caller, or the background
 * thread while nobody waits. A reader never blocks on `send_lock` and never blocks in a write, because the worker may
 * itself be blocked until somebody reads.
 */
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OUT_SIZE (256u << 10)  /* coalesced frames at most */
#define OUT_FLUSH (64u << 10)  /* sent from here on, acknowledged or not */
#define IN_SIZE (128u << 10)
#define CHECKPOINTS 1024u
/* While callers are active the background thread looks this rarely, so that it never races them for replies. */
#define BACKGROUND_NAP_NS 1000000

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
    int socket, wake;
    uint64_t window;
    pthread_t background;
    atomic_int lost, closing, sticky;
    channel_recall recall;
    void *recall_opaque;
    _Atomic uint64_t recalled; /* bytes asked for + 1; 0: no recall */

    pthread_mutex_t send_lock;
    uint64_t sequence;     /* of the last frame appended */
    uint64_t bytes;        /* sent in total */
    uint8_t *out;
    size_t out_start, out_end;
    atomic_int flush_wanted;
    atomic_int partial;    /* the kernel took a part only: the background thread waits for room */
    _Atomic uint64_t out_pending; /* out_end - out_start, for a look without the lock */
    _Atomic uint64_t flushed; /* last sequence handed to the kernel */

    pthread_mutex_t ring_lock;
    struct checkpoint ring[CHECKPOINTS];
    unsigned ring_first, ring_count;
    _Atomic uint64_t acknowledged, acknowledged_bytes;

    pthread_mutex_t wait_lock;
    pthread_cond_t changed;
    struct waiter *waiters;
    atomic_int waiting;
    int reading;
    uint8_t *in; /* belongs to whoever has the reader's role */
    size_t in_start, in_end;
};

/* --- the end ---------------------------------------------------------------------------------------------------- */

static void lose(struct channel *c)
{
    if (atomic_exchange(&c->lost, 1))
        return;
    shutdown(c->socket, SHUT_RDWR);
    pthread_mutex_lock(&c->wait_lock);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->wait_lock);
}

/* Errors after which a CUDA context is of no more use: they are returned again and again (CUDA driver API, CUresult). */
static int stays(int error)
{
    return error == 700 || error == 702 || error == CHANNEL_LOST || error == 710 || (error >= 714 && error <= 719) ||
           error == 999;
}

static void note_sticky(struct channel *c, int error)
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
    return stays(error) ? error : 0;
}

int channel_error(struct channel *c)
{
    if (atomic_load(&c->lost))
        return CHANNEL_LOST;
    int error = atomic_load_explicit(&c->sticky, memory_order_relaxed);
    if (error && !stays(error))
        atomic_compare_exchange_strong(&c->sticky, &error, 0);
    return error;
}

/* --- acknowledgements ------------------------------------------------------------------------------------------- */

/* With ring_lock. */
static void pass_checkpoints(struct channel *c, uint64_t sequence)
{
    while (c->ring_count && c->ring[c->ring_first].sequence <= sequence) {
        atomic_store(&c->acknowledged_bytes, c->ring[c->ring_first].bytes);
        c->ring_first = (c->ring_first + 1) % CHECKPOINTS;
        c->ring_count--;
    }
}

/* After a write. Its acknowledgement may have been here already. */
static void checkpoint(struct channel *c)
{
    pthread_mutex_lock(&c->ring_lock);
    if (c->ring_count == CHECKPOINTS)
        c->ring_count--; /* the newest two become one: acknowledged a little later, never too early */
    c->ring[(c->ring_first + c->ring_count++) % CHECKPOINTS] = (struct checkpoint){c->sequence, c->bytes};
    pass_checkpoints(c, atomic_load(&c->acknowledged));
    pthread_mutex_unlock(&c->ring_lock);
}

static void acknowledge(struct channel *c, uint64_t sequence)
{
    if (sequence <= atomic_load(&c->acknowledged))
        return;
    atomic_store(&c->acknowledged, sequence); /* before the lock: checkpoint() looks at it under the lock */
    pthread_mutex_lock(&c->ring_lock);
    pass_checkpoints(c, sequence);
    pthread_mutex_unlock(&c->ring_lock);
}

static int everything_acknowledged(struct channel *c)
{
    return atomic_load(&c->acknowledged) >= atomic_load(&c->flushed);
}

/* --- reading: only with the reader's role ------------------------------------------------------------------------ */

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
        ssize_t got = recv(c->socket, c->in + c->in_end, IN_SIZE - c->in_end, flags);
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
            ssize_t got = recv(c->socket, (char *)to + done, size - done, MSG_WAITALL);
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
    acknowledge(c, header->sequence);
    pthread_mutex_lock(&c->wait_lock);
    waiter->done = 1;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->wait_lock);
    return 0;
}

static int take_notice(struct channel *c, const struct wire_header *header)
{
    union {
        struct wire_ack ack;
        struct wire_recall recall;
    } payload;

    memset(&payload, 0, sizeof payload);
    if (header->length > sizeof payload || take(c, &payload, header->length))
        return -1;
    switch (header->opcode) {
    case WIRE_ACK:
        note_sticky(c, payload.ack.sticky);
        acknowledge(c, payload.ack.done_seq);
        return 0;
    case WIRE_RECALL:
        atomic_store(&c->recalled, payload.recall.bytes + 1);
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

/* Whether a whole frame lies in the buffer: nobody would be told of it by the socket. */
static int frame_buffered(const struct channel *c)
{
    struct wire_header header;
    size_t buffered = c->in_end - c->in_start;

    if (buffered < sizeof header)
        return 0;
    memcpy(&header, c->in + c->in_start, sizeof header);
    return buffered - sizeof header >= header.length;
}

static void kick(struct channel *c);

/* Reads until `ready` says so, taking turns with other callers. */
static void serve(struct channel *c, int (*ready)(struct channel *, const void *), const void *what)
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
        int bad = read_frame(c);
        while (!bad && frame_buffered(c))
            bad = read_frame(c);
        if (bad)
            lose(c);
        kick(c);
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
    while (more >= 0 && frame_buffered(c))
        more = read_frame(c) ? -1 : 0;
    /* A frame longer than the buffer must be read to its end by somebody. */
    if (more >= 0 && c->in_end == IN_SIZE && c->in_start == 0)
        more = read_frame(c) ? -1 : 0;
    if (more < 0)
        lose(c);
    kick(c);
    pthread_mutex_lock(&c->wait_lock);
    c->reading = 0;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->wait_lock);
}

static void *background(void *opaque)
{
    struct channel *c = opaque;
    struct pollfd watched[2] = {{.fd = c->wake, .events = POLLIN}, {.fd = c->socket, .events = POLLIN}};

    while (!atomic_load(&c->closing) && !atomic_load(&c->lost)) {
        watched[1].events = atomic_load(&c->partial) ? POLLIN | POLLOUT : POLLIN;
        if (poll(watched, 2, -1) < 0)
            continue;
        if (watched[0].revents) {
            eventfd_t ignored;
            eventfd_read(c->wake, &ignored);
            uint64_t bytes = atomic_exchange(&c->recalled, 0);
            if (bytes && c->recall)
                c->recall(c->recall_opaque, bytes - 1);
        }
        if (watched[1].revents & ~POLLOUT)
            read_in_background(c);
        if (watched[1].revents & POLLOUT) {
            atomic_store(&c->partial, 0);
            kick(c);
        }
    }
    return NULL;
}

/* --- sending: only under send_lock ------------------------------------------------------------------------------- */

static int within_window(struct channel *c, const void *more)
{
    return c->bytes + *(const size_t *)more <= atomic_load(&c->acknowledged_bytes) + c->window ||
           c->bytes == atomic_load(&c->acknowledged_bytes);
}

static void set_out(struct channel *c, size_t start, size_t end)
{
    c->out_start = start;
    c->out_end = end;
    atomic_store(&c->out_pending, end - start);
}

/* Writes all parts; the caller has made sure of the window. */
static int write_all(struct channel *c, struct iovec *parts, int count)
{
    size_t total = 0;

    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    c->bytes += total;
    while (count) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
        ssize_t sent = sendmsg(c->socket, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            lose(c);
            return CHANNEL_LOST;
        }
        while (count && (size_t)sent >= parts->iov_len) {
            sent -= (ssize_t)parts->iov_len;
            parts++;
            count--;
        }
        if (count) {
            parts->iov_base = (char *)parts->iov_base + sent;
            parts->iov_len -= (size_t)sent;
        }
    }
    return 0;
}

static void wait_for_window(struct channel *c, size_t more)
{
    if (!within_window(c, &more))
        serve(c, within_window, &more);
}

static int flush(struct channel *c)
{
    size_t pending = c->out_end - c->out_start;

    if (atomic_load(&c->lost))
        return CHANNEL_LOST;
    if (!pending)
        return 0;
    wait_for_window(c, pending);
    struct iovec part = {c->out + c->out_start, pending};
    int error = write_all(c, &part, 1);
    set_out(c, 0, 0);
    checkpoint(c);
    atomic_store(&c->flushed, c->sequence);
    return error;
}

/* The same for a reader: whatever the kernel takes now; the rest goes with the next acknowledgement. */
static void flush_some(struct channel *c)
{
    size_t pending = c->out_end - c->out_start;

    if (!pending || !everything_acknowledged(c) || !within_window(c, &pending))
        return;
    ssize_t sent = send(c->socket, c->out + c->out_start, pending, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0)
        sent = 0;
    c->bytes += (uint64_t)sent;
    if ((size_t)sent < pending) {
        set_out(c, c->out_start + (size_t)sent, c->out_end);
        atomic_store(&c->partial, 1);
        eventfd_write(c->wake, 1);
        return;
    }
    set_out(c, 0, 0);
    checkpoint(c);
    atomic_store(&c->flushed, c->sequence);
}

static void unlock_send(struct channel *c)
{
    /* A reader that found the lock taken has left the flush to us. */
    for (;;) {
        pthread_mutex_unlock(&c->send_lock);
        if (!atomic_load(&c->flush_wanted) || pthread_mutex_trylock(&c->send_lock))
            return;
        atomic_store(&c->flush_wanted, 0);
        flush_some(c);
    }
}

/* After acknowledgements: send what was coalesced meanwhile. */
static void kick(struct channel *c)
{
    if (!atomic_load(&c->out_pending) || !everything_acknowledged(c))
        return;
    atomic_store(&c->flush_wanted, 1);
    if (pthread_mutex_trylock(&c->send_lock))
        return;
    atomic_store(&c->flush_wanted, 0);
    flush_some(c);
    unlock_send(c);
}

static size_t total_length(const struct iovec *parts, int count)
{
    size_t total = 0;

    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    return total;
}

/* Appends one frame to what is coalesced. */
static int append(struct channel *c, uint16_t opcode, uint16_t flags, const struct iovec *parts, int count)
{
    size_t length = total_length(parts, count);
    struct wire_header header = {.length = (uint32_t)length, .opcode = opcode, .flags = flags};

    if (length > OUT_SIZE - sizeof header)
        return 1; /* CUDA_ERROR_INVALID_VALUE: no call of ours is that long */
    if (c->out_end + sizeof header + length > OUT_SIZE) {
        int error = flush(c);
        if (error)
            return error;
    }
    header.sequence = ++c->sequence;
    memcpy(c->out + c->out_end, &header, sizeof header);
    size_t end = c->out_end + sizeof header;
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len)
            memcpy(c->out + end, parts[i].iov_base, parts[i].iov_len);
        end += parts[i].iov_len;
    }
    set_out(c, c->out_start, end);
    return 0;
}

/* Sends `data` in DATA frames, straight from the caller's memory. */
static int send_data(struct channel *c, const void *data, size_t length)
{
    int error = flush(c);

    for (size_t done = 0; !error && done < length;) {
        size_t chunk = length - done < WIRE_CHUNK_MAX ? length - done : WIRE_CHUNK_MAX;
        struct wire_header header = {.length = (uint32_t)chunk, .opcode = WIRE_DATA, .sequence = ++c->sequence};
        struct iovec parts[2] = {{&header, sizeof header}, {(char *)(uintptr_t)data + done, chunk}};
        wait_for_window(c, sizeof header + chunk);
        error = atomic_load(&c->lost) ? CHANNEL_LOST : write_all(c, parts, 2);
        checkpoint(c);
        atomic_store(&c->flushed, c->sequence);
        done += chunk;
    }
    return error;
}

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
    int idle = everything_acknowledged(c) && c->out_start == c->out_end;
    int error = append(c, opcode, 0, parts, count);
    if (!error && (idle || c->out_end - c->out_start >= OUT_FLUSH || everything_acknowledged(c)))
        error = flush(c);
    unlock_send(c);
    return error;
}

int channel_send_bulk(struct channel *c, uint16_t opcode, const struct iovec *parts, int count, const void *data,
                      size_t length)
{
    int error = channel_error(c);

    if (error)
        return error;
    pthread_mutex_lock(&c->send_lock);
    error = append(c, opcode, 0, parts, count);
    if (!error)
        error = send_data(c, data, length);
    unlock_send(c);
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
    error = append(c, opcode, WIRE_WANT_REPLY, parts, count);
    if (!error) {
        waiter.sequence = c->sequence;
        pthread_mutex_lock(&c->wait_lock);
        waiter.next = c->waiters;
        c->waiters = &waiter;
        pthread_mutex_unlock(&c->wait_lock);
        error = length ? send_data(c, data, length) : flush(c);
    }
    unlock_send(c);
    if (!waiter.sequence)
        return error;
    if (!error)
        serve(c, answered, &waiter);

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
    if (!waiter.done)
        return CHANNEL_LOST;
    if (waiter.sticky && (waiter.status || stays(waiter.sticky)))
        note_sticky(c, waiter.sticky);
    if (stays(waiter.status))
        note_sticky(c, waiter.status);
    return waiter.status ? waiter.status : waiter.sticky;
}

int channel_call(struct channel *c, uint16_t opcode, const struct iovec *parts, int count, struct channel_reply *reply)
{
    return channel_call_bulk(c, opcode, parts, count, NULL, 0, reply);
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static void release(struct channel *c)
{
    close(c->socket);
    if (c->wake >= 0)
        close(c->wake);
    free(c->out);
    free(c->in);
    free(c);
}

/* The program's signals are not for this thread. */
static int start_background(struct channel *c)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&c->background, NULL, background, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct channel *channel_open(int socket, uint64_t window_bytes)
{
    struct channel *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->socket = socket;
    c->window = window_bytes;
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->out = malloc(OUT_SIZE);
    c->in = malloc(IN_SIZE);
    pthread_mutex_init(&c->send_lock, NULL);
    pthread_mutex_init(&c->ring_lock, NULL);
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
    if (!atomic_load(&c->lost) && !append(c, WIRE_BYE, 0, NULL, 0))
        flush(c);
    pthread_mutex_unlock(&c->send_lock);
    atomic_store(&c->closing, 1);
    eventfd_write(c->wake, 1);
    pthread_join(c->background, NULL);
    release(c);
}

void channel_forget(struct channel *c)
{
    close(c->socket);
    close(c->wake);
}
