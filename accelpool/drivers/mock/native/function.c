/* SPDX-License-Identifier: Apache-2.0 */
/* Functions: their attributes, parameters, and how many of their blocks fit a multiprocessor. */
#include <string.h>

#include "emu.h"
#include "kernel.h"

#define REGISTERS_OF_A_PART 16384 /* a multiprocessor has four; a warp has its registers in one of them */
#define PARTS 4

CUresult function_find(CUfunction handle, struct context *context, struct function **function) {
    if ((uint64_t)handle >> 56 == HANDLE_KERNEL)
        return library_function((uint64_t)handle, context, function);
    *function = handle_object(HANDLE_FUNCTION, (uint64_t)handle);
    return *function && (*function)->module->context == context ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static int dynamic_limit(const struct kernel_function *entry, const struct settings *settings) {
    if (settings->max_dynamic_shared >= 0)
        return settings->max_dynamic_shared;
    int left = emu_device.shared_per_block - (int)entry->shared_bytes;
    return left > 0 ? left : 0;
}

CUresult function_attribute(const struct kernel_function *entry, const struct settings *settings, int attribute,
                            int *value) {
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        *value = (int)entry->max_threads;
        break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
        *value = (int)entry->shared_bytes;
        break;
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
        *value = (int)entry->local_bytes;
        break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
        *value = (int)entry->registers;
        break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
        *value = (int)entry->target;
        break;
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
        *value = emu_device.major * 10 + emu_device.minor;
        break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *value = dynamic_limit(entry, settings);
        break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        *value = settings->carveout;
        break;
    default:
        if (attribute < 0 || attribute >= CU_FUNC_ATTRIBUTE_MAX)
            return CUDA_ERROR_INVALID_VALUE;
        *value = 0;
    }
    return CUDA_SUCCESS;
}

CUresult function_set(const struct kernel_function *entry, struct settings *settings, int attribute, int value) {
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        if (value < 0 || value > emu_device.shared_optin - (int)entry->shared_bytes)
            return CUDA_ERROR_INVALID_VALUE;
        settings->max_dynamic_shared = value;
        return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
        if (value < -1 || value > 100)
            return CUDA_ERROR_INVALID_VALUE;
        settings->carveout = value;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

static CUresult current_function(CUfunction handle, struct function **function) {
    struct context *context;
    TRY(context_enter(&context));
    return function_find(handle, context, function);
}

API CUresult cuFuncGetAttribute(int *value, int attribute, CUfunction handle) {
    struct function *function;
    TRY(current_function(handle, &function));
    return value ? function_attribute(function->entry, &function->settings, attribute, value) : CUDA_ERROR_INVALID_VALUE;
}

API CUresult cuFuncSetAttribute(CUfunction handle, int attribute, int value) {
    struct function *function;
    TRY(current_function(handle, &function));
    return function_set(function->entry, &function->settings, attribute, value);
}

API CUresult cuFuncSetCacheConfig(CUfunction handle, int config) {
    struct function *function;
    TRY(current_function(handle, &function));
    if (config < 0 || config > 3)
        return CUDA_ERROR_INVALID_VALUE;
    function->settings.cache_config = config;
    return CUDA_SUCCESS;
}

API CUresult cuFuncSetSharedMemConfig(CUfunction handle, int config) {
    struct function *function;
    TRY(current_function(handle, &function));
    return config < 0 || config > 2 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

API CUresult cuFuncGetModule(CUmodule *module, CUfunction handle) {
    struct function *function;
    TRY(current_function(handle, &function));
    if (!module)
        return CUDA_ERROR_INVALID_VALUE;
    *module = function->module->handle;
    return CUDA_SUCCESS;
}

API CUresult cuFuncGetName(const char **name, CUfunction handle) {
    struct function *function;
    TRY(current_function(handle, &function));
    if (!name)
        return CUDA_ERROR_INVALID_VALUE;
    *name = function->entry->name;
    return CUDA_SUCCESS;
}

API CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *offset, size_t *size) {
    struct function *function;
    TRY(current_function(handle, &function));
    if (!offset || index >= function->entry->param_count)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = function->entry->params[index].offset;
    if (size)
        *size = function->entry->params[index].size;
    return CUDA_SUCCESS;
}

API CUresult cuFuncLoad(CUfunction handle) {
    struct function *function;
    return current_function(handle, &function);
}

API CUresult cuFuncIsLoaded(int *state, CUfunction handle) {
    struct function *function;
    TRY(current_function(handle, &function));
    if (!state)
        return CUDA_ERROR_INVALID_VALUE;
    *state = 1;
    return CUDA_SUCCESS;
}

static int round_up(int value, int unit) {
    return (value + unit - 1) / unit * unit;
}

CUresult occupancy(const struct kernel_function *entry, int block_size, size_t dynamic_shared, int *blocks) {
    *blocks = 0;
    if (block_size <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (block_size > (int)entry->max_threads || dynamic_shared > (size_t)emu_device.shared_optin)
        return CUDA_SUCCESS;
    int shared = round_up((int)(entry->shared_bytes + dynamic_shared) + (emu_device.major >= 8 ? 1024 : 0),
                          emu_device.major >= 8 ? 128 : 256);
    int warps = round_up(block_size, 32) / 32, best = emu_device.blocks_per_multiprocessor;
    int registers = round_up((int)(entry->registers ? entry->registers : 16) * 32, 256);
    if (registers * round_up(warps, PARTS) > PARTS * REGISTERS_OF_A_PART)
        return CUDA_SUCCESS;
    if (emu_device.threads_per_multiprocessor / 32 / warps < best)
        best = emu_device.threads_per_multiprocessor / 32 / warps;
    if (REGISTERS_OF_A_PART / registers * PARTS / warps < best)
        best = REGISTERS_OF_A_PART / registers * PARTS / warps;
    if (shared && emu_device.shared_per_multiprocessor / shared < best)
        best = emu_device.shared_per_multiprocessor / shared;
    *blocks = best;
    return CUDA_SUCCESS;
}

API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction handle, int block_size,
                                                                  size_t dynamic_shared, unsigned flags) {
    struct function *function;
    TRY(current_function(handle, &function));
    if (!blocks || flags > 1)
        return CUDA_ERROR_INVALID_VALUE;
    return occupancy(function->entry, block_size, dynamic_shared, blocks);
}

API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function, int block_size,
                                                         size_t dynamic_shared) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, block_size, dynamic_shared, 0);
}

API CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block, CUfunction handle,
                                                       CUoccupancyB2DSize shared_of, size_t dynamic_shared, int limit,
                                                       unsigned flags) {
    struct function *function;
    TRY(current_function(handle, &function));
    if (!grid || !block || flags > 1)
        return CUDA_ERROR_INVALID_VALUE;
    int most = (int)function->entry->max_threads, best_threads = 0;
    if (limit > 0 && limit < most)
        most = limit;
    for (int size = (most + 31) / 32 * 32; size > 0; size -= 32) {
        int actual = size < most ? size : most, blocks;
        TRY(occupancy(function->entry, actual, shared_of ? shared_of(actual) : dynamic_shared, &blocks));
        if (blocks * actual > best_threads) {
            best_threads = blocks * actual;
            *block = actual;
            *grid = blocks * emu_device.multiprocessors;
        }
    }
    return best_threads ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API CUresult cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction function, CUoccupancyB2DSize shared_of,
                                              size_t dynamic_shared, int limit) {
    return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, function, shared_of, dynamic_shared, limit, 0);
}

API CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *size, CUfunction handle, int blocks, int block_size) {
    struct function *function;
    TRY(current_function(handle, &function));
    if (!size || blocks <= 0 || block_size <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    int64_t left = emu_device.shared_per_multiprocessor / blocks - (emu_device.major >= 8 ? 1024 : 0);
    if (left > emu_device.shared_optin)
        left = emu_device.shared_optin;
    left -= function->entry->shared_bytes;
    *size = left > 0 ? (size_t)left : 0;
    return CUDA_SUCCESS;
}
