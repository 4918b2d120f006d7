/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vendor's library, as far as the worker itself calls it (the generated handlers have a table of their own).
 * Types and constants are those of the CUDA driver API's public documentation, reduced to their binary form; for another
 * vendor API the members that the shared files use are functions of ours (acl/vendor.c) and the rest is NULL.
 */
#ifndef ACCELPOOL_WORKER_VENDOR_H
#define ACCELPOOL_WORKER_VENDOR_H

#include <stddef.h>
#include <stdint.h>

#include "wire.h"

/* CUresult values that the worker itself answers with or looks at. */
enum {
    CU_SUCCESS = 0,
    CU_INVALID_VALUE = 1,
    CU_OUT_OF_MEMORY = 2,
    CU_INVALID_IMAGE = 200,
    CU_INVALID_HANDLE = 400,
    CU_NOT_FOUND = 500,
    CU_NOT_SUPPORTED = 801,
    CU_SYSTEM_FAILURE = 999,
};

/* CUevent_flags. Who waits for an event without the first one keeps a core of the host busy meanwhile. */
enum { VENDOR_EVENT_BLOCKING = 1, VENDOR_EVENT_UNTIMED = 2 };

/* CUmemAllocationProp, CUmemAccessDesc, CUlaunchConfig: the layouts of the public header. */
struct vendor_allocation_prop {
    int type, requested_handle_types;
    struct {
        int type, id;
    } location;
    void *win32;
    struct {
        unsigned char compression, gpu_direct, usage_low, usage_high, reserved[4];
    } flags;
};

struct vendor_access {
    struct {
        int type, id;
    } location;
    int flags;
};

struct vendor_launch_config {
    unsigned grid[3], block[3], shared;
    void *stream;
    void *attributes;
    unsigned attribute_count;
};

_Static_assert(sizeof(struct vendor_allocation_prop) == 32, "CUmemAllocationProp");
_Static_assert(sizeof(struct vendor_access) == 12, "CUmemAccessDesc");
_Static_assert(sizeof(struct vendor_launch_config) == 56, "CUlaunchConfig");

#define VENDOR_REQUIRED(X)                                                                              \
    X(init, "cuInit", (unsigned flags))                                                                 \
    X(device_count, "cuDeviceGetCount", (int *count))                                                   \
    X(device_get, "cuDeviceGet", (int *device, int ordinal))                                            \
    X(primary_retain, "cuDevicePrimaryCtxRetain", (void **context, int device))                         \
    X(context_set, "cuCtxSetCurrent", (void *context))                                                  \
    X(context_sync, "cuCtxSynchronize", (void))                                                         \
    X(granularity, "cuMemGetAllocationGranularity", (size_t *bytes, const void *prop, int option))      \
    X(reserve, "cuMemAddressReserve", (uint64_t *address, size_t bytes, size_t alignment, uint64_t at, uint64_t flags)) \
    X(unreserve, "cuMemAddressFree", (uint64_t address, size_t bytes))                                  \
    X(create, "cuMemCreate", (uint64_t *memory, size_t bytes, const void *prop, uint64_t flags))        \
    X(release, "cuMemRelease", (uint64_t memory))                                                       \
    X(map, "cuMemMap", (uint64_t address, size_t bytes, size_t offset, uint64_t memory, uint64_t flags)) \
    X(unmap, "cuMemUnmap", (uint64_t address, size_t bytes))                                            \
    X(set_access, "cuMemSetAccess", (uint64_t address, size_t bytes, const void *access, size_t count)) \
    X(host_alloc, "cuMemHostAlloc", (void **memory, size_t bytes, unsigned flags))                      \
    X(host_free, "cuMemFreeHost", (void *memory))                                                       \
    X(copy_in, "cuMemcpyHtoDAsync_v2", (uint64_t to, const void *from, size_t bytes, void *stream))     \
    X(copy_out, "cuMemcpyDtoHAsync_v2", (void *to, uint64_t from, size_t bytes, void *stream))          \
    X(stream_sync, "cuStreamSynchronize", (void *stream))                                               \
    X(event_create, "cuEventCreate", (void **event, unsigned flags))                                    \
    X(event_record, "cuEventRecord", (void *event, void *stream))                                       \
    X(event_sync, "cuEventSynchronize", (void *event))                                                  \
    X(event_destroy, "cuEventDestroy_v2", (void *event))

/* May be absent; callers look. */
#define VENDOR_OPTIONAL(X)                                                                              \
    X(launch, "cuLaunchKernelEx",                                                                       \
      (const struct vendor_launch_config *config, void *function, void **parameters, void **extra))     \
    X(primary_flags, "cuDevicePrimaryCtxSetFlags_v2", (int device, unsigned flags))                     \
    X(event_elapsed, "cuEventElapsedTime", (float *milliseconds, void *start, void *end))               \
    X(stream_create, "cuStreamCreate", (void **stream, unsigned flags))                                 \
    X(memset, "cuMemsetD8Async", (uint64_t to, unsigned char value, size_t bytes, void *stream))        \
    X(library_load, "cuLibraryLoadData",                                                                \
      (void **library, const void *code, const int *jit, void **jit_values, unsigned jit_count,         \
       const int *options, void **values, unsigned count))                                              \
    X(library_unload, "cuLibraryUnload", (void *library))                                               \
    X(library_kernel_count, "cuLibraryGetKernelCount", (unsigned *count, void *library))                \
    X(library_kernels, "cuLibraryEnumerateKernels", (void **kernels, unsigned count, void *library))    \
    X(library_kernel, "cuLibraryGetKernel", (void **kernel, void *library, const char *name))           \
    X(library_global, "cuLibraryGetGlobal", (uint64_t *address, size_t *bytes, void *library, const char *name)) \
    X(kernel_name, "cuKernelGetName", (const char **name, void *kernel))                                \
    X(kernel_function, "cuKernelGetFunction", (void **function, void *kernel))                          \
    X(kernel_param, "cuKernelGetParamInfo", (void *kernel, size_t index, size_t *offset, size_t *size)) \
    X(kernel_attribute, "cuKernelGetAttribute", (int *value, int attribute, void *kernel, int device))  \
    X(kernel_set, "cuKernelSetAttribute", (int attribute, int value, void *kernel, int device))         \
    X(function_set, "cuFuncSetAttribute", (void *function, int attribute, int value))                   \
    X(link_create, "cuLinkCreate_v2", (unsigned count, int *options, void **values, void **link))       \
    X(link_add, "cuLinkAddData_v2",                                                                     \
      (void *link, int type, void *data, size_t size, const char *name, unsigned count, int *options, void **values)) \
    X(link_complete, "cuLinkComplete", (void *link, void **image, size_t *size))                        \
    X(link_destroy, "cuLinkDestroy", (void *link))                                                      \
    X(priority_range, "cuCtxGetStreamPriorityRange", (int *least, int *greatest))                       \
    X(module_load, "cuModuleLoadDataEx",                                                                \
      (void **module, const void *image, unsigned count, const int *options, void **values))            \
    X(module_unload, "cuModuleUnload", (void *module))                                                  \
    X(module_function_count, "cuModuleGetFunctionCount", (unsigned *count, void *module))               \
    X(module_functions, "cuModuleEnumerateFunctions", (void **functions, unsigned count, void *module)) \
    X(module_global, "cuModuleGetGlobal_v2", (uint64_t *address, size_t *bytes, void *module, const char *name)) \
    X(function_name, "cuFuncGetName", (const char **name, void *function))                              \
    X(function_param, "cuFuncGetParamInfo", (void *function, size_t index, size_t *offset, size_t *size)) \
    X(function_attribute, "cuFuncGetAttribute", (int *value, int attribute, void *function))            \
    X(active_clusters, "cuOccupancyMaxActiveClusters",                                                  \
      (int *count, void *function, const struct vendor_launch_config *config))                          \
    X(cluster_size, "cuOccupancyMaxPotentialClusterSize",                                               \
      (int *size, void *function, const struct vendor_launch_config *config))                           \
    X(tensor_tiled, "cuTensorMapEncodeTiled",                                                           \
      (uint64_t *map, int type, uint32_t rank, uint64_t address, const uint64_t *dimensions, const uint64_t *strides, \
       const uint32_t *box, const uint32_t *element_strides, int interleave, int swizzle, int promotion, int fill)) \
    X(tensor_im2col, "cuTensorMapEncodeIm2col",                                                         \
      (uint64_t *map, int type, uint32_t rank, uint64_t address, const uint64_t *dimensions, const uint64_t *strides, \
       const int32_t *lower, const int32_t *upper, uint32_t channels, uint32_t pixels, const uint32_t *element_strides, \
       int interleave, int swizzle, int promotion, int fill))                                           \
    X(tensor_replace, "cuTensorMapReplaceAddress", (uint64_t *map, uint64_t address))                   \
    X(limit_get, "cuCtxGetLimit", (size_t *value, int limit))                                           \
    X(limit_set, "cuCtxSetLimit", (int limit, size_t value))                                            \
    X(device_name, "cuDeviceGetName", (char *name, int length, int device))                             \
    X(device_uuid, "cuDeviceGetUuid_v2", (void *uuid, int device))                                      \
    X(device_memory, "cuDeviceTotalMem_v2", (size_t *bytes, int device))                                \
    X(device_attribute, "cuDeviceGetAttribute", (int *value, int attribute, int device))                \
    X(device_bus, "cuDeviceGetPCIBusId", (char *text, int length, int device))                          \
    X(driver_version, "cuDriverGetVersion", (int *version))

struct vendor {
    void *library;   /* dlopen's */
    int device;      /* the one device that the worker uses: ordinal 0 */
    void *context;   /* its primary context */
    uint64_t granule; /* bytes */
    uint64_t mapping; /* bytes of the largest mapping that is made of it */
    int chooses_range; /* where the range of addresses lies is the vendor's choice */
#define VENDOR_MEMBER(name, symbol, arguments) int (*name) arguments;
    VENDOR_REQUIRED(VENDOR_MEMBER)
    VENDOR_OPTIONAL(VENDOR_MEMBER)
#undef VENDOR_MEMBER
    /* Loads an image that has a length instead of an end; the options are numbers. NULL: module_load it is. */
    int (*binary_load)(void **module, const void *image, size_t length, const struct wire_jit_option *options,
                       unsigned count);
    int (*attach)(const void *host); /* these are optional */
    int (*idle)(void);
    int (*share)(void);  /* the descriptor that other processes need to map what this one has exported */
    int (*adopt)(int fd); /* takes a copy of such a descriptor; 0 or -1 */
    /* Host pointer to device memory, pages committed when write is set; NULL: copy through the vendor. Optional. */
    void *(*access)(uint64_t address, uint64_t bytes, int write);
};

extern struct vendor vendor;

struct worker_api;

/* dlopen and symbols. Returns 0, or -1 with why filled. */
int vendor_open(const struct worker_api *api, const char *path, char *why, size_t size);

#endif
