/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the client library share. Functions that return CUresult decide documented errors by themselves,
 * before anything is sent.
 */
#ifndef ACCELPOOL_CLIENT_H
#define ACCELPOOL_CLIENT_H

#include <stdatomic.h>

#include "attachment.h"
#include "channel.h"
#include "cuda_types.h"
#include "handle.h"
#include "heap.h"
#include "wire.h"

struct context {
    struct device *device;
    uint64_t id; /* unique in the process, never reused */
    CUcontext value;
    unsigned flags, api_version;
    atomic_uint references; /* primary: retains; else 1 until destroyed */
    int primary;
    int cache_config, shared_config;
};

/* One slice of the attachment, with its session. */
struct device {
    CUdevice ordinal;
    struct channel *channel;
    struct heap *heap;
    uint64_t memory_limit;     /* bytes, of the slice: the device's memory as far as the program is concerned */
    struct wire_snapshot snapshot;
    struct context primary;
    atomic_uint contexts; /* that live: the primary one counts once */
    _Atomic uint64_t work; /* calls that gave the device something to do */
};

/* --- state.c: the process ----------------------------------------------------------------------------------------- */

/* CUDA_ERROR_NOT_INITIALIZED before cuInit and in a child whose parent had called it; 0 otherwise. */
CUresult client_ready(void);
/* The current context's device. Every call on a device begins with it. */
CUresult client_enter(struct device **device);
/* NULL: no such ordinal. */
struct device *client_device(CUdevice ordinal);
unsigned client_device_count(void);
/* The device whose range holds the address, or NULL. */
struct device *client_device_at(CUdeviceptr address);
/* One line on stderr, "accelpool: ..." */
void client_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- context.c ---------------------------------------------------------------------------------------------------- */

/* The calling thread's current context, or NULL. */
struct context *context_current(void);
void context_primary_open(struct device *device);

/* --- session.c: calls --------------------------------------------------------------------------------------------- */

enum call_flags {
    CALL_WORK = 1,   /* the device gets something to do */
    CALL_ALWAYS = 4, /* also when an asynchronous error is due: then that error is returned, but the call is made */
    CALL_IDLE = 2,   /* on success the device has done everything that came before */
};

CUresult session_post(struct device *device, uint16_t opcode, const void *call, size_t length, int flags);
/* reply may be NULL when only the status counts. */
CUresult session_wait(struct device *device, uint16_t opcode, const void *call, size_t length, struct wire_reply *reply,
                      size_t reply_length, int flags);
void session_worked(struct device *device);

/* --- memory.c, module.c: device addresses ------------------------------------------------------------------------- */

/* CUDA_ERROR_INVALID_VALUE unless [address, address + bytes) lies within one allocation or module variable. */
CUresult client_range(struct device *device, CUdeviceptr address, uint64_t bytes);
/* 1 and the module variable that holds the address, or 0. */
int module_global_at(struct device *device, CUdeviceptr address, uint64_t *start, uint64_t *bytes);

/* --- stream.c ----------------------------------------------------------------------------------------------------- */

#define CLIENT_STREAM_LEGACY ((CUstream)1)
#define CLIENT_STREAM_PER_THREAD ((CUstream)2)

/* The wire's number of a stream of this device; CUDA_ERROR_INVALID_HANDLE when it is none. */
CUresult client_stream(struct device *device, CUstream stream, uint64_t *id);
/* Stream 0 is the calling thread's own in the variants for per-thread default streams. */
CUstream client_thread_stream(CUstream stream);

/* --- host.c ------------------------------------------------------------------------------------------------------- */

/* 1 and the page-locked range that holds the address, or 0. */
int host_find(const void *address, void **start, size_t *bytes);

/* --- procedure.c -------------------------------------------------------------------------------------------------- */

typedef void (*client_function)(void);
struct client_symbol {
    const char *base;
    int version;
    int per_thread;
    client_function function;
};
extern const struct client_symbol client_symbols[];
extern const size_t client_symbol_count;

/* For symbols that are exported and not carried: CUDA_ERROR_NOT_SUPPORTED, and the name once on stderr. */
CUresult client_unsupported(const char *name, atomic_int *said);

#endif
