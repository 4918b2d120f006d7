/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vendor's library has for compute capability 9.0 and kernels of emulated devices cannot use: tensor maps, with some of
 * the documented checks and every argument in the result, and clusters. A multiprocessor has room for 4 blocks here.
 */
#ifndef HOPPER_VENDOR_H
#define HOPPER_VENDOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HOPPER_API __attribute__((visibility("default")))

static void hopper_mix(uint64_t *map, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        map[1 + i % 15] = (map[1 + i % 15] ^ ((const uint8_t *)bytes)[i]) * UINT64_C(1099511628211) + map[1];
}

static int hopper_begin(uint64_t *map, int type, uint32_t rank, uint64_t address, const uint64_t *dimensions,
                        const uint64_t *strides, const uint32_t *element_strides, const int *modes)
{
    if ((uintptr_t)map % 64 || address % 16 || rank < 1 || rank > 5 || type < 0 || type > 15 || modes[0] < 0 || modes[0] > 2)
        return 1;
    memset(map, 0, 128);
    map[0] = address;
    hopper_mix(map, &type, sizeof type);
    hopper_mix(map, &rank, sizeof rank);
    hopper_mix(map, modes, 4 * sizeof *modes);
    for (uint32_t i = 0; i < rank; i++) {
        if (!dimensions[i] || !element_strides[i] || element_strides[i] > 8 || (i && strides[i - 1] % 16))
            return 1;
        hopper_mix(map, &dimensions[i], 8);
        hopper_mix(map, &element_strides[i], 4);
        if (i)
            hopper_mix(map, &strides[i - 1], 8);
    }
    return 0;
}

HOPPER_API int cuTensorMapEncodeTiled(uint64_t *map, int type, uint32_t rank, uint64_t address, const uint64_t *dimensions,
                                      const uint64_t *strides, const uint32_t *box, const uint32_t *element_strides,
                                      int interleave, int swizzle, int promotion, int fill)
{
    const int modes[4] = {interleave, swizzle, promotion, fill};
    int status = hopper_begin(map, type, rank, address, dimensions, strides, element_strides, modes);

    for (uint32_t i = 0; !status && i < rank; i++) {
        status = !box[i] || box[i] > 256;
        hopper_mix(map, &box[i], 4);
    }
    return status;
}

HOPPER_API int cuTensorMapEncodeIm2col(uint64_t *map, int type, uint32_t rank, uint64_t address, const uint64_t *dimensions,
                                       const uint64_t *strides, const int *lower, const int *upper, uint32_t channels,
                                       uint32_t pixels, const uint32_t *element_strides, int interleave, int swizzle,
                                       int promotion, int fill)
{
    const int modes[4] = {interleave, swizzle, promotion, fill};
    int status = rank < 3 || channels > 256 || pixels > 1024
                     ? 1
                     : hopper_begin(map, type, rank, address, dimensions, strides, element_strides, modes);

    if (status)
        return status;
    hopper_mix(map, lower, (rank - 2) * sizeof *lower);
    hopper_mix(map, upper, (rank - 2) * sizeof *upper);
    hopper_mix(map, &channels, 4);
    hopper_mix(map, &pixels, 4);
    return 0;
}

HOPPER_API int cuTensorMapReplaceAddress(uint64_t *map, uint64_t address)
{
    if ((uintptr_t)map % 64 || address % 16)
        return 1;
    map[0] = address;
    return 0;
}

struct hopper_config {
    unsigned grid[3], block[3], shared;
    void *stream;
    const struct {
        int id, zero;
        unsigned value[16];
    } *attributes;
    unsigned count;
};

HOPPER_API int cuOccupancyMaxActiveClusters(int *clusters, void *function, const struct hopper_config *config)
{
    unsigned size = 1, device = 16 * 4;

    for (unsigned i = 0; i < config->count; i++)
        if (config->attributes[i].id == 4) { /* cluster dimension */
            const unsigned *is = config->attributes[i].value;

            if (config->grid[0] % is[0] || config->grid[1] % is[1] || config->grid[2] % is[2] || is[0] * is[1] * is[2] > 8)
                return 912; /* CUDA_ERROR_INVALID_CLUSTER_SIZE */
            size = is[0] * is[1] * is[2];
        }
    *clusters = (int)(device / size);
    return function ? 0 : 400;
}

HOPPER_API int cuOccupancyMaxPotentialClusterSize(int *size, void *function, const struct hopper_config *config)
{
    *size = config->shared > 32768 ? 4 : 8;
    return function ? 0 : 400;
}

#endif
