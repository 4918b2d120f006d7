// SPDX-License-Identifier: Apache-2.0
// Event sets: each sees the events that come after a device was registered with it.
#include "fake.h"

#include <stdlib.h>
#include <time.h>

struct event_set {
    unsigned long long kinds[STATE_DEVICES];
    uint64_t next[STATE_DEVICES];  // the first event of the device that has not been told
};

#define CRITICAL_XID 8ull
#define SUPPORTED (1ull | 2 | 4 | CRITICAL_XID | 0x10)

EXPORT result nvmlEventSetCreate(struct event_set **set) {
    result answer = enter(__func__, ANY_DEVICE);
    if (answer != SUCCESS)
        return answer;
    NEED(set);
    *set = calloc(1, sizeof **set);
    return *set ? SUCCESS : ERROR_UNKNOWN;
}

EXPORT result nvmlEventSetFree(struct event_set *set) {
    free(set);
    return SUCCESS;
}

EXPORT result nvmlDeviceGetSupportedEventTypes(const struct handle *handle, unsigned long long *kinds) {
    ENTER_DEVICE(handle, device);
    (void)device;
    NEED(kinds);
    *kinds = SUPPORTED;
    return SUCCESS;
}

EXPORT result nvmlDeviceRegisterEvents(const struct handle *handle, unsigned long long kinds, struct event_set *set) {
    ENTER_DEVICE(handle, device);
    NEED(set);
    (void)device;
    if (kinds & ~SUPPORTED)
        return ERROR_NOT_SUPPORTED;
    set->kinds[handle->device] |= kinds;
    set->next[handle->device] = __atomic_load_n(&state->events_count, __ATOMIC_ACQUIRE);
    return SUCCESS;
}

static int lost(const struct event_set *set) {
    for (unsigned device = 0; device < state->devices_count; device++)
        if (set->kinds[device] && state->devices[device].lost)
            return 1;
    return 0;
}

// Once a device is lost only its own events come.
static int take(struct event_set *set, struct event_data *data) {
    uint64_t count = __atomic_load_n(&state->events_count, __ATOMIC_ACQUIRE);
    int any = !lost(set);
    for (unsigned device = 0; device < state->devices_count; device++) {
        if (!set->kinds[device] || !(any || state->devices[device].lost))
            continue;
        if (count - set->next[device] > STATE_EVENTS)
            set->next[device] = count - STATE_EVENTS;
        while (set->next[device] < count) {
            const struct state_event *event = &state->events[set->next[device]++ % STATE_EVENTS];
            if (event->device != device || !(event->kind & set->kinds[device]))
                continue;
            *data = (struct event_data){device_handle(device), event->kind, event->data, event->instance, event->compute};
            return 1;
        }
    }
    return 0;
}

EXPORT result nvmlEventSetWait_v2(struct event_set *set, struct event_data *data, unsigned timeout_ms) {
    result answer = enter(__func__, ANY_DEVICE);
    if (answer != SUCCESS)
        return answer;
    NEED(set && data);
    for (unsigned waited = 0;; waited += 5) {
        if (take(set, data))
            return SUCCESS;
        if (lost(set))  // at once, and every time: a set with a lost device tells nothing of the others
            return ERROR_GPU_IS_LOST;
        if (waited >= timeout_ms)
            return ERROR_TIMEOUT;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}
