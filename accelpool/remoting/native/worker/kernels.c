/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of loaded modules. */
#include <stdlib.h>

#include "modules.h"

struct kernel_job {
    struct module *module; /* with a reference */
    uint32_t kernel;
};

void *module_kernel(struct session *s, uint32_t id, uint32_t index, uint32_t *parameter_bytes)
{
    const struct module *module = handle_get(s, HANDLE_MODULE, id);
    void *function;

    if (!module || index >= module->kernel_count)
        return NULL;
    function = atomic_load_explicit(&module->kernels[index].function, memory_order_acquire);
    if (function)
        *parameter_bytes = module->kernels[index].parameter_bytes;
    return function;
}

/* The driver may load its code now, and it may need local memory, for which the agent is asked. */
static void kernel_job(struct session *s, const struct call *call)
{
    struct kernel_facts facts;
    struct bytes body = {0};
    struct kernel_job job;
    int status;

    memcpy(&job, call->payload, sizeof job);
    struct module_kernel *kernel = &job.module->kernels[job.kernel];
    pthread_mutex_lock(&s->modules->limits_lock);
    status = kernel_describe(job.module, kernel, &facts, &body);
    if (!status)
        status = limits_kernel(s, job.module, facts.local);
    if (!status)
        kernel_publish(kernel, &facts);
    pthread_mutex_unlock(&s->modules->limits_lock);
    module_release(s, job.module); /* before the answer: it may be unloaded right after it, and is paid for until then */
    call_reply(s, call, status, body.data, status ? 0 : body.length);
    free(body.data);
}

static void kernel_drop(struct session *s, const struct call *call)
{
    struct kernel_job job;

    memcpy(&job, call->payload, sizeof job);
    module_release(s, job.module);
}

void kernel_ask(struct session *s, const struct call *call)
{
    struct call copy = *call;
    struct wire_kernel_ask wire;
    struct kernel_job job;

    if (call->length != sizeof wire || !(call->flags & WIRE_WANT_REPLY)) {
        session_end(s, "KERNEL: malformed");
        return;
    }
    memcpy(&wire, call->payload, sizeof wire);
    job.module = handle_get(s, HANDLE_MODULE, wire.module);
    job.kernel = wire.kernel;
    if (!job.module || wire.kernel >= job.module->kernel_count) {
        call_status(s, call, CU_INVALID_HANDLE);
        return;
    }
    atomic_fetch_add(&job.module->references, 1);
    copy.payload = (const uint8_t *)&job;
    copy.length = sizeof job;
    side_submit_owner(s, &copy, kernel_job, kernel_drop);
}

void kernel_set(struct session *s, const struct call *call)
{
    struct wire_kernel_set wire;
    const struct module *module;
    int status = CU_INVALID_HANDLE;

    if (call->length != sizeof wire) {
        session_end(s, "KERNEL_SET: malformed");
        return;
    }
    memcpy(&wire, call->payload, sizeof wire);
    module = handle_get(s, HANDLE_MODULE, wire.module);
    if (module && wire.kernel < module->kernel_count) {
        void *kernel = module->kernels[wire.kernel].vendor;

        if (module->is_library)
            status = vendor.kernel_set ? vendor.kernel_set(wire.attribute, wire.value, kernel, vendor.device)
                                       : CU_NOT_SUPPORTED;
        else
            status = vendor.function_set ? vendor.function_set(kernel, wire.attribute, wire.value) : CU_NOT_SUPPORTED;
    }
    call_status(s, call, status);
}
