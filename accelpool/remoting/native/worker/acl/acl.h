/* SPDX-License-Identifier: Apache-2.0 */
/* AscendCL as far as the worker's own files call it; the generated handlers have a table of their own. */
#ifndef ACCELPOOL_WORKER_ACL_H
#define ACCELPOOL_WORKER_ACL_H

#include "acl_abi.h"
#include "wire.h"

#define ACL_REQUIRED(X)                                                                                        \
    X(init, "aclInit", (const char *configuration))                                                            \
    X(set_device, "aclrtSetDevice", (int32_t device))                                                          \
    X(context_get, "aclrtGetCurrentContext", (void **context))                                                 \
    X(context_set, "aclrtSetCurrentContext", (void *context))                                                  \
    X(device_sync, "aclrtSynchronizeDevice", (void))                                                           \
    X(granularity, "aclrtMemGetAllocationGranularity",                                                         \
      (aclrtPhysicalMemProp *properties, int option, size_t *bytes))                                           \
    X(reserve, "aclrtReserveMemAddress",                                                                       \
      (void **address, size_t bytes, size_t alignment, void *at, uint64_t flags))                              \
    X(unreserve, "aclrtReleaseMemAddress", (void *address))                                                    \
    X(create, "aclrtMallocPhysical",                                                                           \
      (void **handle, size_t bytes, const aclrtPhysicalMemProp *properties, uint64_t flags))                   \
    X(release, "aclrtFreePhysical", (void *handle))                                                            \
    X(map, "aclrtMapMem", (void *address, size_t bytes, size_t offset, void *handle, uint64_t flags))          \
    X(unmap, "aclrtUnmapMem", (void *address))                                                                 \
    X(host_alloc, "aclrtMallocHost", (void **memory, size_t bytes))                                            \
    X(host_free, "aclrtFreeHost", (void *memory))                                                              \
    X(copy, "aclrtMemcpyAsync",                                                                                \
      (void *to, size_t room, const void *from, size_t bytes, aclrtMemcpyKind kind, void *stream))             \
    X(fill, "aclrtMemsetAsync", (void *to, size_t room, int32_t value, size_t bytes, void *stream))            \
    X(stream_create, "aclrtCreateStreamWithConfig", (void **stream, uint32_t priority, uint32_t flags))        \
    X(stream_sync, "aclrtSynchronizeStream", (void *stream))                                                   \
    X(event_create, "aclrtCreateEventExWithFlag", (void **event, uint32_t flags))                              \
    X(event_record, "aclrtRecordEvent", (void *event, void *stream))                                           \
    X(event_sync, "aclrtSynchronizeEvent", (void *event))                                                      \
    X(event_destroy, "aclrtDestroyEvent", (void *event))                                                       \
    X(binary_load, "aclrtBinaryLoadFromData",                                                                  \
      (const void *data, size_t length, const aclrtBinaryLoadOptions *options, void **binary))                 \
    X(binary_unload, "aclrtBinaryUnLoad", (void *binary))                                                      \
    X(binary_function, "aclrtBinaryGetFunction", (void *binary, const char *name, void **function))            \
    X(launch, "aclrtLaunchKernelWithHostArgs",                                                                 \
      (void *function, uint32_t blocks, void *stream, aclrtLaunchKernelCfg *settings, void *arguments,         \
       size_t size, aclrtPlaceHolderInfo *places, size_t place_count))

/* May be absent; callers look. */
#define ACL_OPTIONAL(X)                                                                                        \
    X(binary_entry, "aclrtBinaryGetFunctionByEntry", (void *binary, uint64_t entry, void **function))          \
    X(memory_export, "aclrtMemExportToShareableHandle",                                                        \
      (void *memory, int type, uint64_t flags, uint64_t *number))                                              \
    X(memory_import, "aclrtMemImportFromShareableHandle", (uint64_t number, int32_t device, void **memory))    \
    X(event_elapsed, "aclrtEventElapsedTime", (float *milliseconds, void *start, void *end))                   \
    X(event_export, "aclrtIpcGetEventHandle", (void *event, aclrtIpcEventHandle *handle))                      \
    X(event_import, "aclrtIpcOpenEventHandle", (aclrtIpcEventHandle handle, void **event))                     \
    X(version, "aclrtGetVersion", (int32_t *major, int32_t *minor, int32_t *patch))                            \
    X(soc_spec, "rtGetSocSpec", (const char *label, const char *key, char *value, uint32_t room))              \
    X(device_uuid, "aclrtDeviceGetUuid", (int32_t device, aclrtUuid *uuid))                                    \
    X(device_info, "aclrtGetDeviceInfo", (uint32_t device, aclrtDevAttr attribute, int64_t *value))

struct acl_library {
#define ACL_MEMBER(name, symbol, arguments) aclError (*name) arguments;
    ACL_REQUIRED(ACL_MEMBER)
    ACL_OPTIONAL(ACL_MEMBER)
#undef ACL_MEMBER
    const char *(*soc_name)(void);
};
extern struct acl_library acl;

/* --- vendor.c --- */
/* The physical memory of the granule that holds the address, or NULL. With the memory's lock. */
void *acl_physical(uint64_t address);

/* --- launch.c --- */
int acl_binary_load(void **binary, const void *image, size_t length, const struct wire_jit_option *options,
                    unsigned count);

#endif
