/* SPDX-License-Identifier: Apache-2.0 */
/* Codes: those of the shared files are CUDA's (below 1000), AscendCL's start at 100000, so they cannot be mixed up. */
#include <stdio.h>

#include "client.h"

static _Thread_local aclError last;
static _Thread_local char message[96];

static aclError translated(int status)
{
    switch (status) {
    case 1:   /* invalid value */
    case 200: /* invalid image */
        return ACL_ERROR_RT_PARAM_INVALID;
    case 2: /* out of memory */
        return ACL_ERROR_RT_MEMORY_ALLOCATION;
    case 400: /* invalid handle */
        return ACL_ERROR_RT_INVALID_HANDLE;
    case CHANNEL_LOST:
        return ACL_ERROR_RT_DRV_INTERNAL_ERROR;
    case 801: /* not supported */
        return ACL_ERROR_RT_FEATURE_NOT_SUPPORT;
    default:
        return status >= 100000 ? status : ACL_ERROR_RT_INTERNAL_ERROR;
    }
}

aclError client_status(int status)
{
    if (!status)
        return ACL_SUCCESS;
    last = translated(status);
    snprintf(message, sizeof message, "accelpool: the call on the remote device failed: error %d", last);
    return last;
}

aclError client_unsupported(const char *name, atomic_int *said)
{
    if (!atomic_exchange(said, 1))
        client_say("%s is not carried: the program gets %d (feature not supported)", name,
                   ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
    return CLIENT_STATUS(ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
}

aclError aclrtGetLastError(aclrtLastErrLevel level)
{
    const aclError error = last;

    if (level)
        return ACL_ERROR_RT_PARAM_INVALID;
    last = ACL_SUCCESS;
    return error;
}

aclError aclrtPeekAtLastError(aclrtLastErrLevel level)
{
    return level ? ACL_ERROR_RT_PARAM_INVALID : last;
}

const char *aclGetRecentErrMsg(void)
{
    static _Thread_local char taken[sizeof message];

    snprintf(taken, sizeof taken, "%s", message);
    message[0] = '\0';
    return taken[0] ? taken : NULL;
}
