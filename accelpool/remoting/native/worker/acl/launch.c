/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel binaries, their functions and launches, whose arguments travel as the program made them. */
#include <stdlib.h>
#include <string.h>

#include "acl.h"
#include "acl_launch.h"
#include "acl_worker.h"
#include "state.h"

int acl_binary_load(void **binary, const void *image, size_t length, const struct wire_jit_option *options,
                    unsigned count)
{
    aclrtBinaryLoadOption values[WIRE_JIT_OPTIONS];
    const aclrtBinaryLoadOptions all = {.options = values, .numOpt = count};

    for (unsigned i = 0; i < count; i++)
        values[i] = (aclrtBinaryLoadOption){.type = (int)options[i].option, .value = {options[i].value}};
    return acl.binary_load(image, length, count ? &all : NULL, binary);
}

/* The function takes the place that the client chose for it. */
static void put_function(struct session *s, const struct call *call, uint64_t id, int status, void *function)
{
    if (!status && handle_put(s, HANDLE_FUNCTION, id, function))
        session_end(s, "a function's handle that is in use or out of bounds");
    else
        call_status(s, call, status);
}

void worker_aclrtBinaryGetFunction(struct session *s, const struct call *call)
{
    struct decoder d = decoder_of(call);
    const uint64_t module = dec_u64(&d), id = dec_u64(&d);
    const uint32_t length = dec_u32(&d);
    const char *name = length <= WIRE_ACL_NAME_MAX ? dec_string(&d, length) : NULL;
    void *binary, *function = NULL;

    if (!name || dec_done(&d) || !(call->flags & WIRE_WANT_REPLY)) {
        session_end(s, "aclrtBinaryGetFunction: malformed");
        return;
    }
    binary = module_vendor(s, (uint32_t)module);
    if (!binary || module >> 32) {
        call_status(s, call, CU_INVALID_HANDLE);
        return;
    }
    const int status = acl.binary_function(binary, name, &function);
    put_function(s, call, id, status, function);
}

void worker_aclrtBinaryGetFunctionByEntry(struct session *s, const struct call *call)
{
    struct decoder d = decoder_of(call);
    const uint64_t module = dec_u64(&d), id = dec_u64(&d), entry = dec_u64(&d);
    void *binary, *function = NULL;

    if (dec_done(&d) || !(call->flags & WIRE_WANT_REPLY)) {
        session_end(s, "aclrtBinaryGetFunctionByEntry: malformed");
        return;
    }
    binary = module_vendor(s, (uint32_t)module);
    if (!binary || module >> 32 || !acl.binary_entry) {
        call_status(s, call, acl.binary_entry ? CU_INVALID_HANDLE : CU_NOT_SUPPORTED);
        return;
    }
    const int status = acl.binary_entry(binary, entry, &function);
    put_function(s, call, id, status, function);
}

/* Both ends of every place holder lie inside the arguments. */
static int places_inside(const aclrtPlaceHolderInfo *places, uint32_t count, uint32_t size)
{
    for (uint32_t i = 0; i < count; i++)
        if (size < sizeof(uint64_t) || places[i].addrOffset > size - sizeof(uint64_t) || places[i].dataOffset >= size)
            return 0;
    return 1;
}

/* The arguments are what a kernel makes of them: an address that is not the session's own faults on the device. */
void worker_aclrtLaunchKernelWithHostArgs(struct session *s, const struct call *call)
{
    struct decoder d = decoder_of(call);
    aclrtLaunchKernelAttr attributes[WIRE_ACL_ATTRIBUTES];
    aclrtLaunchKernelCfg settings = {.attrs = attributes};
    struct wire_acl_launch wire;
    const void *fixed = dec_bytes(&d, sizeof wire), *values, *holders, *arguments;
    void *function, *stream, *copy;

    if (fixed)
        memcpy(&wire, fixed, sizeof wire);
    if (!fixed || wire.attributes > WIRE_ACL_ATTRIBUTES || wire.places > WIRE_ACL_PLACES ||
        wire.size > WIRE_ACL_ARGUMENTS) {
        session_end(s, "aclrtLaunchKernelWithHostArgs: malformed");
        return;
    }
    values = dec_bytes(&d, wire.attributes * sizeof *attributes);
    holders = dec_bytes(&d, wire.places * sizeof(aclrtPlaceHolderInfo));
    arguments = dec_bytes(&d, wire.size);
    if (dec_done(&d)) {
        session_end(s, "aclrtLaunchKernelWithHostArgs: malformed");
        return;
    }
    function = handle_get(s, HANDLE_FUNCTION, wire.function);
    if (!function || session_stream(s, wire.stream, &stream)) {
        call_status(s, call, CU_INVALID_HANDLE);
        return;
    }
    copy = malloc(wire.places * sizeof(aclrtPlaceHolderInfo) + wire.size + 1); /* aligned, and the vendor's to write */
    if (!copy) {
        call_status(s, call, CU_OUT_OF_MEMORY);
        return;
    }
    aclrtPlaceHolderInfo *places = copy;
    memcpy(places, holders, wire.places * sizeof *places);
    memcpy(places + wire.places, arguments, wire.size);
    memcpy(attributes, values, wire.attributes * sizeof *attributes);
    settings.numAttrs = wire.attributes;
    if (!places_inside(places, wire.places, wire.size)) {
        call_status(s, call, CU_INVALID_VALUE);
    } else if (meter_begin(s, stream) == 0) {
        int status = acl.launch(function, wire.blocks, stream, wire.attributes ? &settings : NULL, places + wire.places,
                                wire.size, wire.places ? places : NULL, wire.places);

        meter_end(s);
        atomic_fetch_add_explicit(&s->gate.launches, 1, memory_order_relaxed);
        call_status(s, call, status);
    }
    free(copy);
}

/* Within the device's memory only: the kind is not the client's to say. */
void worker_aclrtMemcpyAsync(struct session *s, const struct call *call)
{
    struct wire_acl_copy wire;
    void *stream;

    if (call->length != sizeof wire) {
        session_end(s, "aclrtMemcpyAsync: malformed");
        return;
    }
    memcpy(&wire, call->payload, sizeof wire);
    if (session_stream(s, wire.stream, &stream))
        call_status(s, call, CU_INVALID_HANDLE);
    else if (!memory_contains(s, wire.destination, wire.bytes) || !memory_contains(s, wire.source, wire.bytes))
        call_status(s, call, CU_INVALID_VALUE);
    else
        call_status(s, call, acl.copy((void *)(uintptr_t)wire.destination, wire.bytes, (void *)(uintptr_t)wire.source,
                                      wire.bytes, ACL_DEVICE_TO_DEVICE, stream));
}
