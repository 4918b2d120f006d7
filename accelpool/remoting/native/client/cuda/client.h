/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the client library share. Functions that return CUresult decide documented errors by themselves,
 * before anything is sent.
 */
#ifndef ACCELPOOL_CLIENT_H
#define ACCELPOOL_CLIENT_H

#include "cuda_types.h"
#include "process.h"
#include "usage.h"

struct context {
    struct device *device;
    uint64_t id; /* unique in the process, never reused */
    CUcontext value;
    unsigned flags, api_version;
    atomic_uint references; /* primary: retains; else 1 until destroyed */
    int primary;
    int cache_config, shared_config;
};

/* --- state.c: the process ----------------------------------------------------------------------------------------- */

/* CUDA_ERROR_NOT_INITIALIZED before cuInit and in a child whose parent had called it; 0 otherwise. */
CUresult client_ready(void);
/* The current context's device. Every call on a device begins with it. */
CUresult client_enter(struct device **device);
/* Generated stubs end with it. */
#define CLIENT_STATUS(status) (status)

/* --- context.c ---------------------------------------------------------------------------------------------------- */

/* The calling thread's current context, or NULL. */
struct context *context_current(void);
/* The device's primary context, alive or not. */
struct context *context_primary(struct device *device);

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
CUresult stream_make(struct device *device, unsigned flags, int priority, CUstream *stream);
void stream_end(struct device *device, uint64_t id);

/* --- thread_stream.c ---------------------------------------------------------------------------------------------- */

/* The calling thread's default stream on this device. */
CUresult thread_stream(struct device *device, CUstream *stream);

/* --- host.c ------------------------------------------------------------------------------------------------------- */

/* 1 and the page-locked range that holds the address, or 0. */
int host_find(const void *address, void **start, size_t *bytes);

/* --- usage.c ------------------------------------------------------------------------------------------------------ */

extern const struct usage_table client_usage;

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
