/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layer below aclrt, as far as programs that compile their own kernels and the operators of CANN up to 8.3 link to it:
 * a kernel is known by the address of a host function that stands for it, or by its binary and a number (the key of its
 * tiling). Underneath they are aclrt's binaries and functions.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "rt.h"

enum { LOAD_MAGIC = 2 }; /* aclrtBinaryLoadOptionType */
#define NAME_MAX_BYTES 1024u

struct stub {
    struct stub *next;
    const void *function; /* NULL: known by binary and number */
    void *binary;
    uint64_t number;
    struct device *device;
    aclrtFuncHandle kernel;
    char *name;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stub *stubs;

/* With the lock. */
static struct stub *find(const void *function, const struct device *device)
{
    struct stub *stub = stubs;

    while (stub && (!function || stub->function != function || stub->device != device))
        stub = stub->next;
    return stub;
}

static struct stub *find_number(const void *binary, uint64_t number)
{
    struct stub *stub = stubs;

    while (stub && (stub->function || stub->binary != binary || stub->number != number))
        stub = stub->next;
    return stub;
}

static struct stub *find_name(const char *name)
{
    struct stub *stub = stubs;

    while (stub && (!stub->name || strcmp(stub->name, name)))
        stub = stub->next;
    return stub;
}

static void stub_free(struct stub *stub)
{
    free(stub->name);
    free(stub);
}

/* With the lock. */
static void add(struct stub *stub)
{
    stub->next = stubs;
    stubs = stub;
}

/* Binary and function numbers come again late, so what is remembered of a binary must not outlive it. */
static void forget(const void *binary)
{
    pthread_mutex_lock(&lock);
    for (struct stub **at = &stubs, *stub; (stub = *at);)
        if (stub->binary == binary) {
            *at = stub->next;
            stub_free(stub);
        } else {
            at = &stub->next;
        }
    pthread_mutex_unlock(&lock);
}

int32_t rtDevBinaryRegister(const struct rt_binary *bin, void **hdl)
{
    aclrtBinaryLoadOption magic = {.type = LOAD_MAGIC};
    aclrtBinaryLoadOptions options = {.options = &magic, .numOpt = 1};

    if (!bin)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    magic.value[0] = bin->magic;
    return aclrtBinaryLoadFromData(bin->data, bin->length, &options, hdl);
}

/* A binary whose kernels go by numbers; which of them there are is asked when one is launched first. */
int32_t rtRegisterAllKernel(const struct rt_binary *bin, void **hdl)
{
    return rtDevBinaryRegister(bin, hdl);
}

int32_t rtDevBinaryUnRegister(void *hdl)
{
    const aclError status = aclrtBinaryUnLoad(hdl);

    if (!status)
        forget(hdl);
    return status;
}

/* The kernel's name in the binary is kernelInfoExt; a later registration of the same function replaces the first. */
int32_t rtFunctionRegister(void *binHandle, const void *stubFunc, const char *stubName, const void *kernelInfoExt,
                           uint32_t funcMode)
{
    const char *name = kernelInfoExt ? kernelInfoExt : stubName;
    struct stub *fresh = calloc(1, sizeof *fresh), *stub;
    int status = fresh ? client_enter(&fresh->device) : CLIENT_OUT_OF_MEMORY;

    (void)funcMode;
    if (!status && (!stubFunc || (stubName && strnlen(stubName, NAME_MAX_BYTES) == NAME_MAX_BYTES)))
        status = CLIENT_INVALID_VALUE;
    if (!status && stubName && !(fresh->name = strdup(stubName)))
        status = CLIENT_OUT_OF_MEMORY;
    if (!status)
        status = aclrtBinaryGetFunction(binHandle, name, &fresh->kernel);
    if (status) {
        if (fresh)
            stub_free(fresh);
        return CLIENT_STATUS(status);
    }
    fresh->function = stubFunc;
    fresh->binary = binHandle;
    pthread_mutex_lock(&lock);
    stub = find(stubFunc, fresh->device);
    if (stub) {
        free(stub->name);
        stub->name = fresh->name;
        stub->binary = binHandle;
        stub->kernel = fresh->kernel;
        fresh->name = NULL;
    } else {
        add(fresh);
    }
    pthread_mutex_unlock(&lock);
    if (stub)
        stub_free(fresh);
    return ACL_SUCCESS;
}

int32_t rtGetFunctionByName(const char *stubName, void **stubFunc)
{
    const struct stub *stub = NULL;

    if (!stubName || !stubFunc)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    pthread_mutex_lock(&lock);
    stub = find_name(stubName);
    if (stub)
        *stubFunc = (void *)stub->function;
    pthread_mutex_unlock(&lock);
    return stub ? ACL_SUCCESS : CLIENT_STATUS(ACL_ERROR_RT_INVALID_HANDLE);
}

int32_t rtQueryFunctionRegistered(const char *stubName)
{
    void *function;

    return rtGetFunctionByName(stubName, &function);
}

/* --- what a launch names ------------------------------------------------------------------------------------------ */

int rt_kernel_by_stub(struct device *device, const void *function, aclrtFuncHandle *kernel)
{
    const struct stub *stub;

    pthread_mutex_lock(&lock);
    stub = find(function, device);
    if (stub)
        *kernel = stub->kernel;
    pthread_mutex_unlock(&lock);
    return stub ? 0 : ACL_ERROR_RT_INVALID_HANDLE;
}

int rt_kernel_by_number(struct device *device, void *binary, uint64_t number, aclrtFuncHandle *kernel)
{
    struct stub *stub, *fresh;
    int status;

    pthread_mutex_lock(&lock);
    stub = find_number(binary, number);
    if (stub)
        *kernel = stub->kernel;
    pthread_mutex_unlock(&lock);
    if (stub)
        return 0;
    status = aclrtBinaryGetFunctionByEntry(binary, number, kernel);
    fresh = status ? NULL : calloc(1, sizeof *fresh);
    if (!fresh)
        return status; /* out of memory: the next launch asks again */
    *fresh = (struct stub){.binary = binary, .number = number, .device = device, .kernel = *kernel};
    pthread_mutex_lock(&lock);
    add(fresh); /* twice, when two threads asked at once: both are right */
    pthread_mutex_unlock(&lock);
    return 0;
}
