// SPDX-License-Identifier: Apache-2.0
// The state file, named by FAKE_NVML_STATE: mapped when the library is initialised.
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NO_GPUS 1u  // NVML_INIT_FLAG_NO_GPUS

struct state_state *state;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int file = -1;
static unsigned initialised;
static struct handle devices[STATE_DEVICES];

static void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static result map(void) {
    const char *path = getenv("FAKE_NVML_STATE");
    if (state)
        return SUCCESS;
    if (!path || (file = open(path, O_RDWR | O_CLOEXEC)) < 0) {
        fprintf(stderr, "fake NVML: FAKE_NVML_STATE names no state file\n");
        return ERROR_UNKNOWN;
    }
    struct stat status;
    struct state_state *mapped = MAP_FAILED;
    if (fstat(file, &status) == 0 && (size_t)status.st_size == sizeof *state)
        mapped = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED || mapped->version != STATE_VERSION) {
        fprintf(stderr, "fake NVML: %s is not a state file of this build\n", path);
        return ERROR_UNKNOWN;
    }
    state = mapped;
    for (unsigned i = 0; i < STATE_DEVICES; i++)
        devices[i] = (struct handle){.kind = DEVICE, .device = i};
    return SUCCESS;
}

static result obey(const char *function, unsigned device) {
    __atomic_add_fetch(&state->calls, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < STATE_RULES; i++) {
        volatile struct state_rule *rule = &state->rules[i];
        const char *name = state->rules[i].function;
        again:
        if (!rule->active || (rule->device != ANY_DEVICE && rule->device != device))
            continue;
        if (name[0] ? strcmp(name, function) != 0 : device == ANY_DEVICE)
            continue;
        rule->met = 1;
        if (rule->hang) {
            nap();
            goto again;
        }
        return (result)rule->code;
    }
    return SUCCESS;
}

result enter(const char *function, unsigned device) {
    if (!initialised)
        return ERROR_UNINITIALIZED;
    return obey(function, device);
}

static result enter_handle(const char *function, const struct handle *handle, struct state_device **found) {
    if (!initialised)
        return ERROR_UNINITIALIZED;
    if (!handle || handle->device >= state->devices_count)
        return ERROR_INVALID_ARGUMENT;
    result answer = obey(function, handle->device);
    if (answer != SUCCESS)
        return answer;
    *found = &state->devices[handle->device];
    return (*found)->lost || (*found)->gone ? ERROR_GPU_IS_LOST : SUCCESS;
}

result enter_device(const char *function, const struct handle *handle, struct state_device **found) {
    if (handle && handle->kind != DEVICE)
        return handle->kind == MIG_DEVICE ? ERROR_NOT_SUPPORTED : ERROR_INVALID_ARGUMENT;
    return enter_handle(function, handle, found);
}

result enter_any(const char *function, const struct handle *handle, struct state_device **found) {
    return enter_handle(function, handle, found);
}

int since(unsigned release, unsigned branch) {
    unsigned own[2] = {0};
    sscanf(state->driver, "%u.%u", &own[0], &own[1]);
    return own[0] > release || (own[0] == release && own[1] >= branch);
}

void state_lock(void) {
    pthread_mutex_lock(&mutex);
    flock(file, LOCK_EX);
}

void state_unlock(void) {
    flock(file, LOCK_UN);
    pthread_mutex_unlock(&mutex);
}

result copy_string(char *target, unsigned room, const char *text) {
    NEED(target);
    if (strlen(text) >= room)
        return ERROR_INSUFFICIENT_SIZE;
    memcpy(target, text, strlen(text) + 1);
    return SUCCESS;
}

const struct handle *device_handle(unsigned device) {
    return &devices[device];
}

int alive(uint32_t pid) {
    return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

// A process that has died is one no more.
static struct state_client *client(void) {
    struct state_client *room = NULL;
    for (unsigned i = 0; i < STATE_CLIENTS; i++) {
        struct state_client *one = &state->clients[i];
        if (one->pid == (uint32_t)getpid())
            return one;
        if (!room && (!one->pid || !alive(one->pid)))
            room = one;
    }
    if (room)
        *room = (struct state_client){.pid = (uint32_t)getpid()};
    return room;
}

void opened(unsigned device) {
    state_lock();
    struct state_client *mine = client();
    if (mine)
        mine->devices |= 1u << device;
    state_unlock();
}

static int any_gpu(void) {
    for (unsigned i = 0; i < state->devices_count; i++)
        if (!state->devices[i].gone)
            return 1;
    return 0;
}

EXPORT result nvmlInitWithFlags(unsigned flags) {
    result answer = map();
    if (answer == SUCCESS && state->init_code)
        answer = (result)state->init_code;
    if (answer == SUCCESS)
        answer = obey(__func__, ANY_DEVICE);
    if (answer == SUCCESS && !(flags & NO_GPUS) && !any_gpu())
        answer = ERROR_GPU_NOT_FOUND;
    if (answer == SUCCESS)
        initialised++;
    return answer;
}

EXPORT result nvmlInit_v2(void) {
    return nvmlInitWithFlags(0);
}

EXPORT result nvmlShutdown(void) {
    if (!initialised)
        return ERROR_UNINITIALIZED;
    if (--initialised == 0) {
        state_lock();
        struct state_client *mine = client();
        if (mine)
            *mine = (struct state_client){0};
        state_unlock();
    }
    return SUCCESS;
}
