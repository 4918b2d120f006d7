/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many blocks of a kernel fit on a multiprocessor: the arithmetic of the CUDA programming guide on the device's and
 * the kernel's attributes. A multiprocessor is in four parts with registers of their own (in two at compute capability 6.0);
 * a warp has its registers in one of them, in units of 256. Shared memory comes in units of 128 bytes (256 before
 * compute capability 8). tests/native/abi compares this with the vendor's public calculation.
 */
#include "module.h"

#define REGISTER_UNIT 256
#define PARTS 4

static int64_t attribute(const struct device *device, int which)
{
    int value = device->snapshot.attributes[which];

    return value == WIRE_ATTRIBUTE_NONE ? 0 : value;
}

static int64_t shared_unit(const struct device *device)
{
    return attribute(device, ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) < 8 ? 256 : 128;
}

static int64_t lower(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t value, int64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

/* Of a block. */
static int64_t threads_limit(const struct kernel *kernel)
{
    int64_t limit = attribute(kernel->module->device, ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    int of_kernel = kernel->attributes[FUNCTION_MAX_THREADS_PER_BLOCK];

    return of_kernel > 0 ? lower(limit, of_kernel) : limit;
}

static int64_t blocks_by_registers(const struct device *device, int64_t of_a_warp, int64_t warps)
{
    int64_t parts = attribute(device, ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) == 6 &&
                            attribute(device, ATTRIBUTE_COMPUTE_CAPABILITY_MINOR) == 0 ? 2 : PARTS;

    /* The check of a single block supposes that every part has as many of its warps as the fullest one. */
    if (of_a_warp * round_up(warps, PARTS) > attribute(device, ATTRIBUTE_MAX_REGISTERS_PER_BLOCK))
        return 0;
    return attribute(device, ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR) / parts / of_a_warp * parts / warps;
}

/* Blocks by threads, warps and registers; 0 when not even one fits. */
static int64_t blocks_without_shared(const struct kernel *kernel, int64_t threads)
{
    const struct device *device = kernel->module->device;
    int64_t warp = attribute(device, ATTRIBUTE_WARP_SIZE) ? attribute(device, ATTRIBUTE_WARP_SIZE) : 32;
    int64_t warps = round_up(threads, warp) / warp;
    int64_t blocks = attribute(device, ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR) / warp / warps;
    int64_t most = attribute(device, ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR);
    int registers = kernel->attributes[FUNCTION_NUM_REGS];

    if (threads > threads_limit(kernel))
        return 0;
    if (registers > 0)
        blocks = lower(blocks, blocks_by_registers(device, round_up(registers * warp, REGISTER_UNIT), warps));
    return most ? lower(blocks, most) : blocks;
}

static int64_t blocks_of(const struct kernel *kernel, int64_t threads, uint64_t dynamic)
{
    const struct device *device = kernel->module->device;
    int64_t blocks = blocks_without_shared(kernel, threads);
    int64_t of_all = attribute(device, ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
    int declared = kernel->attributes[FUNCTION_SHARED_SIZE_BYTES];

    if (dynamic > (uint64_t)kernel->dynamic_shared)
        return 0;
    int64_t shared = (declared > 0 ? declared : 0) + (int64_t)dynamic;
    if (shared)
        shared += attribute(device, ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK);
    return shared ? lower(blocks, of_all / round_up(shared, shared_unit(device))) : blocks;
}

static CUresult look_up(const void *function, struct kernel **kernel)
{
    CUresult status = client_ready();

    if (status)
        return status;
    *kernel = kernel_of(function);
    return *kernel ? kernel_ready(*kernel) : CLIENT_INVALID_HANDLE;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *numBlocks, CUfunction func, int blockSize,
                                                              size_t dynamicSMemSize, unsigned int flags)
{
    struct kernel *kernel;
    CUresult status = look_up(func, &kernel);

    if (status)
        return status;
    if (!numBlocks || blockSize < 1 || flags & ~1u)
        return CLIENT_INVALID_VALUE;
    *numBlocks = (int)blocks_of(kernel, blockSize, dynamicSMemSize);
    return 0;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *numBlocks, CUfunction func, int blockSize, size_t dynamicSMemSize)
{
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(numBlocks, func, blockSize, dynamicSMemSize, 0);
}

CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *minGridSize, int *blockSize, CUfunction func,
                                                   CUoccupancyB2DSize blockSizeToDynamicSMemSize, size_t dynamicSMemSize,
                                                   int blockSizeLimit, unsigned int flags)
{
    struct kernel *kernel;
    CUresult status = look_up(func, &kernel);

    if (status)
        return status;
    if (!minGridSize || !blockSize || blockSizeLimit < 0 || flags & ~1u)
        return CLIENT_INVALID_VALUE;
    const struct device *device = kernel->module->device;
    int64_t warp = attribute(device, ATTRIBUTE_WARP_SIZE) ? attribute(device, ATTRIBUTE_WARP_SIZE) : 32;
    int64_t limit = threads_limit(kernel), best = 0, best_blocks = 0;
    if (blockSizeLimit)
        limit = lower(limit, blockSizeLimit);
    for (int64_t threads = round_up(limit, warp); threads > 0; threads -= warp) {
        int64_t size = lower(threads, limit);
        size_t dynamic = blockSizeToDynamicSMemSize ? blockSizeToDynamicSMemSize((int)size) : dynamicSMemSize;
        int64_t blocks = blocks_of(kernel, size, dynamic);

        if (blocks * size > best * best_blocks) {
            best = size;
            best_blocks = blocks;
        }
    }
    *blockSize = (int)best;
    *minGridSize = (int)(best_blocks * attribute(device, ATTRIBUTE_MULTIPROCESSOR_COUNT));
    return 0;
}

CUresult cuOccupancyMaxPotentialBlockSize(int *minGridSize, int *blockSize, CUfunction func,
                                          CUoccupancyB2DSize blockSizeToDynamicSMemSize, size_t dynamicSMemSize,
                                          int blockSizeLimit)
{
    return cuOccupancyMaxPotentialBlockSizeWithFlags(minGridSize, blockSize, func, blockSizeToDynamicSMemSize,
                                                     dynamicSMemSize, blockSizeLimit, 0);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t *dynamicSmemSize, CUfunction func, int numBlocks, int blockSize)
{
    struct kernel *kernel;
    CUresult status = look_up(func, &kernel);

    if (status)
        return status;
    if (!dynamicSmemSize || numBlocks < 1 || blockSize < 1 || blocks_of(kernel, blockSize, 0) < numBlocks)
        return CLIENT_INVALID_VALUE;
    const struct device *device = kernel->module->device;
    int64_t unit = shared_unit(device), declared = kernel->attributes[FUNCTION_SHARED_SIZE_BYTES];
    int64_t share = attribute(device, ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR) / numBlocks / unit * unit;
    share -= attribute(device, ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK) + (declared > 0 ? declared : 0);
    *dynamicSmemSize = share > 0 ? (size_t)lower(share, kernel->dynamic_shared) : 0;
    return 0;
}
