/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver loads a kernel that it is asked about, so of modules with many kernels only the names come with the module. The rest
 * is asked for at a kernel's first use.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "module.h"

#define DEFAULT_SHARED (48 << 10) /* bytes a block may have without asking for more */
#define PARAMETERS_MAX 4096u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all kernels that become ready */

int kernel_settle(struct kernel *kernel)
{
    int shared = kernel->attributes[FUNCTION_SHARED_SIZE_BYTES];

    kernel->dynamic_shared = shared > 0 && shared < DEFAULT_SHARED ? DEFAULT_SHARED - shared : shared > 0 ? 0 : DEFAULT_SHARED;
    kernel->attributes[FUNCTION_MAX_DYNAMIC_SHARED_SIZE_BYTES] = kernel->dynamic_shared;
    for (uint32_t i = 0; kernel->parameter_count != UINT32_MAX && i < kernel->parameter_count; i++) {
        uint64_t end = (uint64_t)kernel->parameters[i].offset + kernel->parameters[i].size;

        if (end > WIRE_LAUNCH_PARAMETERS)
            return -1;
        if (end > kernel->parameter_bytes)
            kernel->parameter_bytes = (uint32_t)end;
    }
    atomic_store_explicit(&kernel->ready, 1, memory_order_release);
    return 0;
}

/* With the lock. What the program's own code says of parameters stays. */
static CUresult take(struct kernel *kernel, const struct wire_kernel *wire, const void *parameters, size_t length)
{
    const uint32_t count = wire->parameter_count == UINT32_MAX ? 0 : wire->parameter_count;

    if (atomic_load_explicit(&kernel->ready, memory_order_relaxed))
        return 0; /* another thread has asked, too */
    if (length != count * sizeof(struct wire_parameter))
        return CLIENT_INVALID_IMAGE;
    if (kernel->parameter_count == WIRE_KERNEL_LATER) {
        kernel->parameters = count ? malloc(length) : NULL;
        if (count && !kernel->parameters)
            return CLIENT_OUT_OF_MEMORY;
        if (count)
            memcpy(kernel->parameters, parameters, length);
        kernel->parameter_count = wire->parameter_count;
    }
    memcpy(kernel->attributes, wire->attributes, sizeof kernel->attributes);
    return kernel_settle(kernel) ? CLIENT_INVALID_IMAGE : 0;
}

CUresult kernel_ready(struct kernel *kernel)
{
    const struct wire_kernel_ask ask = {.module = (uint32_t)kernel->module->id, .kernel = kernel->index};
    const struct iovec part = {(void *)&ask, sizeof ask};
    struct wire_kernel_reply reply;
    struct channel_reply answer = {
        .head = &reply, .head_size = sizeof reply, .body_size = PARAMETERS_MAX * sizeof(struct wire_parameter), .grow = 1};
    CUresult status;

    if (atomic_load_explicit(&kernel->ready, memory_order_acquire))
        return 0;
    status = channel_call(kernel->module->device->channel, WIRE_KERNEL, &part, 1, &answer);
    pthread_mutex_lock(&lock);
    if (!status)
        status = take(kernel, &reply.kernel, answer.body, answer.body_received);
    pthread_mutex_unlock(&lock);
    free(answer.body);
    return status;
}
