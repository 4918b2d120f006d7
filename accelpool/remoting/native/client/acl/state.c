/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process, its devices and contexts. A session has one context at the worker; whatever the program creates here stands
 * for it. Which one is current is a matter of the calling thread.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "acl_wire.h"
#include "client.h"

/* uses: 1 until it is destroyed; of a device's default one, what aclrtSetDevice has counted and aclrtResetDevice not. */
struct context {
    struct device *device;
    uint64_t id;
    atomic_uint uses;
};

static atomic_int initialised;
static struct context defaults[ATTACHMENT_DEVICES];
static _Thread_local struct context *current;

static void open_defaults(void)
{
    for (unsigned i = 0; i < client_device_count(); i++) {
        defaults[i].device = client_device((int)i);
        defaults[i].id = handle_new(HANDLE_CONTEXT, defaults[i].device, &defaults[i]);
    }
}

static int start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (process_start("acl"))
        return ACL_ERROR_RT_NO_DEVICE;
    pthread_once(&once, open_defaults);
    return 0;
}

/* Another thread may have ended it. */
static int alive(const struct context *context)
{
    return context && atomic_load(&context->uses) > 0;
}

int client_enter(struct device **device)
{
    if (!process_ready())
        return ACL_ERROR_UNINITIALIZE;
    if (!alive(current))
        return ACL_ERROR_RT_CONTEXT_NULL;
    *device = current->device;
    return channel_broken(current->device->channel);
}

void *client_context(void)
{
    return current;
}

aclError aclInit(const char *configPath)
{
    int status = start();

    (void)configPath; /* dumps and profiling, which are not carried */
    if (!status && atomic_exchange(&initialised, 1))
        return ACL_ERROR_REPEAT_INITIALIZE;
    return CLIENT_STATUS(status);
}

aclError aclFinalize(void)
{
    return atomic_exchange(&initialised, 0) ? ACL_SUCCESS : CLIENT_STATUS(ACL_ERROR_UNINITIALIZE);
}

/* --- devices ------------------------------------------------------------------------------------------------------ */

aclError aclrtGetDeviceCount(uint32_t *count)
{
    int status = count ? start() : CLIENT_INVALID_VALUE;

    if (!status)
        *count = client_device_count();
    return CLIENT_STATUS(status);
}

aclError aclrtSetDevice(int32_t deviceId)
{
    int status = start();

    if (!status && !client_device(deviceId))
        status = ACL_ERROR_RT_INVALID_DEVICEID;
    if (!status) {
        current = &defaults[deviceId];
        atomic_fetch_add(&current->uses, 1);
        client_platform_start();
    }
    return CLIENT_STATUS(status);
}

aclError aclrtGetDevice(int32_t *deviceId)
{
    struct device *device;
    int status = deviceId ? client_enter(&device) : CLIENT_INVALID_VALUE;

    if (!status)
        *deviceId = device->ordinal;
    return CLIENT_STATUS(status);
}

/* With its last use the default context ends, when its work is done; the session lives as long as the process. */
static int reset(int32_t ordinal, int whole)
{
    int status = start();
    struct device *device = status ? NULL : client_device(ordinal);
    unsigned uses;

    if (!device)
        return status ? status : ACL_ERROR_RT_INVALID_DEVICEID;
    uses = atomic_load(&defaults[ordinal].uses);
    do {
        if (!uses)
            return ACL_ERROR_RT_CONTEXT_RELEASE_ERROR;
    } while (!atomic_compare_exchange_weak(&defaults[ordinal].uses, &uses, whole ? 0 : uses - 1));
    if (uses > 1 && !whole)
        return 0;
    status = session_wait(device, ACL_OP_aclrtSynchronizeDevice, NULL, 0, NULL, 0, CALL_IDLE);
    client_streams_end(device, &defaults[ordinal]);
    return status;
}

aclError aclrtResetDevice(int32_t deviceId)
{
    return CLIENT_STATUS(reset(deviceId, 0));
}

aclError aclrtResetDeviceForce(int32_t deviceId)
{
    return CLIENT_STATUS(reset(deviceId, 1));
}

/* --- contexts ----------------------------------------------------------------------------------------------------- */

aclError aclrtCreateContext(aclrtContext *context, int32_t deviceId)
{
    int status = start();

    if (!status && !context)
        status = CLIENT_INVALID_VALUE;
    if (!status && !client_device(deviceId))
        status = ACL_ERROR_RT_INVALID_DEVICEID;
    if (status)
        return CLIENT_STATUS(status);
    struct context *fresh = malloc(sizeof *fresh);
    if (fresh)
        *fresh = (struct context){client_device(deviceId), handle_new(HANDLE_CONTEXT, client_device(deviceId), fresh), 1};
    if (!fresh || !fresh->id) {
        free(fresh);
        return CLIENT_STATUS(CLIENT_OUT_OF_MEMORY);
    }
    *context = handle_value(HANDLE_CONTEXT, fresh->id);
    current = fresh;
    client_platform_start();
    return ACL_SUCCESS;
}

/* Its memory is kept: another thread may have it current. */
aclError aclrtDestroyContext(aclrtContext context)
{
    struct context *found = handle_object(HANDLE_CONTEXT, context);

    if (!found || (found >= defaults && found < defaults + ATTACHMENT_DEVICES))
        return CLIENT_STATUS(ACL_ERROR_RT_CONTEXT_NULL);
    handle_free(HANDLE_CONTEXT, found->id);
    atomic_store(&found->uses, 0);
    client_streams_end(found->device, found);
    return ACL_SUCCESS;
}

aclError aclrtSetCurrentContext(aclrtContext context)
{
    struct context *found = process_ready() ? handle_object(HANDLE_CONTEXT, context) : NULL;

    if (!alive(found))
        return CLIENT_STATUS(ACL_ERROR_RT_CONTEXT_NULL);
    current = found;
    return ACL_SUCCESS;
}

aclError aclrtGetCurrentContext(aclrtContext *context)
{
    if (!context)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    if (!alive(current) || !process_ready())
        return CLIENT_STATUS(ACL_ERROR_RT_CONTEXT_NULL);
    *context = handle_value(HANDLE_CONTEXT, current->id);
    return ACL_SUCCESS;
}

aclError aclrtGetPrimaryCtxState(int32_t deviceId, uint32_t *flags, int32_t *active)
{
    int status = start();

    if (!status && !client_device(deviceId))
        status = ACL_ERROR_RT_INVALID_DEVICEID;
    if (!status && flags)
        *flags = 0;
    if (!status && active)
        *active = alive(&defaults[deviceId]);
    return CLIENT_STATUS(status);
}
