/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVIDIA's libcuda.so.1 on a host of the stand-in of NVML: which device it finds, and the MPS client in it.  The emulated
 * library behind it does everything else.
 *
 * <CUDA_VISIBLE_DEVICES>.device beside the library, where there is one, says what the device is (ACCELPOOL_EMU_DEVICE).
 *
 * As NVIDIA's MPS documentation says: a program that does not reach the control daemon runs without MPS and without a
 * word; CUDA_MPS_ACTIVE_THREAD_PERCENTAGE lowers the number of multiprocessors that a client sees; and
 * CUDA_MPS_PINNED_DEVICE_MEM_LIMIT is what all allocations of the client may take, those of the driver itself included.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
#define ATTRIBUTE_MULTIPROCESSORS 16
#define ATTRIBUTE_MPS_ENABLED 133
#define OUT_OF_MEMORY 2
/* What the driver takes of the limit itself: as much as is missing on a Tesla T4 (cuMemGetInfo beside the limit). */
#define CONTEXT (UINT64_C(24) << 20)

#define NEXT(name, types) int(*name) types = (int(*) types)dlsym(RTLD_NEXT, #name)

static _Atomic uint64_t used = CONTEXT; /* and what is allocated or mapped: nothing here keeps unmapped memory */
static uint64_t limit = UINT64_MAX;
static int connection = -1, percentage = 100;

static const char *variable(const char *name)
{
    const char *found = getenv(name);

    return found && *found ? found : "-";
}

/* "0=2048M": device 0, which is the only one here. */
static void read_limits(void)
{
    char unit = 0;
    unsigned long number;

    percentage = getenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE") ? atoi(getenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE")) : 100;
    if (sscanf(variable("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"), "0=%lu%c", &number, &unit) == 2)
        limit = (uint64_t)number << (unit == 'G' ? 30 : 20);
}

static void reach_daemon(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char line[512];
    int length;

    length = snprintf(address.sun_path, sizeof address.sun_path, "%s/control", variable("CUDA_MPS_PIPE_DIRECTORY"));
    if (length >= (int)sizeof address.sun_path)
        return;
    connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    length = snprintf(line, sizeof line, "%d %s %s %s\n", getpid(), variable("CUDA_VISIBLE_DEVICES"),
                      variable("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"), variable("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"));
    if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address) ||
        write(connection, line, (size_t)length) != length || read(connection, line, sizeof line) <= 0) {
        close(connection);
        connection = -1;
        return;
    }
    read_limits();
}

static void find_device(void)
{
    char path[4096], line[512];
    Dl_info self;
    FILE *file;

    if (!dladdr((void *)(uintptr_t)find_device, &self) || !strrchr(self.dli_fname, '/'))
        return;
    snprintf(path, sizeof path, "%.*s%s.device", (int)(strrchr(self.dli_fname, '/') + 1 - self.dli_fname), self.dli_fname,
             variable("CUDA_VISIBLE_DEVICES"));
    file = fopen(path, "r");
    if (file && fgets(line, sizeof line, file))
        setenv("ACCELPOOL_EMU_DEVICE", line, 1);
    if (file)
        fclose(file);
}

API int cuInit(unsigned flags)
{
    NEXT(cuInit, (unsigned));

    find_device();
    if (connection < 0)
        reach_daemon();
    return cuInit(flags);
}

API int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    NEXT(cuDeviceGetAttribute, (int *, int, int));
    int status = cuDeviceGetAttribute(value, attribute, device);

    if (!status && attribute == ATTRIBUTE_MPS_ENABLED)
        *value = connection >= 0;
    if (!status && attribute == ATTRIBUTE_MULTIPROCESSORS && *value > 1)
        *value = *value * percentage < 100 ? 1 : *value * percentage / 100;
    return status;
}

API int cuMemAlloc_v2(uint64_t *address, size_t bytes)
{
    NEXT(cuMemAlloc_v2, (uint64_t *, size_t));
    int status = bytes > limit || atomic_load(&used) > limit - bytes ? OUT_OF_MEMORY : cuMemAlloc_v2(address, bytes);

    if (!status)
        atomic_fetch_add(&used, bytes);
    return status;
}

API int cuMemFree_v2(uint64_t address)
{
    NEXT(cuMemFree_v2, (uint64_t));
    NEXT(cuMemGetAddressRange_v2, (uint64_t *, size_t *, uint64_t));
    size_t bytes = 0;

    if (!cuMemGetAddressRange_v2(NULL, &bytes, address))
        atomic_fetch_sub(&used, bytes);
    return cuMemFree_v2(address);
}

API int cuMemCreate(uint64_t *handle, size_t bytes, const void *prop, uint64_t flags)
{
    NEXT(cuMemCreate, (uint64_t *, size_t, const void *, uint64_t));

    return bytes > limit || atomic_load(&used) > limit - bytes ? OUT_OF_MEMORY : cuMemCreate(handle, bytes, prop, flags);
}

API int cuMemMap(uint64_t address, size_t bytes, size_t offset, uint64_t handle, uint64_t flags)
{
    NEXT(cuMemMap, (uint64_t, size_t, size_t, uint64_t, uint64_t));
    int status = cuMemMap(address, bytes, offset, handle, flags);

    if (!status)
        atomic_fetch_add(&used, bytes);
    return status;
}

API int cuMemUnmap(uint64_t address, size_t bytes)
{
    NEXT(cuMemUnmap, (uint64_t, size_t));
    int status = cuMemUnmap(address, bytes);

    if (!status)
        atomic_fetch_sub(&used, bytes);
    return status;
}
