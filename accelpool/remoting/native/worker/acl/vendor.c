/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AscendCL as a vendor: what the shared files ask of a device, in AscendCL's words. Their own codes (enum in vendor.h) and
 * AscendCL's (100000 and up) do not overlap; only what they look at is translated.
 */
#include "vendor.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "acl.h"
#include "acl_device.h"
#include "acl_platform.h"
#include "acl_worker.h"
#include "api.h"

#define MEMORY_HBM_HUGE 4 /* aclrtMemAttr */
#define GRANULARITY_MINIMUM 0

struct acl_library acl;

/* Physical memory by granule of the one range: AscendCL wants it freed after the unmapping, not before. */
static struct {
    uint64_t base, granules;
    void **memory;
    void *created; /* not mapped yet */
} range;

static int translated(int status)
{
    return status == ACL_ERROR_RT_MEMORY_ALLOCATION || status == 207018 /* device out of memory */ ? CU_OUT_OF_MEMORY
                                                                                                   : status;
}

static int reserve(uint64_t *address, size_t bytes, size_t alignment, uint64_t at, uint64_t flags)
{
    void *got = NULL;
    int status = acl.reserve(&got, bytes, alignment, (void *)(uintptr_t)at, flags);

    if (status) /* older runtimes let nobody choose */
        status = acl.reserve(&got, bytes, alignment, NULL, flags);
    if (status)
        return translated(status);
    free(range.memory); /* of a session before this one, when a process has several: under a fuzzer */
    range.base = *address = (uint64_t)(uintptr_t)got;
    range.granules = bytes / vendor.granule;
    range.memory = calloc(range.granules, sizeof *range.memory);
    if (range.memory)
        return 0;
    acl.unreserve(got);
    return CU_OUT_OF_MEMORY;
}

static int unreserve(uint64_t address, size_t bytes)
{
    (void)bytes;
    free(range.memory);
    range.memory = NULL;
    return acl.unreserve((void *)(uintptr_t)address);
}

static int create(uint64_t *memory, size_t bytes, const void *prop, uint64_t flags)
{
    const aclrtPhysicalMemProp mine = {.memAttr = MEMORY_HBM_HUGE,
                                       .location = {.id = (uint32_t)vendor.device, .type = ACL_LOCATION_DEVICE}};
    void *handle = NULL;
    int status = acl.create(&handle, bytes, &mine, flags);

    (void)prop;
    *memory = (uint64_t)(uintptr_t)handle;
    return translated(status);
}

static int map(uint64_t address, size_t bytes, size_t offset, uint64_t memory, uint64_t flags)
{
    void *handle = (void *)(uintptr_t)memory;
    const uint64_t index = (address - range.base) / vendor.granule;
    int status = index < range.granules ? acl.map((void *)(uintptr_t)address, bytes, offset, handle, flags)
                                        : ACL_ERROR_RT_PARAM_INVALID;

    if (status)
        acl.release(handle);
    else
        range.memory[index] = handle;
    return translated(status);
}

static int keep(uint64_t memory)
{
    (void)memory; /* freed by unmap() */
    return 0;
}

static int unmap(uint64_t address, size_t bytes)
{
    const uint64_t index = (address - range.base) / vendor.granule;
    int status = acl.unmap((void *)(uintptr_t)address);

    (void)bytes;
    if (index < range.granules && range.memory[index]) {
        acl.release(range.memory[index]);
        range.memory[index] = NULL;
    }
    return status;
}

void *acl_physical(uint64_t address)
{
    const uint64_t index = (address - range.base) / vendor.granule;

    return index < range.granules ? range.memory[index] : NULL;
}

static int set_access(uint64_t address, size_t bytes, const void *access, size_t count)
{
    (void)address, (void)bytes, (void)access, (void)count;
    return 0; /* what is mapped can be used */
}

static int host_alloc(void **memory, size_t bytes, unsigned flags)
{
    (void)flags;
    return acl.host_alloc(memory, bytes);
}

static int copy_in(uint64_t to, const void *from, size_t bytes, void *stream)
{
    return acl.copy((void *)(uintptr_t)to, bytes, from, bytes, ACL_HOST_TO_DEVICE, stream);
}

static int copy_out(void *to, uint64_t from, size_t bytes, void *stream)
{
    return acl.copy(to, bytes, (const void *)(uintptr_t)from, bytes, ACL_DEVICE_TO_HOST, stream);
}

static int fill(uint64_t to, unsigned char value, size_t bytes, void *stream)
{
    return acl.fill((void *)(uintptr_t)to, bytes, value, bytes, stream);
}

/* A stream waits for no other here, whatever it is made with. */
static int stream_create(void **stream, unsigned flags)
{
    (void)flags;
    return acl.stream_create(stream, 0, 0);
}

static int event_create(void **event, unsigned flags)
{
    return acl.event_create(event, flags & VENDOR_EVENT_UNTIMED ? ACL_EVENT_SYNC : ACL_EVENT_SYNC | ACL_EVENT_TIME_LINE);
}

static const char *load(void *library)
{
#define REQUIRE(member, symbol, arguments)            \
    *(void **)&acl.member = dlsym(library, symbol);   \
    if (!acl.member)                                  \
        return symbol;
#define ACCEPT(member, symbol, arguments) *(void **)&acl.member = dlsym(library, symbol);
    ACL_REQUIRED(REQUIRE)
    ACL_OPTIONAL(ACCEPT)
#undef REQUIRE
#undef ACCEPT
    *(void **)&acl.soc_name = dlsym(library, "aclrtGetSocName");
    if (!acl.soc_name)
        return "aclrtGetSocName";
    vendor.reserve = reserve;
    vendor.unreserve = unreserve;
    vendor.create = create;
    vendor.release = keep;
    vendor.map = map;
    vendor.unmap = unmap;
    vendor.set_access = set_access;
    vendor.host_alloc = host_alloc;
    vendor.host_free = acl.host_free;
    vendor.copy_in = copy_in;
    vendor.copy_out = copy_out;
    vendor.context_set = acl.context_set;
    vendor.context_sync = acl.device_sync;
    vendor.memset = fill;
    vendor.stream_create = stream_create;
    vendor.stream_sync = acl.stream_sync;
    vendor.event_create = event_create;
    vendor.event_record = acl.event_record;
    vendor.event_sync = acl.event_sync;
    vendor.event_elapsed = acl.event_elapsed;
    vendor.event_destroy = acl.event_destroy;
    vendor.binary_load = acl_binary_load;
    vendor.module_unload = acl.binary_unload;
    return NULL;
}

static int start(void)
{
    aclrtPhysicalMemProp prop = {.memAttr = MEMORY_HBM_HUGE, .location = {.type = ACL_LOCATION_DEVICE}};
    size_t granule = 0;
    int status = acl.init(NULL);

    if (status == ACL_ERROR_REPEAT_INITIALIZE)
        status = 0;
    if (!status)
        status = acl.set_device(0);
    if (!status)
        status = acl.context_get(&vendor.context);
    if (!status)
        status = acl.granularity(&prop, GRANULARITY_MINIMUM, &granule);
    if (!status && (granule < 4096 || (granule & (granule - 1))))
        status = CU_SYSTEM_FAILURE;
    vendor.granule = vendor.mapping = granule; /* what processes share has a number for each granule */
    vendor.chooses_range = 1;
    return status;
}

static void snapshot_take(struct wire_snapshot *snapshot)
{
    const char *name = acl.soc_name();
    int32_t major, minor, patch;
    aclrtUuid uuid;

    if (name)
        strncpy(snapshot->name, name, sizeof snapshot->name - 1);
    if (acl.version && !acl.version(&major, &minor, &patch))
        snapshot->driver_version = ACL_VERSION(major, minor, patch);
    if (acl.device_uuid && !acl.device_uuid(0, &uuid))
        memcpy(snapshot->uuid, uuid.bytes, sizeof snapshot->uuid);
    for (unsigned i = 0; i < WIRE_ATTRIBUTES; i++) {
        int64_t value;

        snapshot->attributes[i] = WIRE_ATTRIBUTE_NONE;
        if (i < ACL_ATTRIBUTES && acl.device_info && !acl.device_info(0, ACL_ATTRIBUTE[i], &value) &&
            value > WIRE_ATTRIBUTE_NONE && value <= INT32_MAX)
            snapshot->attributes[i] = (int32_t)value;
    }
}

const struct worker_api acl_api = {
    .interface = "acl",
    .load = load,
    .load_calls = acl_vendor_load,
    .start = start,
    .snapshot = snapshot_take,
    .find = acl_call_find,
};
