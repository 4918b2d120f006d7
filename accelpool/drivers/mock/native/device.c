/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emulated device and what it says about itself.
 *
 * ACCELPOOL_EMU_DEVICE = "name=...;uuid=<32 hex digits>;memory_mib=30720;cc=8.6;sm=16;pci=0000:01:00.0;pageable=0"; every
 * key may be missing. pageable: what it says of kernels and pageable memory, which they reach in any case. Limits per compute capability are the ones in NVIDIA's CUDA programming guide, table "Technical
 * Specifications per Compute Capability".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu.h"

struct device emu_device;

static const struct {
    int major, minor, threads, blocks, shared_sm_kib, optin_kib;
} capabilities[] = {
    {5, 2, 2048, 32, 96, 48}, {6, 0, 2048, 32, 64, 48},  {6, 1, 2048, 32, 96, 48},  {7, 0, 2048, 32, 96, 96},
    {7, 5, 1024, 16, 64, 64}, {8, 0, 2048, 32, 164, 163}, {8, 6, 1536, 16, 100, 99}, {8, 7, 1536, 16, 164, 163},
    {8, 9, 1536, 24, 100, 99}, {9, 0, 2048, 32, 228, 227},
};

static void parse_uuid(const char *text, unsigned char *uuid) {
    unsigned digits = 0;
    memset(uuid, 0, 16);
    for (; *text && *text != ';' && digits < 32; text++) {
        int digit = *text >= '0' && *text <= '9'   ? *text - '0'
                    : *text >= 'a' && *text <= 'f' ? *text - 'a' + 10
                    : *text >= 'A' && *text <= 'F' ? *text - 'A' + 10
                                                   : -1;
        if (digit < 0)
            continue;
        uuid[digits / 2] = (unsigned char)(uuid[digits / 2] << 4 | digit);
        digits++;
    }
}

static void parse_field(const char *key, const char *value, size_t length) {
    struct device *device = &emu_device;
    unsigned domain, bus, slot;
    long long number;
    if (!strcmp(key, "name") && length < sizeof device->name) {
        memcpy(device->name, value, length);
        device->name[length] = '\0';
    } else if (!strcmp(key, "uuid")) {
        parse_uuid(value, device->uuid);
    } else if (!strcmp(key, "memory_mib") && (number = atoll(value)) > 0 && number <= (16 << 20)) {
        device->total_bytes = (uint64_t)number << 20;
    } else if (!strcmp(key, "cc")) {
        if (sscanf(value, "%2d.%2d", &device->major, &device->minor) != 2)
            device->major = 8, device->minor = 6;
    } else if (!strcmp(key, "sm") && (number = atoll(value)) > 0 && number <= 1024) {
        device->multiprocessors = (int)number;
    } else if (!strcmp(key, "pageable")) {
        device->pageable_access = atoi(value);
    } else if (!strcmp(key, "pci") && sscanf(value, "%x:%x:%x", &domain, &bus, &slot) == 3) {
        device->pci_domain = (int)domain;
        device->pci_bus = (int)bus;
        device->pci_slot = (int)slot;
    }
}

static void fill_limits(void) {
    struct device *device = &emu_device;
    size_t best = 0;
    for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++)
        if (capabilities[i].major * 10 + capabilities[i].minor <= device->major * 10 + device->minor)
            best = i;
    device->threads_per_multiprocessor = capabilities[best].threads;
    device->blocks_per_multiprocessor = capabilities[best].blocks;
    device->shared_per_multiprocessor = capabilities[best].shared_sm_kib << 10;
    device->shared_optin = capabilities[best].optin_kib << 10;
    device->shared_per_block = 48 << 10;
}

void device_describe(void) {
    struct device *device = &emu_device;
    *device = (struct device){.name = "Emulated CUDA device", .total_bytes = 4ull << 30, .major = 8, .minor = 6,
                              .multiprocessors = 16, .pci_bus = 1, .clock_khz = 1500000};
    const char *text = getenv("ACCELPOOL_EMU_DEVICE");
    while (text && *text) {
        size_t length = strcspn(text, ";");
        const char *equals = memchr(text, '=', length);
        char key[16];
        if (equals && (size_t)(equals - text) < sizeof key) {
            memcpy(key, text, (size_t)(equals - text));
            key[equals - text] = '\0';
            parse_field(key, equals + 1, length - (size_t)(equals + 1 - text));
        }
        text += length + (text[length] == ';');
    }
    fill_limits();
}

CUresult device_check(CUdevice device) {
    TRY(initialised());
    return device == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

API CUresult cuDeviceGetCount(int *count) {
    TRY(initialised());
    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    *count = 1;
    return CUDA_SUCCESS;
}

API CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    TRY(initialised());
    if (!device)
        return CUDA_ERROR_INVALID_VALUE;
    if (ordinal != 0)
        return CUDA_ERROR_INVALID_DEVICE;
    *device = 0;
    return CUDA_SUCCESS;
}

API CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    TRY(device_check(device));
    if (!name || length <= 0)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(name, (size_t)length, "%s", emu_device.name);
    return CUDA_SUCCESS;
}

API CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) {
    TRY(device_check(device));
    if (!uuid)
        return CUDA_ERROR_INVALID_VALUE;
    memcpy(uuid->bytes, emu_device.uuid, sizeof uuid->bytes);
    return CUDA_SUCCESS;
}

API CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) {
    return cuDeviceGetUuid_v2(uuid, device);
}

API CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    TRY(device_check(device));
    if (!bytes)
        return CUDA_ERROR_INVALID_VALUE;
    *bytes = emu_device.total_bytes;
    return CUDA_SUCCESS;
}

API CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
    TRY(device_check(device));
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    return device_attribute(attribute, value) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

API CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
    TRY(device_check(device));
    if (!major || !minor)
        return CUDA_ERROR_INVALID_VALUE;
    *major = emu_device.major;
    *minor = emu_device.minor;
    return CUDA_SUCCESS;
}

API CUresult cuDeviceGetProperties(CUdevprop *properties, CUdevice device) {
    TRY(device_check(device));
    if (!properties)
        return CUDA_ERROR_INVALID_VALUE;
    static const int attributes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    int values[sizeof attributes / sizeof attributes[0]];
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
        device_attribute(attributes[i], &values[i]);
    _Static_assert(sizeof values == sizeof *properties, "cuDeviceGetProperties fills the whole structure");
    memcpy(properties, values, sizeof *properties);
    return CUDA_SUCCESS;
}

API CUresult cuDeviceGetPCIBusId(char *text, int length, CUdevice device) {
    TRY(device_check(device));
    if (!text || length < 13)
        return CUDA_ERROR_INVALID_VALUE;
    snprintf(text, (size_t)length, "%04x:%02x:%02x.0", emu_device.pci_domain & 0xffff, emu_device.pci_bus & 0xff,
             emu_device.pci_slot & 0xff);
    return CUDA_SUCCESS;
}

API CUresult cuDeviceGetByPCIBusId(CUdevice *device, const char *text) {
    TRY(initialised());
    unsigned domain = 0, bus, slot;
    if (!device || !text)
        return CUDA_ERROR_INVALID_VALUE;
    if (sscanf(text, "%x:%x:%x", &domain, &bus, &slot) != 3) {
        domain = 0;
        if (sscanf(text, "%x:%x", &bus, &slot) != 2)
            return CUDA_ERROR_INVALID_VALUE;
    }
    if ((int)domain != emu_device.pci_domain || (int)bus != emu_device.pci_bus || (int)slot != emu_device.pci_slot)
        return CUDA_ERROR_INVALID_DEVICE;
    *device = 0;
    return CUDA_SUCCESS;
}

API CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer) {
    TRY(device_check(device));
    TRY(device_check(peer));
    if (!can)
        return CUDA_ERROR_INVALID_VALUE;
    *can = 0;
    return CUDA_SUCCESS;
}

API CUresult cuDeviceGetP2PAttribute(int *value, int attribute, CUdevice from, CUdevice to) {
    (void)attribute;
    TRY(device_check(from));
    TRY(device_check(to));
    (void)value;
    return CUDA_ERROR_INVALID_DEVICE; /* a device is not its own peer, and there is no other */
}

API CUresult cuDeviceGetLuid(char *luid, unsigned *mask, CUdevice device) {
    (void)luid, (void)mask;
    TRY(device_check(device));
    return CUDA_ERROR_NOT_SUPPORTED; /* Windows only */
}

API CUresult cuDeviceGetExecAffinitySupport(int *supported, int type, CUdevice device) {
    TRY(device_check(device));
    if (!supported || type != 0)
        return CUDA_ERROR_INVALID_VALUE;
    *supported = 0;
    return CUDA_SUCCESS;
}

API CUresult cuDriverGetVersion(int *version) {
    if (!version)
        return CUDA_ERROR_INVALID_VALUE;
    *version = DRIVER_VERSION;
    return CUDA_SUCCESS;
}
