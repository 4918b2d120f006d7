/* SPDX-License-Identifier: Apache-2.0 */
/* "Page-locked" host memory as CUDA has it. */
#include "client.h"
#include "pinned.h"

#define ALLOCATION_FLAGS 7u
#define REGISTRATION_FLAGS 15u

static CUresult result(enum pinned_status status, CUresult unknown)
{
    switch (status) {
    case PINNED_OK:
        return 0;
    case PINNED_NO_MEMORY:
        return CLIENT_OUT_OF_MEMORY;
    case PINNED_OVERLAPS:
        return CLIENT_HOST_MEMORY_ALREADY_REGISTERED;
    default:
        return unknown;
    }
}

int host_find(const void *address, void **start, size_t *bytes)
{
    struct pinned_range range;

    if (!pinned_find(address, &range))
        return 0;
    *start = range.start;
    *bytes = range.bytes;
    return 1;
}

CUresult cuMemHostAlloc(void **pp, size_t bytesize, unsigned int Flags)
{
    struct device *device;
    CUresult status = client_enter(&device);

    if (status)
        return status;
    if (!pp || !bytesize || Flags & ~ALLOCATION_FLAGS)
        return CLIENT_INVALID_VALUE;
    return result(pinned_allocate(pp, bytesize, Flags), CLIENT_INVALID_VALUE);
}

CUresult cuMemAllocHost_v2(void **pp, size_t bytesize)
{
    return cuMemHostAlloc(pp, bytesize, 0);
}

CUresult cuMemFreeHost(void *p)
{
    CUresult status = client_ready();

    return status ? status : result(pinned_free(p), CLIENT_INVALID_VALUE);
}

CUresult cuMemHostRegister_v2(void *p, size_t bytesize, unsigned int Flags)
{
    struct device *device;
    CUresult status = client_enter(&device);

    if (status)
        return status;
    if (!p || !bytesize || Flags & ~REGISTRATION_FLAGS || (uintptr_t)p > UINTPTR_MAX - bytesize)
        return CLIENT_INVALID_VALUE;
    return result(pinned_register(p, bytesize, Flags), CLIENT_INVALID_VALUE);
}

CUresult cuMemHostUnregister(void *p)
{
    CUresult status = client_ready();

    return status ? status : result(pinned_unregister(p), CLIENT_HOST_MEMORY_NOT_REGISTERED);
}

CUresult cuMemHostGetFlags(unsigned int *pFlags, void *p)
{
    struct pinned_range range;
    CUresult status = client_ready();

    if (!status && (!pFlags || !pinned_find(p, &range) || range.registered))
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *pFlags = range.flags;
    return status;
}
