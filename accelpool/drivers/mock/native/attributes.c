/* SPDX-License-Identifier: Apache-2.0 */
/* cuDeviceGetAttribute: one answer for every attribute number that driver 13.0 knows (1-147). */
#include <stddef.h>

#include "emu.h"

#define LAST_ATTRIBUTE 147

/* The same for every device; attributes that are 0 are not listed. Texture extents are those of sm_50 and later. */
static const int fixed[LAST_ATTRIBUTE + 1] = {
    [1] = 1024,       [2] = 1024,      [3] = 1024,       [4] = 64,         [5] = 2147483647, [6] = 65535,
    [7] = 65535,      [9] = 65536,     [10] = 32,        [11] = 2147483647, [12] = 65536,    [14] = 512,
    [15] = 1,         [19] = 1,        [21] = 131072,    [22] = 131072,    [23] = 65536,     [24] = 16384,
    [25] = 16384,     [26] = 16384,    [27] = 32768,     [28] = 32768,     [29] = 2048,      [30] = 512,
    [31] = 1,         [36] = 7000000,  [37] = 256,       [38] = 4 << 20,   [40] = 2,         [41] = 1,
    [42] = 32768,     [43] = 2048,     [44] = 1,         [45] = 32768,     [46] = 32768,     [47] = 8192,
    [48] = 8192,      [49] = 32768,    [51] = 32,        [52] = 32768,     [53] = 32768,     [54] = 2046,
    [55] = 32768,     [56] = 131072,   [57] = 65536,     [58] = 16384,     [59] = 16384,     [60] = 16384,
    [61] = 32768,     [62] = 2048,     [63] = 32768,     [64] = 32768,     [65] = 2048,      [66] = 32768,
    [67] = 32768,     [68] = 2046,     [69] = 268435456, [70] = 131072,    [71] = 65000,     [72] = 2097120,
    [73] = 32768,     [74] = 32768,    [77] = 32768,     [78] = 1,         [79] = 1,         [80] = 1,
    [82] = 65536,     [87] = 32,       [90] = 1,         [91] = 1,         [95] = 1,         [99] = 1,         [102] = 1,
    [115] = 1,        [111] = 1024,    [131] = -1,       [134] = -1,       [139] = 0x220410de,
};

int device_attribute(int attribute, int *value) {
    const struct device *device = &emu_device;
    if (attribute < 1 || attribute > LAST_ATTRIBUTE)
        return -1;
    switch (attribute) {
    case 8:
        *value = device->shared_per_block;
        break;
    case 13:
        *value = device->clock_khz;
        break;
    case 16:
        *value = device->multiprocessors;
        break;
    case 33:
        *value = device->pci_bus;
        break;
    case 34:
        *value = device->pci_slot;
        break;
    case 39:
        *value = device->threads_per_multiprocessor;
        break;
    case 50:
        *value = device->pci_domain;
        break;
    case 75:
        *value = device->major;
        break;
    case 76:
        *value = device->minor;
        break;
    case 81:
        *value = device->shared_per_multiprocessor;
        break;
    case 88:
        *value = device->pageable_access;
        break;
    case 97:
        *value = device->shared_optin;
        break;
    case 106:
        *value = device->blocks_per_multiprocessor;
        break;
    case 111: /* reserved by the system in each block since 8.0 */
        *value = device->major >= 8 ? fixed[111] : 0;
        break;
    default:
        *value = fixed[attribute];
    }
    return 0;
}
