/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of AscendCL's binary interface that accelpool speaks: type widths, layouts, numbers. Only facts;
 * tests/native/abi/acl_facts.c checks each of them against the vendor's public headers where they are installed.
 */
#ifndef ACCELPOOL_ACL_ABI_H
#define ACCELPOOL_ACL_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef int aclError;
typedef void *aclrtContext;
typedef void *aclrtStream;
typedef void *aclrtEvent;
typedef void *aclrtBinHandle;
typedef void *aclrtFuncHandle;
typedef void *aclrtArgsHandle;
typedef void *aclrtDrvMemHandle;

/* Enumerations travel as the int that they are. */
typedef int aclrtMemMallocPolicy, aclrtMemcpyKind, aclrtMemAttr, aclrtStreamStatus, aclrtEventStatus, aclrtRunMode,
    aclrtEventRecordedStatus, aclrtEventWaitStatus, aclrtDevAttr, aclrtDevResLimitType, aclrtCallbackBlockType,
    aclrtLastErrLevel, aclSysParamOpt, aclDeviceInfo, aclCANNPackageName, aclrtFloatOverflowMode,
    aclrtMemLocationType, aclrtLaunchKernelAttrId, aclrtBinaryLoadOptionType, aclmdlRICaptureStatus, aclCannAttr,
    aclLogLevel, aclmdlRICaptureMode, aclCompileOpt;
typedef void *aclmdlRI;
typedef void (*aclrtCallback)(void *user);
typedef void (*aclrtHostFunc)(void *arguments);

enum {
    ACL_SUCCESS = 0,
    ACL_ERROR_UNINITIALIZE = 100001,
    ACL_ERROR_REPEAT_INITIALIZE = 100002,
    ACL_ERROR_RT_PARAM_INVALID = 107000,
    ACL_ERROR_RT_INVALID_DEVICEID = 107001,
    ACL_ERROR_RT_CONTEXT_NULL = 107002,
    ACL_ERROR_RT_STREAM_CONTEXT = 107003,
    ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID = 107006,
    ACL_ERROR_RT_FILE_OPEN = 107009,
    ACL_ERROR_RT_STREAM_SUBSCRIBE = 107011,
    ACL_ERROR_RT_THREAD_SUBSCRIBE = 107012,
    ACL_ERROR_RT_STREAM_NO_CB_REG = 107015,
    ACL_ERROR_RT_INVALID_HANDLE = 107017,
    ACL_ERROR_RT_FEATURE_NOT_SUPPORT = 207000,
    ACL_ERROR_RT_MEMORY_ALLOCATION = 207001,
    ACL_ERROR_RT_NO_DEVICE = 207004,
    ACL_ERROR_RT_RESOURCE_ALLOC_FAIL = 207005,
    ACL_ERROR_RT_INTERNAL_ERROR = 507000,
    ACL_ERROR_RT_CONTEXT_RELEASE_ERROR = 507007,
    ACL_ERROR_RT_REPORT_TIMEOUT = 507012,
    ACL_ERROR_RT_AICORE_EXCEPTION = 507015,
    ACL_ERROR_RT_STREAM_SYNC_TIMEOUT = 507046,
    ACL_ERROR_RT_EVENT_SYNC_TIMEOUT = 507047,
    ACL_ERROR_RT_DRV_INTERNAL_ERROR = 507899,
};

enum { ACL_HOST_TO_HOST, ACL_HOST_TO_DEVICE, ACL_DEVICE_TO_HOST, ACL_DEVICE_TO_DEVICE, ACL_DEFAULT };
enum { ACL_STREAM_DONE = 0, ACL_STREAM_BUSY = 1 };
enum { ACL_EVENT_RECORDED = 1, ACL_EVENT_NOT_RECORDED = 0 };
enum { ACL_EVENT_WAITED = 0, ACL_EVENT_NOT_WAITED = 1 };
enum { ACL_EVENT_SYNC = 1, ACL_EVENT_CAPTURE_STREAM_PROGRESS = 2, ACL_EVENT_TIME_LINE = 8, ACL_EVENT_IPC = 0x40 };
enum { ACL_LOCATION_HOST = 0, ACL_LOCATION_DEVICE = 1, ACL_LOCATION_UNREGISTERED = 2 };
enum { ACL_RUN_ON_HOST = 1 };

typedef struct {
    char bytes[16];
} aclrtUuid;

typedef struct {
    char reserved[64];
} aclrtIpcEventHandle;

typedef struct {
    uint32_t id;
    aclrtMemLocationType type;
} aclrtMemLocation;

typedef struct {
    aclrtMemLocation location;
    uint32_t pageSize, rsv[4];
} aclrtPtrAttributes;

typedef struct {
    int handleType, allocationType, memAttr;
    aclrtMemLocation location;
    uint64_t reserve;
} aclrtPhysicalMemProp;

typedef struct {
    aclrtBinaryLoadOptionType type;
    uint32_t value[4];
} aclrtBinaryLoadOption;

typedef struct {
    aclrtBinaryLoadOption *options;
    size_t numOpt;
} aclrtBinaryLoadOptions;

typedef struct {
    aclrtLaunchKernelAttrId id;
    uint32_t value[4];
} aclrtLaunchKernelAttr;

typedef struct {
    aclrtLaunchKernelAttr *attrs;
    size_t numAttrs;
} aclrtLaunchKernelCfg;

/* The runtime stores the device address of hostArgs + dataOffset into hostArgs at addrOffset. */
typedef struct {
    uint32_t addrOffset, dataOffset;
} aclrtPlaceHolderInfo;

typedef struct aclrtMallocConfig aclrtMallocConfig;

#endif
