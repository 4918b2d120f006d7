/* SPDX-License-Identifier: Apache-2.0 */
/* Device memory: the heap decides, most of the time without asking anybody. */
#include "client.h"

#define PITCH 512u /* bytes: rows of cuMemAllocPitch start at multiples of it */

CUresult client_range(struct device *device, CUdeviceptr address, uint64_t bytes)
{
    uint64_t start, size;

    if (!bytes || heap_holds(device->heap, address, bytes))
        return 0;
    if (module_global_at(device, address, &start, &size) && bytes <= size - (address - start))
        return 0;
    return CLIENT_INVALID_VALUE;
}

CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)
{
    struct device *device;
    uint64_t address;
    CUresult status = client_enter(&device);

    if (!status && (!dptr || !bytesize))
        status = CLIENT_INVALID_VALUE;
    if (!status)
        status = heap_allocate(device->heap, bytesize, &address);
    if (!status)
        *dptr = address;
    return status;
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *dptr, size_t *pPitch, size_t WidthInBytes, size_t Height,
                            unsigned int ElementSizeBytes)
{
    size_t pitch = (WidthInBytes + PITCH - 1) / PITCH * PITCH, bytes;

    if (!pPitch || !WidthInBytes || !Height || pitch < WidthInBytes || __builtin_mul_overflow(pitch, Height, &bytes) ||
        (ElementSizeBytes != 4 && ElementSizeBytes != 8 && ElementSizeBytes != 16))
        return client_ready() ? CLIENT_NOT_INITIALIZED : CLIENT_INVALID_VALUE;
    CUresult status = cuMemAlloc_v2(dptr, bytes);
    if (!status)
        *pPitch = pitch;
    return status;
}

CUresult cuMemFree_v2(CUdeviceptr dptr)
{
    struct device *device;
    CUresult status = client_enter(&device);

    if (status || !dptr)
        return status;
    struct device *owner = client_device_at(dptr);
    return owner ? heap_free(owner->heap, dptr) : CLIENT_INVALID_VALUE;
}

CUresult cuMemGetInfo_v2(size_t *free, size_t *total)
{
    struct device *device;
    struct wire_meminfo_reply reply;
    CUresult status = client_enter(&device);

    if (!status && (!free || !total))
        status = CLIENT_INVALID_VALUE;
    if (!status)
        status = session_wait(device, WIRE_MEMINFO, NULL, 0, &reply.reply, sizeof reply, 0);
    if (!status) {
        *free = reply.free + heap_unused(device->heap);
        *total = reply.total;
    }
    return status;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *pbase, size_t *psize, CUdeviceptr dptr)
{
    struct device *device;
    uint64_t start, bytes;
    CUresult status = client_enter(&device);

    if (status)
        return status;
    const struct device *owner = client_device_at(dptr);
    if (!(owner && heap_find(owner->heap, dptr, &start, &bytes)) && !module_global_at(device, dptr, &start, &bytes))
        return CLIENT_NOT_FOUND;
    if (pbase)
        *pbase = start;
    if (psize)
        *psize = bytes;
    return 0;
}
