/* SPDX-License-Identifier: Apache-2.0 */
/* Options and log buffers of the vendor's compiler and linker. */
#ifndef ACCELPOOL_WORKER_JIT_H
#define ACCELPOOL_WORKER_JIT_H

#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define JIT_LOG 16384u /* bytes of each of the two logs */

struct jit {
    int options[WIRE_JIT_OPTIONS + 4];
    void *values[WIRE_JIT_OPTIONS + 4];
    unsigned count;
    char info[JIT_LOG], error[JIT_LOG];
};

/* Takes the client's options that are numbers and means something to a compiler; the log buffers are the worker's. */
void jit_start(struct jit *jit, const struct wire_jit_option *options, unsigned count);
/* The error log, or the other one when that is empty; *length without NUL. */
const char *jit_log(const struct jit *jit, size_t *length);

/* Bytes that grow; after a failed allocation everything is dropped and failed is set. */
struct bytes {
    uint8_t *data;
    size_t length, capacity;
    int failed;
};
void bytes_add(struct bytes *bytes, const void *data, size_t length);

#endif
