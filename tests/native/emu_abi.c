/* SPDX-License-Identifier: Apache-2.0 */
/* Prints sizes, offsets and numbers of the driver API: with our cuda_abi.h, or (-DVENDOR) with the vendor's cuda.h. */
#include <stddef.h>
#include <stdio.h>

#ifdef VENDOR
#include <cuda.h>
#else
#include "cuda_abi.h"
#endif

#define SIZE(type) printf("sizeof %s %zu\n", #type, sizeof(type))
#define AT(type, member) printf("%s.%s %zu\n", #type, #member, offsetof(type, member))
#define NUMBER(name) printf("%s %lld\n", #name, (long long)(name));

int main(void) {
    SIZE(CUresult);
    SIZE(CUdevice);
    SIZE(CUdeviceptr);
    SIZE(CUmemGenericAllocationHandle);
    SIZE(CUuuid);
    SIZE(CUdevprop);
    SIZE(CUDA_MEMCPY2D);
    AT(CUDA_MEMCPY2D, srcMemoryType);
    AT(CUDA_MEMCPY2D, srcPitch);
    AT(CUDA_MEMCPY2D, dstMemoryType);
    AT(CUDA_MEMCPY2D, dstDevice);
    AT(CUDA_MEMCPY2D, WidthInBytes);
    SIZE(CUDA_MEMCPY3D);
    AT(CUDA_MEMCPY3D, srcLOD);
    AT(CUDA_MEMCPY3D, srcDevice);
    AT(CUDA_MEMCPY3D, srcHeight);
    AT(CUDA_MEMCPY3D, dstXInBytes);
    AT(CUDA_MEMCPY3D, dstDevice);
    AT(CUDA_MEMCPY3D, Depth);
    SIZE(CUmemLocation);
    SIZE(CUmemAllocationProp);
    AT(CUmemAllocationProp, location);
    AT(CUmemAllocationProp, allocFlags);
    SIZE(CUmemAccessDesc);
    AT(CUmemAccessDesc, flags);
    SIZE(CUlaunchAttribute);
    AT(CUlaunchAttribute, value);
    SIZE(CUlaunchConfig);
    AT(CUlaunchConfig, sharedMemBytes);
    AT(CUlaunchConfig, hStream);
    AT(CUlaunchConfig, numAttrs);
#include "numbers.h" /* made by the test: NUMBER(...) for each enumerator of cuda_abi.h */
    return 0;
}
