/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out, in the order of its sequence numbers. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "channel_state.h"

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

void channel_acknowledge(struct channel *c, uint64_t sequence)
{
    if (sequence <= atomic_load(&c->acknowledged))
        return;
    atomic_store(&c->acknowledged, sequence); /* before the lock: checkpoint() looks at it under the lock */
    pthread_mutex_lock(&c->ring_lock);
    pass_checkpoints(c, sequence);
    pthread_mutex_unlock(&c->ring_lock);
}

int channel_everything_acknowledged(struct channel *c)
{
    return atomic_load(&c->acknowledged) >= atomic_load(&c->flushed);
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
    atomic_store(&c->out_pending, end - start + stream_unsent(&c->stream));
}

/* Writes all parts; the caller has made sure of the window. */
static int write_all(struct channel *c, struct iovec *parts, int count)
{
    size_t total = 0;

    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    c->bytes += total;
    while (count) {
        ssize_t sent = stream_send(&c->stream, parts, count, 0);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            channel_lose(c);
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
        channel_serve(c, within_window, &more);
}

int channel_flush(struct channel *c)
{
    size_t pending = c->out_end - c->out_start;

    if (atomic_load(&c->lost))
        return CHANNEL_LOST;
    if (!pending && !stream_unsent(&c->stream))
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

    if ((!pending && !stream_unsent(&c->stream)) || !channel_everything_acknowledged(c) || !within_window(c, &pending))
        return;
    const struct iovec part = {c->out + c->out_start, pending};
    ssize_t sent = stream_send(&c->stream, &part, pending ? 1 : 0, MSG_DONTWAIT);
    if (sent <= 0)
        sent = 0;
    c->bytes += (uint64_t)sent;
    if ((size_t)sent < pending || stream_unsent(&c->stream)) {
        set_out(c, c->out_start + (size_t)sent, c->out_end);
        atomic_store(&c->partial, 1);
        eventfd_write(c->wake, 1);
        return;
    }
    set_out(c, 0, 0);
    checkpoint(c);
    atomic_store(&c->flushed, c->sequence);
}

void channel_unlock_send(struct channel *c)
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
void channel_kick(struct channel *c)
{
    if (!atomic_load(&c->out_pending) || !channel_everything_acknowledged(c))
        return;
    atomic_store(&c->flush_wanted, 1);
    if (pthread_mutex_trylock(&c->send_lock))
        return;
    atomic_store(&c->flush_wanted, 0);
    flush_some(c);
    channel_unlock_send(c);
}

static size_t total_length(const struct iovec *parts, int count)
{
    size_t total = 0;

    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    return total;
}

/* Appends one frame to what is coalesced. */
int channel_append(struct channel *c, uint16_t opcode, uint16_t flags, const struct iovec *parts, int count)
{
    size_t length = total_length(parts, count);
    struct wire_header header = {.length = (uint32_t)length, .opcode = opcode, .flags = flags};

    if (length > OUT_SIZE - sizeof header)
        return 1; /* CUDA_ERROR_INVALID_VALUE: no call of ours is that long */
    if (c->out_end + sizeof header + length > OUT_SIZE) {
        int error = channel_flush(c);
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
int channel_send_data(struct channel *c, const void *data, size_t length)
{
    int error = channel_flush(c);

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
