/* SPDX-License-Identifier: Apache-2.0 */
/* The program's events. How a thread waits for one is the worker's affair: its host serves many sessions. */
#include "cuda_worker.h"
#include "vendor.h"

void worker_cuEventCreate(struct session *s, const struct call *call)
{
    struct decoder d = decoder_of(call);
    const uint64_t id = dec_u64(&d);
    const uint32_t flags = dec_u32(&d);
    void *event = NULL;

    if (dec_done(&d)) {
        session_end(s, "cuEventCreate: malformed");
        return;
    }
    int status = vendor.event_create(&event, flags | VENDOR_EVENT_BLOCKING);

    if (!status && handle_put(s, HANDLE_EVENT, id, event))
        session_end(s, "cuEventCreate: a handle that is in use or out of bounds");
    else
        call_status(s, call, status);
}
