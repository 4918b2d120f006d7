/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vendor library for tests of the worker: memory is real, everything else answers at once. cuCtxSetLimit(STUB_MODE, bits)
 * chooses how it behaves from then on.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hopper_vendor.h"

#define API __attribute__((visibility("default")))
#define GRANULE ((size_t)2 << 20)
#define STUB_MODE 0x57
#define STUB_QUESTIONS 0x58 /* cuCtxGetLimit: how many there were about attributes of kernels */
#define STUB_PINNED 0x59 /* cuCtxGetLimit: how often memory was pinned */
#define STUB_MAPPINGS 0x5a /* cuCtxGetLimit: how many there are */
#define STUB_BUSY 1u      /* idle() says no */
#define STUB_HIDDEN 2u    /* device memory is not host-visible */
#define STUB_LAUNCH 4u    /* launches fail with 719 */
#define STUB_FULL 8u      /* cuMemCreate fails */
#define STUB_HANG 16u     /* synchronisation waits until this bit goes */
#define STUB_LOCAL 32u    /* kernels that load take 4096 bytes of local memory */
#define STUB_THIRD 64u    /* every third cuMemCreate fails */
#define STUB_PRINT 128u   /* synchronisation prints 2 MiB, in lines */

static atomic_uint mode;
static uint64_t range, range_size;
static size_t limits[5];
static atomic_size_t questions, pinned, mappings, thirds;
static uint32_t mapped[1 << 20]; /* granules of the mapping that begins at this one */
static uint64_t globals; /* memory behind the variables of modules */

API void stub_mode(unsigned bits)
{
    atomic_store(&mode, bits);
}

static int invalid(int condition)
{
    return condition ? 1 : 0;
}

/* --- start --- */
API int cuInit(unsigned flags)
{
    static const size_t initial[5] = {1024, 1 << 20, 8 << 20, 2, 2048};

    atomic_store(&mode, 0);
    memcpy(limits, initial, sizeof limits);
    if (!globals)
        globals = (uint64_t)(uintptr_t)mmap(NULL, GRANULE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return invalid(flags != 0);
}
API int cuDeviceGetCount(int *count) { *count = 1; return 0; }
API int cuDeviceGet(int *device, int ordinal) { *device = 0; return invalid(ordinal != 0); }
static unsigned schedule; /* of the primary context; 4: who waits for the device sleeps */
API int cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) { schedule = flags; return invalid(device != 0); }
API int cuDevicePrimaryCtxRetain(void **context, int device)
{
    *context = &mode;
    return invalid(device != 0 || schedule != 4);
}
API int cuCtxSetCurrent(void *context) { return invalid(context != &mode); }
API int cuCtxSynchronize(void)
{
    while (atomic_load(&mode) & STUB_HANG)
        usleep(1000);
    for (int i = 0; atomic_load(&mode) & STUB_PRINT && i < 1 << 17; i++)
        printf("line %10d\n", i);
    return 0;
}
API int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
API int cuDeviceGetName(char *name, int length, int device) { snprintf(name, (size_t)length, "stub %d", device); return 0; }
API int cuDeviceGetUuid_v2(void *uuid, int device) { memset(uuid, 0xab, 16); return invalid(device != 0); }
API int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    const char *mps = getenv("STUB_MPS"); /* what is said of MPS; a driver that does not know the question without it */

    if (attribute == 133 && mps) {
        *value = atoi(mps);
        return 0;
    }
    /* Compute capability 9.0; 88: kernels reach pageable memory. */
    *value = attribute == 75 ? 9 : attribute == 76 || attribute == 88 ? 0 : attribute * 10;
    return invalid(attribute > 100 || device != 0);
}
API int cuDeviceGetPCIBusId(char *text, int length, int device) { snprintf(text, (size_t)length, "0000:%02x:00.0", device); return 0; }
API int cuCtxGetStreamPriorityRange(int *least, int *greatest) { *least = 0; *greatest = -5; return 0; }
API int cuCtxSetLimit(int limit, size_t value)
{
    if (limit == STUB_MODE)
        atomic_store(&mode, (unsigned)value);
    else if (limit == 3)
        return 215; /* as GPUs of this kind */
    else if (limit >= 0 && limit < 5)
        limits[limit] = limit ? value : (value + 15) / 16 * 16;
    return invalid(limit != STUB_MODE && (limit < 0 || limit >= 5));
}
API int cuCtxGetLimit(size_t *value, int limit)
{
    const atomic_size_t *counts[] = {&questions, &pinned, &mappings};

    if (limit >= STUB_QUESTIONS && limit <= STUB_MAPPINGS) {
        *value = atomic_load(counts[limit - STUB_QUESTIONS]);
        return 0;
    }
    *value = limit == STUB_MODE ? atomic_load(&mode) : limit >= 0 && limit < 5 ? limits[limit] : 0;
    return invalid(limit != STUB_MODE && (limit < 0 || limit >= 5));
}

/* --- memory --- */
API int cuMemGetAllocationGranularity(size_t *bytes, const void *prop, int option)
{
    (void)prop, (void)option;
    *bytes = GRANULE;
    return 0;
}
API int cuMemAddressReserve(uint64_t *address, size_t bytes, size_t alignment, uint64_t at, uint64_t flags)
{
    void *got;

    const char *hint = getenv("STUB_HINT"); /* ignored: addresses are hints only, and these are what there is instead */

    (void)alignment, (void)flags;
    if (hint)
        at = strtoull(hint, NULL, 16);
    if (range && munmap((void *)(uintptr_t)range, range_size)) /* the session before this one, in one process */
        return 999;
    if (range)
        memset(mapped, 0, range_size / GRANULE * sizeof *mapped);
    got = mmap((void *)(uintptr_t)at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
               0);
    if (got == MAP_FAILED) {
        range = 0;
        return 2;
    }
    *address = range = (uint64_t)(uintptr_t)got;
    range_size = bytes;
    return 0;
}
API int cuMemAddressFree(uint64_t address, size_t bytes)
{
    range = 0;
    return invalid(munmap((void *)(uintptr_t)address, bytes));
}
API int cuMemCreate(uint64_t *memory, size_t bytes, const void *prop, uint64_t flags)
{
    (void)prop, (void)flags;
    *memory = bytes;
    if (atomic_load(&mode) & STUB_THIRD && atomic_fetch_add(&thirds, 1) % 3 == 2)
        return 2;
    return atomic_load(&mode) & STUB_FULL ? 2 : 0;
}
API int cuMemRelease(uint64_t memory) { return invalid(memory == 0); }
API int cuMemMap(uint64_t address, size_t bytes, size_t offset, uint64_t memory, uint64_t flags)
{
    (void)flags;
    if (offset || memory != bytes || mprotect((void *)(uintptr_t)address, bytes, PROT_READ | PROT_WRITE))
        return 1;
    atomic_fetch_add(&mappings, 1);
    mapped[(address - range) / GRANULE] = (uint32_t)(bytes / GRANULE);
    return 0;
}
API int cuMemSetAccess(uint64_t address, size_t bytes, const void *access, size_t count)
{
    (void)access;
    memset((char *)(uintptr_t)address + bytes - 64, 0xaa, 64); /* what a tenant before has left there */
    return invalid(count != 1);
}
API int cuMemUnmap(uint64_t address, size_t bytes)
{
    for (uint64_t at = (address - range) / GRANULE, end = at + bytes / GRANULE, next; at < end; at = next) {
        next = at + mapped[at];
        if (next == at || next > end)
            abort(); /* a driver takes whole mappings only, and the worker must know them */
        mapped[at] = 0;
        atomic_fetch_sub(&mappings, 1);
    }
    return invalid(mmap((void *)(uintptr_t)address, bytes, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED);
}
API int cuMemHostAlloc(void **memory, size_t bytes, unsigned flags)
{
    (void)flags;
    atomic_fetch_add(&pinned, 1);
    *memory = malloc(bytes);
    return *memory ? 0 : 2;
}
API int cuMemFreeHost(void *memory) { free(memory); return 0; }
API void *accelpool_backend_access(uint64_t address, uint64_t bytes, int write)
{
    (void)bytes, (void)write;
    return atomic_load(&mode) & STUB_HIDDEN ? NULL : (void *)(uintptr_t)address;
}
API int accelpool_backend_idle(void) { return !(atomic_load(&mode) & STUB_BUSY); }

/* --- copies and fills --- */
API int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream)
{
    (void)stream;
    memcpy((void *)(uintptr_t)to, from, bytes);
    return 0;
}
API int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream)
{
    (void)stream;
    memcpy(to, (void *)(uintptr_t)from, bytes);
    return 0;
}
API int cuMemcpyDtoD_v2(uint64_t to, uint64_t from, size_t bytes)
{
    memmove((void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes);
    return 0;
}
API int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *stream)
{
    (void)stream;
    return cuMemcpyDtoD_v2(to, from, bytes);
}
API int cuMemsetD8_v2(uint64_t to, unsigned char value, size_t count)
{
    if (value || to % 4096 || count % 4096 || madvise((void *)(uintptr_t)to, count, MADV_DONTNEED)) /* which clears at once */
        memset((void *)(uintptr_t)to, value, count);
    return 0;
}
API int cuMemsetD8Async(uint64_t to, unsigned char value, size_t count, void *stream)
{
    (void)stream;
    return cuMemsetD8_v2(to, value, count);
}
API int cuMemsetD32_v2(uint64_t to, unsigned value, size_t count)
{
    if (to % 4)
        return 1;
    for (size_t i = 0; i < count; i++)
        ((uint32_t *)(uintptr_t)to)[i] = value;
    return 0;
}
API int cuMemsetD2D8_v2(uint64_t to, size_t pitch, unsigned char value, size_t width, size_t height)
{
    for (size_t row = 0; row < height && width; row++)
        memset((char *)(uintptr_t)to + row * pitch, value, width);
    return 0;
}

/* --- streams and events: small numbers --- */
static int new_object(void **object)
{
    static atomic_uintptr_t next = 1000;

    *object = (void *)atomic_fetch_add(&next, 1);
    return 0;
}
API int cuStreamCreate(void **stream, unsigned flags) { (void)flags; return new_object(stream); }
API int cuStreamDestroy_v2(void *stream) { return invalid(!stream); }
API int cuStreamSynchronize(void *stream) { (void)stream; return 0; }
API int cuStreamQuery(void *stream) { (void)stream; return 0; }
API int cuStreamWaitEvent(void *stream, void *event, unsigned flags) { (void)stream, (void)flags; return invalid(!event); }
API int cuEventCreate(void **event, unsigned flags) { return invalid(!(flags & 1)) || new_object(event); } /* the same */
API int cuEventRecord(void *event, void *stream) { (void)stream; return invalid(!event); }
API int cuEventSynchronize(void *event) { return invalid(!event); }
API int cuEventDestroy_v2(void *event) { return invalid(!event); }

/*
 * --- modules: every image has the same two kernels, and what begins with "// many" has 40; variables are those whose name
 * starts with g ---
 */
#define MANY ((uintptr_t)1 << 40)
#define MANY_KERNELS 40
static const char KERNELS[MANY_KERNELS][8] = {"empty", "store"}; /* the others have no name */
/* A compiler recurses: as much of the stack as a program's main thread has for it. */
static void recurse(void)
{
    volatile char deep[6 << 20];

    for (size_t at = sizeof deep; at >= 4096; at -= 4096)
        deep[at - 1] = 1;
}
API int cuLibraryLoadData(void **library, const void *code, int *jit, void **values, unsigned count, int *options,
                          void **option_values, unsigned option_count)
{
    recurse();
    (void)option_values;
    if (options || option_count)
        return 1;
    for (unsigned i = 0; i < count; i++)
        if (jit[i] == 5)
            snprintf(values[i], 32, "%s", strncmp(code, "bad", 3) ? "" : "line 1: bad: not supported");
    if (!strncmp(code, "bad", 3))
        return 218;
    new_object(library);
    if (!strncmp(code, "// many", 7))
        *library = (void *)((uintptr_t)*library | MANY);
    return 0;
}
API int cuLibraryUnload(void *library) { return invalid(!library); }
API int cuLibraryGetKernelCount(unsigned *count, void *library)
{
    *count = (uintptr_t)library & MANY ? MANY_KERNELS : 2;
    return invalid(!library);
}
API int cuLibraryEnumerateKernels(void **kernels, unsigned count, void *library)
{
    for (unsigned i = 0; i < count; i++)
        kernels[i] = (void *)(uintptr_t)(i + 1);
    return invalid(!library);
}
API int cuKernelGetName(const char **name, void *kernel) { *name = KERNELS[(uintptr_t)kernel - 1]; return 0; }
API int cuKernelGetFunction(void **function, void *kernel) { *function = kernel; return 0; }
API int cuKernelGetParamInfo(void *kernel, size_t index, size_t *offset, size_t *size)
{
    *offset = 8 * index;
    *size = 8;
    return invalid((uintptr_t)kernel != 2 || index > 1);
}
API int cuKernelGetAttribute(int *value, int attribute, void *kernel, int device)
{
    (void)kernel, (void)device;
    atomic_fetch_add(&questions, 1);
    *value = attribute == 3 && atomic_load(&mode) & STUB_LOCAL ? 4096 : attribute + 1;
    return invalid(attribute > 9);
}
API int cuKernelSetAttribute(int attribute, int value, void *kernel, int device)
{
    (void)value, (void)kernel, (void)device;
    return invalid(attribute != 8);
}
API int cuLibraryGetGlobal(uint64_t *address, size_t *bytes, void *library, const char *name)
{
    (void)library;
    if (name[0] != 'g')
        return 500;
    *address = globals + (strlen(name) - 1) * 4096;
    *bytes = 1000;
    return strlen(name) > 100 ? 500 : 0;
}
API int cuLaunchKernelEx(const void *config, void *function, void **parameters, void **extra)
{
    (void)config;
    if (atomic_load(&mode) & STUB_LAUNCH)
        return 719;
    return invalid(!function || parameters || ((uintptr_t)function == 2 && (!extra || *(size_t *)extra[3] < 16)));
}

/* --- link states: the image is the inputs, one after the other --- */
struct link {
    size_t length;
    char bytes[1 << 16];
};
API int cuLinkCreate_v2(unsigned count, int *options, void **values, void **link)
{
    (void)count, (void)options, (void)values;
    *link = calloc(1, sizeof(struct link));
    return *link ? 0 : 2;
}
API int cuLinkAddData_v2(void *opaque, int type, const void *data, size_t size, const char *name, unsigned count, int *options,
                         void **values)
{
    struct link *link = opaque;

    (void)type, (void)name, (void)options, (void)values;
    if (count || size > sizeof link->bytes - link->length)
        return 1;
    memcpy(link->bytes + link->length, data, size);
    link->length += size;
    return 0;
}
API int cuLinkComplete(void *opaque, void **image, size_t *size)
{
    struct link *link = opaque;

    *image = link->bytes;
    *size = link->length;
    return 0;
}
API int cuLinkDestroy(void *link) { free(link); return 0; }
