/* SPDX-License-Identifier: Apache-2.0 */
/* Copies and fills. To the device: sent and not waited for. From the device: one round trip, also for asynchronous ones. */
#include <stdlib.h>
#include <string.h>

#include "acl_launch.h"
#include "acl_wire.h"
#include "client.h"

#define BOUNCE (1u << 20) /* bytes on their way from one device to another */

static int within(struct device *device, void *to, const void *from, size_t bytes, uint64_t stream)
{
    const struct wire_acl_copy call = {(uintptr_t)to, (uintptr_t)from, bytes, stream};

    return session_post(device, ACL_OP_aclrtMemcpyAsync, &call, sizeof call, CALL_WORK);
}

/* Between two devices, through the program's memory. */
static int across(struct device *to_device, void *to, struct device *from_device, const void *from, size_t bytes)
{
    char *bounce = malloc(BOUNCE);
    int status = bounce ? 0 : ACL_ERROR_RT_MEMORY_ALLOCATION;

    for (size_t done = 0; !status && done < bytes; done += BOUNCE) {
        const size_t part = bytes - done < BOUNCE ? bytes - done : BOUNCE;

        status = session_copy_out(from_device, bounce, (uintptr_t)from + done, part, 0);
        if (!status)
            status = session_copy_in(to_device, (uintptr_t)to + done, bounce, part, 0);
    }
    free(bounce);
    return status;
}

/* What the addresses are must agree with what the program says they are. */
static int checked_kind(const struct device *to, const struct device *from, aclrtMemcpyKind kind)
{
    switch (kind) {
    case ACL_HOST_TO_HOST:
        return !to && !from;
    case ACL_HOST_TO_DEVICE:
    case 5: /* through a buffer of the runtime's */
        return to && !from;
    case ACL_DEVICE_TO_HOST:
        return !to && from;
    case ACL_DEVICE_TO_DEVICE:
    case 6: /* on one device */
    case 7: /* between two */
        return to && from;
    default:
        return kind == ACL_DEFAULT;
    }
}

static int copy(void *dst, size_t destMax, const void *src, size_t count, aclrtMemcpyKind kind, aclrtStream stream)
{
    struct device *device, *to, *from;
    uint64_t id;
    int status = client_enter(&device);

    if (!status)
        status = client_stream(device, stream, &id);
    if (!status && (count > destMax || (count && (!dst || !src))))
        status = CLIENT_INVALID_VALUE;
    if (status || !count)
        return status;
    to = client_device_at((uintptr_t)dst);
    from = client_device_at((uintptr_t)src);
    if (!checked_kind(to, from, kind) || (to && client_range(to, dst, count)) || (from && client_range(from, src, count)))
        return CLIENT_INVALID_VALUE;
    if (to && from)
        return to == from ? within(to, dst, src, count, to == device ? id : 0) : across(to, dst, from, src, count);
    if (to)
        return session_copy_in(to, (uintptr_t)dst, src, count, to == device ? id : 0);
    if (from)
        return session_copy_out(from, dst, (uintptr_t)src, count, from == device ? id : 0);
    memmove(dst, src, count);
    return 0;
}

aclError aclrtMemcpyAsync(void *dst, size_t destMax, const void *src, size_t count, aclrtMemcpyKind kind,
                          aclrtStream stream)
{
    return CLIENT_STATUS(copy(dst, destMax, src, count, kind, stream));
}

aclError aclrtMemcpyAsyncWithCondition(void *dst, size_t destMax, const void *src, size_t count, aclrtMemcpyKind kind,
                                       aclrtStream stream)
{
    return CLIENT_STATUS(copy(dst, destMax, src, count, kind, stream));
}

/* What is done to memory that another process may have, too, is done when the program goes on: it may tell that one. */
static int settle(const void *place)
{
    struct acl_aclrtSynchronizeStream_call call;
    struct device *device, *at = client_shares() ? client_device_at((uintptr_t)place) : NULL;
    uint64_t id = 0;
    int status = at ? client_enter(&device) : 0;

    if (!at || status)
        return status;
    if (at == device)
        status = client_stream(device, NULL, &id);
    call.stream = id;
    return status ? status : session_wait(at, ACL_OP_aclrtSynchronizeStream, &call, sizeof call, NULL, 0, 0);
}

/* On the default stream, which waits for no other: so does AscendCL's. */
aclError aclrtMemcpy(void *dst, size_t destMax, const void *src, size_t count, aclrtMemcpyKind kind)
{
    const int status = copy(dst, destMax, src, count, kind, NULL);

    return CLIENT_STATUS(status ? status : settle(dst));
}

aclError aclrtMemset(void *devPtr, size_t maxCount, int32_t value, size_t count)
{
    struct device *device;
    int status = client_enter(&device);

    if (!status && client_device_at((uintptr_t)devPtr)) {
        const aclError error = aclrtMemsetAsync(devPtr, maxCount, value, count, NULL);

        return error ? error : CLIENT_STATUS(settle(devPtr));
    }
    if (!status && (!devPtr || count > maxCount))
        status = CLIENT_INVALID_VALUE;
    if (!status)
        memset(devPtr, value, count);
    return CLIENT_STATUS(status);
}
