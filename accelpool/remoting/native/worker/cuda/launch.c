/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cuda_worker.h"
#include "state.h"

/* CUlaunchAttributeID values whose union holds plain numbers only; the others name memory, events or host pointers. */
static int attribute_is_plain(uint32_t id)
{
    switch (id) {
    case 0:  /* ignore */
    case 2:  /* cooperative */
    case 3:  /* synchronization policy */
    case 4:  /* cluster dimension */
    case 5:  /* cluster scheduling policy preference */
    case 6:  /* programmatic stream serialization */
    case 8:  /* priority */
    case 9:  /* memory synchronisation domain map */
    case 10: /* memory synchronisation domain */
    case 11: /* preferred cluster dimension */
    case 14: /* preferred shared memory carveout */
        return 1;
    default:
        return 0;
    }
}

/* What a launch says, in the vendor's words. */
struct request {
    struct vendor_launch_config config;
    struct wire_launch_attribute attributes[WIRE_LAUNCH_ATTRIBUTES];
    void *function;
    const void *block; /* of parameters */
    size_t size;
    uint32_t needed;   /* bytes that the kernel reads of it; UINT32_MAX: not known */
};

/* 0, or -1: the call has its answer, or the session is over. */
static int request_read(struct session *s, const struct call *call, struct request *r)
{
    struct decoder d = decoder_of(call);
    struct wire_launch wire;
    const void *fixed = dec_bytes(&d, sizeof wire), *values;

    if (fixed)
        memcpy(&wire, fixed, sizeof wire);
    if (!fixed || wire.attribute_count > WIRE_LAUNCH_ATTRIBUTES || wire.parameter_bytes > WIRE_LAUNCH_PARAMETERS) {
        session_end(s, "LAUNCH: malformed");
        return -1;
    }
    values = dec_bytes(&d, wire.attribute_count * sizeof *r->attributes);
    r->block = dec_bytes(&d, wire.parameter_bytes);
    if (dec_done(&d)) {
        session_end(s, "LAUNCH: malformed");
        return -1;
    }
    r->size = wire.parameter_bytes;
    r->config = (struct vendor_launch_config){
        .grid = {wire.grid[0], wire.grid[1], wire.grid[2]},
        .block = {wire.block[0], wire.block[1], wire.block[2]},
        .shared = wire.shared_bytes,
        .attributes = r->attributes,
        .attribute_count = wire.attribute_count,
    };
    r->function = module_kernel(s, wire.module, wire.kernel, &r->needed);
    if (!r->function || session_stream(s, wire.stream, &r->config.stream)) {
        call_status(s, call, CU_INVALID_HANDLE);
        return -1;
    }
    memcpy(r->attributes, values, wire.attribute_count * sizeof *r->attributes);
    for (uint32_t i = 0; i < wire.attribute_count; i++)
        if (!attribute_is_plain(r->attributes[i].id)) {
            call_status(s, call, CU_NOT_SUPPORTED);
            return -1;
        }
    return 0;
}

static void answer_about(struct session *s, const struct call *call,
                         int (*ask)(int *value, void *function, const struct vendor_launch_config *config))
{
    struct request r;
    int value = 0;

    if (request_read(s, call, &r))
        return;
    int status = ask ? ask(&value, r.function, &r.config) : CU_NOT_SUPPORTED;
    call_reply(s, call, status, &value, sizeof value);
}

void worker_cuOccupancyMaxActiveClusters(struct session *s, const struct call *call)
{
    answer_about(s, call, vendor.active_clusters);
}

void worker_cuOccupancyMaxPotentialClusterSize(struct session *s, const struct call *call)
{
    answer_about(s, call, vendor.cluster_size);
}

void launch(struct session *s, const struct call *call)
{
    struct request r;

    if (request_read(s, call, &r))
        return;
    if (r.needed != UINT32_MAX && r.size < r.needed) { /* the vendor would read past the block */
        call_status(s, call, CU_INVALID_VALUE);
        return;
    }
    void *extra[] = {(void *)1, (void *)r.block, (void *)2, &r.size, (void *)0}; /* CU_LAUNCH_PARAM_* */
    atomic_fetch_add_explicit(&s->gate.launches, 1, memory_order_relaxed);
    if (!vendor.launch) {
        call_status(s, call, CU_NOT_SUPPORTED);
    } else if (meter_begin(s, r.config.stream) == 0) {
        int status = vendor.launch(&r.config, r.function, NULL, r.size ? extra : NULL);

        meter_end(s);
        call_status(s, call, status);
    }
}
