/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image takes of the device, known before it is loaded, and the names of its variables: the driver API finds a
 * variable by its name only. Images are whatever a program sends; each function takes any bytes.
 */
#ifndef ACCELPOOL_WORKER_VARIABLES_H
#define ACCELPOOL_WORKER_VARIABLES_H

#include "jit.h"

struct variables {
    struct bytes names; /* each with a NUL behind it; one may come twice */
    uint64_t size;      /* bytes, at least those of all variables; UINT64_MAX: more than can be */
    uint64_t code;      /* bytes of everything else that is loaded with them */
};

/* PTX: .global and .const variables, those inside functions included. The code is as long as the text. */
void ptx_variables(const char *text, size_t length, struct variables *found);
/* Machine code, an ELF file: 0, or -1 when it is broken. */
int cubin_variables(const uint8_t *image, size_t length, struct variables *found);
/*
 * The parts of a fat binary that a device of this compute capability (90 is 9.0; 0: any) may load; the sizes are those of
 * the largest, for the device loads one. 0; -1: broken, or a part is packed in a way that is not known here.
 */
int fatbin_variables(const uint8_t *image, size_t length, int capability, struct variables *found);

/* sum += size, UINT64_MAX when that overflows. */
static inline void variables_add(uint64_t *sum, uint64_t size)
{
    if (__builtin_add_overflow(*sum, size, sum))
        *sum = UINT64_MAX;
}

#endif
