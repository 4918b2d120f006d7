/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and events that processes on one slice share. Keys are the agent's; a process number is what the program says that it is. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acl_ipc.h"
#include "acl_wire.h"
#include "client.h"

#define FLAGS 1u /* exports: for any process; imports: from another device, which is never so here */

struct import {
    struct import *next;
    struct device *device;
    uint64_t address, length, offset;
    unsigned references;
    char key[WIRE_ACL_KEY];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct import *imports;
static atomic_bool shares;

bool client_shares(void)
{
    return atomic_load_explicit(&shares, memory_order_relaxed);
}

static int key_of(const char *text, char *key)
{
    if (!text || strnlen(text, WIRE_ACL_KEY + 1) != WIRE_ACL_KEY)
        return CLIENT_INVALID_VALUE;
    memcpy(key, text, WIRE_ACL_KEY);
    return 0;
}

aclError aclrtIpcMemGetExportKey(void *devPtr, size_t size, char *key, size_t len, uint64_t flags)
{
    struct wire_acl_export call = {.address = (uintptr_t)devPtr, .bytes = size, .any_process = flags & FLAGS};
    struct wire_acl_export_reply answer;
    struct device *device;
    int status = client_enter(&device);

    if (!status && (!size || !key || len <= WIRE_ACL_KEY || flags & ~(uint64_t)FLAGS || client_range(device, devPtr, size)))
        status = CLIENT_INVALID_VALUE;
    if (!status)
        status = session_wait(device, ACL_OP_aclrtIpcMemGetExportKey, &call, sizeof call, &answer.reply, sizeof answer, 0);
    if (!status) {
        atomic_store(&shares, true);
        memcpy(key, answer.key, WIRE_ACL_KEY);
        key[WIRE_ACL_KEY] = '\0';
    }
    return CLIENT_STATUS(status);
}

aclError aclrtIpcMemSetImportPid(const char *key, int32_t *pid, size_t num)
{
    struct wire_acl_allow call = {.count = (uint32_t)num};
    struct iovec parts[2] = {{&call, sizeof call}, {pid, num * sizeof *pid}};
    struct wire_reply answer;
    struct channel_reply reply = {.head = &answer, .head_size = sizeof answer};
    struct device *device;
    int status = client_enter(&device);

    if (!status && (!pid || !num || num > WIRE_ACL_PROCESSES))
        status = CLIENT_INVALID_VALUE;
    if (!status)
        status = key_of(key, call.key);
    if (!status)
        status = channel_call(device->channel, ACL_OP_aclrtIpcMemSetImportPid, parts, 2, &reply);
    return CLIENT_STATUS(status);
}

/* With the lock. */
static struct import **find(const struct device *device, const char *key)
{
    struct import **at = &imports;

    while (*at && ((*at)->device != device || memcmp((*at)->key, key, WIRE_ACL_KEY)))
        at = &(*at)->next;
    return at;
}

/* With the lock. Two round trips: how much there is, and then to where. */
static int import_by(struct device *device, const char *key, struct import **result)
{
    struct wire_acl_import call = {.process = (int32_t)getpid()};
    struct wire_acl_import_reply answer;
    struct import *fresh;
    int status;

    memcpy(call.key, key, WIRE_ACL_KEY);
    status = session_wait(device, ACL_OP_aclrtIpcMemImportByKey, &call, sizeof call, &answer.reply, sizeof answer, 0);
    if (status)
        return status;
    fresh = malloc(sizeof *fresh);
    if (!fresh)
        return CLIENT_OUT_OF_MEMORY;
    *fresh = (struct import){.next = imports, .device = device, .length = answer.length, .offset = answer.offset};
    memcpy(fresh->key, key, WIRE_ACL_KEY);
    status = heap_place(device->heap, answer.length, &fresh->address);
    if (!status) {
        call.address = fresh->address;
        status = session_wait(device, ACL_OP_aclrtIpcMemImportByKey, &call, sizeof call, &answer.reply, sizeof answer, 0);
        if (status)
            heap_unplace(device->heap, fresh->address);
    }
    if (status) {
        free(fresh);
        return status;
    }
    *result = imports = fresh;
    return 0;
}

aclError aclrtIpcMemImportByKey(void **devPtr, const char *key, uint64_t flags)
{
    struct device *device;
    char name[WIRE_ACL_KEY];
    int status = client_enter(&device);

    if (!status && (!devPtr || flags & ~(uint64_t)FLAGS))
        status = CLIENT_INVALID_VALUE;
    if (!status)
        status = key_of(key, name);
    if (status)
        return CLIENT_STATUS(status);
    pthread_mutex_lock(&lock);
    struct import *import = *find(device, name);
    if (!import)
        status = import_by(device, name, &import);
    if (!status) {
        atomic_store(&shares, true);
        import->references++;
        *devPtr = (void *)(uintptr_t)(import->address + import->offset);
    }
    pthread_mutex_unlock(&lock);
    return CLIENT_STATUS(status);
}

/* What this process has imported, or else what it has exported: those who have that already keep it. */
aclError aclrtIpcMemClose(const char *key)
{
    struct wire_acl_close call = {.address = 0};
    struct device *device;
    int status = client_enter(&device);

    if (!status)
        status = key_of(key, call.key);
    if (status)
        return CLIENT_STATUS(status);
    pthread_mutex_lock(&lock);
    struct import **at = find(device, call.key), *import = *at;
    if (!import || !--import->references) {
        if (import) {
            *at = import->next;
            call.address = import->address;
            call.length = import->length;
        }
        status = session_wait(device, ACL_OP_aclrtIpcMemClose, &call, sizeof call, NULL, 0, 0);
        if (import)
            heap_unplace(device->heap, import->address);
        free(import);
    }
    pthread_mutex_unlock(&lock);
    return CLIENT_STATUS(status);
}

/* --- events -------------------------------------------------------------------------------------------------------- */

_Static_assert(sizeof(aclrtIpcEventHandle) == WIRE_ACL_KEY, "a key is what the program has for a handle");

/* The object of a handle that came from elsewhere. */
static char foreign;

int client_event_is_foreign(aclrtEvent event)
{
    return handle_object(HANDLE_EVENT, event) == &foreign;
}

aclError aclrtIpcGetEventHandle(aclrtEvent event, aclrtIpcEventHandle *handle)
{
    struct wire_acl_event call;
    struct wire_acl_export_reply answer;
    struct device *device;
    uint64_t id;
    int status = client_enter(&device);

    if (!status && !handle)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        status = handle_id(HANDLE_EVENT, device, event, &id);
    if (status)
        return CLIENT_STATUS(status);
    call.event = id;
    status = session_wait(device, ACL_OP_aclrtIpcGetEventHandle, &call, sizeof call, &answer.reply, sizeof answer, 0);
    if (!status)
        memcpy(handle->reserved, answer.key, sizeof handle->reserved);
    return CLIENT_STATUS(status);
}

aclError aclrtIpcOpenEventHandle(aclrtIpcEventHandle handle, aclrtEvent *event)
{
    struct wire_acl_event_open call;
    struct device *device;
    int status = client_enter(&device);

    if (!status && !event)
        status = CLIENT_INVALID_VALUE;
    if (status)
        return CLIENT_STATUS(status);
    const uint64_t id = handle_new(HANDLE_EVENT, device, &foreign);
    if (!id)
        return CLIENT_STATUS(CLIENT_OUT_OF_MEMORY);
    call.event = id;
    memcpy(call.key, handle.reserved, sizeof call.key);
    status = session_wait(device, ACL_OP_aclrtIpcOpenEventHandle, &call, sizeof call, NULL, 0, 0);
    if (status)
        handle_free(HANDLE_EVENT, id);
    else
        *event = handle_value(HANDLE_EVENT, id);
    return CLIENT_STATUS(status);
}
