/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

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

void launch(struct session *s, const struct call *call)
{
    struct wire_launch_attribute attributes[WIRE_LAUNCH_ATTRIBUTES];
    struct decoder d = decoder_of(call);
    struct wire_launch wire;
    const void *fixed = dec_bytes(&d, sizeof wire), *values, *block;

    if (fixed)
        memcpy(&wire, fixed, sizeof wire);
    if (!fixed || wire.attribute_count > WIRE_LAUNCH_ATTRIBUTES || wire.parameter_bytes > WIRE_LAUNCH_PARAMETERS) {
        session_end(s, "LAUNCH: malformed");
        return;
    }
    values = dec_bytes(&d, wire.attribute_count * sizeof *attributes);
    block = dec_bytes(&d, wire.parameter_bytes);
    if (dec_done(&d)) {
        session_end(s, "LAUNCH: malformed");
        return;
    }

    size_t size = wire.parameter_bytes;
    void *extra[] = {(void *)1, (void *)block, (void *)2, &size, (void *)0}; /* CU_LAUNCH_PARAM_* */
    struct vendor_launch_config config = {
        .grid = {wire.grid[0], wire.grid[1], wire.grid[2]},
        .block = {wire.block[0], wire.block[1], wire.block[2]},
        .shared = wire.shared_bytes,
        .attributes = attributes,
        .attribute_count = wire.attribute_count,
    };
    uint32_t needed;
    void *function = module_kernel(s, wire.module, wire.kernel, &needed);

    if (!function || session_stream(s, wire.stream, &config.stream)) {
        call_status(s, call, CU_INVALID_HANDLE);
        return;
    }
    memcpy(attributes, values, wire.attribute_count * sizeof *attributes);
    for (uint32_t i = 0; i < wire.attribute_count; i++)
        if (!attribute_is_plain(attributes[i].id)) {
            call_status(s, call, CU_NOT_SUPPORTED);
            return;
        }
    if (needed != UINT32_MAX && size < needed) { /* the vendor would read past the block */
        call_status(s, call, CU_INVALID_VALUE);
        return;
    }
    atomic_fetch_add_explicit(&s->gate.launches, 1, memory_order_relaxed);
    if (!vendor.launch) {
        call_status(s, call, CU_NOT_SUPPORTED);
    } else if (meter_begin(s, config.stream) == 0) {
        int status = vendor.launch(&config, function, NULL, size ? extra : NULL);

        meter_end(s);
        call_status(s, call, status);
    }
}
