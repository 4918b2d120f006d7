/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same for machine code (cubin, an ELF file): every kernel has a section .nv.info.<name>, a list of attributes, and
 * EIATTR_KPARAM_INFO (0x17) among them tells ordinal, offset and size of one parameter. A driver that cannot be asked
 * (cuKernelGetParamInfo came with CUDA 12.4) is not needed for it.
 */
#ifndef ACCELPOOL_CUBIN_PARAMS_H
#define ACCELPOOL_CUBIN_PARAMS_H

#include "ptx_params.h"

/* As ptx_kernels(), for the whole ELF file; names point into it. */
int cubin_kernels(const void *image, size_t length, struct ptx_kernel **kernels);
/* The same for the first piece of machine code in a fat binary that is not compressed; 0: there is none. */
int fatbin_kernels(const void *image, size_t length, struct ptx_kernel **kernels);

#endif
