/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AscendCL's side of worker_stub.c: memory is real, and what a tenant before has left is in it; everything else answers at
 * once. stub_mode() chooses how it behaves from then on, and so does a program by aclrtSetOpWaitTimeout(STUB_MODE + bits).
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "acl_abi.h"

#define API __attribute__((visibility("default")))
#define GRANULE ((size_t)2 << 20)
#define STUB_MODE 0x5700u
#define STUB_BUSY 1u   /* idle() says no */
#define STUB_HIDDEN 2u /* device memory is not host-visible */
#define STUB_LAUNCH 4u /* launches fail */
#define STUB_FULL 8u   /* no physical memory is left */

static atomic_uint mode;
static void *range;
static size_t range_size;

API void stub_mode(unsigned bits) { atomic_store(&mode, bits); }

static int invalid(int condition) { return condition ? ACL_ERROR_RT_PARAM_INVALID : 0; }

static int new_object(void **object)
{
    static atomic_uintptr_t next = 1000;

    *object = (void *)atomic_fetch_add(&next, 1);
    return 0;
}

/* --- start --- */
API int aclInit(const char *path) { stub_mode(0); return invalid(path != NULL); }
API int aclrtSetDevice(int32_t device) { return invalid(device); }
API int aclrtGetCurrentContext(void **context) { *context = &mode; return 0; }
API int aclrtSetCurrentContext(void *context) { return invalid(context != &mode); }
API int aclrtSynchronizeDevice(void) { return 0; }
API int aclrtSynchronizeDeviceWithTimeout(int32_t timeout) { return invalid(timeout < -1); }
API const char *aclrtGetSocName(void) { return "stub"; }
API int aclrtGetDeviceInfo(uint32_t device, int attribute, int64_t *value) { *value = attribute; return invalid(device); }

/* --- memory --- */
API int aclrtMemGetAllocationGranularity(aclrtPhysicalMemProp *properties, int option, size_t *bytes)
{
    (void)properties, (void)option;
    *bytes = GRANULE;
    return 0;
}
API int aclrtReserveMemAddress(void **address, size_t bytes, size_t alignment, void *at, uint64_t flags)
{
    (void)alignment, (void)flags;
    if (range && munmap(range, range_size)) /* the session before this one, in one process */
        return ACL_ERROR_RT_INTERNAL_ERROR;
    range = mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED_NOREPLACE : 0), -1, 0);
    if (range == MAP_FAILED) {
        range = NULL;
        return ACL_ERROR_RT_MEMORY_ALLOCATION;
    }
    range_size = bytes;
    *address = range;
    return 0;
}
API int aclrtReleaseMemAddress(void *address) { range = NULL; return invalid(munmap(address, range_size)); }
API int aclrtMallocPhysical(void **handle, size_t bytes, const aclrtPhysicalMemProp *properties, uint64_t flags)
{
    (void)bytes, (void)properties, (void)flags;
    *handle = NULL;
    return atomic_load(&mode) & STUB_FULL ? ACL_ERROR_RT_MEMORY_ALLOCATION : new_object(handle);
}
API int aclrtFreePhysical(void *handle) { return invalid(!handle); }
API int aclrtMapMem(void *address, size_t bytes, size_t offset, void *handle, uint64_t flags)
{
    if (offset || flags || !handle || mprotect(address, bytes, PROT_READ | PROT_WRITE))
        return ACL_ERROR_RT_PARAM_INVALID;
    memset((char *)address + bytes - 64, 0xaa, 64);
    return 0;
}
API int aclrtUnmapMem(void *address)
{
    return invalid(mmap(address, GRANULE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) ==
                   MAP_FAILED);
}
API int aclrtMemExportToShareableHandle(void *handle, int type, uint64_t flags, uint64_t *number)
{
    (void)type, (void)flags;
    *number = (uintptr_t)handle;
    return invalid(!handle);
}
API int aclrtMemImportFromShareableHandle(uint64_t number, int32_t device, void **handle)
{
    (void)device;
    return number ? new_object(handle) : ACL_ERROR_RT_PARAM_INVALID;
}
API int aclrtMallocHost(void **memory, size_t bytes) { *memory = malloc(bytes); return invalid(!*memory); }
API int aclrtFreeHost(void *memory) { free(memory); return 0; }
API void *accelpool_backend_access(uint64_t address, uint64_t bytes, int write)
{
    (void)bytes, (void)write;
    return atomic_load(&mode) & STUB_HIDDEN ? NULL : (void *)(uintptr_t)address;
}
API int accelpool_backend_idle(void) { return !(atomic_load(&mode) & STUB_BUSY); }
API int aclrtMemcpyAsync(void *to, size_t room, const void *from, size_t bytes, int kind, void *stream)
{
    (void)kind, (void)stream;
    memmove(to, from, bytes);
    return invalid(bytes > room);
}
API int aclrtMemsetAsync(void *to, size_t room, int32_t value, size_t bytes, void *stream)
{
    (void)stream;
    if (value || (uintptr_t)to % 4096 || bytes % 4096 || madvise(to, bytes, MADV_DONTNEED)) /* which clears at once */
        memset(to, value, bytes);
    return invalid(bytes > room);
}
API int aclrtNpuGetFloatOverFlowStatus(void *to, uint64_t bytes, uint32_t check, void *stream)
{
    (void)check, (void)stream;
    memset(to, 0, bytes);
    return 0;
}
API int aclrtNpuClearFloatOverFlowStatus(uint32_t check, void *stream) { (void)check, (void)stream; return 0; }

/* --- streams, events --- */
API int aclrtCreateStreamWithConfig(void **stream, uint32_t priority, uint32_t flags)
{
    (void)priority, (void)flags;
    return new_object(stream);
}
API int aclrtDestroyStream(void *stream) { return invalid(!stream); }
API int aclrtDestroyStreamForce(void *stream) { return invalid(!stream); }
API int aclrtSynchronizeStream(void *stream) { (void)stream; return 0; }
API int aclrtSynchronizeStreamWithTimeout(void *stream, int32_t timeout) { (void)stream; return invalid(timeout < -1); }
API int aclrtStreamQuery(void *stream, int32_t *state) { (void)stream; *state = 0; return 0; }
API int aclrtStreamGetId(void *stream, int32_t *id) { *id = (int32_t)(uintptr_t)stream; return 0; }
API int aclrtStreamWaitEvent(void *stream, void *event) { (void)stream; return invalid(!event); }
API int aclrtCreateEventExWithFlag(void **event, uint32_t flags) { (void)flags; return new_object(event); }
API int aclrtDestroyEvent(void *event) { return invalid(!event); }
API int aclrtRecordEvent(void *event, void *stream) { (void)stream; return invalid(!event); }
API int aclrtResetEvent(void *event, void *stream) { (void)stream; return invalid(!event); }
API int aclrtSynchronizeEvent(void *event) { return invalid(!event); }
API int aclrtSynchronizeEventWithTimeout(void *event, int32_t timeout) { return invalid(!event || timeout < -1); }
API int aclrtQueryEventStatus(void *event, int32_t *state) { *state = 1; return invalid(!event); }
API int aclrtQueryEventWaitStatus(void *event, int32_t *state) { *state = 0; return invalid(!event); }
/* No aclrtEventElapsedTime: with it the worker would meter, on a thread that ends with the process only. */
API int aclrtIpcGetEventHandle(void *event, aclrtIpcEventHandle *handle)
{
    memset(handle, 7, sizeof *handle);
    return invalid(!event);
}
API int aclrtIpcOpenEventHandle(aclrtIpcEventHandle handle, void **event)
{
    return handle.reserved[0] == 7 ? new_object(event) : ACL_ERROR_RT_PARAM_INVALID;
}

/* --- kernels: every binary has every function --- */
API int aclrtBinaryLoadFromData(const void *data, size_t length, const aclrtBinaryLoadOptions *options, void **binary)
{
    volatile unsigned char sum = 0;

    for (size_t i = 0; i < length; i++)
        sum = (unsigned char)(sum + ((const unsigned char *)data)[i]);
    if (options && options->numOpt > 16)
        return ACL_ERROR_RT_PARAM_INVALID;
    return length >= 3 && !memcmp(data, "bad", 3) ? ACL_ERROR_RT_PARAM_INVALID : new_object(binary);
}
API int aclrtBinaryUnLoad(void *binary) { return invalid(!binary); }
API int aclrtBinaryGetFunction(void *binary, const char *name, void **function)
{
    return binary && strlen(name) < 1024 ? new_object(function) : ACL_ERROR_RT_PARAM_INVALID;
}
API int aclrtBinaryGetFunctionByEntry(void *binary, uint64_t entry, void **function)
{
    return binary && entry < 100 ? new_object(function) : ACL_ERROR_RT_PARAM_INVALID;
}
/* As a runtime would: stores addresses of data into the arguments. */
API int aclrtLaunchKernelWithHostArgs(void *function, uint32_t blocks, void *stream, aclrtLaunchKernelCfg *settings,
                                      void *arguments, size_t size, aclrtPlaceHolderInfo *places, size_t count)
{
    uint64_t sum = 0;

    (void)blocks, (void)stream;
    for (size_t i = 0; settings && i < settings->numAttrs; i++)
        sum += settings->attrs[i].value[3];
    for (size_t i = 0; i < count; i++) {
        const uint64_t address = (uintptr_t)arguments + places[i].dataOffset + (sum & 0);

        memcpy((char *)arguments + places[i].addrOffset, &address, sizeof address);
        ((volatile unsigned char *)arguments)[places[i].dataOffset]++;
    }
    if (size)
        ((volatile unsigned char *)arguments)[size - 1]++;
    return atomic_load(&mode) & STUB_LAUNCH ? ACL_ERROR_RT_AICORE_EXCEPTION : invalid(!function);
}

/* --- switches --- */
API int aclrtSetOpWaitTimeout(uint32_t seconds)
{
    if ((seconds & ~0xffu) == STUB_MODE)
        stub_mode(seconds & 0xff);
    return 0;
}
API int aclrtSetOpExecuteTimeOut(uint32_t seconds) { (void)seconds; return 0; }
API int aclrtSetOpExecuteTimeOutV2(uint64_t wanted, uint64_t *got) { *got = wanted; return 0; }
API int aclrtGetOpExecuteTimeout(uint32_t *milliseconds) { *milliseconds = 1; return 0; }
API int aclrtSetStreamOverflowSwitch(void *stream, uint32_t flag) { (void)stream; return invalid(flag > 1); }
API int aclrtGetStreamOverflowSwitch(void *stream, uint32_t *flag) { (void)stream; *flag = 0; return 0; }
API int aclrtSetDeviceSatMode(int mode_wanted) { return invalid(mode_wanted != 1); }
API int aclrtGetDeviceSatMode(int *got) { *got = 1; return 0; }
API int aclrtSetStreamFailureMode(void *stream, uint64_t wanted) { (void)stream; return invalid(wanted > 1); }
