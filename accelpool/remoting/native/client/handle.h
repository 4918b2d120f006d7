/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles that the program holds. They are numbers, not pointers: a wrong or stale one is an error code, never a crash.
 * A handle's id goes over the wire; ids are unique per kind in the process and reused as late as possible.
 */
#ifndef ACCELPOOL_CLIENT_HANDLE_H
#define ACCELPOOL_CLIENT_HANDLE_H

#include <stdint.h>

struct device;

enum handle_kind {
    HANDLE_CONTEXT,
    HANDLE_STREAM,
    HANDLE_EVENT,
    HANDLE_MODULE, /* libraries' modules too */
    HANDLE_LIBRARY,
    HANDLE_FUNCTION, /* kernels too: the same handle serves as CUfunction and as CUkernel */
    HANDLE_LINK,
    HANDLE_KINDS
};

#define HANDLE_LIMIT (1u << 20)
#define HANDLE_FIRST 16u /* the first numbers are the default streams */

/* Returns an id, or 0 when there is no more room. device NULL: belongs to none. */
uint64_t handle_new(enum handle_kind kind, struct device *device, void *object);
/* What the program gets to see. */
void *handle_value(enum handle_kind kind, uint64_t id);
/* The id of a live handle. CUDA_ERROR_INVALID_HANDLE when it is none, or of another device (unless device is NULL). */
int handle_id(enum handle_kind kind, const struct device *device, const void *value, uint64_t *id);
/* The object of a live handle, or NULL. */
void *handle_object(enum handle_kind kind, const void *value);
/* The device of a live handle, or NULL. */
struct device *handle_device(enum handle_kind kind, const void *value);
void handle_free(enum handle_kind kind, uint64_t id);
/* Calls visit for every live handle of the device whose object is this one (NULL: any); it may free that handle. */
void handle_each(enum handle_kind kind, struct device *device, const void *object,
                 void (*visit)(struct device *device, uint64_t id));

#endif
