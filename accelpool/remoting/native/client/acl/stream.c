/* SPDX-License-Identifier: Apache-2.0 */
/* Streams and events, as far as they are not generated. */
#include "acl_wire.h"
#include "client.h"

#define PRIORITIES 8u
#define FLAGS 0x3fu /* of aclrtCreateStreamWithConfig */
#define EVENT_DEFAULT (ACL_EVENT_SYNC | ACL_EVENT_CAPTURE_STREAM_PROGRESS | ACL_EVENT_TIME_LINE)

int client_stream(struct device *device, aclrtStream stream, uint64_t *id)
{
    const void *owner = handle_object(HANDLE_STREAM, stream);

    *id = 0;
    if (owner && owner != client_context())
        return ACL_ERROR_RT_STREAM_CONTEXT;
    return stream ? handle_id(HANDLE_STREAM, device, stream, id) : 0;
}

aclError aclrtCreateStreamWithConfig(aclrtStream *stream, uint32_t priority, uint32_t flag)
{
    struct acl_aclrtCreateStreamWithConfig_call call = {.priority = priority, .flag = flag};
    struct device *device;
    int status = client_enter(&device);

    if (!status && (!stream || priority >= PRIORITIES || flag & ~FLAGS))
        status = CLIENT_INVALID_VALUE;
    if (status)
        return CLIENT_STATUS(status);
    call.stream = handle_new(HANDLE_STREAM, device, client_context());
    if (!call.stream)
        return CLIENT_STATUS(CLIENT_OUT_OF_MEMORY);
    status = session_post(device, ACL_OP_aclrtCreateStreamWithConfig, &call, sizeof call, 0);
    if (status)
        handle_free(HANDLE_STREAM, call.stream);
    else
        *stream = handle_value(HANDLE_STREAM, call.stream);
    if (!status)
        client_stream_told(*stream, true);
    return CLIENT_STATUS(status);
}

aclError aclrtCreateStream(aclrtStream *stream)
{
    return aclrtCreateStreamWithConfig(stream, 0, 0);
}

/* Both frames are one number. */
_Static_assert(sizeof(struct acl_aclrtDestroyStream_call) == sizeof(struct acl_aclrtDestroyStreamForce_call), "one number");

static int end_by(uint16_t opcode, struct device *device, uint64_t id)
{
    struct acl_aclrtDestroyStream_call call = {id};
    int status;

    client_stream_told(handle_value(HANDLE_STREAM, id), false);
    status = session_post(device, opcode, &call, sizeof call, CALL_ALWAYS);
    handle_free(HANDLE_STREAM, id);
    return status;
}

static aclError destroy(uint16_t opcode, aclrtStream stream)
{
    struct device *device;
    uint64_t id;
    int status = client_enter(&device);

    if (!status)
        status = handle_id(HANDLE_STREAM, device, stream, &id);
    return CLIENT_STATUS(status ? status : end_by(opcode, device, id));
}

aclError aclrtDestroyStream(aclrtStream stream)
{
    return destroy(ACL_OP_aclrtDestroyStream, stream);
}

aclError aclrtDestroyStreamForce(aclrtStream stream)
{
    return destroy(ACL_OP_aclrtDestroyStreamForce, stream);
}

static void end(struct device *device, uint64_t id)
{
    end_by(ACL_OP_aclrtDestroyStream, device, id);
}

/* The default stream is told of first: what hangs on it may be another stream of the context. */
void client_streams_end(struct device *device, const void *context)
{
    client_stream_told(NULL, false);
    handle_each(HANDLE_STREAM, device, context, end);
}

/* --- what is asked of a stream, whichever context is current ------------------------------------------------------- */

/* The stream's own device. */
static int find(aclrtStream stream, struct device **device, uint64_t *id)
{
    int status = client_enter(device);

    *id = 0;
    if (status || !stream)
        return status;
    *device = handle_device(HANDLE_STREAM, stream);
    status = handle_id(HANDLE_STREAM, *device, stream, id);
    return status ? status : channel_broken((*device)->channel);
}

aclError aclrtSynchronizeStream(aclrtStream stream)
{
    struct acl_aclrtSynchronizeStream_call call;
    struct device *device;
    uint64_t id;
    int status = find(stream, &device, &id);

    call.stream = id;
    if (!status)
        status = session_wait(device, ACL_OP_aclrtSynchronizeStream, &call, sizeof call, NULL, 0, 0);
    return CLIENT_STATUS(status);
}

aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, int32_t timeout)
{
    struct acl_aclrtSynchronizeStreamWithTimeout_call call = {.timeout = timeout};
    struct device *device;
    uint64_t id;
    int status = find(stream, &device, &id);

    call.stream = id;
    if (!status)
        status = session_wait(device, ACL_OP_aclrtSynchronizeStreamWithTimeout, &call, sizeof call, NULL, 0, 0);
    return CLIENT_STATUS(status);
}

/* Both answers are one number. */
_Static_assert(sizeof(struct acl_aclrtStreamQuery_reply) == sizeof(struct acl_aclrtStreamGetId_reply), "one number");

static int number(aclrtStream stream, uint16_t opcode, int32_t *value)
{
    struct acl_aclrtStreamQuery_call call;
    struct acl_aclrtStreamQuery_reply answer;
    struct device *device;
    uint64_t id;
    int status = find(stream, &device, &id);

    call.stream = id;
    if (!status && !value)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        status = session_wait(device, opcode, &call, sizeof call, &answer.reply, sizeof answer, 0);
    if (!status)
        *value = answer.status;
    return status;
}

aclError aclrtStreamQuery(aclrtStream stream, aclrtStreamStatus *status)
{
    return CLIENT_STATUS(number(stream, ACL_OP_aclrtStreamQuery, status));
}

aclError aclrtStreamGetId(aclrtStream stream, int32_t *streamId)
{
    return CLIENT_STATUS(number(stream, ACL_OP_aclrtStreamGetId, streamId));
}

/* --- others -------------------------------------------------------------------------------------------------------- */

aclError aclrtCtxGetCurrentDefaultStream(aclrtStream *stream)
{
    struct device *device;
    int status = stream ? client_enter(&device) : CLIENT_INVALID_VALUE;

    if (!status)
        *stream = NULL;
    return CLIENT_STATUS(status);
}

/* It can do all that an event can within its process: order streams, tell how far one is, and the time. */
aclError aclrtCreateEvent(aclrtEvent *event)
{
    return aclrtCreateEventExWithFlag(event, EVENT_DEFAULT);
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
