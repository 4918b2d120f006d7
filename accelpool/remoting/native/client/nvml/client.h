// SPDX-License-Identifier: Apache-2.0
// NVML's types as far as a slice answers them (the vendor's ABI), and what the generated stubs need.
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

typedef int nvmlReturn_t;
typedef const struct slice_device *nvmlDevice_t;

typedef struct {
    char busIdLegacy[16];
    unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
    char busId[32];
} nvmlPciInfo_t;

typedef struct {
    unsigned long long total, free, used;
} nvmlMemory_t;

typedef struct {
    unsigned int gpu, memory; // percent
} nvmlUtilization_t;

typedef struct {
    unsigned int version;
    unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;

#include "nvml_prototypes.h"

// Says once for each function that it is not there; NVML_ERROR_NOT_SUPPORTED.
nvmlReturn_t client_unsupported(const char *name, atomic_int *said);
