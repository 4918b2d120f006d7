// SPDX-License-Identifier: Apache-2.0
// Versions, counting devices and finding them.
#include "fake.h"

#include <stdio.h>
#include <string.h>

#define ENTER()                                                               \
    do {                                                                      \
        result entered_ = enter(__func__, ANY_DEVICE);                        \
        if (entered_ != SUCCESS)                                              \
            return entered_;                                                  \
    } while (0)

// Texts differ from NVML's: only their being there matters.
EXPORT const char *nvmlErrorString(result code) {
    static char text[32];
    snprintf(text, sizeof text, "NVML error %d", code);
    return text;
}

EXPORT result nvmlSystemGetDriverVersion(char *version, unsigned length) {
    ENTER();
    return copy_string(version, length, state->driver);
}

EXPORT result nvmlSystemGetNVMLVersion(char *version, unsigned length) {
    ENTER();
    return copy_string(version, length, state->nvml);
}

EXPORT result nvmlSystemGetCudaDriverVersion(int *version) {
    ENTER();
    NEED(version);
    *version = (int)state->cuda;
    return SUCCESS;
}

EXPORT result nvmlSystemGetCudaDriverVersion_v2(int *version) {
    return nvmlSystemGetCudaDriverVersion(version);
}

// A device that was pulled out is not counted; the others' indices close up, as they do after a driver reload.
static const struct handle *at(unsigned index) {
    for (unsigned i = 0; i < state->devices_count; i++)
        if (!state->devices[i].gone && index-- == 0)
            return device_handle(i);
    return NULL;
}

EXPORT result nvmlDeviceGetCount_v2(unsigned *count) {
    ENTER();
    NEED(count);
    *count = 0;
    for (unsigned i = 0; i < state->devices_count; i++)
        *count += !state->devices[i].gone;
    return SUCCESS;
}

// Getting a handle opens the GPU and asks it, so it obeys the rules of that device.
static result handle_of(const char *function, unsigned index, const struct handle **device) {
    *device = device_handle(index);
    opened(index);
    result answer = enter(function, index);
    return answer == SUCCESS && state->devices[index].lost ? ERROR_GPU_IS_LOST : answer;
}

EXPORT result nvmlDeviceGetHandleByIndex_v2(unsigned index, const struct handle **device) {
    ENTER();
    NEED(device);
    const struct handle *found = at(index);
    return found ? handle_of(__func__, found->device, device) : ERROR_INVALID_ARGUMENT;
}

// As NVML's documentation says, this may initialise other GPUs while it searches: one of those that hangs hangs here, too.
EXPORT result nvmlDeviceGetHandleByUUID(const char *uuid, const struct handle **device) {
    ENTER();
    NEED(uuid && device);
    for (unsigned i = 0; i < state->devices_count; i++) {
        if (state->devices[i].gone)
            continue;
        result answer = handle_of(__func__, i, device);
        if (strcmp(uuid, state->devices[i].uuid) == 0)
            return answer;
    }
    return ERROR_NOT_FOUND;
}

// An address has a domain of any length.
EXPORT result nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, const struct handle **device) {
    ENTER();
    NEED(bus_id && device);
    unsigned domain, bus, slot, function;
    if (sscanf(bus_id, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
        return ERROR_INVALID_ARGUMENT;
    for (unsigned i = 0; i < state->devices_count; i++) {
        const struct state_device *one = &state->devices[i];
        if (!one->gone && domain == one->pci_domain && bus == one->pci_bus && slot == one->pci_device && !function)
            return handle_of(__func__, i, device);
    }
    return ERROR_NOT_FOUND;
}
