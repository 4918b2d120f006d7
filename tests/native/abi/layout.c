/* SPDX-License-Identifier: Apache-2.0 */
/* Prints sizes and offsets; the same with the vendor's header (VENDOR) as with ours. */
#include <stddef.h>
#include <stdio.h>

#ifdef VENDOR
#include <cuda.h>
#else
#include "cuda_types.h"
#endif

#define SIZE(type) printf("%s %zu\n", #type, sizeof(type))
#define FIELD(type, member) printf("%s.%s %zu\n", #type, #member, offsetof(type, member))

int main(void)
{
    SIZE(CUresult);
    SIZE(CUdevice);
    SIZE(CUdevice_attribute);
    SIZE(CUfunction_attribute);
    SIZE(CUpointer_attribute);
    SIZE(CUjit_option);
    SIZE(CUlibraryOption);
    SIZE(CUdeviceptr);
    SIZE(CUcontext);
    SIZE(CUuuid);
    SIZE(CUdevprop);
    SIZE(CUctxCreateParams);
    FIELD(CUctxCreateParams, cigParams);
    SIZE(CUlaunchAttribute);
    FIELD(CUlaunchAttribute, value);
    SIZE(CUlaunchConfig);
    FIELD(CUlaunchConfig, hStream);
    FIELD(CUlaunchConfig, attrs);
    FIELD(CUlaunchConfig, numAttrs);
    SIZE(CUtensorMap);
    SIZE(CUtensorMapDataType);
    SIZE(CUDA_MEMCPY2D);
    FIELD(CUDA_MEMCPY2D, srcHost);
    FIELD(CUDA_MEMCPY2D, srcPitch);
    FIELD(CUDA_MEMCPY2D, dstMemoryType);
    FIELD(CUDA_MEMCPY2D, dstDevice);
    FIELD(CUDA_MEMCPY2D, Height);
    return 0;
}
