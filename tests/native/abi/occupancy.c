/* SPDX-License-Identifier: Apache-2.0 */
/* The client's occupancy against the vendor's public calculation, on random kernels. */
#include <cuda_occupancy.h>
#include <stdio.h>
#include <stdlib.h>

#include "module.h"

static const struct {
    int major, minor, threads, blocks; /* of a multiprocessor */
    int shared, per_block, reserved;       /* KiB */
} DEVICES[] = {
    {5, 2, 2048, 32, 96, 48, 0},  {6, 0, 2048, 32, 64, 48, 0},  {6, 1, 2048, 32, 96, 48, 0},   {7, 0, 2048, 32, 96, 96, 0},
    {7, 5, 1024, 16, 64, 64, 0},  {8, 0, 2048, 32, 164, 163, 1}, {8, 6, 1536, 16, 100, 99, 1}, {8, 9, 1536, 24, 100, 99, 1},
    {9, 0, 2048, 32, 228, 227, 1}, {10, 0, 2048, 32, 228, 227, 1}, {12, 0, 1536, 24, 100, 99, 1},
};

static struct device device;
static struct module module = {.device = &device};
static struct kernel kernel = {.module = &module};
static unsigned failures;

CUresult client_ready(void)
{
    return 0;
}

struct kernel *kernel_of(const void *function)
{
    (void)function;
    return &kernel;
}

CUresult kernel_ready(struct kernel *known)
{
    (void)known;
    return 0;
}

static void equal(const char *what, long ours, long theirs)
{
    if (ours == theirs || failures++ > 10)
        return;
    printf("%d.%d: %s: %ld and not %ld: %d registers, %d bytes shared, at most %d threads, %d bytes dynamic\n",
           device.snapshot.attributes[ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR],
           device.snapshot.attributes[ATTRIBUTE_COMPUTE_CAPABILITY_MINOR], what, ours, theirs,
           kernel.attributes[FUNCTION_NUM_REGS], kernel.attributes[FUNCTION_SHARED_SIZE_BYTES],
           kernel.attributes[FUNCTION_MAX_THREADS_PER_BLOCK], kernel.dynamic_shared);
}

static cudaOccDeviceProp take_device(size_t index)
{
    device.snapshot.attributes[ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR] = DEVICES[index].major;
    device.snapshot.attributes[ATTRIBUTE_COMPUTE_CAPABILITY_MINOR] = DEVICES[index].minor;
    device.snapshot.attributes[ATTRIBUTE_MAX_THREADS_PER_BLOCK] = 1024;
    device.snapshot.attributes[ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR] = DEVICES[index].threads;
    device.snapshot.attributes[ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR] = DEVICES[index].blocks;
    device.snapshot.attributes[ATTRIBUTE_MAX_REGISTERS_PER_BLOCK] = 65536;
    device.snapshot.attributes[ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR] = 65536;
    device.snapshot.attributes[ATTRIBUTE_WARP_SIZE] = 32;
    device.snapshot.attributes[ATTRIBUTE_MULTIPROCESSOR_COUNT] = 100;
    device.snapshot.attributes[ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR] = DEVICES[index].shared << 10;
    device.snapshot.attributes[ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN] = DEVICES[index].per_block << 10;
    device.snapshot.attributes[ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK] = DEVICES[index].reserved << 10;
    return (cudaOccDeviceProp){
        .computeMajor = DEVICES[index].major, .computeMinor = DEVICES[index].minor, .maxThreadsPerBlock = 1024,
        .maxThreadsPerMultiprocessor = DEVICES[index].threads, .regsPerBlock = 65536, .regsPerMultiprocessor = 65536,
        .warpSize = 32, .sharedMemPerBlock = 48 << 10, .sharedMemPerMultiprocessor = (size_t)DEVICES[index].shared << 10,
        .numSms = 100, .sharedMemPerBlockOptin = (size_t)DEVICES[index].per_block << 10,
        .reservedSharedMemPerBlock = (size_t)DEVICES[index].reserved << 10};
}

static int pick(int most)
{
    return (int)(random() % (most + 1));
}

static cudaOccFuncAttributes take_kernel(size_t index)
{
    int shared = pick(2) ? pick(48 << 10) : 0;

    kernel.attributes[FUNCTION_MAX_THREADS_PER_BLOCK] = pick(1) ? 1024 : 1 + pick(1023);
    kernel.attributes[FUNCTION_NUM_REGS] = pick(255);
    kernel.attributes[FUNCTION_SHARED_SIZE_BYTES] = shared;
    kernel.dynamic_shared = (pick(1) ? 48 << 10 : DEVICES[index].per_block << 10) - shared;
    return (cudaOccFuncAttributes){
        .maxThreadsPerBlock = kernel.attributes[FUNCTION_MAX_THREADS_PER_BLOCK],
        .numRegs = kernel.attributes[FUNCTION_NUM_REGS], .sharedSizeBytes = (size_t)shared,
        .shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN, .maxDynamicSharedSizeBytes = (size_t)kernel.dynamic_shared};
}

static void compare(size_t index)
{
    const cudaOccDeviceProp properties = take_device(index);
    const cudaOccFuncAttributes attributes = take_kernel(index);
    const cudaOccDeviceState state = {.carveoutConfig = SHAREDMEM_CARVEOUT_DEFAULT};
    int threads = 1 + pick(attributes.maxThreadsPerBlock - 1), grid = 0, block = 0, our_grid = 0, our_block = 0, blocks = 0;
    size_t dynamic = pick(1) ? (size_t)pick(100 << 10) : 0, room = 0, our_room = 0;
    cudaOccResult result;

    cudaOccMaxActiveBlocksPerMultiprocessor(&result, &properties, &attributes, &state, threads, dynamic);
    cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, NULL, threads, dynamic);
    equal("blocks", blocks, result.activeBlocksPerMultiprocessor);
    cudaOccMaxPotentialOccupancyBlockSize(&grid, &block, &properties, &attributes, &state, NULL, dynamic);
    cuOccupancyMaxPotentialBlockSize(&our_grid, &our_block, NULL, NULL, dynamic, 0);
    equal("grid", our_grid, grid);
    equal("block", our_block, block);
    int few = 1 + pick(4);
    int refused = cudaOccAvailableDynamicSMemPerBlock(&room, &properties, &attributes, &state, few, threads) != 0;
    equal("error", cuOccupancyAvailableDynamicSMemPerBlock(&our_room, NULL, few, threads) != 0, refused);
    equal("dynamic shared", (long)our_room, (long)room);
}

int main(void)
{
    for (size_t i = 0; i < sizeof DEVICES / sizeof *DEVICES; i++)
        for (int turn = 0; turn < 20000; turn++)
            compare(i);
    return failures != 0;
}
