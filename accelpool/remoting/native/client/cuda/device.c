/* SPDX-License-Identifier: Apache-2.0 */
/* Devices: everything comes from the snapshot that the session began with. */
#include <stdio.h>
#include <string.h>

#include "client.h"

/* What the vendor's device can do and a slice behind a connection cannot (yet): CUdevice_attribute numbers. */
static const unsigned char withheld[] = {
    19,                 /* CAN_MAP_HOST_MEMORY */
    83, 88, 89,         /* MANAGED_MEMORY, PAGEABLE_MEMORY_ACCESS, CONCURRENT_MANAGED_ACCESS */
    91, 92, 93, 94,     /* host pointers of registered memory, stream memory operations (version 1) */
    96,                 /* COOPERATIVE_MULTI_DEVICE_LAUNCH */
    98,                 /* CAN_FLUSH_REMOTE_WRITES */
    100, 101, 102, 103, /* host page tables, managed memory from the host, virtual memory management, its file handles */
    110, 112, 113, 114, /* RDMA, sparse arrays, read-only registration, timeline semaphores */
    115, 116, 119,      /* memory pools, RDMA, their handle types */
    121, 122, 123, 124, /* deferred mapping, stream memory operations, dma-buf */
    125, 128, 132, 133, /* IPC events, fabric handles, multicast, MPS */
    141, 142, 143, 144, 145, 146,
};

static CUresult device_of(CUdevice ordinal, struct device **device)
{
    CUresult status = client_ready();

    if (status)
        return status;
    *device = client_device(ordinal);
    return *device ? 0 : CLIENT_INVALID_DEVICE;
}

CUresult cuDriverGetVersion(int *driverVersion)
{
    const struct device *device = client_device(0);

    if (!driverVersion)
        return CLIENT_INVALID_VALUE;
    *driverVersion = device ? device->snapshot.driver_version : 13000; /* asked before cuInit: the interface we carry */
    return 0;
}

CUresult cuDeviceGetCount(int *count)
{
    CUresult status = client_ready();

    if (status)
        return status;
    if (!count)
        return CLIENT_INVALID_VALUE;
    *count = (int)client_device_count();
    return 0;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    struct device *known;
    CUresult status = device_of(ordinal, &known);

    if (!status && !device)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *device = ordinal;
    return status;
}

static CUresult give_text(char *to, int length, const char *text)
{
    if (!to || length < 1)
        return CLIENT_INVALID_VALUE;
    snprintf(to, (size_t)length, "%s", text);
    return 0;
}

CUresult cuDeviceGetName(char *name, int len, CUdevice dev)
{
    struct device *device;
    CUresult status = device_of(dev, &device);

    return status ? status : give_text(name, len, device->snapshot.name);
}

CUresult cuDeviceGetPCIBusId(char *pciBusId, int len, CUdevice dev)
{
    struct device *device;
    CUresult status = device_of(dev, &device);

    return status ? status : give_text(pciBusId, len, device->snapshot.pci_bus_id);
}

/* [domain]:[bus]:[device].[function], the outer two optional, hexadecimal. */
static int parse_bus(const char *text, unsigned id[4])
{
    memset(id, 0, 4 * sizeof *id);
    return sscanf(text, "%x:%x:%x.%x", &id[0], &id[1], &id[2], &id[3]) >= 3 ||
           (id[0] = 0, sscanf(text, "%x:%x.%x", &id[1], &id[2], &id[3]) >= 2);
}

CUresult cuDeviceGetByPCIBusId(CUdevice *dev, const char *pciBusId)
{
    CUresult status = client_ready();
    unsigned wanted[4], present[4];

    if (status)
        return status;
    if (!dev || !pciBusId || !parse_bus(pciBusId, wanted))
        return CLIENT_INVALID_VALUE;
    for (unsigned i = 0; i < client_device_count(); i++)
        if (parse_bus(client_device((CUdevice)i)->snapshot.pci_bus_id, present) &&
            !memcmp(wanted, present, sizeof wanted)) {
            *dev = (CUdevice)i;
            return 0;
        }
    return CLIENT_INVALID_DEVICE;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev)
{
    struct device *device;
    CUresult status = device_of(dev, &device);

    if (!status && !uuid)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        memcpy(uuid->bytes, device->snapshot.uuid, sizeof uuid->bytes);
    return status;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
    return cuDeviceGetUuid_v2(uuid, dev);
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev)
{
    struct device *device;
    CUresult status = device_of(dev, &device);

    if (!status && !bytes)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *bytes = device->memory_limit;
    return status;
}

CUresult cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev)
{
    struct device *device;
    CUresult status = device_of(dev, &device);

    if (status)
        return status;
    if (!pi || attrib < 1 || attrib >= WIRE_ATTRIBUTES || device->snapshot.attributes[attrib] == WIRE_ATTRIBUTE_NONE)
        return CLIENT_INVALID_VALUE;
    *pi = memchr(withheld, attrib, sizeof withheld) ? 0 : device->snapshot.attributes[attrib];
    return 0;
}

static int attribute(const struct device *device, int which)
{
    int value = device->snapshot.attributes[which];

    return value == WIRE_ATTRIBUTE_NONE ? 0 : value;
}

CUresult cuDeviceGetProperties(CUdevprop *prop, CUdevice dev)
{
    struct device *device;
    CUresult status = device_of(dev, &device);

    if (status)
        return status;
    if (!prop)
        return CLIENT_INVALID_VALUE;
    *prop = (CUdevprop){
        .maxThreadsPerBlock = attribute(device, ATTRIBUTE_MAX_THREADS_PER_BLOCK),
        .sharedMemPerBlock = attribute(device, ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK),
        .totalConstantMemory = attribute(device, ATTRIBUTE_TOTAL_CONSTANT_MEMORY),
        .SIMDWidth = attribute(device, ATTRIBUTE_WARP_SIZE),
        .memPitch = attribute(device, ATTRIBUTE_MAX_PITCH),
        .regsPerBlock = attribute(device, ATTRIBUTE_MAX_REGISTERS_PER_BLOCK),
        .clockRate = attribute(device, ATTRIBUTE_CLOCK_RATE),
        .textureAlign = attribute(device, ATTRIBUTE_TEXTURE_ALIGNMENT),
    };
    for (int i = 0; i < 3; i++) {
        prop->maxThreadsDim[i] = attribute(device, ATTRIBUTE_MAX_BLOCK_DIM_X + i);
        prop->maxGridSize[i] = attribute(device, ATTRIBUTE_MAX_GRID_DIM_X + i);
    }
    return 0;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice dev)
{
    struct device *device;
    CUresult status = device_of(dev, &device);

    if (status)
        return status;
    if (!major || !minor)
        return CLIENT_INVALID_VALUE;
    *major = attribute(device, ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    *minor = attribute(device, ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    return 0;
}

/* Devices of an attachment may stand in different hosts: no peer access, copies between them go through the program. */
CUresult cuDeviceCanAccessPeer(int *canAccessPeer, CUdevice dev, CUdevice peerDev)
{
    struct device *device;
    CUresult status = device_of(dev, &device);

    if (!status)
        status = device_of(peerDev, &device);
    if (!status && !canAccessPeer)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *canAccessPeer = 0;
    return status;
}

CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attrib, CUdevice srcDevice, CUdevice dstDevice)
{
    if (attrib < 1 || srcDevice == dstDevice)
        return client_ready() ? CLIENT_NOT_INITIALIZED : CLIENT_INVALID_VALUE;
    return cuDeviceCanAccessPeer(value, srcDevice, dstDevice);
}
