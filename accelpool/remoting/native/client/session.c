/* SPDX-License-Identifier: Apache-2.0 */
/* Calls whose frame is one struct; the generated stubs are made of these. */
#include "process.h"

void session_worked(struct device *device)
{
    atomic_fetch_add_explicit(&device->work, 1, memory_order_relaxed);
}

int session_post(struct device *device, uint16_t opcode, const void *call, size_t length, int flags)
{
    struct iovec part = {(void *)call, length};

    if (flags & CALL_WORK)
        session_worked(device);
    if (flags & CALL_ALWAYS) {
        int status = channel_tell(device->channel, opcode, &part, length ? 1 : 0);

        return status ? status : channel_error(device->channel);
    }
    return channel_send(device->channel, opcode, &part, length ? 1 : 0);
}

int session_wait(struct device *device, uint16_t opcode, const void *call, size_t length, struct wire_reply *reply,
                 size_t reply_length, int flags)
{
    struct wire_reply status_only;
    struct iovec part = {(void *)call, length};
    struct channel_reply answer = {.head = reply ? reply : &status_only,
                                   .head_size = reply ? reply_length : sizeof status_only};
    uint64_t work = atomic_load(&device->work);
    int status = channel_call(device->channel, opcode, &part, length ? 1 : 0, &answer);

    /* Work that another thread gave meanwhile may still run; then the next idle moment counts. */
    if (!status && flags & CALL_IDLE && work == atomic_load(&device->work))
        heap_synchronized(device->heap);
    return status;
}

int session_copy_in(struct device *device, uint64_t to, const void *from, size_t bytes, uint64_t stream)
{
    struct wire_copy_in call = {.destination = to, .bytes = bytes, .stream = stream};
    struct iovec parts[2] = {{&call, sizeof call}, {(void *)from, bytes}};

    session_worked(device);
    if (bytes <= WIRE_INLINE_MAX)
        return channel_send(device->channel, WIRE_COPY_IN, parts, 2);
    return channel_send_bulk(device->channel, WIRE_COPY_IN, parts, 1, from, bytes);
}

int session_copy_out(struct device *device, void *to, uint64_t from, size_t bytes, uint64_t stream)
{
    struct wire_copy_out call = {.source = from, .bytes = bytes, .stream = stream};
    struct iovec part = {&call, sizeof call};
    struct wire_reply head;
    struct channel_reply reply = {.head = &head, .head_size = sizeof head, .body = to, .body_size = bytes};

    return channel_call(device->channel, WIRE_COPY_OUT, &part, 1, &reply);
}
