/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that goes to the client. One lock, one sendmsg per frame, nothing is queued. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "state.h"

#define SEND_PARTS 4
#define SEND_PATIENCE_NS 50000000 /* how long the control thread waits for the lock */

/* With the lock held. */
static int send_all(struct session *s, struct iovec *parts, int count)
{
    while (count > 0) {
        ssize_t sent = stream_send(&s->stream, parts, count, 0);

        if (sent < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        while (count > 0 && (size_t)sent >= parts->iov_len) {
            sent -= (ssize_t)parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + sent;
            parts->iov_len -= (size_t)sent;
        }
    }
    return 0;
}

static int send_locked(struct session *s, uint16_t opcode, uint16_t flags, uint64_t sequence, const struct iovec *parts,
                       int count)
{
    struct wire_header header = {.opcode = opcode, .flags = flags, .sequence = sequence};
    struct iovec all[SEND_PARTS] = {{&header, sizeof header}};
    size_t length = 0;

    for (int i = 0; i < count; i++) {
        all[i + 1] = parts[i];
        length += parts[i].iov_len;
    }
    header.length = (uint32_t)length;
    return send_all(s, all, count + 1);
}

/* A frame that may be put off or left out: only when nobody is stuck in sending and the socket has room. */
static int send_if_free(struct session *s, uint16_t opcode, const struct iovec *part, int count)
{
    struct pollfd ready = {.fd = s->stream.fd, .events = POLLOUT};
    struct timespec until;
    int result = -1;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += SEND_PATIENCE_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    if (pthread_mutex_timedlock(&s->sender.lock, &until))
        return -1;
    if (poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT)
        result = send_locked(s, opcode, 0, 0, part, count);
    pthread_mutex_unlock(&s->sender.lock);
    return result;
}

/* Whoever takes it sends it, so it goes out once. */
static void send_pending_recall(struct session *s)
{
    for (int attempt = 0; attempt < 2; attempt++) { /* a sender may have finished while this one had taken it */
        struct wire_recall recall = {atomic_exchange(&s->sender.recall, 0), atomic_load(&s->memory.recalls)};
        struct iovec part = {&recall, sizeof recall};
        uint64_t none = 0;

        if (!recall.bytes || send_if_free(s, WIRE_RECALL, &part, 1) == 0)
            return;
        atomic_compare_exchange_strong(&s->sender.recall, &none, recall.bytes);
    }
}

void send_recall(struct session *s, uint64_t bytes)
{
    atomic_fetch_add(&s->memory.recalls, 1);
    atomic_store(&s->sender.recall, bytes); /* whoever is sending now takes it along */
    send_pending_recall(s);
}

void send_bye(struct session *s)
{
    send_if_free(s, WIRE_BYE, NULL, 0);
}

void send_frame(struct session *s, uint16_t opcode, uint16_t flags, uint64_t sequence, const struct iovec *parts,
                int count)
{
    int result;

    pthread_mutex_lock(&s->sender.lock);
    result = send_locked(s, opcode, flags, sequence, parts, count);
    pthread_mutex_unlock(&s->sender.lock);
    if (result)
        session_end(s, "the client does not take answers");
    else if (atomic_load_explicit(&s->sender.recall, memory_order_relaxed))
        send_pending_recall(s);
}

/* The error ends the context: the vendor repeats it for ever, and so does every frame. */
static int error_is_final(int status)
{
    return status == 700 || status == 702 || status == 709 || status == 710 || (status >= 714 && status <= 719) ||
           status == CU_SYSTEM_FAILURE;
}

void send_deferred(struct session *s, int32_t status)
{
    int before = atomic_load(&s->sender.deferred);

    do {
        if (before && (error_is_final(before) || !error_is_final(status)))
            return;
    } while (!atomic_compare_exchange_weak(&s->sender.deferred, &before, status));
}

static int32_t deferred_take(struct session *s)
{
    int status = atomic_load_explicit(&s->sender.deferred, memory_order_relaxed);

    if (status && !error_is_final(status) && !atomic_compare_exchange_strong(&s->sender.deferred, &status, 0))
        return 0; /* another thread's frame carries it */
    return status;
}

void send_chunk(struct session *s, const struct call *call, int32_t status, const void *bytes, size_t length, int more)
{
    output_flush(s);
    struct wire_reply reply = {.status = status, .sticky = deferred_take(s)};
    struct iovec parts[2] = {{&reply, sizeof reply}, {(void *)bytes, length}};

    send_frame(s, call->opcode, more ? WIRE_REPLY | WIRE_MORE : WIRE_REPLY, call->sequence, parts, length ? 2 : 1);
}

void send_ack(struct session *s)
{
    struct wire_ack ack = {.done_seq = s->reader.complete, .sticky = deferred_take(s)};
    struct iovec part = {&ack, sizeof ack};

    s->reader.unacknowledged = 0;
    send_frame(s, WIRE_ACK, 0, 0, &part, 1);
}

void call_reply(struct session *s, const struct call *call, int32_t status, const void *payload, size_t length)
{
    if (call->flags & WIRE_WANT_REPLY) {
        /* An answer acknowledges what came before it; only the main thread's own counter can say that nothing else did. */
        if (pthread_equal(pthread_self(), s->main) && call->sequence == s->reader.sequence)
            s->reader.unacknowledged = 0;
        send_chunk(s, call, status, payload, length, 0);
    } else if (status) {
        send_deferred(s, status);
    }
}

void call_status(struct session *s, const struct call *call, int32_t status)
{
    call_reply(s, call, status, NULL, 0);
}
