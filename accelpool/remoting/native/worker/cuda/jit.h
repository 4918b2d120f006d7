/* SPDX-License-Identifier: Apache-2.0 */
/* Options and log buffers of the vendor's compiler and linker; names of variables in images. */
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

/* Calls found(opaque, name, length) for every module-scope .global and .const variable of PTX text. */
void ptx_variables(const char *text, size_t length, void (*found)(void *opaque, const char *name, size_t length),
                   void *opaque);
/* The same over the uncompressed PTX entries of a fat binary; -1 when its headers contradict its length. */
int fatbin_variables(const uint8_t *image, size_t length,
                     void (*found)(void *opaque, const char *name, size_t length), void *opaque);

/* Bytes that grow; after a failed allocation everything is dropped and failed is set. */
struct bytes {
    uint8_t *data;
    size_t length, capacity;
    int failed;
};
void bytes_add(struct bytes *bytes, const void *data, size_t length);

#endif
