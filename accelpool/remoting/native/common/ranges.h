/* SPDX-License-Identifier: Apache-2.0 */
/* How many bytes a call touches: used in interface descriptions, so that client and worker compute the same. */
#ifndef ACCELPOOL_RANGES_H
#define ACCELPOOL_RANGES_H

#include <stdint.h>

/* count elements of size bytes; UINT64_MAX, which no range holds, when that overflows. */
static inline uint64_t span(uint64_t count, uint64_t size)
{
    uint64_t bytes;

    return __builtin_mul_overflow(count, size, &bytes) ? UINT64_MAX : bytes;
}

/* height rows of width elements of size bytes, pitch bytes from row to row. */
static inline uint64_t span2d(uint64_t pitch, uint64_t width, uint64_t size, uint64_t height)
{
    uint64_t bytes;

    if (!width || !height)
        return 0;
    return __builtin_add_overflow(span(pitch, height - 1), span(width, size), &bytes) ? UINT64_MAX : bytes;
}

#endif
