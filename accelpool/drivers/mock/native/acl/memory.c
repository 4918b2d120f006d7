/* SPDX-License-Identifier: Apache-2.0 */
/* Device and host memory, virtual addresses, copies and fills. */
#include "emu_acl.h"

static const CUmemAllocationProp DEVICE_MEMORY = {.type = 1, .location = {.type = 1}};

API aclError aclrtMalloc(void **address, size_t bytes, aclrtMemMallocPolicy policy) {
    CUdeviceptr device;
    (void)policy;
    if (!address || !bytes)
        return ACL_ERROR_RT_PARAM_INVALID;
    ACL_TRY(cuMemAlloc_v2(&device, bytes));
    *address = (void *)device;
    return ACL_SUCCESS;
}

API aclError aclrtFree(void *address) {
    return address ? acl_status(cuMemFree_v2((CUdeviceptr)address)) : ACL_ERROR_RT_PARAM_INVALID;
}

API aclError aclrtMallocHost(void **address, size_t bytes) {
    return acl_status(cuMemHostAlloc(address, bytes, 0));
}

API aclError aclrtFreeHost(void *address) {
    return acl_status(cuMemFreeHost(address));
}

API aclError aclrtGetMemInfo(aclrtMemAttr kind, size_t *free, size_t *total) {
    (void)kind;
    return acl_status(cuMemGetInfo_v2(free, total));
}

API aclError aclrtMemGetAllocationGranularity(aclrtPhysicalMemProp *properties, int option, size_t *bytes) {
    if (!properties || !bytes || (unsigned)option > 1)
        return ACL_ERROR_RT_PARAM_INVALID;
    *bytes = GRANULE;
    return ACL_SUCCESS;
}

API aclError aclrtReserveMemAddress(void **address, size_t bytes, size_t alignment, void *at, uint64_t flags) {
    CUdeviceptr device;
    (void)flags;
    if (!address)
        return ACL_ERROR_RT_PARAM_INVALID;
    ACL_TRY(cuMemAddressReserve(&device, bytes, alignment, (CUdeviceptr)at, 0));
    *address = (void *)device;
    return ACL_SUCCESS;
}

API aclError aclrtReleaseMemAddress(void *address) {
    memory_lock();
    struct range *range = range_at(memory_reservations, (uint64_t)address);
    uint64_t bytes = range && range->base == (uint64_t)address ? range->size : 0;
    memory_unlock();
    return acl_status(cuMemAddressFree((CUdeviceptr)address, bytes));
}

API aclError aclrtMallocPhysical(aclrtDrvMemHandle *handle, size_t bytes, const aclrtPhysicalMemProp *properties,
                                 uint64_t flags) {
    CUmemGenericAllocationHandle memory;
    if (!handle || !properties || flags)
        return ACL_ERROR_RT_PARAM_INVALID;
    ACL_TRY(cuMemCreate(&memory, bytes, &DEVICE_MEMORY, 0));
    *handle = (void *)memory;
    return ACL_SUCCESS;
}

API aclError aclrtFreePhysical(aclrtDrvMemHandle handle) {
    return acl_status(cuMemRelease((CUmemGenericAllocationHandle)handle));
}

/* What is mapped is accessible at once. */
API aclError aclrtMapMem(void *address, size_t bytes, size_t offset, aclrtDrvMemHandle handle, uint64_t flags) {
    const CUmemAccessDesc access = {.location = {.type = 1}, .flags = 3};
    if (flags)
        return ACL_ERROR_RT_PARAM_INVALID;
    ACL_TRY(cuMemMap((CUdeviceptr)address, bytes, offset, (CUmemGenericAllocationHandle)handle, 0));
    CUresult status = cuMemSetAccess((CUdeviceptr)address, bytes, &access, 1);
    if (status != CUDA_SUCCESS)
        cuMemUnmap((CUdeviceptr)address, bytes);
    return acl_status(status);
}

API aclError aclrtUnmapMem(void *address) {
    memory_lock();
    struct range *range = range_at(memory_blocks, (uint64_t)address);
    uint64_t bytes = range && range->base == (uint64_t)address ? range->size : 0;
    memory_unlock();
    return acl_status(cuMemUnmap((CUdeviceptr)address, bytes));
}

API aclError aclrtMemcpyAsync(void *to, size_t room, const void *from, size_t bytes, aclrtMemcpyKind kind,
                              aclrtStream stream) {
    if (bytes > room)
        return ACL_ERROR_RT_PARAM_INVALID;
    switch (kind) {
    case ACL_HOST_TO_DEVICE:
        return acl_status(cuMemcpyHtoDAsync_v2((CUdeviceptr)to, from, bytes, stream));
    case ACL_DEVICE_TO_HOST:
        return acl_status(cuMemcpyDtoHAsync_v2(to, (CUdeviceptr)from, bytes, stream));
    case ACL_DEVICE_TO_DEVICE:
        return acl_status(cuMemcpyDtoDAsync_v2((CUdeviceptr)to, (CUdeviceptr)from, bytes, stream));
    default:
        return ACL_ERROR_RT_PARAM_INVALID;
    }
}

API aclError aclrtMemcpy(void *to, size_t room, const void *from, size_t bytes, aclrtMemcpyKind kind) {
    aclError status = aclrtMemcpyAsync(to, room, from, bytes, kind, NULL);
    return status ? status : acl_status(cuStreamSynchronize(NULL));
}

API aclError aclrtMemsetAsync(void *address, size_t room, int32_t value, size_t bytes, aclrtStream stream) {
    if (bytes > room)
        return ACL_ERROR_RT_PARAM_INVALID;
    return acl_status(cuMemsetD8Async((CUdeviceptr)address, (unsigned char)value, bytes, stream));
}

API aclError aclrtMemset(void *address, size_t room, int32_t value, size_t bytes) {
    aclError status = aclrtMemsetAsync(address, room, value, bytes, NULL);
    return status ? status : acl_status(cuStreamSynchronize(NULL));
}
