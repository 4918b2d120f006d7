/* SPDX-License-Identifier: Apache-2.0 */
/* What the device and the runtime say about themselves: from the session's snapshot, so that nobody asks twice. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "acl_device.h"
#include "acl_platform.h"
#include "acl_wire.h"
#include "client.h"

/* Of the headers that the interface description follows: what a later one has is not here, whatever the worker has. */
#define CARRIED ACL_VERSION(1, 17, 0)
enum { CUBE_UNITS = 102, VECTOR_UNITS = 201, MEMORY_BYTES = 301 }; /* aclrtDevAttr */

static int device_of(int32_t ordinal, struct device **device)
{
    uint32_t count;
    aclError status = aclrtGetDeviceCount(&count);

    *device = status ? NULL : client_device(ordinal);
    return status ? status : *device ? 0 : ACL_ERROR_RT_INVALID_DEVICEID;
}

static int attribute_of(const struct device *device, aclrtDevAttr attribute, int64_t *value)
{
    if (attribute == MEMORY_BYTES) {
        *value = (int64_t)device->memory_limit;
        return 0;
    }
    for (unsigned i = 0; i < ACL_ATTRIBUTES; i++)
        if (ACL_ATTRIBUTE[i] == attribute && device->snapshot.attributes[i] != WIRE_ATTRIBUTE_NONE) {
            *value = device->snapshot.attributes[i];
            return 0;
        }
    return CLIENT_INVALID_VALUE;
}

const char *aclrtGetSocName(void)
{
    struct device *device;

    if (client_enter(&device) && device_of(0, &device))
        return NULL;
    return device->snapshot.name;
}

/* Operators ask it which kernels to take, so it has to be the chip that they run on. */
int32_t rtGetSocSpec(const char *label, const char *key, char *val, uint32_t maxLen)
{
    struct wire_acl_spec call = {.room = maxLen < WIRE_ACL_VALUE ? maxLen : WIRE_ACL_VALUE};
    struct wire_acl_spec_reply answer;
    struct device *device;
    int status = 0;

    if (!label || !key || !val || strlen(label) >= WIRE_ACL_NAME || strlen(key) >= WIRE_ACL_NAME)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    if (client_enter(&device))
        status = device_of(0, &device);
    strcpy(call.label, label);
    strcpy(call.key, key);
    if (!status)
        status = session_wait(device, ACL_OP_rtGetSocSpec, &call, sizeof call, &answer.reply, sizeof answer, 0);
    if (!status)
        snprintf(val, maxLen, "%.*s", (int)sizeof answer.value - 1, answer.value);
    return CLIENT_STATUS(status);
}

aclError aclrtGetDeviceInfo(uint32_t deviceId, aclrtDevAttr attr, int64_t *value)
{
    struct device *device;
    int status = device_of((int32_t)deviceId, &device);

    if (!status)
        status = value ? attribute_of(device, attr, value) : CLIENT_INVALID_VALUE;
    return CLIENT_STATUS(status);
}

aclError aclrtDeviceGetUuid(int32_t deviceId, aclrtUuid *uuid)
{
    struct device *device;
    int status = device_of(deviceId, &device);

    if (!status && !uuid)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        memcpy(uuid->bytes, device->snapshot.uuid, sizeof uuid->bytes);
    return CLIENT_STATUS(status);
}

static int cores(const struct device *device, aclrtDevResLimitType type, uint32_t *value)
{
    int64_t number = 0;
    int status = value && (unsigned)type <= 1
                     ? attribute_of(device, type ? VECTOR_UNITS : CUBE_UNITS, &number)
                     : CLIENT_INVALID_VALUE;

    if (!status)
        *value = (uint32_t)number;
    return status;
}

/* Nobody can set a limit (refused), so it is all that there is. */
aclError aclrtGetDeviceResLimit(int32_t deviceId, aclrtDevResLimitType type, uint32_t *value)
{
    struct device *device;
    int status = device_of(deviceId, &device);

    return CLIENT_STATUS(status ? status : cores(device, type, value));
}

aclError aclrtGetResInCurrentThread(aclrtDevResLimitType type, uint32_t *value)
{
    struct device *device;
    int status = client_enter(&device);

    return CLIENT_STATUS(status ? status : cores(device, type, value));
}

aclError aclrtGetStreamResLimit(aclrtStream stream, aclrtDevResLimitType type, uint32_t *value)
{
    struct device *device;
    uint64_t id;
    int status = client_enter(&device);

    if (!status)
        status = client_stream(device, stream, &id);
    return CLIENT_STATUS(status ? status : cores(device, type, value));
}

aclError aclrtDeviceCanAccessPeer(int32_t *canAccessPeer, int32_t deviceId, int32_t peerDeviceId)
{
    struct device *device;
    int status = canAccessPeer ? device_of(deviceId, &device) : CLIENT_INVALID_VALUE;

    if (!status)
        status = device_of(peerDeviceId, &device);
    if (!status)
        *canAccessPeer = 0; /* slices are apart; copies between them go through the program's memory */
    return CLIENT_STATUS(status);
}

aclError aclrtGetLogicDevIdByUserDevId(const int32_t userDevid, int32_t *logicDevId)
{
    struct device *device;
    int status = logicDevId ? device_of(userDevid, &device) : CLIENT_INVALID_VALUE;

    if (!status)
        *logicDevId = userDevid;
    return CLIENT_STATUS(status);
}

aclError aclrtDeviceGetBareTgid(int32_t *pid)
{
    if (!pid)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    *pid = (int32_t)getpid();
    return ACL_SUCCESS;
}

aclError aclrtGetRunMode(aclrtRunMode *runMode)
{
    if (!runMode)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    *runMode = ACL_RUN_ON_HOST;
    return ACL_SUCCESS;
}

aclError aclrtGetVersion(int32_t *majorVersion, int32_t *minorVersion, int32_t *patchVersion)
{
    if (!majorVersion || !minorVersion || !patchVersion)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    struct device *device;
    int32_t version = device_of(0, &device) ? 0 : device->snapshot.driver_version;

    if (version <= 0 || version > CARRIED)
        version = CARRIED;
    *majorVersion = ACL_VERSION_MAJOR(version);
    *minorVersion = ACL_VERSION_MINOR(version);
    *patchVersion = ACL_VERSION_PATCH(version);
    return ACL_SUCCESS;
}

/* --- what is not there, and no error ------------------------------------------------------------------------------- */

/* Options that the operators in the program read when they prepare a launch: the device never sees them. */
#define OPTIONS 8
static _Atomic int64_t options[OPTIONS];

aclError aclrtSetSysParamOpt(aclSysParamOpt opt, int64_t value)
{
    if ((unsigned)opt >= OPTIONS)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    options[opt] = value;
    return ACL_SUCCESS;
}

aclError aclrtGetSysParamOpt(aclSysParamOpt opt, int64_t *value)
{
    if ((unsigned)opt >= OPTIONS || !value)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    *value = options[opt];
    return ACL_SUCCESS;
}

/* There is one context's worth of them. */
aclError aclrtCtxSetSysParamOpt(aclSysParamOpt opt, int64_t value)
{
    return aclrtSetSysParamOpt(opt, value);
}

aclError aclrtCtxGetSysParamOpt(aclSysParamOpt opt, int64_t *value)
{
    return aclrtGetSysParamOpt(opt, value);
}

/* Optional abilities of a device: none is promised. */
aclError aclGetDeviceCapability(uint32_t deviceId, aclDeviceInfo deviceInfo, int64_t *value)
{
    struct device *device;
    int status = value ? device_of((int32_t)deviceId, &device) : CLIENT_INVALID_VALUE;
    int64_t memory;

    if (!status && (unsigned)deviceInfo > 2)
        status = CLIENT_INVALID_VALUE;
    if (!status && deviceInfo < 2 && attribute_of(device, deviceInfo ? VECTOR_UNITS : CUBE_UNITS, value))
        *value = 0;
    if (!status && deviceInfo == 2 && !attribute_of(device, 302, &memory))
        *value = memory;
    return CLIENT_STATUS(status);
}

/* The host has no CANN of its own: what is installed is told by CANN's own files. */
aclError aclsysGetCANNVersion(aclCANNPackageName name, aclCANNPackageVersion *version)
{
    (void)name, (void)version;
    return CLIENT_STATUS(ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
}

aclError aclsysGetVersionStr(char *pkgName, char *versionStr)
{
    (void)pkgName, (void)versionStr;
    return CLIENT_STATUS(ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
}

aclError aclGetCannAttributeList(const aclCannAttr **cannAttrList, size_t *num)
{
    if (!cannAttrList || !num)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    *cannAttrList = NULL;
    *num = 0;
    return ACL_SUCCESS;
}

aclError aclGetCannAttribute(aclCannAttr cannAttr, int32_t *value)
{
    (void)cannAttr;
    if (!value)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    *value = 0;
    return ACL_SUCCESS;
}

aclError aclmdlRICaptureGetInfo(aclrtStream stream, aclmdlRICaptureStatus *status, aclmdlRI *modelRI)
{
    uint64_t id;

    if (stream && handle_id(HANDLE_STREAM, NULL, stream, &id))
        return CLIENT_STATUS(ACL_ERROR_RT_INVALID_HANDLE);
    if (!status)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    *status = 0; /* capturing is refused, so nothing is being captured */
    if (modelRI)
        *modelRI = NULL;
    return ACL_SUCCESS;
}

aclError aclmdlRICaptureThreadExchangeMode(aclmdlRICaptureMode *mode)
{
    static _Thread_local aclmdlRICaptureMode kept;

    if (!mode || (unsigned)*mode > 2)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    const aclmdlRICaptureMode before = kept;
    kept = *mode;
    *mode = before;
    return ACL_SUCCESS;
}

/* Profiling is not carried: nothing is ever switched on, so there is nothing to report to. */
aclError aclrtGetThreadLastTaskId(uint32_t *taskId)
{
    if (!taskId)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    *taskId = 0;
    return ACL_SUCCESS;
}

aclError aclrtCacheLastTaskOpInfo(const void *infoPtr, size_t infoSize)
{
    (void)infoPtr, (void)infoSize;
    return ACL_SUCCESS;
}

int32_t MsprofRegisterCallback(uint32_t module, ProfCommandHandle callback)
{
    (void)module, (void)callback;
    return 0;
}

int32_t MsprofReportApi(uint32_t aging, const struct MsprofApi *data)
{
    (void)aging, (void)data;
    return 0;
}

int32_t MsprofReportCompactInfo(uint32_t aging, void *data, uint32_t length)
{
    (void)aging, (void)data, (void)length;
    return 0;
}

int32_t MsprofReportAdditionalInfo(uint32_t aging, void *data, uint32_t length)
{
    (void)aging, (void)data, (void)length;
    return 0;
}

uint64_t MsprofSysCycleTime(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* FNV-1a, 64 bits. */
uint64_t MsprofGetHashId(const char *text, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; text && i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    return hash;
}

/* The library's users log to CANN's log files, which are not here. */
void aclAppLog(aclLogLevel logLevel, const char *func, const char *file, uint32_t line, const char *fmt, ...)
{
    (void)logLevel, (void)func, (void)file, (void)line, (void)fmt;
}
