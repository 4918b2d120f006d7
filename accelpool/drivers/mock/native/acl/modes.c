/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Switches of a device that this one remembers and that change nothing here: numbers that overflow are infinite, as IEEE
 * has it, and no operator runs into a time limit.
 */
#include "emu_acl.h"

#define INFINITIES 1 /* aclrtFloatOverflowMode: overflow gives infinity; 0 would saturate */
#define LIMIT_DEFAULT_S 1080u
/* Where operators of some chips note what overflows. Nothing of this device is there: its operators note nothing. */
#define OVERFLOW_ADDRESS UINT64_C(0x100008000000)

static _Atomic uint32_t overflow_switch, execute_limit_ms = LIMIT_DEFAULT_S * 1000;

API aclError aclrtSetStreamOverflowSwitch(aclrtStream stream, uint32_t flag) {
    struct stream *found;
    ACL_TRY(stream_find(stream, &found));
    if (flag > 1)
        return ACL_ERROR_RT_PARAM_INVALID;
    overflow_switch = flag;
    return ACL_SUCCESS;
}

API aclError aclrtGetStreamOverflowSwitch(aclrtStream stream, uint32_t *flag) {
    struct stream *found;
    ACL_TRY(stream_find(stream, &found));
    if (!flag)
        return ACL_ERROR_RT_PARAM_INVALID;
    *flag = overflow_switch;
    return ACL_SUCCESS;
}

API aclError aclrtSetDeviceSatMode(aclrtFloatOverflowMode mode) {
    return mode == INFINITIES ? ACL_SUCCESS : ACL_ERROR_RT_FEATURE_NOT_SUPPORT;
}

API aclError aclrtGetDeviceSatMode(aclrtFloatOverflowMode *mode) {
    if (!mode)
        return ACL_ERROR_RT_PARAM_INVALID;
    *mode = INFINITIES;
    return ACL_SUCCESS;
}

API aclError aclrtSetOpExecuteTimeOut(uint32_t seconds) {
    execute_limit_ms = seconds > UINT32_MAX / 1000 ? UINT32_MAX : seconds * 1000;
    return ACL_SUCCESS;
}

API aclError aclrtSetOpExecuteTimeOutV2(uint64_t microseconds, uint64_t *actual) {
    if (!actual)
        return ACL_ERROR_RT_PARAM_INVALID;
    execute_limit_ms = (uint32_t)(microseconds / 1000 > UINT32_MAX ? UINT32_MAX : microseconds / 1000);
    *actual = execute_limit_ms * UINT64_C(1000);
    return ACL_SUCCESS;
}

API aclError aclrtGetOpExecuteTimeout(uint32_t *milliseconds) {
    if (!milliseconds)
        return ACL_ERROR_RT_PARAM_INVALID;
    *milliseconds = execute_limit_ms;
    return ACL_SUCCESS;
}

API aclError aclrtSetOpWaitTimeout(uint32_t seconds) {
    (void)seconds; /* streams wait as long as it takes */
    return ACL_SUCCESS;
}

/* After a failure nothing runs on the device any more, whatever the mode: that is the stricter of the two. */
API aclError aclrtSetStreamFailureMode(aclrtStream stream, uint64_t mode) {
    struct stream *found;
    ACL_TRY(stream_find(stream, &found));
    return mode <= 1 ? ACL_SUCCESS : ACL_ERROR_RT_PARAM_INVALID;
}

API aclError aclrtCtxGetFloatOverflowAddr(void **address) {
    aclrtContext context;
    if (!address)
        return ACL_ERROR_RT_PARAM_INVALID;
    const aclError status = aclrtGetCurrentContext(&context);
    if (!status)
        *address = (void *)OVERFLOW_ADDRESS;
    return status;
}

/* Nothing is ever noted, because numbers become infinite: all is zero. */
API aclError aclrtNpuGetFloatOverFlowStatus(void *output, uint64_t bytes, uint32_t check, aclrtStream stream) {
    (void)check;
    return acl_status(cuMemsetD8Async((CUdeviceptr)output, 0, bytes, stream));
}

API aclError aclrtNpuClearFloatOverFlowStatus(uint32_t check, aclrtStream stream) {
    struct stream *found;
    (void)check;
    return acl_status(stream_find(stream, &found));
}
