/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies from the client's memory to the device's. Where the backend's device memory is host-visible and nothing is
 * queued, the bytes go from the socket to device memory without a stop. Otherwise they pass a bounded ring of pinned memory
 * and the vendor's asynchronous copy, so that the stream of calls waits only when the ring is full.
 *
 * Copies over the bus are not metered: a vendor's device has engines of their own for them, which run beside kernels, and what
 * reaches them here is bounded by the way to the client. Copies inside the device are kernels' peers; those are (interfaces).
 */
#include <stdlib.h>
#include <string.h>

#include "state.h"

#define STAGING_BYTES (8u << 20)
#define STAGING_MARKS 256u

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

void copy_in_close(struct session *s)
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
