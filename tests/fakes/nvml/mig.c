// SPDX-License-Identifier: Apache-2.0
// MIG: GPU instances and compute instances with the driver's placement rules.
#include "fake.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

// Compute slices of each compute instance profile, by its index, which is also its id.
static const unsigned COMPUTE_SLICES[STATE_COMPUTE_PROFILES] = {1, 2, 3, 4, 7, 8, 6, 1, 0};

static const struct handle *handle_of(enum kind kind, unsigned device, unsigned instance, unsigned compute) {
    static struct handle handles[3][STATE_DEVICES][STATE_INSTANCES][STATE_INSTANCES];
    struct handle *found = &handles[kind - MIG_DEVICE][device][instance][compute];
    *found = (struct handle){kind, device, instance, compute};
    return found;
}

// What this process knows of a device's MIG devices, since it asked first or changed them itself: what others do meanwhile
// it does not learn (https://github.com/NVIDIA/libcudacxx/issues/224).
static struct { int known; unsigned char there[STATE_INSTANCES][STATE_INSTANCES]; } listed[STATE_DEVICES];

static void learn_anew(unsigned device) {
    listed[device].known = 0;
}

static void hold(struct state_compute *compute) {
    for (unsigned i = 0; i < STATE_HOLDERS; i++)
        if (!compute->holders[i] || !alive(compute->holders[i]) || compute->holders[i] == (uint32_t)getpid()) {
            compute->holders[i] = (uint32_t)getpid();
            return;
        }
}

static struct state_profile *by_id(struct state_device *device, unsigned id) {
    for (unsigned i = 0; i < STATE_PROFILES; i++)
        if (device->profiles[i].sms && device->profiles[i].id == id)
            return &device->profiles[i];
    return NULL;
}

static int fits(const struct state_device *device, unsigned start, unsigned size) {
    for (unsigned i = 0; i < STATE_INSTANCES; i++) {
        const struct state_instance *other = &device->instances[i];
        if (other->used && start < other->start + device->profiles[other->profile].size && other->start < start + size)
            return 0;
    }
    return 1;
}

static unsigned count_of(const struct state_device *device, unsigned profile) {
    unsigned count = 0;
    for (unsigned i = 0; i < STATE_INSTANCES; i++)
        count += device->instances[i].used && device->instances[i].profile == profile;
    return count;
}

// How many instances of a profile fit beside those that exist.
static unsigned remaining(struct state_device *device, const struct state_profile *profile) {
    unsigned free = 0, next = 0, index = (unsigned)(profile - device->profiles);
    for (unsigned i = 0; i < profile->starts_count; i++)
        if (profile->starts[i] >= next && fits(device, profile->starts[i], profile->size)) {
            free++;
            next = profile->starts[i] + profile->size;
        }
    unsigned left = profile->count - count_of(device, index);
    return free < left ? free : left;
}

EXPORT result nvmlDeviceGetMigMode(const struct handle *handle, unsigned *current, unsigned *pending) {
    ENTER_DEVICE(handle, device);
    NEED(current && pending);
    if (!device->mig_capable)
        return ERROR_NOT_SUPPORTED;
    *current = device->mig;
    *pending = device->mig_pending;
    return SUCCESS;
}

// The mode changes at once when the device is idle, as on Hopper; otherwise it stays pending.
EXPORT result nvmlDeviceSetMigMode(const struct handle *handle, unsigned mode, result *activation) {
    ENTER_DEVICE(handle, device);
    NEED(activation && mode <= 1);
    if (!device->mig_capable)
        return ERROR_NOT_SUPPORTED;
    device->mig_pending = mode;
    *activation = SUCCESS;
    for (unsigned i = 0; i < STATE_INSTANCES; i++)
        if (device->instances[i].used)
            *activation = ERROR_IN_USE;
    for (unsigned i = 0; i < STATE_PROCESSES; i++)
        if (device->processes[i].pid)
            *activation = ERROR_IN_USE;
    if (*activation == SUCCESS)
        device->mig = mode;
    return SUCCESS;
}

static result profile_at(struct state_device *device, unsigned index, const struct state_profile **profile) {
    if (index >= STATE_PROFILES)
        return ERROR_INVALID_ARGUMENT;
    *profile = &device->profiles[index];
    return device->mig_capable && (*profile)->sms ? SUCCESS : ERROR_NOT_SUPPORTED;
}

EXPORT result nvmlDeviceGetGpuInstanceProfileInfo(const struct handle *handle, unsigned index, struct gpu_profile *info) {
    ENTER_DEVICE(handle, device);
    NEED(info);
    const struct state_profile *profile;
    result answer = profile_at(device, index, &profile);
    if (answer == SUCCESS)
        *info = (struct gpu_profile){profile->id, 0, profile->slices, profile->count, profile->sms, profile->copy,
                                     profile->decoders, 0, profile->jpeg, profile->ofa, profile->memory};
    return answer;
}

EXPORT result nvmlDeviceGetGpuInstanceProfileInfoV(const struct handle *handle, unsigned index,
                                                   struct gpu_profile_v2 *info) {
    ENTER_DEVICE(handle, device);
    NEED(info);
    if (info->version != VERSIONED(struct gpu_profile_v2, 2))
        return ERROR_ARGUMENT_VERSION_MISMATCH;
    const struct state_profile *profile;
    result answer = profile_at(device, index, &profile);
    if (answer != SUCCESS)
        return answer;
    *info = (struct gpu_profile_v2){info->version, profile->id, 0, profile->slices, profile->count, profile->sms,
                                    profile->copy, profile->decoders, 0, profile->jpeg, profile->ofa, profile->memory, ""};
    return copy_string(info->name, sizeof info->name, profile->name);
}

EXPORT result nvmlDeviceGetGpuInstancePossiblePlacements_v2(const struct handle *handle, unsigned id,
                                                            struct placement *placements, unsigned *count) {
    ENTER_DEVICE(handle, device);
    NEED(count);
    const struct state_profile *profile = by_id(device, id);
    if (!profile || !profile->starts_count)  // the model has it, and this device as it is now does not
        return ERROR_NOT_SUPPORTED;
    if (placements && *count < profile->starts_count)
        return ERROR_INSUFFICIENT_SIZE;
    *count = profile->starts_count;
    for (unsigned i = 0; placements && i < profile->starts_count; i++)
        placements[i] = (struct placement){profile->starts[i], profile->size};
    return SUCCESS;
}

EXPORT result nvmlDeviceGetGpuInstanceRemainingCapacity(const struct handle *handle, unsigned id, unsigned *count) {
    ENTER_DEVICE(handle, device);
    NEED(count);
    const struct state_profile *profile = by_id(device, id);
    if (!device->mig || !profile)
        return ERROR_NOT_SUPPORTED;
    *count = remaining(device, profile);
    return SUCCESS;
}

// Tests run as root, so a rule stands for a missing permission.
static result create(unsigned index, struct state_device *device, unsigned id, const struct placement *wanted,
                     const struct handle **created) {
    const struct state_profile *profile = by_id(device, id);
    if (!device->mig || !profile)
        return ERROR_NOT_SUPPORTED;
    if (wanted && wanted->size != profile->size)
        return ERROR_INVALID_ARGUMENT;
    if (count_of(device, (unsigned)(profile - device->profiles)) >= profile->count)
        return ERROR_INSUFFICIENT_RESOURCES;
    int start = -1;
    for (unsigned i = 0; i < profile->starts_count; i++)  // without a wish the driver fills from the end
        if (fits(device, profile->starts[i], profile->size) && (!wanted || wanted->start == profile->starts[i]))
            start = (int)profile->starts[i];
    if (start < 0)
        return ERROR_INSUFFICIENT_RESOURCES;
    for (unsigned i = 0; i < STATE_INSTANCES; i++)
        if (!device->instances[i].used) {
            // A full-size instance is 0; the others are numbered from 1.
            device->instances[i] = (struct state_instance){.used = 1, .id = profile->size == device->mig_slots ? 0 : i + 1,
                .profile = (unsigned)(profile - device->profiles), .start = (unsigned)start};
            *created = handle_of(GPU_INSTANCE, index, i, 0);
            return SUCCESS;
        }
    return ERROR_INSUFFICIENT_RESOURCES;
}

EXPORT result nvmlDeviceCreateGpuInstance(const struct handle *handle, unsigned id, const struct handle **created) {
    ENTER_DEVICE(handle, device);
    NEED(created);
    state_lock();
    result answer = create(handle->device, device, id, NULL, created);
    state_unlock();
    return answer;
}

EXPORT result nvmlDeviceCreateGpuInstanceWithPlacement(const struct handle *handle, unsigned id,
                                                       const struct placement *placement, const struct handle **created) {
    ENTER_DEVICE(handle, device);
    NEED(created && placement);
    state_lock();
    result answer = create(handle->device, device, id, placement, created);
    state_unlock();
    return answer;
}

// A handle of something that was destroyed is an invalid argument, as with the real library.
#define ENTER_INSTANCE(handle, device, found)                                                        \
    struct state_device *device;                                                                     \
    struct state_instance *found = NULL;                                                             \
    do {                                                                                             \
        result entered_ = enter_any(__func__, handle, &device);                                      \
        if (entered_ != SUCCESS)                                                                     \
            return entered_;                                                                         \
        if (handle->kind == DEVICE || !device->instances[handle->instance].used)                     \
            return ERROR_INVALID_ARGUMENT;                                                           \
        found = &device->instances[handle->instance];                                                \
    } while (0)

static int busy(const struct state_device *device, const struct state_instance *instance, const unsigned *compute) {
    for (unsigned i = 0; i < STATE_PROCESSES; i++)
        if (device->processes[i].pid && device->processes[i].instance == instance->id
            && (!compute || device->processes[i].compute == *compute))
            return 1;
    return 0;
}

EXPORT result nvmlGpuInstanceDestroy(const struct handle *handle) {
    ENTER_INSTANCE(handle, device, instance);
    state_lock();
    int used = busy(device, instance, NULL) || instance->vgpu;
    for (unsigned i = 0; i < STATE_INSTANCES; i++)
        used |= instance->computes[i].used != 0;
    if (!used)
        *instance = (struct state_instance){0};
    state_unlock();
    return used ? ERROR_IN_USE : SUCCESS;
}

EXPORT result nvmlDeviceGetGpuInstances(const struct handle *handle, unsigned id, const struct handle **instances,
                                        unsigned *count) {
    ENTER_DEVICE(handle, device);
    NEED(instances && count);
    const struct state_profile *profile = by_id(device, id);
    if (!device->mig || !profile)
        return ERROR_NOT_SUPPORTED;
    *count = 0;
    for (unsigned i = 0; i < STATE_INSTANCES; i++)
        if (device->instances[i].used && device->instances[i].profile == (unsigned)(profile - device->profiles))
            instances[(*count)++] = handle_of(GPU_INSTANCE, handle->device, i, 0);
    return SUCCESS;
}

EXPORT result nvmlDeviceGetGpuInstanceById(const struct handle *handle, unsigned id, const struct handle **instance) {
    ENTER_DEVICE(handle, device);
    NEED(instance);
    if (!device->mig)
        return ERROR_NOT_SUPPORTED;
    for (unsigned i = 0; i < STATE_INSTANCES; i++)
        if (device->instances[i].used && device->instances[i].id == id) {
            *instance = handle_of(GPU_INSTANCE, handle->device, i, 0);
            return SUCCESS;
        }
    return ERROR_NOT_FOUND;
}

EXPORT result nvmlGpuInstanceGetInfo(const struct handle *handle, struct gpu_instance_info *info) {
    ENTER_INSTANCE(handle, device, instance);
    NEED(info);
    const struct state_profile *profile = &device->profiles[instance->profile];
    *info = (struct gpu_instance_info){device_handle(handle->device), instance->id, profile->id,
                                       {instance->start, profile->size}};
    return SUCCESS;
}

// How many multiprocessors a compute instance has.  Hopper has a second profile of one slice, with more of them.
static unsigned multiprocessors(const struct state_device *device, const struct state_profile *profile, unsigned index) {
    unsigned slices = COMPUTE_SLICES[index];
    unsigned one = device->profiles[STATE_ONE_SLICE].sms, more = device->profiles[STATE_ONE_SLICE_REV2].sms;
    if (index == STATE_COMPUTE_ONE_SLICE_REV1)
        return more > one ? more : 0;
    return slices > 1 && slices == profile->slices ? profile->sms : one * slices;
}

static unsigned compute_total(const struct state_device *device, const struct state_profile *profile, unsigned index) {
    unsigned slices = index < STATE_COMPUTE_PROFILES ? COMPUTE_SLICES[index] : 0;
    if (!slices || slices > profile->slices || (profile->slices == 4 && slices == 3)
        || (profile->slices == 7 && slices == 6))
        return 0;
    if (index == STATE_COMPUTE_ONE_SLICE_REV1)
        return multiprocessors(device, profile, index) ? profile->sms / multiprocessors(device, profile, index) : 0;
    return slices == 3 ? (profile->slices + 1) / 4 : profile->slices / slices;
}

// Where the number-th compute instance of a profile may begin: at multiples of its size rounded up to a power of two.
static unsigned compute_start(unsigned index, unsigned number) {
    unsigned step = 1;
    while (step < COMPUTE_SLICES[index])
        step *= 2;
    return number * step;
}

static int compute_fits(const struct state_device *device, const struct state_instance *instance, unsigned index,
                        unsigned start) {
    const struct state_profile *profile = &device->profiles[instance->profile];
    unsigned sms = multiprocessors(device, profile, index);
    for (unsigned i = 0; i < STATE_INSTANCES; i++) {
        const struct state_compute *other = &instance->computes[i];
        if (!other->used)
            continue;
        if (start < other->start + other->size && other->start < start + COMPUTE_SLICES[index])
            return 0;
        sms += multiprocessors(device, profile, other->profile);
    }
    return sms <= profile->sms;
}

EXPORT result nvmlGpuInstanceGetComputeInstanceProfileInfoV(const struct handle *handle, unsigned index, unsigned engine,
                                                            struct compute_profile_v2 *info) {
    ENTER_INSTANCE(handle, device, instance);
    NEED(info && !engine);
    if (info->version != VERSIONED(struct compute_profile_v2, 2))
        return ERROR_ARGUMENT_VERSION_MISMATCH;
    const struct state_profile *profile = &device->profiles[instance->profile];
    unsigned total = compute_total(device, profile, index);
    if (!total)
        return index < STATE_COMPUTE_PROFILES ? ERROR_NOT_SUPPORTED : ERROR_INVALID_ARGUMENT;
    unsigned slices = COMPUTE_SLICES[index];
    *info = (struct compute_profile_v2){info->version, index, slices, total, multiprocessors(device, profile, index),
                                        profile->copy, profile->decoders, 0, profile->jpeg, profile->ofa, ""};
    if (info->sms == profile->sms)
        return copy_string(info->name, sizeof info->name, profile->name);
    snprintf(info->name, sizeof info->name, "MIG %uc.%.80s", slices, profile->name + 4);
    return SUCCESS;
}

EXPORT result nvmlGpuInstanceGetComputeInstancePossiblePlacements(const struct handle *handle, unsigned id,
                                                                  struct placement *placements, unsigned *count) {
    ENTER_INSTANCE(handle, device, instance);
    NEED(count);
    unsigned total = compute_total(device, &device->profiles[instance->profile], id);
    if (!total)
        return ERROR_NOT_SUPPORTED;
    if (placements && *count < total)
        return ERROR_INSUFFICIENT_SIZE;
    *count = total;
    for (unsigned i = 0; placements && i < total; i++)
        placements[i] = (struct placement){compute_start(id, i), COMPUTE_SLICES[id]};
    return SUCCESS;
}

// With the state locked.
static result create_compute(const struct handle *handle, struct state_device *device, struct state_instance *instance,
                             unsigned id, const struct placement *wanted, const struct handle **created) {
    unsigned total = compute_total(device, &device->profiles[instance->profile], id), slices, start = STATE_INSTANCES;
    if (!total)
        return ERROR_NOT_SUPPORTED;
    slices = COMPUTE_SLICES[id];
    if (wanted && wanted->size != slices)
        return ERROR_INVALID_ARGUMENT;
    for (unsigned i = total; i--;)  // without a wish the first that is free
        if (compute_fits(device, instance, id, compute_start(id, i)) && (!wanted || wanted->start == compute_start(id, i)))
            start = compute_start(id, i);
    for (unsigned i = 0; i < STATE_INSTANCES && start < STATE_INSTANCES; i++)
        if (!instance->computes[i].used) {
            struct state_compute *compute = &instance->computes[i];
            *compute = (struct state_compute){1, id, start, slices, "", {0}};
            // As the driver's, of the GPU and the place: what is made there again has the same.
            char uuid[sizeof compute->uuid];
            snprintf(uuid, sizeof uuid, "MIG-%08x-%04x-5%03x-8%03x-%012x", device->pci_id, device->minor,
                     instance->profile & 0xfff, instance->start & 0xfff, start);
            memcpy(compute->uuid, uuid, sizeof uuid);
            learn_anew(handle->device);
            *created = handle_of(COMPUTE_INSTANCE, handle->device, handle->instance, i);
            return SUCCESS;
        }
    return ERROR_INSUFFICIENT_RESOURCES;
}

EXPORT result nvmlGpuInstanceCreateComputeInstance(const struct handle *handle, unsigned id, const struct handle **created) {
    ENTER_INSTANCE(handle, device, instance);
    NEED(created);
    state_lock();
    result answer = create_compute(handle, device, instance, id, NULL, created);
    state_unlock();
    return answer;
}

EXPORT result nvmlGpuInstanceCreateComputeInstanceWithPlacement(const struct handle *handle, unsigned id,
                                                                const struct placement *placement,
                                                                const struct handle **created) {
    ENTER_INSTANCE(handle, device, instance);
    NEED(created && placement);
    state_lock();
    result answer = create_compute(handle, device, instance, id, placement, created);
    state_unlock();
    return answer;
}

EXPORT result nvmlGpuInstanceGetComputeInstanceById(const struct handle *handle, unsigned id, const struct handle **found) {
    ENTER_INSTANCE(handle, device, instance);
    (void)device;
    NEED(found);
    if (id >= STATE_INSTANCES || !instance->computes[id].used)
        return ERROR_NOT_FOUND;
    *found = handle_of(COMPUTE_INSTANCE, handle->device, handle->instance, id);
    return SUCCESS;
}

EXPORT result nvmlComputeInstanceDestroy(const struct handle *handle) {
    ENTER_INSTANCE(handle, device, instance);
    struct state_compute *compute = &instance->computes[handle->compute];
    if (!compute->used)
        return ERROR_INVALID_ARGUMENT;
    state_lock();
    int used = busy(device, instance, &handle->compute);
    for (unsigned i = 0; i < STATE_HOLDERS; i++)
        used |= compute->holders[i] && compute->holders[i] != (uint32_t)getpid() && alive(compute->holders[i]);
    if (!used)
        *compute = (struct state_compute){0};
    learn_anew(handle->device);
    state_unlock();
    return used ? ERROR_IN_USE : SUCCESS;
}

EXPORT result nvmlGpuInstanceGetComputeInstances(const struct handle *handle, unsigned id, const struct handle **computes,
                                                 unsigned *count) {
    ENTER_INSTANCE(handle, device, instance);
    NEED(computes && count);
    if (!compute_total(device, &device->profiles[instance->profile], id))
        return ERROR_NOT_SUPPORTED;
    *count = 0;
    for (unsigned i = 0; i < STATE_INSTANCES; i++)
        if (instance->computes[i].used && instance->computes[i].profile == id)
            computes[(*count)++] = handle_of(COMPUTE_INSTANCE, handle->device, handle->instance, i);
    return SUCCESS;
}

EXPORT result nvmlComputeInstanceGetInfo_v2(const struct handle *handle, struct compute_instance_info *info) {
    ENTER_INSTANCE(handle, device, instance);
    NEED(info);
    const struct state_compute *compute = &instance->computes[handle->compute];
    if (!compute->used)
        return ERROR_INVALID_ARGUMENT;
    *info = (struct compute_instance_info){device_handle(handle->device),
        handle_of(GPU_INSTANCE, handle->device, handle->instance, 0), handle->compute, compute->profile,
        {compute->start, compute->size}};
    return SUCCESS;
}

EXPORT result nvmlDeviceGetMaxMigDeviceCount(const struct handle *handle, unsigned *count) {
    ENTER_DEVICE(handle, device);
    NEED(count);
    *count = device->mig_capable ? device->mig_slots - (device->mig_slots == 8) : 0;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetMigDeviceHandleByIndex(const struct handle *handle, unsigned index, const struct handle **found) {
    ENTER_DEVICE(handle, device);
    NEED(found);
    unsigned char (*there)[STATE_INSTANCES] = listed[handle->device].there;
    for (unsigned i = 0; !listed[handle->device].known && i < STATE_INSTANCES; i++)
        for (unsigned c = 0; c < STATE_INSTANCES; c++)
            there[i][c] = device->instances[i].used && device->instances[i].computes[c].used;
    listed[handle->device].known = 1;
    for (unsigned i = 0; i < STATE_INSTANCES; i++)
        for (unsigned c = 0; c < STATE_INSTANCES; c++)
            if (there[i][c] && index-- == 0) {
                *found = handle_of(MIG_DEVICE, handle->device, i, c);
                if (device->instances[i].computes[c].used)
                    hold(&device->instances[i].computes[c]);
                return SUCCESS;
            }
    return ERROR_NOT_FOUND;
}

EXPORT result nvmlDeviceIsMigDeviceHandle(const struct handle *handle, unsigned *is) {
    ENTER_ANY(handle, device);
    (void)device;
    NEED(is);
    *is = handle->kind == MIG_DEVICE;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetGpuInstanceId(const struct handle *handle, unsigned *id) {
    ENTER_INSTANCE(handle, device, instance);
    (void)device;
    NEED(id);
    *id = instance->id;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetComputeInstanceId(const struct handle *handle, unsigned *id) {
    ENTER_INSTANCE(handle, device, instance);
    (void)device;
    NEED(id);
    if (!instance->computes[handle->compute].used)
        return ERROR_NOT_FOUND;
    *id = handle->compute;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetDeviceHandleFromMigDeviceHandle(const struct handle *handle, const struct handle **parent) {
    ENTER_INSTANCE(handle, device, instance);
    (void)device;
    (void)instance;
    NEED(parent);
    *parent = device_handle(handle->device);
    return SUCCESS;
}

EXPORT result nvmlDeviceGetAttributes_v2(const struct handle *handle, struct attributes *info) {
    ENTER_INSTANCE(handle, device, instance);
    NEED(info);
    const struct state_profile *profile = &device->profiles[instance->profile];
    const struct state_compute *compute = &instance->computes[handle->compute];
    *info = (struct attributes){multiprocessors(device, profile, compute->profile), profile->copy, profile->decoders, 0,
                                profile->jpeg, profile->ofa, profile->slices, compute->size, profile->memory};
    return SUCCESS;
}
