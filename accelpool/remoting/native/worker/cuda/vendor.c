/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA driver API as a vendor: its own symbols, but for the snapshot. */
#include "vendor.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "cuda_worker.h"

/* ISO C has no conversion from an object pointer to a function pointer; POSIX promises that this one works. */
#define VENDOR_SYMBOL(member, symbol) *(void **)&vendor.member = dlsym(library, symbol)

static const char *load(void *library)
{
#define REQUIRE(member, symbol, arguments) \
    VENDOR_SYMBOL(member, symbol);         \
    if (!vendor.member)                    \
        return symbol;
#define ACCEPT(member, symbol, arguments) VENDOR_SYMBOL(member, symbol);
    VENDOR_REQUIRED(REQUIRE)
    VENDOR_OPTIONAL(ACCEPT)
#undef REQUIRE
#undef ACCEPT
    return NULL;
}

#define ATTRIBUTE_MPS_ENABLED 133
#define SCHEDULE_BLOCKING 4u /* CU_CTX_SCHED_BLOCKING_SYNC */

/*
 * Where MPS limits the slice and the library does not reach its daemon it runs without, silently, and then nothing limits the
 * session. A driver too old to tell is no proof either.
 */
static int limited(void)
{
    int enabled = 0;

    if (!getenv("ACCELPOOL_NEEDS_MPS"))
        return 1;
    return vendor.device_attribute && !vendor.device_attribute(&enabled, ATTRIBUTE_MPS_ENABLED, vendor.device) && enabled;
}

#define ATTRIBUTE_PAGEABLE_MEMORY_ACCESS 88

/*
 * Kernels that reach pageable memory (HMM, ATS) reach all of this process: its keys, its account of the slice and what it
 * executes. The operator has to say that the tenants may.
 */
static int exposed(void)
{
    int access = 0;

    return !getenv("ACCELPOOL_HOST_ACCESS") && vendor.device_attribute &&
           !vendor.device_attribute(&access, ATTRIBUTE_PAGEABLE_MEMORY_ACCESS, vendor.device) && access;
}

#define LARGEST_MAPPING (UINT64_C(256) << 20) /* bytes */

static int start(void)
{
    const struct vendor_allocation_prop prop = {.type = 1, .location = {.type = 1}};
    size_t granule = 0;
    int status = vendor.init(0);

    if (!status)
        status = vendor.device_get(&vendor.device, 0);
    if (!status && vendor.primary_flags) /* who waits leaves the core to others; a driver that refuses this spins, no more */
        vendor.primary_flags(vendor.device, SCHEDULE_BLOCKING);
    if (!status)
        status = vendor.primary_retain(&vendor.context, vendor.device);
    if (!status)
        status = vendor.context_set(vendor.context);
    if (!status && exposed())
        status = WORKER_EXPOSED;
    if (!status && !limited())
        status = WORKER_WITHOUT_MPS;
    if (!status)
        status = vendor.granularity(&granule, &prop, 0);
    if (!status && (granule < 4096 || (granule & (granule - 1))))
        status = CU_SYSTEM_FAILURE;
    vendor.granule = granule;
    vendor.mapping = LARGEST_MAPPING;
    return status;
}

static void snapshot_take(struct wire_snapshot *snapshot)
{
    int version = 0, least = 0, greatest = 0;

    if (vendor.driver_version)
        vendor.driver_version(&version);
    if (vendor.priority_range)
        vendor.priority_range(&least, &greatest);
    snapshot->driver_version = version;
    snapshot->priority_least = least;
    snapshot->priority_greatest = greatest;
    if (vendor.device_name)
        vendor.device_name(snapshot->name, sizeof snapshot->name - 1, vendor.device);
    if (vendor.device_bus)
        vendor.device_bus(snapshot->pci_bus_id, sizeof snapshot->pci_bus_id - 1, vendor.device);
    if (vendor.device_uuid)
        vendor.device_uuid(snapshot->uuid, vendor.device);
    for (int i = 0; i < (int)WIRE_ATTRIBUTES; i++) {
        int value;

        snapshot->attributes[i] =
            vendor.device_attribute && !vendor.device_attribute(&value, i, vendor.device) ? value : WIRE_ATTRIBUTE_NONE;
    }
}

const struct worker_api cuda_api = {
    .interface = "cuda",
    .stream_literals = 1, /* the default and the legacy stream */
    .load = load,
    .load_calls = cuda_vendor_load,
    .start = start,
    .snapshot = snapshot_take,
    .find = cuda_call_find,
};
