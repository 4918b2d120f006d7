/* SPDX-License-Identifier: Apache-2.0 */
/* Streams and events, as far as they are not generated. */
#include "acl_wire.h"
#include "client.h"

int client_stream(struct device *device, aclrtStream stream, uint64_t *id)
{
    *id = 0;
    return stream ? handle_id(HANDLE_STREAM, device, stream, id) : 0;
}

aclError aclrtCreateStream(aclrtStream *stream)
{
    return aclrtCreateStreamWithConfig(stream, 0, 0);
}

aclError aclrtCtxGetCurrentDefaultStream(aclrtStream *stream)
{
    struct device *device;
    int status = stream ? client_enter(&device) : CLIENT_INVALID_VALUE;

    if (!status)
        *stream = NULL;
    return CLIENT_STATUS(status);
}

aclError aclrtCreateEvent(aclrtEvent *event)
{
    return aclrtCreateEventExWithFlag(event, 0);
}

aclError aclrtCreateEventWithFlag(aclrtEvent *event, uint32_t flag)
{
    return aclrtCreateEventExWithFlag(event, flag);
}

/* From any thread, also one that has no context, as torch's does that clears up. */
aclError aclrtDestroyEvent(aclrtEvent event)
{
    struct acl_aclrtDestroyEvent_call call;
    struct device *device = handle_device(HANDLE_EVENT, event);
    uint64_t id;
    int status = process_ready() ? 0 : ACL_ERROR_UNINITIALIZE;

    if (!status)
        status = device ? handle_id(HANDLE_EVENT, device, event, &id) : ACL_ERROR_RT_INVALID_HANDLE;
    if (!status)
        status = channel_broken(device->channel);
    if (status)
        return CLIENT_STATUS(status);
    call.event = id;
    status = session_post(device, ACL_OP_aclrtDestroyEvent, &call, sizeof call, CALL_ALWAYS);
    handle_free(HANDLE_EVENT, id);
    return CLIENT_STATUS(status);
}

aclError aclrtQueryEvent(aclrtEvent event, aclrtEventStatus *status)
{
    aclrtEventRecordedStatus recorded;
    aclError error = status ? aclrtQueryEventStatus(event, &recorded) : CLIENT_STATUS(CLIENT_INVALID_VALUE);

    if (!error)
        *status = recorded == ACL_EVENT_RECORDED ? 0 : 1; /* complete, not ready */
    return error;
}
