/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between the client's memory and the device's. Where the backend's device memory is host-visible and nothing is
 * queued, the bytes go between socket and device memory without a stop. Otherwise data for the device passes a bounded
 * ring of pinned memory and the vendor's asynchronous copy, so that the stream of calls waits only when the ring is full;
 * data for the client is read on a side thread.
 *
 * Copies over the bus are not metered: a vendor's device has engines of their own for them, which run beside kernels, and what
 * reaches them here is bounded by the way to the client. Copies inside the device are kernels' peers; those are (interfaces).
 */
#include <stdlib.h>
#include <string.h>

#include "state.h"

#define STAGING_BYTES (8u << 20)
#define STAGING_MARKS 256u
#define COPY_OUT_INLINE (64u << 10) /* answered on the main thread when the device is idle */
#define COPY_OUT_CHUNK WIRE_CHUNK_MAX

struct staging_mark {
    void *event;    /* recorded behind the copy that reads the bytes */
    uint64_t end;   /* ring position behind them */
};

struct staging {
    uint8_t *ring;
    uint64_t head, tail; /* positions since the start; the bytes [tail, head) are in use */
    struct staging_mark marks[STAGING_MARKS];
    unsigned first, count;
};

static struct staging *staging_open(struct session *s)
{
    void *ring = NULL;

    if (!s->staging) {
        struct staging *staging = calloc(1, sizeof *staging);

        if (!staging || vendor.host_alloc(&ring, STAGING_BYTES, 0)) {
            free(staging);
            return NULL;
        }
        staging->ring = ring;
        s->staging = staging;
    }
    return s->staging;
}

void copy_close(struct session *s)
{
    struct staging *staging = s->staging;

    if (!staging)
        return;
    for (unsigned i = 0; i < STAGING_MARKS; i++)
        if (staging->marks[i].event)
            vendor.event_destroy(staging->marks[i].event);
    vendor.host_free(staging->ring);
    free(staging);
    s->staging = NULL;
}

/* The oldest copy is done and its bytes are free. */
static int staging_retire(struct staging *staging)
{
    struct staging_mark *mark = &staging->marks[staging->first];
    int status = vendor.event_sync(mark->event);

    staging->tail = mark->end;
    staging->first = (staging->first + 1) % STAGING_MARKS;
    staging->count--;
    return status;
}

/* length bytes in one piece, at most WIRE_CHUNK_MAX. Waits for the device where it must. */
static uint8_t *staging_take(struct staging *staging, size_t length)
{
    uint64_t at = staging->head % STAGING_BYTES;
    uint64_t skip = at + length > STAGING_BYTES ? STAGING_BYTES - at : 0;

    while (staging->count == STAGING_MARKS ||
           (staging->count && staging->head + skip + length - staging->tail > STAGING_BYTES))
        staging_retire(staging); /* a failure there is the copy's own: the next vendor call reports it */
    if (staging->count == 0)
        staging->tail = staging->head;
    staging->head += skip + length;
    return staging->ring + (skip ? 0 : at);
}

static int staging_copy(struct staging *staging, uint64_t to, const uint8_t *from, size_t length, void *stream)
{
    struct staging_mark *mark = &staging->marks[(staging->first + staging->count) % STAGING_MARKS];
    int status = CU_SUCCESS;

    if (!mark->event)
        status = vendor.event_create(&mark->event, VENDOR_EVENT_BLOCKING | VENDOR_EVENT_UNTIMED);
    if (!status)
        status = vendor.copy_in(to, from, length, stream);
    if (!status)
        status = vendor.event_record(mark->event, stream);
    if (status) {
        vendor.context_sync(); /* nothing may read the bytes when they are used again */
        return status;
    }
    mark->end = staging->head;
    staging->count++;
    return CU_SUCCESS;
}

/* DATA frames straight into device memory. */
static void copy_in_direct(struct session *s, const struct call *call, uint8_t *device, uint64_t bytes)
{
    struct call data;

    for (; bytes; device += data.length, bytes -= data.length)
        if (data_header(s, &data, bytes) || reader_take(s, device, data.length))
            return;
    call_status(s, call, CU_SUCCESS);
}

static void copy_in_staged(struct session *s, const struct call *call, uint64_t to, uint64_t bytes, void *stream)
{
    struct staging *staging = staging_open(s);
    struct call data;
    int status = staging ? CU_SUCCESS : CU_OUT_OF_MEMORY;

    for (; bytes && !status; to += data.length, bytes -= data.length) {
        if (data_header(s, &data, bytes))
            return;
        uint8_t *memory = staging_take(staging, data.length);
        if (reader_take(s, memory, data.length))
            return;
        status = staging_copy(staging, to, memory, data.length, stream);
    }
    if (data_discard(s, bytes))
        return;
    call_status(s, call, status);
}

static void copy_in_inline(struct session *s, const struct call *call, uint64_t to, const void *bytes, size_t length,
                           void *stream)
{
    struct staging *staging;
    uint8_t *memory;

    if (session_idle() && (memory = memory_use(s, to, length, 1))) {
        memcpy(memory, bytes, length);
        memory_done(s);
        call_status(s, call, CU_SUCCESS);
        return;
    }
    staging = staging_open(s);
    if (!staging) {
        call_status(s, call, CU_OUT_OF_MEMORY);
        return;
    }
    memory = staging_take(staging, length);
    memcpy(memory, bytes, length);
    call_status(s, call, staging_copy(staging, to, memory, length, stream));
}

void copy_in(struct session *s, const struct call *call)
{
    struct decoder d = decoder_of(call);
    const uint64_t to = dec_u64(&d), bytes = dec_u64(&d), id = dec_u64(&d);
    const int is_inline = bytes <= WIRE_INLINE_MAX;
    const void *inline_bytes = is_inline ? dec_bytes(&d, bytes) : NULL;
    void *stream, *device;
    int status = CU_SUCCESS;

    if (dec_done(&d)) {
        session_end(s, "COPY_IN: malformed");
        return;
    }
    if (session_stream(s, id, &stream))
        status = CU_INVALID_HANDLE;
    else if (!memory_contains(s, to, bytes))
        status = CU_INVALID_VALUE;
    if (is_inline && !status && bytes) {
        copy_in_inline(s, call, to, inline_bytes, bytes, stream);
    } else if (is_inline || status) {
        if (is_inline || data_discard(s, bytes) == 0)
            call_status(s, call, status);
    } else if (session_idle() && (device = memory_use(s, to, bytes, 1))) {
        copy_in_direct(s, call, device, bytes);
        memory_done(s);
    } else {
        copy_in_staged(s, call, to, bytes, stream);
    }
}

/* The answer from memory that can be read, in frames of a size that lets other answers through. */
static void copy_out_send(struct session *s, const struct call *call, const uint8_t *bytes, uint64_t length)
{
    uint64_t part;

    do {
        part = length < COPY_OUT_CHUNK ? length : COPY_OUT_CHUNK;
        length -= part;
        send_chunk(s, call, CU_SUCCESS, bytes, part, length > 0);
        bytes += part;
    } while (length > 0 && !atomic_load(&s->ended));
}

/* Through two pinned chunks: one on its way to the client while the device fills the other. */
static void copy_out_staged(struct session *s, const struct call *call, uint64_t from, uint64_t length, void *stream)
{
    const uint64_t chunk = length < COPY_OUT_CHUNK ? length : COPY_OUT_CHUNK;
    uint64_t part = chunk, next;
    void *memory = NULL;
    uint8_t *now, *other;
    int status = vendor.host_alloc(&memory, 2 * chunk, 0);

    now = memory;
    other = now + chunk;
    if (!status)
        status = vendor.copy_out(now, from, part, stream);
    if (!status)
        status = vendor.stream_sync(stream);
    while (!status && length > part && !atomic_load(&s->ended)) {
        length -= part;
        from += part;
        next = length < chunk ? length : chunk;
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
    if (memory) {
        vendor.stream_sync(stream); /* after a failure: nothing may write there any more */
        vendor.host_free(memory);
    }
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
    } else if (wire.bytes <= COPY_OUT_INLINE && session_idle() && (device = memory_use(s, wire.source, wire.bytes, 0))) {
        s->reader.unacknowledged = 0;
        copy_out_send(s, call, device, wire.bytes);
        memory_done(s);
    } else {
        side_submit(s, call, copy_out_job);
    }
}
