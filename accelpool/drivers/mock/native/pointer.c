/* SPDX-License-Identifier: Apache-2.0 */
/* What an address is: cuPointerGetAttribute and its relatives. */
#include <string.h>

#include "emu.h"

/* Size of each attribute's answer in bytes; 0: not answered here. */
static const uint8_t sizes[] = {
    [CU_POINTER_ATTRIBUTE_CONTEXT] = 8,
    [CU_POINTER_ATTRIBUTE_MEMORY_TYPE] = 4,
    [CU_POINTER_ATTRIBUTE_DEVICE_POINTER] = 8,
    [CU_POINTER_ATTRIBUTE_HOST_POINTER] = 8,
    [CU_POINTER_ATTRIBUTE_SYNC_MEMOPS] = 1,
    [CU_POINTER_ATTRIBUTE_BUFFER_ID] = 8,
    [CU_POINTER_ATTRIBUTE_IS_MANAGED] = 1,
    [CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL] = 4,
    [CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE] = 1,
    [CU_POINTER_ATTRIBUTE_RANGE_START_ADDR] = 8,
    [CU_POINTER_ATTRIBUTE_RANGE_SIZE] = 8,
    [CU_POINTER_ATTRIBUTE_MAPPED] = 1,
    [CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES] = 8,
    [CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE] = 1,
    [CU_POINTER_ATTRIBUTE_ACCESS_FLAGS] = 4,
    [CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE] = 8,
    [CU_POINTER_ATTRIBUTE_MAPPING_SIZE] = 8,
    [CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR] = 8,
    [CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID] = 8,
    [CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE] = 1,
};

static bool answered(int attribute) {
    return attribute > 0 && (size_t)attribute < sizeof sizes && sizes[attribute];
}

/* The value of an attribute of a known range. */
static uint64_t value_of(const struct range *range, int attribute, CUdeviceptr address, bool *known) {
    bool host = range->kind == RANGE_HOST || range->kind == RANGE_REGISTERED;
    *known = true;
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
        return range->context ? (uint64_t)range->context->handle : 0;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        return host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        return address;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        *known = host;
        return address;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
        return range->id;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
        return range->base;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
        return range->size;
    case CU_POINTER_ATTRIBUTE_MAPPED:
        return range->accessible;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        return range->accessible ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    default:
        return 0;
    }
}

static CUresult attribute_get(void *data, int attribute, CUdeviceptr address, bool lenient) {
    if (!data || !answered(attribute))
        return attribute == CU_POINTER_ATTRIBUTE_P2P_TOKENS ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
    bool known = false;
    uint64_t value = 0;
    memory_lock();
    struct range *range = range_at(memory_blocks, address);
    if (range)
        value = value_of(range, attribute, address, &known);
    memory_unlock();
    if (!known && !lenient)
        return CUDA_ERROR_INVALID_VALUE;
    if (!range && attribute == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
        value = (uint32_t)-2; /* documented: no device */
    memcpy(data, &value, sizes[attribute]); /* little-endian: the low bytes come first */
    return CUDA_SUCCESS;
}

API CUresult cuPointerGetAttribute(void *data, int attribute, CUdeviceptr address) {
    TRY(initialised());
    return attribute_get(data, attribute, address, false);
}

API CUresult cuPointerGetAttributes(unsigned count, int *attributes, void **data, CUdeviceptr address) {
    TRY(initialised());
    if (!count || !attributes || !data)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++) /* unlike the single call, an unknown address gives zeros */
        TRY(attribute_get(data[i], attributes[i], address, true));
    return CUDA_SUCCESS;
}

API CUresult cuPointerSetAttribute(const void *value, int attribute, CUdeviceptr address) {
    TRY(initialised());
    if (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS || !memory_is_device(address))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS; /* every copy of this device is synchronous to its memory */
}
