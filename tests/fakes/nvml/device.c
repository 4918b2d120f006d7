// SPDX-License-Identifier: Apache-2.0
// What a device says of itself.
#include "fake.h"

#include <stdio.h>
#include <string.h>

#define MIB (1ull << 20)

// Functions that give one number of the state.
#define NUMBER(function, type, expression)                                    \
    EXPORT result function(const struct handle *handle, type *value) {        \
        ENTER_DEVICE(handle, device);                                         \
        NEED(value);                                                          \
        *value = (type)(expression);                                          \
        return SUCCESS;                                                       \
    }

NUMBER(nvmlDeviceGetMinorNumber, unsigned, device->minor)
NUMBER(nvmlDeviceGetBrand, unsigned, device->brand)
NUMBER(nvmlDeviceGetArchitecture, unsigned, device->architecture)
NUMBER(nvmlDeviceGetNumGpuCores, unsigned, device->cores)
NUMBER(nvmlDeviceGetPersistenceMode, unsigned, device->persistence)
NUMBER(nvmlDeviceGetComputeMode, unsigned, device->compute_mode)
NUMBER(nvmlDeviceGetPowerUsage, unsigned, device->power)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned, device->power_limit)
NUMBER(nvmlDeviceGetPowerManagementLimit, unsigned, device->power_limit)
NUMBER(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, device->throttle)
NUMBER(nvmlDeviceGetTotalEnergyConsumption, unsigned long long, __atomic_add_fetch(&device->energy, 1, __ATOMIC_RELAXED))
NUMBER(nvmlDeviceGetVirtualizationMode, unsigned, device->virtualization)

EXPORT result nvmlDeviceGetCurrentClocksEventReasons(const struct handle *handle, unsigned long long *reasons) {
    SINCE(535, 0);
    return nvmlDeviceGetCurrentClocksThrottleReasons(handle, reasons);
}

EXPORT result nvmlDeviceGetIndex(const struct handle *handle, unsigned *index) {
    ENTER_DEVICE(handle, device);
    NEED(index);
    *index = 0;
    for (struct state_device *other = state->devices; other < device; other++)
        *index += !other->gone;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetName(const struct handle *handle, char *name, unsigned length) {
    ENTER_ANY(handle, device);
    if (handle->kind == DEVICE)
        return copy_string(name, length, device->name);
    const struct state_instance *instance = &device->instances[handle->instance];
    char text[256];
    snprintf(text, sizeof text, "%s %s", device->name, device->profiles[instance->profile].name);
    return copy_string(name, length, text);
}

EXPORT result nvmlDeviceGetUUID(const struct handle *handle, char *uuid, unsigned length) {
    ENTER_ANY(handle, device);
    if (handle->kind == DEVICE)
        return copy_string(uuid, length, device->uuid);
    const struct state_compute *compute = &device->instances[handle->instance].computes[handle->compute];
    return compute->used ? copy_string(uuid, length, compute->uuid) : ERROR_NOT_FOUND;
}

EXPORT result nvmlDeviceGetSerial(const struct handle *handle, char *serial, unsigned length) {
    ENTER_DEVICE(handle, device);
    return device->serial[0] ? copy_string(serial, length, device->serial) : ERROR_NOT_SUPPORTED;
}

EXPORT result nvmlDeviceGetPciInfo_v3(const struct handle *handle, struct pci_info *info) {
    ENTER_DEVICE(handle, device);
    NEED(info);
    *info = (struct pci_info){.domain = device->pci_domain, .bus = device->pci_bus, .device = device->pci_device,
                              .pci_device_id = device->pci_id};
    memcpy(info->bus_id, device->bus_id, sizeof info->bus_id);
    snprintf(info->bus_id_legacy, sizeof info->bus_id_legacy, "%04X:%02X:%02X.0", device->pci_domain & 0xffff,
             device->pci_bus & 0xff, device->pci_device & 0xff);
    return SUCCESS;
}

EXPORT result nvmlDeviceGetCudaComputeCapability(const struct handle *handle, int *major, int *minor) {
    ENTER_ANY(handle, device);
    NEED(major && minor);
    *major = (int)device->cc_major;
    *minor = (int)device->cc_minor;
    return SUCCESS;
}

static unsigned long long used(const struct state_device *device, const struct handle *handle) {
    unsigned long long mib = handle->kind == DEVICE ? device->used : 0;
    for (unsigned i = 0; i < STATE_PROCESSES; i++)
        if (device->processes[i].pid && (handle->kind == DEVICE
                || device->processes[i].instance == device->instances[handle->instance].id))
            mib += device->processes[i].memory;
    return mib * MIB;
}

static unsigned long long total(const struct state_device *device, const struct handle *handle) {
    return MIB * (handle->kind == DEVICE
        ? device->memory : device->profiles[device->instances[handle->instance].profile].memory);
}

// NVML's first version counts what the driver reserves as used.
EXPORT result nvmlDeviceGetMemoryInfo(const struct handle *handle, struct memory *memory) {
    ENTER_ANY(handle, device);
    NEED(memory);
    memory->total = total(device, handle);
    memory->used = used(device, handle) + (handle->kind == DEVICE ? device->reserved * MIB : 0);
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetMemoryInfo_v2(const struct handle *handle, struct memory_v2 *memory) {
    SINCE(510, 0);
    ENTER_ANY(handle, device);
    NEED(memory);
    if (memory->version != VERSIONED(struct memory_v2, 2))
        return ERROR_ARGUMENT_VERSION_MISMATCH;
    memory->total = total(device, handle);
    memory->reserved = handle->kind == DEVICE ? device->reserved * MIB : 0;
    memory->used = used(device, handle);
    memory->free = memory->total - memory->used - memory->reserved;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetEccMode(const struct handle *handle, unsigned *current, unsigned *pending) {
    ENTER_DEVICE(handle, device);
    NEED(current && pending);
    *current = *pending = device->ecc;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetTotalEccErrors(const struct handle *handle, unsigned kind, unsigned counter,
                                          unsigned long long *count) {
    ENTER_DEVICE(handle, device);
    (void)counter;
    NEED(count);
    if (!device->ecc)
        return ERROR_NOT_SUPPORTED;
    *count = kind ? device->ecc_uncorrected : device->ecc_corrected;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetRemappedRows(const struct handle *handle, unsigned *corrected, unsigned *uncorrected,
                                        unsigned *pending, unsigned *failure) {
    ENTER_DEVICE(handle, device);
    NEED(corrected && uncorrected && pending && failure);
    if (device->architecture == 8)  // Ada cards with GDDR6 retire pages instead
        return ERROR_NOT_SUPPORTED;
    *corrected = device->remap_corrected;
    *uncorrected = device->remap_uncorrected;
    *pending = device->remap_pending;
    *failure = device->remap_failure;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetTemperature(const struct handle *handle, unsigned sensor, unsigned *value) {
    ENTER_DEVICE(handle, device);
    NEED(value && !sensor);
    *value = device->temperature;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetTemperatureThreshold(const struct handle *handle, unsigned threshold, unsigned *value) {
    ENTER_DEVICE(handle, device);
    NEED(value);
    if (threshold != 1)  // NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
        return ERROR_NOT_SUPPORTED;
    *value = device->temperature_slowdown;
    return SUCCESS;
}

static result clock_of(const struct state_device *device, unsigned kind, unsigned sm, unsigned memory, unsigned *value) {
    (void)device;
    NEED(value);
    *value = kind == 2 ? memory : sm;  // NVML_CLOCK_MEM
    return SUCCESS;
}

EXPORT result nvmlDeviceGetClockInfo(const struct handle *handle, unsigned kind, unsigned *value) {
    ENTER_DEVICE(handle, device);
    return clock_of(device, kind, device->clock_sm, device->clock_memory, value);
}

EXPORT result nvmlDeviceGetMaxClockInfo(const struct handle *handle, unsigned kind, unsigned *value) {
    ENTER_DEVICE(handle, device);
    return clock_of(device, kind, device->clock_sm_max, device->clock_memory_max, value);
}

// Not for devices in MIG mode, as on hardware.
EXPORT result nvmlDeviceGetUtilizationRates(const struct handle *handle, struct utilization *rates) {
    ENTER_DEVICE(handle, device);
    NEED(rates);
    if (device->mig)
        return ERROR_NOT_SUPPORTED;
    *rates = (struct utilization){device->utilization, device->utilization_memory};
    return SUCCESS;
}

// Before 535.98 the third version wrote a longer structure than the one that it was then said to write.
static result processes(const struct handle *handle, const struct state_device *device, unsigned kind, int longer,
                        unsigned *count, void *infos) {
    NEED(count);
    unsigned found = 0, room = infos ? *count : 0;
    for (unsigned i = 0; i < STATE_PROCESSES; i++) {
        const struct state_process *process = &device->processes[i];
        if (!process->pid || process->kind != kind
            || (handle->kind == MIG_DEVICE && process->instance != device->instances[handle->instance].id))
            continue;
        struct process_info info = {process->pid, process->memory * MIB, process->instance, process->compute};
        if (found < room && longer)
            ((struct long_process_info *)infos)[found] = (struct long_process_info){info, 0};
        else if (found < room)
            ((struct process_info *)infos)[found] = info;
        found++;
    }
    *count = found;
    return found > room ? ERROR_INSUFFICIENT_SIZE : SUCCESS;
}

#define PROCESSES(function, which)                                                                       \
    EXPORT result function##_v2(const struct handle *handle, unsigned *count, void *infos) {             \
        SINCE(470, 0);                                                                                   \
        ENTER_ANY(handle, device);                                                                       \
        return processes(handle, device, which, 0, count, infos);                                        \
    }                                                                                                    \
    EXPORT result function##_v3(const struct handle *handle, unsigned *count, void *infos) {             \
        SINCE(510, 0);                                                                                   \
        ENTER_ANY(handle, device);                                                                       \
        return processes(handle, device, which, since(535, 0) && !since(535, 98), count, infos);         \
    }

PROCESSES(nvmlDeviceGetComputeRunningProcesses, 0)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, 1)
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses, 2)

EXPORT result nvmlDeviceGetCpuAffinity(const struct handle *handle, unsigned words, unsigned long *set) {
    ENTER_DEVICE(handle, device);
    NEED(set);
    memset(set, 0, words * sizeof *set);
    for (unsigned cpu = device->cpu_first; cpu <= device->cpu_last && cpu / 64 < words; cpu++)
        set[cpu / 64] |= 1ul << cpu % 64;
    return SUCCESS;
}

// The node that a GPU itself is, where GPUs are nodes of the host; these hosts are not of that kind.
EXPORT result nvmlDeviceGetNumaNodeId(const struct handle *handle, unsigned *node) {
    ENTER_DEVICE(handle, device);
    NEED(node);
    return ERROR_NOT_SUPPORTED;
}

// The nodes near to a device; all of them where the host does not tell (a negative number in the description).
EXPORT result nvmlDeviceGetMemoryAffinity(const struct handle *handle, unsigned words, unsigned long *set, unsigned scope) {
    ENTER_DEVICE(handle, device);
    NEED(set);
    if (!words || scope > 1)
        return ERROR_INVALID_ARGUMENT;
    memset(set, 0, words * sizeof *set);
    if (device->numa_node < 0)
        set[0] = 3;
    else if ((unsigned)device->numa_node / 64 < words)
        set[device->numa_node / 64] = 1ul << device->numa_node % 64;
    return SUCCESS;
}

static result link_of(const struct state_device *device, unsigned number, const struct state_link **link) {
    if (number >= STATE_LINKS)
        return ERROR_INVALID_ARGUMENT;
    *link = &device->links[number];
    return (*link)->present ? SUCCESS : ERROR_NOT_SUPPORTED;
}

#define LINK(function, field)                                                                \
    EXPORT result function(const struct handle *handle, unsigned number, unsigned *value) {  \
        ENTER_DEVICE(handle, device);                                                        \
        NEED(value);                                                                         \
        const struct state_link *link;                                                       \
        result answer = link_of(device, number, &link);                                      \
        if (answer == SUCCESS)                                                               \
            *value = link->field;                                                            \
        return answer;                                                                       \
    }

LINK(nvmlDeviceGetNvLinkState, active)
LINK(nvmlDeviceGetNvLinkVersion, version)
LINK(nvmlDeviceGetNvLinkRemoteDeviceType, kind)

EXPORT result nvmlDeviceGetNvLinkRemotePciInfo_v2(const struct handle *handle, unsigned number, struct pci_info *info) {
    ENTER_DEVICE(handle, device);
    NEED(info);
    const struct state_link *link;
    result answer = link_of(device, number, &link);
    if (answer != SUCCESS)
        return answer;
    *info = (struct pci_info){0};
    memcpy(info->bus_id, link->remote, sizeof info->bus_id);
    return SUCCESS;
}

// Of the fields only the recovery action (230), which drivers since 570 know.
EXPORT result nvmlDeviceGetFieldValues(const struct handle *handle, int count, struct field_value *values) {
    ENTER_DEVICE(handle, device);
    NEED(values);
    for (int i = 0; i < count; i++) {
        int known = values[i].field == 230 && device->recovery_known;
        values[i].code = known ? SUCCESS : ERROR_NOT_SUPPORTED;
        values[i].type = 1;
        values[i].value.number = known ? device->recovery : 0;
    }
    return SUCCESS;
}

// A type that MIG backs needs a free GPU instance of its profile; on a device in MIG mode there are no others.
static int creatable_here(const struct state_device *device, const struct state_vgpu *type) {
    if (!device->mig || type->profile == STATE_NO_PROFILE)
        return !device->mig && type->profile == STATE_NO_PROFILE && type->most;
    for (unsigned i = 0; i < STATE_INSTANCES; i++) {
        const struct state_instance *instance = &device->instances[i];
        if (instance->used && !instance->vgpu && device->profiles[instance->profile].id == type->profile)
            return 1;
    }
    return 0;
}

static result vgpus(const struct state_device *device, int creatable, unsigned *count, unsigned *ids) {
    NEED(count);
    unsigned found = 0, room = ids ? *count : 0;
    if (device->virtualization != 3)  // NVML_GPU_VIRTUALIZATION_MODE_HOST_VGPU
        return ERROR_NOT_SUPPORTED;
    for (unsigned i = 0; i < STATE_VGPUS; i++) {
        if (!device->vgpus[i].id || (creatable && !creatable_here(device, &device->vgpus[i])))
            continue;
        if (found < room)
            ids[found] = device->vgpus[i].id;
        found++;
    }
    *count = found;
    return found > room ? ERROR_INSUFFICIENT_SIZE : SUCCESS;
}

EXPORT result nvmlDeviceGetSupportedVgpus(const struct handle *handle, unsigned *count, unsigned *ids) {
    ENTER_DEVICE(handle, device);
    return vgpus(device, 0, count, ids);
}

EXPORT result nvmlDeviceGetCreatableVgpus(const struct handle *handle, unsigned *count, unsigned *ids) {
    ENTER_DEVICE(handle, device);
    return vgpus(device, 1, count, ids);
}

static const struct state_vgpu *vgpu_of(const struct state_device *device, unsigned id) {
    for (unsigned i = 0; i < STATE_VGPUS; i++)
        if (id && device->vgpus[i].id == id)
            return &device->vgpus[i];
    return NULL;
}

static const struct state_vgpu *vgpu(unsigned id) {
    const struct state_vgpu *found = NULL;
    for (unsigned d = 0; d < state->devices_count && !found; d++)
        found = vgpu_of(&state->devices[d], id);
    return found;
}

EXPORT result nvmlVgpuTypeGetName(unsigned id, char *name, unsigned *length) {
    result answer = enter(__func__, ANY_DEVICE);
    if (answer != SUCCESS)
        return answer;
    NEED(vgpu(id) && length);
    return copy_string(name, *length, vgpu(id)->name);
}

EXPORT result nvmlVgpuTypeGetGpuInstanceProfileId(unsigned id, unsigned *profile) {
    result answer = enter(__func__, ANY_DEVICE);
    if (answer != SUCCESS)
        return answer;
    NEED(vgpu(id) && profile);
    *profile = vgpu(id)->profile;
    return SUCCESS;
}

EXPORT result nvmlVgpuTypeGetMaxInstances(const struct handle *handle, unsigned id, unsigned *count) {
    ENTER_DEVICE(handle, device);
    NEED(vgpu_of(device, id) && count);
    *count = vgpu_of(device, id)->most;
    return SUCCESS;
}

EXPORT result nvmlVgpuTypeGetFramebufferSize(unsigned id, unsigned long long *bytes) {
    result answer = enter(__func__, ANY_DEVICE);
    if (answer != SUCCESS)
        return answer;
    NEED(vgpu(id) && bytes);
    *bytes = vgpu(id)->memory * MIB;
    return SUCCESS;
}
