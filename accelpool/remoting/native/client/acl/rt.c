/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layer below aclrt, as far as programs that compile their own kernels link to it: a kernel is known by the address of
 * a host function that stands for it.
 */
#include <pthread.h>
#include <stdlib.h>

#include "client.h"

enum { LOAD_MAGIC = 2 }; /* aclrtBinaryLoadOptionType */

struct stub {
    struct stub *next;
    const void *function;
    struct device *device;
    aclrtFuncHandle kernel;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stub *stubs;

/* With the lock. */
static struct stub *find(const void *function, const struct device *device)
{
    struct stub *stub = stubs;

    while (stub && (stub->function != function || stub->device != device))
        stub = stub->next;
    return stub;
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

/* The kernel's name in the binary is kernelInfoExt; a later registration of the same function replaces the first. */
int32_t rtFunctionRegister(void *binHandle, const void *stubFunc, const char *stubName, const void *kernelInfoExt,
                           uint32_t funcMode)
{
    const char *name = kernelInfoExt ? kernelInfoExt : stubName;
    struct stub *fresh = calloc(1, sizeof *fresh), *stub;
    aclrtFuncHandle kernel;
    int status = fresh ? client_enter(&fresh->device) : CLIENT_OUT_OF_MEMORY;

    (void)funcMode;
    if (!status && !stubFunc)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        status = aclrtBinaryGetFunction(binHandle, name, &kernel);
    if (status) {
        free(fresh);
        return CLIENT_STATUS(status);
    }
    pthread_mutex_lock(&lock);
    stub = find(stubFunc, fresh->device);
    if (!stub) {
        stub = fresh;
        stub->function = stubFunc;
        stub->next = stubs;
        stubs = stub;
    }
    stub->kernel = kernel;
    pthread_mutex_unlock(&lock);
    if (stub != fresh)
        free(fresh);
    return ACL_SUCCESS;
}

int32_t rtKernelLaunch(const void *stubFunc, uint32_t numBlocks, void *args, uint32_t argsSize, void *smDesc, void *stm)
{
    struct device *device;
    aclrtFuncHandle kernel = NULL;
    int status = client_enter(&device);

    if (!status && smDesc) /* shared memory is described by addresses of the program's */
        status = ACL_ERROR_RT_FEATURE_NOT_SUPPORT;
    if (status)
        return CLIENT_STATUS(status);
    pthread_mutex_lock(&lock);
    struct stub *stub = find(stubFunc, device);
    if (stub)
        kernel = stub->kernel;
    pthread_mutex_unlock(&lock);
    if (!kernel)
        return CLIENT_STATUS(ACL_ERROR_RT_INVALID_HANDLE);
    return aclrtLaunchKernelWithHostArgs(kernel, numBlocks, stm, NULL, args, argsSize, NULL, 0);
}
