/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles only if what the client library defines has the prototypes of the vendor's public header. */
#define __CUDA_API_VERSION_INTERNAL /* declares every ABI version under its own name */
#include <cuda.h>

#include "cuda_prototypes.h"
