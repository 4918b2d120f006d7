/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session's connection: frames out in order, replies in, nothing waits that the program does not wait for.
 *
 * Calls without a reply are sent at once while nothing is unacknowledged and coalesced while something is (DESIGN section
 * 6, point 7); at most window_bytes are under way. A caller that waits for its reply reads the socket itself; a background
 * thread reads while nobody waits, so that acknowledgements, recalls and the end of the session are never late.
 *
 * Every function that returns int returns a CUresult. A lost connection is CUDA_ERROR_CONTEXT_IS_DESTROYED (709), for ever.
 */
#ifndef ACCELPOOL_CLIENT_CHANNEL_H
#define ACCELPOOL_CLIENT_CHANNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "stream.h"
#include "wire.h"

#define CHANNEL_LOST 709
#define CHANNEL_PARTS 6 /* iovecs of one call at most */

struct channel;

/* Where a reply goes: the first head_size bytes (they start with struct wire_reply) into head, what follows, over all
 * frames of the reply, into body. With `grow` body is allocated (the caller frees it), up to body_size bytes. */
struct channel_reply {
    void *head;
    size_t head_size;
    void *body;
    size_t body_size; /* capacity */
    int grow;
    size_t body_received;
};

/* Told, on the background thread, that the agent wants unused lease bytes back; the answer says the same number. */
typedef void (*channel_recall)(void *opaque, uint64_t number);

/* Takes a connected stream whose WELCOME has been read, and closes it at the end. NULL: out of memory or threads. */
struct channel *channel_open(const struct stream *stream, uint64_t window_bytes);
void channel_on_recall(struct channel *channel, channel_recall recall, void *opaque);
/* Sends what is coalesced, says BYE and closes. */
void channel_close(struct channel *channel);
/* In the child of a fork: lets go of the socket, so that the parent's end is the session's end. */
void channel_forget(struct channel *channel);

/* A call without reply. The parts are copied. Returns an earlier asynchronous error, if one is due. */
int channel_send(struct channel *channel, uint16_t opcode, const struct iovec *parts, int count);
/* The same, and nothing but a lost connection keeps it from being sent: for what must not be left out, such as the end of a
 * handle's life. An earlier asynchronous error stays for the next call. */
int channel_tell(struct channel *channel, uint16_t opcode, const struct iovec *parts, int count);
/* A call without reply, followed by `length` bytes in DATA frames; returns when `data` may be changed. */
int channel_send_bulk(struct channel *channel, uint16_t opcode, const struct iovec *parts, int count, const void *data,
                      size_t length);
/* A call that waits. Returns the reply's status, or an asynchronous error that came with it. */
int channel_call(struct channel *channel, uint16_t opcode, const struct iovec *parts, int count,
                 struct channel_reply *reply);
int channel_call_bulk(struct channel *channel, uint16_t opcode, const struct iovec *parts, int count, const void *data,
                      size_t length, struct channel_reply *reply);
/* The asynchronous error that the next call would return; takes it unless it is one that stays. */
int channel_error(struct channel *channel);

/* An error that stays: every call on the device returns it from now on. Takes nothing. */
int channel_broken(struct channel *channel);

#endif
