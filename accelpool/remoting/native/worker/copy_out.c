/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies from the device's memory to the client's. Where the backend's device memory is host-visible, the bytes go to the
 * socket without a stop. Otherwise a side thread reads them through two pinned chunks. Some pairs of chunks are kept: a
 * vendor's library takes longer to pin memory than to copy a number, and may wait for the whole device to free it.
 */
#include <string.h>

#include "state.h"

#define INLINE (64u << 10) /* bytes that are answered on the main thread when the device is idle */
#define CHUNK WIRE_CHUNK_MAX

int copy_out_open(struct session *s)
{
    return pthread_mutex_init(&s->outgoing.lock, NULL) ? -1 : 0;
}

void copy_out_close(struct session *s)
{
    while (s->outgoing.count)
        vendor.host_free(s->outgoing.pairs[--s->outgoing.count]);
}

/* Two pinned chunks, one behind the other. */
static int pair_take(struct session *s, void **pair)
{
    struct outgoing *o = &s->outgoing;

    pthread_mutex_lock(&o->lock);
    *pair = o->count ? o->pairs[--o->count] : NULL;
    pthread_mutex_unlock(&o->lock);
    return *pair ? CU_SUCCESS : vendor.host_alloc(pair, 2 * CHUNK, 0);
}

/* Nothing reads or writes there any more. */
static void pair_give(struct session *s, void *pair)
{
    struct outgoing *o = &s->outgoing;

    pthread_mutex_lock(&o->lock);
    if (o->count < OUTGOING_KEPT) {
        o->pairs[o->count++] = pair;
        pair = NULL;
    }
    pthread_mutex_unlock(&o->lock);
    if (pair)
        vendor.host_free(pair);
}

/* The answer from memory that can be read, in frames of a size that lets other answers through. */
static void copy_out_send(struct session *s, const struct call *call, const uint8_t *bytes, uint64_t length)
{
    uint64_t part;

    do {
        part = length < CHUNK ? length : CHUNK;
        length -= part;
        send_chunk(s, call, CU_SUCCESS, bytes, part, length > 0);
        bytes += part;
    } while (length > 0 && !atomic_load(&s->ended));
}

/* Through two pinned chunks: one on its way to the client while the device fills the other. */
static void copy_out_staged(struct session *s, const struct call *call, uint64_t from, uint64_t length, void *stream)
{
    uint64_t part = length < CHUNK ? length : CHUNK, next;
    void *pair = NULL;
    uint8_t *now, *other;
    int status = pair_take(s, &pair);

    if (status) {
        call_status(s, call, status);
        return;
    }
    now = pair;
    other = now + CHUNK;
    status = vendor.copy_out(now, from, part, stream);
    if (!status)
        status = vendor.stream_sync(stream);
    while (!status && length > part && !atomic_load(&s->ended)) {
        length -= part;
        from += part;
        next = length < CHUNK ? length : CHUNK;
        status = vendor.copy_out(other, from, next, stream);
        if (!status)
            send_chunk(s, call, CU_SUCCESS, now, part, 1);
        if (!status)
            status = vendor.stream_sync(stream);
        uint8_t *swap = now;
        now = other;
        other = swap;
        part = next;
    }
    send_chunk(s, call, status, now, status ? 0 : part, 0);
    if (status && vendor.stream_sync(stream))
        vendor.host_free(pair); /* which waits: something may still write there */
    else
        pair_give(s, pair);
}

static void copy_out_job(struct session *s, const struct call *call)
{
    struct wire_copy_out wire;
    const uint8_t *device;
    void *stream;
    int status;

    memcpy(&wire, call->payload, sizeof wire);
    if (session_stream(s, wire.stream, &stream)) {
        call_status(s, call, CU_INVALID_HANDLE);
        return;
    }
    if (vendor.access) {
        status = vendor.stream_sync(stream);
        if (status) {
            call_status(s, call, status);
            return;
        }
        if ((device = memory_use(s, wire.source, wire.bytes, 0))) {
            copy_out_send(s, call, device, wire.bytes);
            memory_done(s);
            return;
        }
    }
    copy_out_staged(s, call, wire.source, wire.bytes, stream);
}

void copy_out(struct session *s, const struct call *call)
{
    struct wire_copy_out wire;
    const uint8_t *device;
    void *stream;

    if (call->length != sizeof wire || !(call->flags & WIRE_WANT_REPLY)) {
        session_end(s, "COPY_OUT: malformed");
        return;
    }
    memcpy(&wire, call->payload, sizeof wire);
    if (session_stream(s, wire.stream, &stream)) {
        call_status(s, call, CU_INVALID_HANDLE);
    } else if (!memory_contains(s, wire.source, wire.bytes)) {
        call_status(s, call, CU_INVALID_VALUE);
    } else if (wire.bytes == 0) {
        call_status(s, call, CU_SUCCESS);
    } else if (wire.bytes <= INLINE && session_idle() && (device = memory_use(s, wire.source, wire.bytes, 0))) {
        s->reader.unacknowledged = 0;
        copy_out_send(s, call, device, wire.bytes);
        memory_done(s);
    } else {
        side_submit(s, call, copy_out_job);
    }
}
