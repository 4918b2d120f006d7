/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of a PTX text and where their parameters lie, so that launch arguments can be packed beside the program. */
#ifndef ACCELPOOL_PTX_PARAMS_H
#define ACCELPOOL_PTX_PARAMS_H

#include <stddef.h>
#include <stdint.h>

#define PTX_PARAMETERS_MAX 4096u /* of one kernel; more than 32764 bytes of them can be */

struct ptx_parameter {
    uint32_t offset, size; /* bytes */
};

struct ptx_kernel {
    const char *name; /* in the text, not terminated */
    size_t name_length;
    struct ptx_parameter *parameters;
    uint32_t count;
};

/*
 * Finds every .entry of the text. Returns the number of kernels and an array for ptx_free(), or -1 when memory is short or
 * a parameter list is not understood.
 */
int ptx_kernels(const char *text, size_t length, struct ptx_kernel **kernels);
void ptx_free(struct ptx_kernel *kernels, int count);

#endif
