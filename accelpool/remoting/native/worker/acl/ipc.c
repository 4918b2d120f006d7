/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and events that sessions of one slice share. The vendor gives every granule a number that another process of this
 * host can map it by, and an event a handle; the agent keeps them under a key, for the slice's own sessions only.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acl.h"
#include "acl_ipc.h"
#include "acl_worker.h"
#include "state.h"

#define IPC_GRANULES (CONTROL_BLOB_MAX / sizeof(uint64_t))
#define EXPORT_ANY_PROCESS 1u /* of the host: the agent says who may, and only workers hold device nodes */

/* What runs on a side thread: the frame, and how many LEASE_RETURN came before it. */
union frame {
    struct wire_acl_export export;
    struct wire_acl_import import;
    struct wire_acl_close close;
};
struct job {
    union frame frame;
    uint64_t ticket;
};

static void submit(struct session *s, const struct call *call, size_t size, call_handler handler)
{
    struct job job = {.ticket = s->memory.returns_seen};
    struct call copy = *call;

    if (call->length != size || !(call->flags & WIRE_WANT_REPLY)) {
        session_end(s, "shared memory: malformed");
        return;
    }
    if (!acl.memory_export || !acl.memory_import) {
        call_status(s, call, CU_NOT_SUPPORTED);
        return;
    }
    memcpy(&job.frame, call->payload, size);
    copy.payload = (const uint8_t *)&job;
    copy.length = sizeof job;
    side_submit(s, &copy, handler);
}

/* Numbers of the granules of [address, address + length), which is aligned. */
static int numbers_of(struct session *s, uint64_t address, uint64_t length, uint64_t *numbers)
{
    struct memory *m = &s->memory;
    int status = CU_SUCCESS;

    pthread_mutex_lock(&m->lock);
    pthread_rwlock_wrlock(&m->mapping); /* an emulated device moves the pages to where they can be shared */
    if (!memory_contains(s, address, length) || memory_is_foreign(s, address, length))
        status = CU_INVALID_VALUE;
    for (uint64_t at = 0; at < length && !status; at += vendor.granule)
        status = acl.memory_export(acl_physical(address + at), 0, EXPORT_ANY_PROCESS, &numbers[at / vendor.granule]);
    pthread_rwlock_unlock(&m->mapping);
    pthread_mutex_unlock(&m->lock);
    return status;
}

/* Gives what other processes need to the agent; the call's reply is the key. */
static void publish(struct session *s, const struct call *call, const struct control_packet *packet, const void *blob,
                    size_t length)
{
    struct agent_extra with = {.blob = (void *)blob, .length = length, .fd = vendor.share ? vendor.share() : -1};
    struct agent_extra got = {.blob = malloc(CONTROL_BLOB_MAX), .fd = -1};
    struct control_packet answer;

    if (!got.blob || agent_ask(s, packet, &with, &answer, &got) || !answer.a || got.length != WIRE_ACL_KEY)
        call_status(s, call, ACL_ERROR_RT_RESOURCE_ALLOC_FAIL);
    else
        call_reply(s, call, CU_SUCCESS, got.blob, WIRE_ACL_KEY);
    free(got.blob);
}

static void export_job(struct session *s, const struct call *call)
{
    struct control_packet packet = {.type = CONTROL_EXPORT};
    struct job job;
    int status = CU_SUCCESS;

    memcpy(&job, call->payload, sizeof job);
    const struct wire_acl_export *wire = &job.frame.export;
    const uint64_t first = wire->address & ~(vendor.granule - 1);
    const uint64_t length = (wire->address - first + wire->bytes + vendor.granule - 1) & ~(vendor.granule - 1);
    uint64_t *numbers = malloc(CONTROL_BLOB_MAX);
    packet.a = wire->bytes;
    packet.b = wire->address - first;
    packet.c = wire->any_process != 0;
    if (!wire->bytes || length < wire->bytes)
        status = CU_INVALID_VALUE;
    else if (!numbers || length / vendor.granule > IPC_GRANULES)
        status = ACL_ERROR_RT_RESOURCE_ALLOC_FAIL;
    if (!status)
        status = numbers_of(s, first, length, numbers);
    if (status)
        call_status(s, call, status);
    else
        publish(s, call, &packet, numbers, length / vendor.granule * sizeof *numbers);
    free(numbers);
}

void worker_aclrtIpcMemGetExportKey(struct session *s, const struct call *call)
{
    submit(s, call, sizeof(struct wire_acl_export), export_job);
}

static int ask_about(struct session *s, uint32_t type, const void *blob, size_t length)
{
    const struct control_packet packet = {.type = type};
    const struct agent_extra with = {.blob = (void *)blob, .length = length, .fd = -1};
    struct control_packet answer;

    return agent_ask(s, &packet, &with, &answer, NULL) || !answer.a ? CU_INVALID_VALUE : CU_SUCCESS;
}

void worker_aclrtIpcMemSetImportPid(struct session *s, const struct call *call)
{
    struct wire_acl_allow wire;
    uint8_t blob[WIRE_ACL_KEY + WIRE_ACL_PROCESSES * sizeof(int32_t)];

    if (call->length < sizeof wire || !(call->flags & WIRE_WANT_REPLY)) {
        session_end(s, "aclrtIpcMemSetImportPid: malformed");
        return;
    }
    memcpy(&wire, call->payload, sizeof wire);
    if (wire.count > WIRE_ACL_PROCESSES || call->length != sizeof wire + wire.count * sizeof(int32_t)) {
        session_end(s, "aclrtIpcMemSetImportPid: malformed");
        return;
    }
    memcpy(blob, wire.key, WIRE_ACL_KEY);
    memcpy(blob + WIRE_ACL_KEY, call->payload + sizeof wire, wire.count * sizeof(int32_t));
    call_status(s, call, ask_about(s, CONTROL_EXPORT_ALLOW, blob, WIRE_ACL_KEY + wire.count * sizeof(int32_t)));
}

static int next_granule(void *opaque, uint64_t index, uint64_t *memory)
{
    const uint64_t *numbers = opaque;
    void *handle = NULL;
    const int status = acl.memory_import(numbers[index], 0, &handle);

    *memory = (uint64_t)(uintptr_t)handle;
    return status;
}

static void import_job(struct session *s, const struct call *call)
{
    struct control_packet packet = {.type = CONTROL_IMPORT}, answer = {.a = 0};
    struct agent_extra with = {.length = WIRE_ACL_KEY, .fd = -1}, got = {.fd = -1};
    struct job job;
    uint64_t body[3] = {0};
    int status = CU_SUCCESS;

    memcpy(&job, call->payload, sizeof job);
    const struct wire_acl_import *wire = &job.frame.import;
    with.blob = (void *)wire->key;
    packet.a = (uint32_t)wire->process;
    got.blob = malloc(CONTROL_BLOB_MAX);
    if (!got.blob || agent_ask(s, &packet, &with, &answer, &got))
        status = CU_SYSTEM_FAILURE;
    else if (!answer.a)
        status = CU_INVALID_VALUE; /* no such key, not for this process, or its session is over */
    const uint64_t length = got.length / sizeof(uint64_t) * vendor.granule;
    if (!status && (!length || answer.b > length || answer.a > length - answer.b))
        status = CU_SYSTEM_FAILURE;
    if (!status && wire->address && got.fd >= 0 && (!vendor.adopt || vendor.adopt(got.fd)))
        status = CU_NOT_SUPPORTED;
    if (!status && wire->address)
        status = memory_adopt(s, wire->address, length, job.ticket, next_granule, got.blob);
    if (!status) {
        body[0] = length;
        body[1] = answer.b;
        body[2] = answer.a;
    }
    call_reply(s, call, status, body, sizeof body);
    if (got.fd >= 0)
        close(got.fd);
    free(got.blob);
}

void worker_aclrtIpcMemImportByKey(struct session *s, const struct call *call)
{
    submit(s, call, sizeof(struct wire_acl_import), import_job);
}

static void close_job(struct session *s, const struct call *call)
{
    struct job job;

    memcpy(&job, call->payload, sizeof job);
    const struct wire_acl_close *wire = &job.frame.close;
    call_status(s, call, wire->address ? memory_abandon(s, wire->address, wire->length)
                                       : ask_about(s, CONTROL_EXPORT_END, wire->key, WIRE_ACL_KEY));
}

void worker_aclrtIpcMemClose(struct session *s, const struct call *call)
{
    submit(s, call, sizeof(struct wire_acl_close), close_job);
}

/* --- events: the main thread waits for the agent a moment, so that handles stay in its hands ------------------------ */

void worker_aclrtIpcGetEventHandle(struct session *s, const struct call *call)
{
    const struct control_packet packet = {.type = CONTROL_EXPORT, .c = 1};
    aclrtIpcEventHandle handle;
    struct wire_acl_event wire;

    if (call->length != sizeof wire || !(call->flags & WIRE_WANT_REPLY)) {
        session_end(s, "aclrtIpcGetEventHandle: malformed");
        return;
    }
    memcpy(&wire, call->payload, sizeof wire);
    void *event = handle_get(s, HANDLE_EVENT, wire.event);
    int status = CU_INVALID_HANDLE;
    if (event)
        status = acl.event_export ? acl.event_export(event, &handle) : CU_NOT_SUPPORTED;
    if (status)
        call_status(s, call, status);
    else
        publish(s, call, &packet, &handle, sizeof handle);
}

void worker_aclrtIpcOpenEventHandle(struct session *s, const struct call *call)
{
    const struct control_packet packet = {.type = CONTROL_IMPORT};
    struct agent_extra with = {.length = WIRE_ACL_KEY, .fd = -1}, got = {.fd = -1};
    struct control_packet answer;
    struct wire_acl_event_open wire;
    aclrtIpcEventHandle handle;
    void *event = NULL;
    int status = CU_SUCCESS;

    if (call->length != sizeof wire || !(call->flags & WIRE_WANT_REPLY)) {
        session_end(s, "aclrtIpcOpenEventHandle: malformed");
        return;
    }
    memcpy(&wire, call->payload, sizeof wire);
    with.blob = wire.key;
    got.blob = malloc(CONTROL_BLOB_MAX);
    if (!got.blob || agent_ask(s, &packet, &with, &answer, &got))
        status = CU_SYSTEM_FAILURE;
    else if (answer.a || got.length != sizeof handle)
        status = CU_INVALID_VALUE; /* no such key, or it is memory's */
    else if (!acl.event_import || (got.fd >= 0 && (!vendor.adopt || vendor.adopt(got.fd))))
        status = CU_NOT_SUPPORTED;
    if (!status) {
        memcpy(&handle, got.blob, sizeof handle);
        status = acl.event_import(handle, &event);
    }
    if (!status && handle_put(s, HANDLE_EVENT, wire.event, event))
        session_end(s, "aclrtIpcOpenEventHandle: a handle that is in use or out of bounds");
    else
        call_status(s, call, status);
    if (got.fd >= 0)
        close(got.fd);
    free(got.blob);
}
