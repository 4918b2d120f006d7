/* SPDX-License-Identifier: Apache-2.0 */
/* The process's state as CUDA has it. */
#include "client.h"

CUresult cuInit(unsigned int Flags)
{
    if (Flags)
        return CLIENT_INVALID_VALUE;
    if (process_forked())
        return CLIENT_NOT_INITIALIZED;
    return process_start("cuda") ? CLIENT_NO_DEVICE : 0;
}

CUresult client_ready(void)
{
    return process_ready() ? 0 : CLIENT_NOT_INITIALIZED;
}

CUresult client_enter(struct device **device)
{
    CUresult status = client_ready();

    if (status)
        return status;
    const struct context *context = context_current();
    if (!context)
        return CLIENT_INVALID_CONTEXT;
    if (!atomic_load_explicit(&context->references, memory_order_relaxed))
        return CLIENT_CONTEXT_IS_DESTROYED;
    *device = context->device;
    return channel_broken(context->device->channel);
}
