/* SPDX-License-Identifier: Apache-2.0 */
/* What an address is: device memory by the heap's table, host memory by the table of page-locked ranges. */
#include <string.h>

#include "client.h"

enum { /* CUpointer_attribute */
    POINTER_CONTEXT = 1,
    POINTER_MEMORY_TYPE = 2,
    POINTER_DEVICE_POINTER = 3,
    POINTER_HOST_POINTER = 4,
    POINTER_SYNC_MEMOPS = 6,
    POINTER_BUFFER_ID = 7,
    POINTER_IS_MANAGED = 8,
    POINTER_DEVICE_ORDINAL = 9,
    POINTER_IS_LEGACY_IPC_CAPABLE = 10,
    POINTER_RANGE_START = 11,
    POINTER_RANGE_SIZE = 12,
    POINTER_MAPPED = 13,
    POINTER_ALLOWED_HANDLE_TYPES = 14,
    POINTER_IS_RDMA_CAPABLE = 15,
    POINTER_ACCESS_FLAGS = 16,
    POINTER_MEMPOOL = 17,
};

struct known {
    struct device *device; /* NULL: host memory */
    uint64_t start, bytes;
};

/* 1 when the address is known. */
static int look_up(CUdeviceptr address, struct known *known)
{
    struct context *context = context_current();
    void *start;
    size_t bytes;

    known->device = client_device_at(address);
    if (known->device)
        return heap_find(known->device->heap, address, &known->start, &known->bytes);
    if (host_find((const void *)(uintptr_t)address, &start, &bytes)) {
        known->start = (uintptr_t)start;
        known->bytes = bytes;
        return 1;
    }
    known->device = context ? context->device : NULL;
    return known->device && module_global_at(known->device, address, &known->start, &known->bytes);
}

static void put(void *data, const void *value, size_t size)
{
    memcpy(data, value, size);
}

#define PUT(type, value) put(data, &(type){value}, sizeof(type))

static CUresult answer(void *data, CUpointer_attribute attribute, CUdeviceptr address, const struct known *known)
{
    struct device *device = known->device;

    switch (attribute) {
    case POINTER_CONTEXT:
        PUT(CUcontext, context_primary(device ? device : client_device(0))->value);
        return 0;
    case POINTER_MEMORY_TYPE:
        PUT(unsigned, device ? MEMORY_DEVICE : MEMORY_HOST);
        return 0;
    case POINTER_DEVICE_POINTER:
        if (!device)
            return CLIENT_INVALID_VALUE; /* host memory is not mapped into the device */
        PUT(CUdeviceptr, address);
        return 0;
    case POINTER_HOST_POINTER:
        if (device)
            return CLIENT_INVALID_VALUE;
        PUT(uint64_t, address);
        return 0;
    case POINTER_BUFFER_ID:
        PUT(uint64_t, known->start); /* unique among what lives */
        return 0;
    case POINTER_SYNC_MEMOPS:
    case POINTER_IS_LEGACY_IPC_CAPABLE:
    case POINTER_IS_RDMA_CAPABLE:
        PUT(unsigned, 0);
        return 0;
    case POINTER_IS_MANAGED:
        PUT(unsigned char, 0);
        return 0;
    case POINTER_DEVICE_ORDINAL:
        PUT(int, device ? device->ordinal : -1);
        return 0;
    case POINTER_RANGE_START:
        PUT(CUdeviceptr, known->start);
        return 0;
    case POINTER_RANGE_SIZE:
        PUT(size_t, known->bytes);
        return 0;
    case POINTER_MAPPED:
        PUT(unsigned char, device != NULL);
        return 0;
    case POINTER_ALLOWED_HANDLE_TYPES:
    case POINTER_MEMPOOL:
        PUT(uint64_t, 0);
        return 0;
    case POINTER_ACCESS_FLAGS:
        PUT(int, 3); /* read and write */
        return 0;
    default:
        return CLIENT_INVALID_VALUE;
    }
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr ptr)
{
    struct device *device;
    struct known known;
    CUresult status = client_enter(&device);

    if (status)
        return status;
    return data && look_up(ptr, &known) ? answer(data, attribute, ptr, &known) : CLIENT_INVALID_VALUE;
}

/* An address that is not known gets zeros and success here, as the vendor documents. */
CUresult cuPointerGetAttributes(unsigned int numAttributes, CUpointer_attribute *attributes, void **data, CUdeviceptr ptr)
{
    static const unsigned char sizes[] = {[POINTER_CONTEXT] = 8, [POINTER_MEMORY_TYPE] = 4, [POINTER_DEVICE_POINTER] = 8,
                                          [POINTER_HOST_POINTER] = 8, [POINTER_SYNC_MEMOPS] = 4, [POINTER_BUFFER_ID] = 8,
                                          [POINTER_IS_MANAGED] = 1, [POINTER_DEVICE_ORDINAL] = 4,
                                          [POINTER_IS_LEGACY_IPC_CAPABLE] = 4, [POINTER_RANGE_START] = 8,
                                          [POINTER_RANGE_SIZE] = 8, [POINTER_MAPPED] = 1,
                                          [POINTER_ALLOWED_HANDLE_TYPES] = 8, [POINTER_IS_RDMA_CAPABLE] = 4,
                                          [POINTER_ACCESS_FLAGS] = 4, [POINTER_MEMPOOL] = 8};
    static const int no_device = -2; /* CU_DEVICE_INVALID */
    struct device *device;
    struct known known;
    CUresult status = client_enter(&device);

    if (status)
        return status;
    if (!numAttributes || !attributes || !data)
        return CLIENT_INVALID_VALUE;
    for (unsigned i = 0; i < numAttributes; i++)
        if (attributes[i] < 1 || (size_t)attributes[i] >= sizeof sizes || !sizes[attributes[i]] || !data[i])
            return CLIENT_INVALID_VALUE;
    int found = look_up(ptr, &known);
    for (unsigned i = 0; i < numAttributes; i++) {
        memset(data[i], 0, sizes[attributes[i]]);
        if (found)
            answer(data[i], attributes[i], ptr, &known);
        else if (attributes[i] == POINTER_DEVICE_ORDINAL)
            memcpy(data[i], &no_device, sizeof no_device);
    }
    return 0;
}
