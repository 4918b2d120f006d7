// SPDX-License-Identifier: Apache-2.0
// What a tenant's program learns from NVML: the slices of its attachment. Asked of the CUDA client library in the same
// directory, so it is one session with the program's own calls.
#include "client.h"
#include "usage.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
    GPU_IS_LOST = 15,
    VERSION_MISMATCH = 25,
    UNKNOWN = 999,
};

#define MOST_DEVICES 64
#define CAPABILITY_MAJOR 75  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, ..._MINOR
#define CAPABILITY_MINOR 76

struct slice_device {
    int ordinal;
};

// The functions of the CUDA driver API that are used here.
static struct {
    int (*init)(unsigned);
    int (*version)(int *);
    int (*count)(int *);
    int (*name)(char *, int, int);
    int (*uuid)(unsigned char *, int);
    int (*pci)(char *, int, int);
    int (*attribute)(int *, int, int);
    int (*retain)(void **, int);
    int (*release)(int);
    int (*push)(void *);
    int (*pop)(void **);
    int (*memory)(size_t *, size_t *);
    int (*table)(const void **, const unsigned char *);
} cuda;

static const struct usage_table *usage;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned initialised;
static struct slice_device devices[MOST_DEVICES];

nvmlReturn_t client_unsupported(const char *name, atomic_int *said) {
    if (!atomic_exchange(said, 1) && getenv("ACCELPOOL_DEBUG"))
        fprintf(stderr, "accelpool: %s is not supported on a slice\n", name);
    return NOT_SUPPORTED;
}

static int find(void *library) {
    const struct {
        const char *name;
        void *to;
    } wanted[] = {
        {"cuInit", &cuda.init}, {"cuDriverGetVersion", &cuda.version}, {"cuDeviceGetCount", &cuda.count},
        {"cuDeviceGetName", &cuda.name}, {"cuDeviceGetUuid_v2", &cuda.uuid}, {"cuDeviceGetPCIBusId", &cuda.pci},
        {"cuDeviceGetAttribute", &cuda.attribute}, {"cuDevicePrimaryCtxRetain", &cuda.retain},
        {"cuDevicePrimaryCtxRelease_v2", &cuda.release}, {"cuCtxPushCurrent_v2", &cuda.push},
        {"cuCtxPopCurrent_v2", &cuda.pop}, {"cuMemGetInfo_v2", &cuda.memory},
        {"cuGetExportTable", &cuda.table},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *symbol = dlsym(library, wanted[i].name);
        if (!symbol)
            return 0;
        memcpy(wanted[i].to, &symbol, sizeof symbol);
    }
    return 1;
}

// The library of that name in the directory of this one.
static void *beside(const char *name) {
    Dl_info self;
    char path[4096];
    if (!dladdr(&lock, &self) || !self.dli_fname || !strrchr(self.dli_fname, '/'))
        return NULL;
    int length = (int)(strrchr(self.dli_fname, '/') - self.dli_fname);
    if (snprintf(path, sizeof path, "%.*s/%s", length, self.dli_fname, name) >= (int)sizeof path)
        return NULL;
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static nvmlReturn_t start(void) {
    static const unsigned char identifier[16] = USAGE_TABLE_ID;
    const void *table = NULL;
    if (initialised++)
        return SUCCESS;
    void *library = beside("libcuda.so.1");
    if (library && find(library) && cuda.init(0) == 0 && cuda.table(&table, identifier) == 0) {
        usage = table;
        for (int i = 0; i < MOST_DEVICES; i++)
            devices[i].ordinal = i;
        return SUCCESS;
    }
    initialised = 0;
    return DRIVER_NOT_LOADED;
}

nvmlReturn_t nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    pthread_mutex_lock(&lock);
    nvmlReturn_t answer = start();
    pthread_mutex_unlock(&lock);
    return answer;
}

nvmlReturn_t nvmlInit_v2(void) {
    return nvmlInitWithFlags(0);
}

nvmlReturn_t nvmlShutdown(void) {
    pthread_mutex_lock(&lock);
    nvmlReturn_t answer = initialised ? SUCCESS : UNINITIALIZED;
    initialised -= initialised > 0;
    pthread_mutex_unlock(&lock);
    return answer;
}

const char *nvmlErrorString(nvmlReturn_t result) {
    switch (result) {
    case SUCCESS: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    case VERSION_MISMATCH: return "Argument version mismatch";
    default: return "Unknown Error";
    }
}

static int count(void) {
    int found = 0;
    return cuda.count && cuda.count(&found) == 0 && found <= MOST_DEVICES ? found : 0;
}

// 0 when the handle is one of ours and NVML is initialised.
static nvmlReturn_t check(nvmlDevice_t device) {
    if (!initialised)
        return UNINITIALIZED;
    return device >= devices && device < devices + count() ? SUCCESS : INVALID_ARGUMENT;
}

#define CHECK(device, pointer)                   \
    do {                                         \
        nvmlReturn_t checked_ = check(device);   \
        if (checked_ != SUCCESS)                 \
            return checked_;                     \
        if (!(pointer))                          \
            return INVALID_ARGUMENT;             \
    } while (0)

static nvmlReturn_t text(char *to, unsigned int length, const char *from) {
    if (strlen(from) >= length)
        return INSUFFICIENT_SIZE;
    memcpy(to, from, strlen(from) + 1);
    return SUCCESS;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version) {
    if (!initialised)
        return UNINITIALIZED;
    return version && cuda.version(version) == 0 ? SUCCESS : INVALID_ARGUMENT;
}

nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version) {
    return nvmlSystemGetCudaDriverVersion(version);
}

// The major number is CUDA's, as NVIDIA numbers NVML.
nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length) {
    int number = 0;
    char said[32];
    if (!initialised)
        return UNINITIALIZED;
    if (!version || cuda.version(&number))
        return INVALID_ARGUMENT;
    snprintf(said, sizeof said, "%d.0.0", number / 1000);
    return text(version, length, said);
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *number) {
    if (!initialised)
        return UNINITIALIZED;
    if (!number)
        return INVALID_ARGUMENT;
    *number = (unsigned int)count();
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
    if (!initialised)
        return UNINITIALIZED;
    if (!device || index >= (unsigned int)count())
        return INVALID_ARGUMENT;
    *device = &devices[index];
    return SUCCESS;
}

static nvmlReturn_t uuid_of(nvmlDevice_t device, char said[48]) {
    unsigned char u[16];
    if (cuda.uuid(u, device->ordinal))
        return GPU_IS_LOST;
    snprintf(said, 48, "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3], u[4],
             u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
    char said[48];
    if (!initialised)
        return UNINITIALIZED;
    if (!uuid || !device)
        return INVALID_ARGUMENT;
    for (int i = 0; i < count(); i++)
        if (uuid_of(&devices[i], said) == SUCCESS && strcasecmp(said, uuid) == 0) {
            *device = &devices[i];
            return SUCCESS;
        }
    return NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci) {
    char said[32] = "";
    CHECK(device, pci);
    memset(pci, 0, sizeof *pci);
    if (cuda.pci(said, sizeof said, device->ordinal)
        || sscanf(said, "%x:%x:%x", &pci->domain, &pci->bus, &pci->device) != 3)
        return GPU_IS_LOST;
    snprintf(pci->busId, sizeof pci->busId, "%08X:%02X:%02X.0", pci->domain, pci->bus & 0xff, pci->device & 0xff);
    snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, "%04X:%02X:%02X.0", pci->domain & 0xffff, pci->bus & 0xff,
             pci->device & 0xff);
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device) {
    nvmlPciInfo_t pci;
    if (!initialised)
        return UNINITIALIZED;
    if (!bus_id || !device)
        return INVALID_ARGUMENT;
    for (int i = 0; i < count(); i++)
        if (nvmlDeviceGetPciInfo_v3(&devices[i], &pci) == SUCCESS
            && (strcasecmp(pci.busId, bus_id) == 0 || strcasecmp(pci.busIdLegacy, bus_id) == 0)) {
            *device = &devices[i];
            return SUCCESS;
        }
    return NOT_FOUND;
}

nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index) {
    CHECK(device, index);
    *index = (unsigned int)device->ordinal;
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length) {
    char said[256];
    CHECK(device, name);
    return cuda.name(said, sizeof said, device->ordinal) ? GPU_IS_LOST : text(name, length, said);
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length) {
    char said[48];
    CHECK(device, uuid);
    nvmlReturn_t answer = uuid_of(device, said);
    return answer == SUCCESS ? text(uuid, length, said) : answer;
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor) {
    CHECK(device, major && minor);
    return cuda.attribute(major, CAPABILITY_MAJOR, device->ordinal)
        || cuda.attribute(minor, CAPABILITY_MINOR, device->ordinal) ? GPU_IS_LOST : SUCCESS;
}

// Makes the device's primary context current; leave() undoes it.
static nvmlReturn_t enter(nvmlDevice_t device) {
    void *context;
    if (cuda.retain(&context, device->ordinal))
        return GPU_IS_LOST;
    if (cuda.push(context) == 0)
        return SUCCESS;
    cuda.release(device->ordinal);
    return GPU_IS_LOST;
}

static void leave(nvmlDevice_t device) {
    void *context;
    cuda.pop(&context);
    cuda.release(device->ordinal);
}

// Of the slice: what all of its sessions use together.
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    size_t free = 0, total = 0;
    CHECK(device, memory);
    if (enter(device))
        return GPU_IS_LOST;
    int code = cuda.memory(&free, &total);
    leave(device);
    if (code)
        return GPU_IS_LOST;
    *memory = (nvmlMemory_t){total, free, total - free};
    return SUCCESS;
}

// Time of the device that all sessions of the slice used. How busy its memory was nobody has measured.
nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization) {
    unsigned percent = 0;
    CHECK(device, utilization);
    if (enter(device))
        return GPU_IS_LOST;
    int code = usage->percent(&percent);
    leave(device);
    if (code)
        return GPU_IS_LOST;
    *utilization = (nvmlUtilization_t){percent, 0};
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory) {
    nvmlMemory_t plain;
    CHECK(device, memory);
    if (memory->version != (unsigned int)(sizeof *memory | 2u << 24))
        return VERSION_MISMATCH;
    nvmlReturn_t answer = nvmlDeviceGetMemoryInfo(device, &plain);
    if (answer == SUCCESS)
        *memory = (nvmlMemory_v2_t){memory->version, plain.total, 0, plain.free, plain.used};
    return answer;
}
