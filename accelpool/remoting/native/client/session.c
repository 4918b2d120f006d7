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
