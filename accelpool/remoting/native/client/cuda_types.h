/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vendor's public types in their binary form, so that the client builds without the vendor's header. Names are those
 * of cuda.h (CUDA 13.5); tests/native/abi compares prototypes and layouts with it.
 */
#ifndef ACCELPOOL_CLIENT_CUDA_TYPES_H
#define ACCELPOOL_CLIENT_CUDA_TYPES_H

#include <stddef.h>
#include <stdint.h>

typedef int CUresult, CUdevice, CUdevice_attribute, CUdevice_P2PAttribute, CUfunction_attribute, CUpointer_attribute;
typedef int CUfunc_cache, CUsharedconfig, CUlimit, CUjit_option, CUjitInputType, CUlibraryOption, CUmemorytype;
typedef int CUstreamCaptureMode, CUstreamCaptureStatus, CUmoduleLoadingMode, CUfunctionLoadingState;
typedef int CUdriverProcAddressQueryResult;
typedef unsigned long long CUdeviceptr;
typedef uint64_t cuuint64_t;

typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUlib_st *CUlibrary;
typedef struct CUkern_st *CUkernel;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUlinkState_st *CUlinkState;
typedef struct CUarray_st *CUarray;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphNode_st *CUgraphNode;
typedef struct CUgraphEdgeData_st CUgraphEdgeData;
typedef struct CUexecAffinityParam_st CUexecAffinityParam;

typedef size_t (*CUoccupancyB2DSize)(int block_size);

typedef struct CUuuid_st {
    char bytes[16];
} CUuuid;

typedef struct CUctxCreateParams_st {
    CUexecAffinityParam *execAffinityParams;
    int numExecAffinityParams;
    void *cigParams;
} CUctxCreateParams;

typedef struct CUdevprop_st {
    int maxThreadsPerBlock, maxThreadsDim[3], maxGridSize[3], sharedMemPerBlock, totalConstantMemory, SIMDWidth, memPitch;
    int regsPerBlock, clockRate, textureAlign;
} CUdevprop;

typedef struct CUlaunchAttribute_st {
    int id;
    char pad[4];
    char value[64];
} CUlaunchAttribute;

typedef struct CUlaunchConfig_st {
    unsigned int gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
    CUstream hStream;
    CUlaunchAttribute *attrs;
    unsigned int numAttrs;
} CUlaunchConfig;

typedef struct CUDA_MEMCPY2D_st {
    size_t srcXInBytes, srcY;
    CUmemorytype srcMemoryType;
    const void *srcHost;
    CUdeviceptr srcDevice;
    CUarray srcArray;
    size_t srcPitch;
    size_t dstXInBytes, dstY;
    CUmemorytype dstMemoryType;
    void *dstHost;
    CUdeviceptr dstDevice;
    CUarray dstArray;
    size_t dstPitch;
    size_t WidthInBytes, Height;
} CUDA_MEMCPY2D;

enum { /* CUresult */
    CLIENT_INVALID_VALUE = 1,
    CLIENT_OUT_OF_MEMORY = 2,
    CLIENT_NOT_INITIALIZED = 3,
    CLIENT_NO_DEVICE = 100,
    CLIENT_INVALID_DEVICE = 101,
    CLIENT_INVALID_IMAGE = 200,
    CLIENT_INVALID_CONTEXT = 201,
    CLIENT_UNSUPPORTED_LIMIT = 215,
    CLIENT_PEER_ACCESS_UNSUPPORTED = 217,
    CLIENT_FILE_NOT_FOUND = 301,
    CLIENT_INVALID_HANDLE = 400,
    CLIENT_NOT_FOUND = 500,
    CLIENT_LAUNCH_OUT_OF_RESOURCES = 701,
    CLIENT_PEER_ACCESS_NOT_ENABLED = 705,
    CLIENT_PRIMARY_CONTEXT_ACTIVE = 708,
    CLIENT_CONTEXT_IS_DESTROYED = 709,
    CLIENT_HOST_MEMORY_ALREADY_REGISTERED = 712,
    CLIENT_HOST_MEMORY_NOT_REGISTERED = 713,
    CLIENT_COOPERATIVE_LAUNCH_TOO_LARGE = 720,
    CLIENT_NOT_SUPPORTED = 801,
};

enum { /* CUdevice_attribute */
    ATTRIBUTE_MAX_THREADS_PER_BLOCK = 1,
    ATTRIBUTE_MAX_BLOCK_DIM_X = 2,
    ATTRIBUTE_MAX_GRID_DIM_X = 5,
    ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK = 8,
    ATTRIBUTE_TOTAL_CONSTANT_MEMORY = 9,
    ATTRIBUTE_WARP_SIZE = 10,
    ATTRIBUTE_MAX_PITCH = 11,
    ATTRIBUTE_MAX_REGISTERS_PER_BLOCK = 12,
    ATTRIBUTE_CLOCK_RATE = 13,
    ATTRIBUTE_TEXTURE_ALIGNMENT = 14,
    ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
    ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR = 39,
    ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
    ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR = 81,
    ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR = 82,
    ATTRIBUTE_COOPERATIVE_LAUNCH = 95,
    ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
    ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR = 106,
    ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK = 111,
};

enum { /* CUfunction_attribute */
    FUNCTION_MAX_THREADS_PER_BLOCK = 0,
    FUNCTION_SHARED_SIZE_BYTES = 1,
    FUNCTION_NUM_REGS = 4,
    FUNCTION_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
    FUNCTION_PREFERRED_SHARED_MEMORY_CARVEOUT = 9,
};

enum { /* CUmemorytype */
    MEMORY_HOST = 1,
    MEMORY_DEVICE = 2,
    MEMORY_ARRAY = 3,
    MEMORY_UNIFIED = 4,
};

#include "cuda_prototypes.h"

#endif
