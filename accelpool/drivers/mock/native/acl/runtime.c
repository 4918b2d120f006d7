/* SPDX-License-Identifier: Apache-2.0 */
/* The process, its one device, and what the device says about itself. */
#include <stdlib.h>
#include <string.h>

#include "emu_acl.h"

#define SOC_DEFAULT "Ascend910B3"

aclError acl_status(CUresult status) {
    switch (status) {
    case CUDA_SUCCESS:
        return ACL_SUCCESS;
    case CUDA_ERROR_INVALID_VALUE:
        return ACL_ERROR_RT_PARAM_INVALID;
    case CUDA_ERROR_OUT_OF_MEMORY:
        return ACL_ERROR_RT_MEMORY_ALLOCATION;
    case CUDA_ERROR_NOT_INITIALIZED:
        return ACL_ERROR_UNINITIALIZE;
    case CUDA_ERROR_NO_DEVICE:
        return ACL_ERROR_RT_NO_DEVICE;
    case CUDA_ERROR_INVALID_DEVICE:
        return ACL_ERROR_RT_INVALID_DEVICEID;
    case CUDA_ERROR_INVALID_CONTEXT:
    case CUDA_ERROR_CONTEXT_IS_DESTROYED:
        return ACL_ERROR_RT_CONTEXT_NULL;
    case CUDA_ERROR_INVALID_HANDLE:
        return ACL_ERROR_RT_INVALID_HANDLE;
    case CUDA_ERROR_NOT_SUPPORTED:
        return ACL_ERROR_RT_FEATURE_NOT_SUPPORT;
    case CUDA_ERROR_ILLEGAL_ADDRESS:
        return ACL_ERROR_RT_AICORE_EXCEPTION;
    default:
        return status >= 100000 ? status : ACL_ERROR_RT_INTERNAL_ERROR;
    }
}

API aclError aclInit(const char *configuration) {
    (void)configuration;
    return acl_status(cuInit(0));
}

API aclError aclFinalize(void) {
    return ACL_SUCCESS;
}

API aclError aclrtGetDeviceCount(uint32_t *count) {
    ACL_TRY(initialised());
    if (!count)
        return ACL_ERROR_RT_PARAM_INVALID;
    *count = 1;
    return ACL_SUCCESS;
}

API aclError aclrtSetDevice(int32_t device) {
    CUcontext context;
    ACL_TRY(initialised());
    if (device)
        return ACL_ERROR_RT_INVALID_DEVICEID;
    ACL_TRY(cuDevicePrimaryCtxRetain(&context, 0));
    return acl_status(cuCtxSetCurrent(context));
}

API aclError aclrtGetCurrentContext(aclrtContext *context) {
    CUcontext current = NULL;
    if (!context)
        return ACL_ERROR_RT_PARAM_INVALID;
    ACL_TRY(cuCtxGetCurrent(&current));
    *context = current;
    return current ? ACL_SUCCESS : ACL_ERROR_RT_CONTEXT_NULL;
}

API aclError aclrtSetCurrentContext(aclrtContext context) {
    return acl_status(cuCtxSetCurrent(context));
}

API aclError aclrtSynchronizeDevice(void) {
    return acl_status(cuCtxSynchronize());
}

API const char *aclrtGetSocName(void) {
    static char name[64];
    const char *text = getenv("ACCELPOOL_EMU_DEVICE"), *soc = text ? strstr(text, "soc=") : NULL;
    size_t length = soc ? strcspn(soc + 4, ";") : 0;
    if (!length || length >= sizeof name)
        return SOC_DEFAULT;
    memcpy(name, soc + 4, length);
    name[length] = '\0';
    return name;
}

API aclError aclrtDeviceGetUuid(int32_t device, aclrtUuid *uuid) {
    ACL_TRY(device_check(device));
    if (!uuid)
        return ACL_ERROR_RT_PARAM_INVALID;
    memcpy(uuid->bytes, emu_device.uuid, sizeof uuid->bytes);
    return ACL_SUCCESS;
}

/* Cores are what the description calls sm: AI cores, each with one cube and two vector units as in the 910B series. */
API aclError aclrtGetDeviceInfo(uint32_t device, aclrtDevAttr attribute, int64_t *value) {
    ACL_TRY(device_check((int)device));
    if (!value)
        return ACL_ERROR_RT_PARAM_INVALID;
    switch (attribute) {
    case 1: /* AI CPUs */
        *value = 6;
        break;
    case 101: /* AI cores */
    case 102: /* cube units */
        *value = emu_device.multiprocessors;
        break;
    case 201: /* vector units */
        *value = 2 * (int64_t)emu_device.multiprocessors;
        break;
    case 301: /* bytes of memory */
        *value = (int64_t)emu_device.total_bytes;
        break;
    case 302: /* bytes of L2 cache */
        *value = 192 << 20;
        break;
    case 402: /* chip id */
        *value = 0;
        break;
    case 501: /* cut into vNPUs: this one is not, the agent meters it */
        *value = 0;
        break;
    default:
        return ACL_ERROR_RT_PARAM_INVALID;
    }
    return ACL_SUCCESS;
}
