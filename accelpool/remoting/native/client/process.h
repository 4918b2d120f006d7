/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every vendor API's client library has: the process's attachment, its slices as devices with a session each, and
 * calls on them. Functions that return int return a status of the worker or of the vendor's library: 0 is success.
 */
#ifndef ACCELPOOL_CLIENT_PROCESS_H
#define ACCELPOOL_CLIENT_PROCESS_H

#include <stdatomic.h>

#include "attachment.h"
#include "channel.h"
#include "handle.h"
#include "heap.h"
#include "wire.h"

/* One slice of the attachment, with its session. */
struct device {
    int ordinal;               /* among those of this library's interface */
    struct channel *channel;
    struct heap *heap;
    uint64_t memory_limit;     /* bytes, of the slice: the device's memory as far as the program is concerned */
    struct wire_snapshot snapshot;
    _Atomic uint64_t work;     /* calls that gave the device something to do */
};

/* --- process.c ---------------------------------------------------------------------------------------------------- */

/* Opens a session for every slice of the attachment that speaks `interface`, once. -1: no device, and why is on stderr;
 * or this is the child of a fork, which has none. */
int process_start(const char *interface);
/* 0 before process_start() and in a child whose parent had called it. */
int process_ready(void);
int process_forked(void);

/* NULL: no such ordinal. */
struct device *client_device(int ordinal);
unsigned client_device_count(void);
/* The device whose range holds the address, or NULL. */
struct device *client_device_at(uint64_t address);
/* One line on stderr, "accelpool: ..." */
void client_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- session.c: calls --------------------------------------------------------------------------------------------- */

enum call_flags {
    CALL_WORK = 1,   /* the device gets something to do */
    CALL_ALWAYS = 4, /* also when an asynchronous error is due: then that error is returned, but the call is made */
    CALL_IDLE = 2,   /* on success the device has done everything that came before */
};

int session_post(struct device *device, uint16_t opcode, const void *call, size_t length, int flags);
/* reply may be NULL when only the status counts. */
int session_wait(struct device *device, uint16_t opcode, const void *call, size_t length, struct wire_reply *reply,
                 size_t reply_length, int flags);
void session_worked(struct device *device);
/* Copies whose addresses have been checked; stream is the wire's number. To the device: `from` may change as soon as the
 * call returns. From the device: one round trip, because the bytes have nowhere to wait but the program's memory. */
int session_copy_in(struct device *device, uint64_t to, const void *from, size_t bytes, uint64_t stream);
int session_copy_out(struct device *device, void *to, uint64_t from, size_t bytes, uint64_t stream);

#endif
