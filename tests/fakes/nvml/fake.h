// SPDX-License-Identifier: Apache-2.0
// NVML's types as far as they are answered here, and what the files share.  Names and layouts are NVML's ABI.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "layout.h"

#define EXPORT __attribute__((visibility("default")))

enum {
    SUCCESS = 0,
    ERROR_UNINITIALIZED = 1,
    ERROR_INVALID_ARGUMENT = 2,
    ERROR_NOT_SUPPORTED = 3,
    ERROR_NO_PERMISSION = 4,
    ERROR_NOT_FOUND = 6,
    ERROR_INSUFFICIENT_SIZE = 7,
    ERROR_TIMEOUT = 10,
    ERROR_FUNCTION_NOT_FOUND = 13,
    ERROR_GPU_IS_LOST = 15,
    ERROR_IN_USE = 19,
    ERROR_INSUFFICIENT_RESOURCES = 23,
    ERROR_ARGUMENT_VERSION_MISMATCH = 25,
    ERROR_GPU_NOT_FOUND = 28,
    ERROR_UNKNOWN = 999,
};

#define ANY_DEVICE 0xffffffffu

typedef int result;

// What all of NVML's opaque handles are here.
enum kind { DEVICE = 1, MIG_DEVICE, GPU_INSTANCE, COMPUTE_INSTANCE };
struct handle {
    enum kind kind;
    unsigned device, instance, compute;  // instance, compute: positions in the state's arrays
};

extern struct state_state *state;

// Every exported function begins with this: counts the call, obeys the rules (a hanging call sleeps here until the rule
// goes away) and checks that the library is initialised.
result enter(const char *function, unsigned device);
// The same for a function of a device: also sees that the handle is one and that the GPU is there.
result enter_device(const char *function, const struct handle *handle, struct state_device **found);
// Whole devices and MIG devices.
result enter_any(const char *function, const struct handle *handle, struct state_device **found);
void state_lock(void);
void state_unlock(void);
result copy_string(char *target, unsigned room, const char *text);
const struct handle *device_handle(unsigned device);
int alive(uint32_t pid);
// Notes that this process has a device open, as it has from its first handle to its end.
void opened(unsigned device);

// Whether the host's driver is of this release or later.
int since(unsigned release, unsigned branch);

// Of a function that earlier drivers do not have.
#define SINCE(release, branch)                                                \
    do {                                                                      \
        if (!since(release, branch))                                          \
            return ERROR_FUNCTION_NOT_FOUND;                                  \
    } while (0)
#define ENTER_DEVICE(handle, device)                                          \
    struct state_device *device;                                              \
    do {                                                                      \
        result entered_ = enter_device(__func__, handle, &device);            \
        if (entered_ != SUCCESS)                                              \
            return entered_;                                                  \
    } while (0)
#define ENTER_ANY(handle, device)                                             \
    struct state_device *device;                                              \
    do {                                                                      \
        result entered_ = enter_any(__func__, handle, &device);               \
        if (entered_ != SUCCESS)                                              \
            return entered_;                                                  \
    } while (0)
#define NEED(pointer)                                                         \
    do {                                                                      \
        if (!(pointer))                                                       \
            return ERROR_INVALID_ARGUMENT;                                    \
    } while (0)

struct pci_info {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};
struct memory { unsigned long long total, free, used; };
struct memory_v2 { unsigned version; unsigned long long total, reserved, free, used; };
struct utilization { unsigned gpu, memory; };
struct process_info { unsigned pid; unsigned long long memory; unsigned instance, compute; };
struct long_process_info { struct process_info info; unsigned long long protected_memory; };
struct placement { unsigned start, size; };
struct gpu_profile {
    unsigned id, p2p, slices, count, sms, copy, decoders, encoders, jpeg, ofa;
    unsigned long long memory;
};
struct gpu_profile_v2 {
    unsigned version, id, p2p, slices, count, sms, copy, decoders, encoders, jpeg, ofa;
    unsigned long long memory;
    char name[96];
};
struct gpu_instance_info { const struct handle *device; unsigned id, profile; struct placement placement; };
struct compute_profile { unsigned id, slices, count, sms, copy, decoders, encoders, jpeg, ofa; };
struct compute_profile_v2 { unsigned version, id, slices, count, sms, copy, decoders, encoders, jpeg, ofa; char name[96]; };
struct compute_instance_info {
    const struct handle *device, *instance;
    unsigned id, profile;
    struct placement placement;
};
struct attributes {
    unsigned sms, copy, decoders, encoders, jpeg, ofa, gpu_slices, compute_slices;
    unsigned long long memory;
};
struct event_data {
    const struct handle *device;
    unsigned long long kind, data;
    unsigned instance, compute;
};
struct field_value {
    unsigned field, scope;
    int64_t timestamp, latency;
    unsigned type;
    result code;
    union { double real; unsigned number; unsigned long long wide; } value;
};

#define VERSIONED(type, number) ((unsigned)(sizeof(type) | (unsigned)(number) << 24))
