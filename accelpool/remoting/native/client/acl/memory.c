/* SPDX-License-Identifier: Apache-2.0 */
/* Device memory: the heap decides, most of the time without asking anybody. Addresses are the worker's own. */
#include "client.h"
#include "pinned.h"

#define PADDING 32u /* bytes behind an allocation that kernels may read: aclrtMalloc promises them */

enum { HBM = 1, HBM_NORMAL = 5, HBM_HUGE = 4, NORMAL = 12, HUGE_PAGES = 13 }; /* aclrtMemAttr of this device's memory */

static uint64_t number(const void *address)
{
    return (uintptr_t)address;
}

int client_range(struct device *device, const void *address, uint64_t bytes)
{
    return !bytes || heap_holds(device->heap, number(address), bytes) ? 0 : CLIENT_INVALID_VALUE;
}

static aclError allocate(void **devPtr, size_t size, size_t padding)
{
    struct device *device;
    uint64_t address;
    int status = client_enter(&device);

    if (!status && (!devPtr || !size))
        status = CLIENT_INVALID_VALUE;
    if (!status && size > SIZE_MAX - padding)
        status = ACL_ERROR_RT_MEMORY_ALLOCATION;
    if (!status)
        status = heap_allocate(device->heap, size + padding, &address);
    if (!status)
        *devPtr = (void *)(uintptr_t)address;
    return CLIENT_STATUS(status);
}

aclError aclrtMalloc(void **devPtr, size_t size, aclrtMemMallocPolicy policy)
{
    (void)policy; /* page sizes and bands are the worker's affair */
    return allocate(devPtr, size, PADDING);
}

aclError aclrtMallocAlign32(void **devPtr, size_t size, aclrtMemMallocPolicy policy)
{
    (void)policy;
    return allocate(devPtr, size, 0);
}

aclError aclrtMallocCached(void **devPtr, size_t size, aclrtMemMallocPolicy policy)
{
    return aclrtMalloc(devPtr, size, policy);
}

aclError aclrtMallocWithCfg(void **devPtr, size_t size, aclrtMemMallocPolicy policy, aclrtMallocConfig *cfg)
{
    (void)cfg; /* who allocates, for CANN's statistics */
    return aclrtMalloc(devPtr, size, policy);
}

aclError aclrtFree(void *devPtr)
{
    struct device *device, *owner;
    int status = client_enter(&device);

    if (status)
        return CLIENT_STATUS(status);
    owner = client_device_at(number(devPtr));
    return CLIENT_STATUS(owner ? heap_free(owner->heap, number(devPtr)) : CLIENT_INVALID_VALUE);
}

aclError aclrtGetMemInfo(aclrtMemAttr attr, size_t *free, size_t *total)
{
    struct device *device;
    struct wire_meminfo_reply reply;
    int status = client_enter(&device);

    if (!status && (!free || !total || attr < 0 || attr > 17))
        status = CLIENT_INVALID_VALUE;
    if (!status && attr != HBM && attr != HBM_NORMAL && attr != HBM_HUGE && attr != NORMAL && attr != HUGE_PAGES) {
        *free = *total = 0; /* none of that kind */
        return ACL_SUCCESS;
    }
    if (!status)
        status = session_wait(device, WIRE_MEMINFO, NULL, 0, &reply.reply, sizeof reply, 0);
    if (!status) {
        *free = reply.free + heap_unused(device->heap);
        *total = reply.total;
    }
    return CLIENT_STATUS(status);
}

/* --- host memory -------------------------------------------------------------------------------------------------- */

static int pinned(enum pinned_status status)
{
    return status == PINNED_NO_MEMORY ? ACL_ERROR_RT_MEMORY_ALLOCATION : status ? CLIENT_INVALID_VALUE : 0;
}

aclError aclrtMallocHost(void **hostPtr, size_t size)
{
    struct device *device;
    int status = client_enter(&device);

    if (!status)
        status = hostPtr && size ? pinned(pinned_allocate(hostPtr, size, 0)) : CLIENT_INVALID_VALUE;
    return CLIENT_STATUS(status);
}

aclError aclrtMallocHostWithCfg(void **ptr, uint64_t size, aclrtMallocConfig *cfg)
{
    (void)cfg;
    return aclrtMallocHost(ptr, size);
}

aclError aclrtFreeHost(void *hostPtr)
{
    return CLIENT_STATUS(pinned(pinned_free(hostPtr)));
}

/* The device never reads the program's memory, so mapping it there is refused. */
aclError aclrtHostRegisterV2(void *ptr, uint64_t size, uint32_t flag)
{
    const uint32_t pinned_only = 0x10000000u; /* ACL_HOST_REG_PINNED */
    struct device *device;
    int status = client_enter(&device);

    if (!status && flag != pinned_only)
        status = ACL_ERROR_RT_FEATURE_NOT_SUPPORT;
    if (!status)
        status = ptr && size && (uintptr_t)ptr <= UINTPTR_MAX - size ? pinned(pinned_register(ptr, size, flag))
                                                                     : CLIENT_INVALID_VALUE;
    return CLIENT_STATUS(status);
}

aclError aclrtHostUnregister(void *ptr)
{
    return CLIENT_STATUS(pinned(pinned_unregister(ptr)));
}

aclError aclrtPointerGetAttributes(const void *ptr, aclrtPtrAttributes *attributes)
{
    struct device *device;
    struct pinned_range range;
    int status = client_enter(&device);

    if (!status && !attributes)
        status = CLIENT_INVALID_VALUE;
    if (status)
        return CLIENT_STATUS(status);
    device = client_device_at(number(ptr));
    *attributes = (aclrtPtrAttributes){.location.type = ACL_LOCATION_UNREGISTERED};
    if (device) {
        attributes->location = (aclrtMemLocation){.id = (uint32_t)device->ordinal, .type = ACL_LOCATION_DEVICE};
        attributes->pageSize = 2u << 20;
    } else if (pinned_find(ptr, &range)) {
        attributes->location.type = ACL_LOCATION_HOST;
        attributes->pageSize = 4096;
    }
    return ACL_SUCCESS;
}
