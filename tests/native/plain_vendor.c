/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the emulated CUDA library look like a vendor's own: the worker finds no accelpool_backend_* in it (the build defines
 * them as absolute zeros), so it meters by itself. PTX is not translated here: $PLAIN_VENDOR_MODULE is what every module is.
 * It has the functions of compute capability 9.0, and attributes that say so with $PLAIN_VENDOR_HOPPER.
 * $PLAIN_VENDOR_RANGE is how many GiB of addresses can be reserved, and where they lie is the library's choice then: a place
 * where programs have nothing, for they have to follow.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>

#include "backend.h"
#include "hopper_vendor.h"

#define CHOSEN UINT64_C(0x3a0000000000)

static uint64_t enter(void *opaque)
{
    (void)opaque;
    return UINT64_C(1) << 60;
}

static int charge(void *opaque, uint64_t used)
{
    (void)opaque, (void)used;
    return 1;
}

static void idle(void *opaque)
{
    (void)opaque;
}

static int translate(void *opaque, const char *ptx, size_t length, int *module, char *log, size_t log_size)
{
    const char *path = getenv("PLAIN_VENDOR_MODULE");

    (void)opaque, (void)ptx, (void)length, (void)log, (void)log_size;
    *module = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    return *module < 0 ? 218 : 0; /* CUDA_ERROR_INVALID_PTX */
}

static int touch(void *opaque, uint64_t bytes)
{
    (void)opaque, (void)bytes;
    return 0;
}

static void untouch(void *opaque, uint64_t bytes)
{
    (void)opaque, (void)bytes;
}

int cuMemAddressReserve(uint64_t *address, size_t bytes, size_t alignment, uint64_t at, uint64_t flags)
{
    int (*reserve)(uint64_t *, size_t, size_t, uint64_t, uint64_t);
    const char *most = getenv("PLAIN_VENDOR_RANGE");

    *(void **)&reserve = dlsym(RTLD_NEXT, "cuMemAddressReserve");
    if (most && bytes > strtoull(most, NULL, 10) << 30)
        return 2;
    return reserve(address, bytes, alignment, most ? CHOSEN : at, flags);
}

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    int (*get)(int *, int, int);

    *(void **)&get = dlsym(RTLD_NEXT, "cuDeviceGetAttribute");
    if (!getenv("PLAIN_VENDOR_HOPPER") || (attribute != 120 && attribute != 127))
        return get(value, attribute, device);
    *value = 1; /* cluster launches, tensor maps */
    return 0;
}

static void __attribute__((constructor)) start(void)
{
    static const struct accelpool_backend_host host = {
        .version = ACCELPOOL_BACKEND_VERSION, .gate_enter = enter, .gate_charge = charge, .gate_idle = idle,
        .translate = translate, .touch = touch, .untouch = untouch};
    int (*attach)(const struct accelpool_backend_host *);

    *(void **)&attach = dlsym(RTLD_NEXT, "accelpool_backend_attach");
    if (!attach || attach(&host))
        abort();
}
