/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call handler may use: the generated ones in <api>_worker.c and the hand-written ones in this directory.
 *
 * A handler gets one frame of the session's ordered stream. It decodes the payload with dec_*(), looks handles and
 * device ranges up, calls the vendor and ends with exactly one of call_status(), call_reply() or session_end(). A
 * malformed frame (a payload that is too short, too long or makes no sense) ends the session; a bad handle or range is
 * a status like any other.
 */
#ifndef ACCELPOOL_WORKER_DISPATCH_H
#define ACCELPOOL_WORKER_DISPATCH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct session;

struct call {
    uint16_t opcode, flags;
    uint32_t length;        /* of the payload */
    uint64_t sequence;
    const uint8_t *payload; /* valid until the handler returns */
};

/* --- decoding: reads past the end give zero and set bad ------------------------------------------------------- */

struct decoder {
    const uint8_t *at, *end;
    int bad;
};

static inline struct decoder decoder_of(const struct call *call)
{
    return (struct decoder){call->payload, call->payload + call->length, 0};
}

static inline const void *dec_bytes(struct decoder *d, uint64_t length)
{
    const uint8_t *at = d->at;

    if (length > (uint64_t)(d->end - d->at)) {
        d->bad = 1;
        return NULL;
    }
    d->at += length;
    return at;
}

#define ACCELPOOL_DECODE(name, type)                        \
    static inline type name(struct decoder *d)              \
    {                                                       \
        type value = 0;                                     \
        const void *at = dec_bytes(d, sizeof value);        \
                                                            \
        if (at)                                             \
            memcpy(&value, at, sizeof value);               \
        return value;                                       \
    }
ACCELPOOL_DECODE(dec_u8, uint8_t)
ACCELPOOL_DECODE(dec_u16, uint16_t)
ACCELPOOL_DECODE(dec_u32, uint32_t)
ACCELPOOL_DECODE(dec_i32, int32_t)
ACCELPOOL_DECODE(dec_u64, uint64_t)
ACCELPOOL_DECODE(dec_i64, int64_t)
ACCELPOOL_DECODE(dec_f32, float)
ACCELPOOL_DECODE(dec_f64, double)
#undef ACCELPOOL_DECODE

/* length bytes that must end in NUL and hold no other: NULL and bad otherwise. */
static inline const char *dec_string(struct decoder *d, uint64_t length)
{
    const char *text = length ? dec_bytes(d, length) : NULL;

    if (!text || memchr(text, 0, length) != text + length - 1) {
        d->bad = 1;
        return NULL;
    }
    return text;
}

/* 0 when everything was read and nothing more, -1 otherwise. */
static inline int dec_done(const struct decoder *d)
{
    return d->bad || d->at != d->end ? -1 : 0;
}

/* --- handles: the client names them, the worker keeps the vendor's ------------------------------------------- */

enum handle_kind {
    HANDLE_CONTEXT,
    HANDLE_STREAM,
    HANDLE_EVENT,
    HANDLE_MODULE,
    HANDLE_LIBRARY,
    HANDLE_KERNEL,
    HANDLE_FUNCTION,
    HANDLE_LINK,
    HANDLE_GRAPH,
    HANDLE_GRAPH_EXEC,
    HANDLE_KINDS
};

#define HANDLE_LIMIT (1u << 20) /* ids are 1 .. HANDLE_LIMIT-1, per kind */

/* The vendor's handle, or NULL when id was never put or is gone. Wait-free; any thread. */
void *handle_get(struct session *s, enum handle_kind kind, uint64_t id);
/* 0; -1 when id is out of bounds, in use or vendor is NULL. */
int handle_put(struct session *s, enum handle_kind kind, uint64_t id, void *vendor);
/* Removes id and returns the vendor's handle, NULL as handle_get. */
void *handle_take(struct session *s, enum handle_kind kind, uint64_t id);

/* --- device memory --------------------------------------------------------------------------------------------- */

/* 1 when every byte of [address, address + length) lies in mapped granules of this session; length 0 is 1. */
int memory_contains(struct session *s, uint64_t address, uint64_t length);

/* --- ends of a call -------------------------------------------------------------------------------------------- */

/* With WANT_REPLY: a reply with status alone. Without: a status other than 0 becomes the deferred (sticky) error. */
void call_status(struct session *s, const struct call *call, int32_t status);
/* The same with a payload behind {status, sticky} when the call wants a reply. */
void call_reply(struct session *s, const struct call *call, int32_t status, const void *payload, size_t length);
/* The session is over; reason goes to the agent's log. Safe from any thread. */
void session_end(struct session *s, const char *reason);

/* Around every call that gives the device something to compute. -1: the session is over; then no meter_end(). */
int meter_begin(struct session *s, void *stream);
void meter_end(struct session *s);

/* --- calls that may block on the device ------------------------------------------------------------------------ */

typedef void (*call_handler)(struct session *s, const struct call *call);

/* Copies the frame and runs handler on a side thread; the ordered stream goes on. */
void side_submit(struct session *s, const struct call *call, call_handler handler);

/* Of an opcode from 64 on. */
struct generated_call {
    call_handler handler;
    uint8_t blocks; /* runs on a side thread */
};

#endif
