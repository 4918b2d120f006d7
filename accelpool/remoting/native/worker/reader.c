/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ordered stream of calls. One recv brings as many frames as there are; a payload is used where it lies. Nothing is
 * taken on trust: length, sequence and flags are checked here, before any handler sees the frame.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "state.h"

#define READER_CAPACITY (2u << 20) /* holds the largest frame with room to read ahead */
#define READER_ACK_EVERY (256u << 10)
#define READER_AHEAD_BULK 4096u /* between the frames of a bulk copy: what is read ahead is copied once more */

_Static_assert(READER_CAPACITY > WIRE_PAYLOAD_MAX + sizeof(struct wire_header), "the largest frame fits");

int reader_open(struct session *s)
{
    s->reader = (struct reader){.buffer = malloc(READER_CAPACITY), .capacity = READER_CAPACITY};
    return s->reader.buffer ? 0 : -1;
}

void reader_close(struct session *s)
{
    free(s->reader.buffer);
    s->reader.buffer = NULL;
}

/* One recv into parts. The client learns what is done before this thread sleeps. Returns bytes, 0 or less = the end. */
static ssize_t reader_receive(struct session *s, struct iovec *parts, int count)
{
    ssize_t got = -1;

    if (s->reader.unacknowledged) {
        got = stream_receive(&s->stream, parts, count, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            send_ack(s);
    }
    while (got < 0 && !atomic_load_explicit(&s->ended, memory_order_relaxed)) {
        got = stream_receive(&s->stream, parts, count, 0);
        if (got < 0 && errno != EINTR)
            break;
    }
    if (got == 0)
        session_end(s, NULL); /* the client has gone: no news */
    else if (got < 0)
        session_end(s, "the connection broke");
    return got;
}

/* Makes at least need unread bytes stand in the buffer. */
static int reader_need(struct session *s, size_t need)
{
    struct reader *r = &s->reader;

    if (r->begin == r->end)
        r->begin = r->end = 0;
    if (r->capacity - r->begin < need) {
        memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
        r->end -= r->begin;
        r->begin = 0;
    }
    while (r->end - r->begin < need) {
        const size_t room = r->capacity - r->end, missing = need - (r->end - r->begin);
        const size_t wanted = missing < r->ahead ? r->ahead : missing;
        struct iovec part = {r->buffer + r->end, wanted < room ? wanted : room};
        ssize_t got = reader_receive(s, &part, 1);

        if (got <= 0)
            return -1;
        r->end += (size_t)got;
    }
    return 0;
}

int reader_header(struct session *s, struct call *call)
{
    struct reader *r = &s->reader;
    struct wire_header header;

    if (r->unacknowledged >= READER_ACK_EVERY)
        send_ack(s);
    if (atomic_load_explicit(&s->ended, memory_order_relaxed) || reader_need(s, sizeof header))
        return -1;
    memcpy(&header, r->buffer + r->begin, sizeof header);
    if (header.length > WIRE_PAYLOAD_MAX) {
        session_end(s, "a frame is longer than the limit");
        return -1;
    }
    if (header.sequence != r->sequence + 1) {
        session_end(s, "a frame is out of sequence");
        return -1;
    }
    if (header.flags & ~(WIRE_WANT_REPLY | WIRE_MORE)) {
        session_end(s, "a frame has unknown flags");
        return -1;
    }
    r->begin += sizeof header;
    r->sequence = header.sequence;
    *call = (struct call){.opcode = header.opcode, .flags = header.flags, .length = header.length,
                          .sequence = header.sequence};
    return 0;
}

/* The frame whose header came last is here as a whole. */
static void reader_complete(struct reader *r, size_t length)
{
    r->complete = r->sequence;
    r->unacknowledged += sizeof(struct wire_header) + length;
}

int reader_payload(struct session *s, struct call *call)
{
    if (reader_need(s, call->length))
        return -1;
    call->payload = s->reader.buffer + s->reader.begin;
    s->reader.begin += call->length;
    reader_complete(&s->reader, call->length);
    return 0;
}

int reader_frame(struct session *s, struct call *call)
{
    s->reader.ahead = s->reader.capacity;
    return reader_header(s, call) || reader_payload(s, call) ? -1 : 0;
}

int reader_take(struct session *s, void *memory, size_t length)
{
    struct reader *r = &s->reader;
    size_t buffered = r->end - r->begin, whole = length;

    if (buffered > length)
        buffered = length;
    memcpy(memory, r->buffer + r->begin, buffered);
    r->begin += buffered;
    memory = (uint8_t *)memory + buffered;
    length -= buffered;
    while (length > 0) { /* the buffer is empty now: read ahead into it behind the payload */
        struct iovec parts[2] = {{memory, length}, {r->buffer, r->ahead}};
        ssize_t got = reader_receive(s, parts, 2);

        if (got <= 0)
            return -1;
        if ((size_t)got >= length) {
            r->begin = 0;
            r->end = (size_t)got - length;
            break;
        }
        memory = (uint8_t *)memory + got;
        length -= (size_t)got;
    }
    reader_complete(r, whole);
    return 0;
}

int data_header(struct session *s, struct call *data, uint64_t left)
{
    s->reader.ahead = READER_AHEAD_BULK;
    if (reader_header(s, data))
        return -1;
    if (data->opcode != WIRE_DATA || data->flags || data->length == 0 || data->length > WIRE_CHUNK_MAX ||
        data->length > left) {
        session_end(s, "DATA: missing or malformed");
        return -1;
    }
    return 0;
}

int data_discard(struct session *s, uint64_t bytes)
{
    struct call data;

    for (; bytes; bytes -= data.length)
        if (data_header(s, &data, bytes) || reader_payload(s, &data))
            return -1;
    return 0;
}
