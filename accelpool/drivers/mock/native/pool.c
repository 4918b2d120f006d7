/* SPDX-License-Identifier: Apache-2.0 */
/* Memory pools: the device's default pool, which is what stream-ordered allocation uses. Others cannot be made. */
#include "emu.h"

enum { RELEASE_THRESHOLD = 4, USED_HIGH = 8 };

static CUmemoryPool pool; /* api lock */
static uint64_t release_threshold;
static int reuse[4]; /* CU_MEMPOOL_ATTR_REUSE_*: hints */

static CUresult pool_check(CUmemoryPool handle) {
    TRY(initialised());
    return handle_object(HANDLE_POOL, (uint64_t)handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *handle, CUdevice device) {
    TRY(device_check(device));
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    api_lock();
    if (!pool)
        pool = (CUmemoryPool)handle_new(HANDLE_POOL, &pool);
    *handle = pool;
    api_unlock();
    return *handle ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

API CUresult cuDeviceGetMemPool(CUmemoryPool *handle, CUdevice device) {
    return cuDeviceGetDefaultMemPool(handle, device);
}

API CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool handle) {
    TRY(device_check(device));
    return pool_check(handle);
}

API CUresult cuMemPoolTrimTo(CUmemoryPool handle, size_t keep) {
    (void)keep; /* nothing is kept back */
    return pool_check(handle);
}

API CUresult cuMemPoolSetAttribute(CUmemoryPool handle, int attribute, void *value) {
    TRY(pool_check(handle));
    if (!value || attribute < 1 || attribute > USED_HIGH)
        return CUDA_ERROR_INVALID_VALUE;
    if (attribute == RELEASE_THRESHOLD)
        release_threshold = *(uint64_t *)value;
    else if (attribute < RELEASE_THRESHOLD)
        reuse[attribute] = *(int *)value;
    return CUDA_SUCCESS;
}

API CUresult cuMemPoolGetAttribute(CUmemoryPool handle, int attribute, void *value) {
    TRY(pool_check(handle));
    if (!value || attribute < 1 || attribute > USED_HIGH)
        return CUDA_ERROR_INVALID_VALUE;
    if (attribute < RELEASE_THRESHOLD)
        *(int *)value = reuse[attribute];
    else if (attribute == RELEASE_THRESHOLD)
        *(uint64_t *)value = release_threshold;
    else
        *(uint64_t *)value = emu_device.total_bytes - memory_free_bytes();
    return CUDA_SUCCESS;
}

API CUresult cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t size, CUmemoryPool handle, CUstream stream_handle) {
    struct stream *stream;
    TRY(pool_check(handle));
    TRY(stream_find(stream_handle, &stream));
    return address ? allocation_new(stream->context, size, address) : CUDA_ERROR_INVALID_VALUE;
}
