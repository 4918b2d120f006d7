/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker gives to a vendor library that wants it: ours, for emulated devices. Real vendor libraries lack it. */
#ifndef ACCELPOOL_BACKEND_H
#define ACCELPOOL_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#define ACCELPOOL_BACKEND_VERSION 1

struct accelpool_backend_host {
    uint32_t version;
    void *opaque;
    /* Blocks until the slice holds the device's grant; returns the ns budget before the next call. */
    uint64_t (*gate_enter)(void *opaque);
    /* Report used device time (CPU time for emulated). Returns 1: keep going, 0: grant is gone, call gate_enter again. */
    int (*gate_charge)(void *opaque, uint64_t used_ns);
    /* The device queue is empty. */
    void (*gate_idle)(void *opaque);
    /* PTX text -> fd of a shared object. Returns a CUresult; log gets compiler diagnostics. */
    int (*translate)(void *opaque, const char *ptx, size_t length, int *module_fd, char *log, size_t log_size);
    /* About to touch bytes of host memory for the first time: 0 ok, -1 over the host's cap. */
    int (*touch)(void *opaque, uint64_t bytes);
    void (*untouch)(void *opaque, uint64_t bytes);
};

/* Optional exports of a backend library; absent in real vendor libraries. */

int accelpool_backend_attach(const struct accelpool_backend_host *host);
/* Host pointer to device memory (write: committed through the touch hook first); NULL: not mapped, or over the cap. */
void *accelpool_backend_access(uint64_t address, uint64_t bytes, int write);
/* The descriptor (the library's own) that another process needs to map memory that this one has exported. */
int accelpool_backend_share(void);
/* Another process's such descriptor; the library keeps a copy. 0, or -1: it is none. */
int accelpool_backend_adopt(int fd);
/* 1 when no device work is queued or running, and none failed. */
int accelpool_backend_idle(void);

#endif
