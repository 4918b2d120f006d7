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

aclError aclrtQueryEvent(aclrtEvent event, aclrtEventStatus *status)
{
    aclrtEventRecordedStatus recorded;
    aclError error = status ? aclrtQueryEventStatus(event, &recorded) : CLIENT_STATUS(CLIENT_INVALID_VALUE);

    if (!error)
        *status = recorded == ACL_EVENT_RECORDED ? 0 : 1; /* complete, not ready */
    return error;
}
