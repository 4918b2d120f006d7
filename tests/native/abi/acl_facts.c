/* SPDX-License-Identifier: Apache-2.0 */
/* Prints sizes, offsets and numbers; the same with the vendor's headers (VENDOR) as with ours. */
#include <stddef.h>
#include <stdio.h>

#ifdef VENDOR
#include <acl/acl.h>
#include <acl/acl_op_compiler.h>
#include <acl/acl_rt.h>
#include <acl/error_codes/rt_error_codes.h>
#include <hacl_rt.h>
#define OURS(ours, vendors) printf(#ours " " #vendors " %ld\n", (long)(vendors))
#else
#include "acl_device.h"
#include "client.h"
#define OURS(ours, vendors) printf(#ours " " #vendors " %ld\n", (long)(ours))
#endif

#define SIZE(type) printf("%s %zu\n", #type, sizeof(type))
#define FIELD(type, member) printf("%s.%s %zu %zu\n", #type, #member, offsetof(type, member), sizeof(((type *)0)->member))
#define VALUE(name) printf("%s %ld\n", #name, (long)(name))

static void layouts(void)
{
    SIZE(aclrtUuid);
    SIZE(aclrtIpcEventHandle);
    SIZE(aclrtMemLocation);
    FIELD(aclrtMemLocation, id);
    FIELD(aclrtMemLocation, type);
    SIZE(aclrtPtrAttributes);
    FIELD(aclrtPtrAttributes, location);
    FIELD(aclrtPtrAttributes, pageSize);
    SIZE(aclrtPhysicalMemProp);
    FIELD(aclrtPhysicalMemProp, handleType);
    FIELD(aclrtPhysicalMemProp, allocationType);
    FIELD(aclrtPhysicalMemProp, memAttr);
    FIELD(aclrtPhysicalMemProp, location);
    FIELD(aclrtPhysicalMemProp, reserve);
    SIZE(aclrtBinaryLoadOption);
    FIELD(aclrtBinaryLoadOption, type);
    FIELD(aclrtBinaryLoadOption, value);
    SIZE(aclrtBinaryLoadOptions);
    FIELD(aclrtBinaryLoadOptions, options);
    FIELD(aclrtBinaryLoadOptions, numOpt);
    SIZE(aclrtLaunchKernelAttr);
    FIELD(aclrtLaunchKernelAttr, id);
    FIELD(aclrtLaunchKernelAttr, value);
    SIZE(aclrtLaunchKernelCfg);
    FIELD(aclrtLaunchKernelCfg, attrs);
    FIELD(aclrtLaunchKernelCfg, numAttrs);
    SIZE(aclrtPlaceHolderInfo);
    FIELD(aclrtPlaceHolderInfo, addrOffset);
    FIELD(aclrtPlaceHolderInfo, dataOffset);
    SIZE(struct rt_binary); /* rtDevBinary_t */
    FIELD(struct rt_binary, magic);
    FIELD(struct rt_binary, data);
    FIELD(struct rt_binary, length);
}

static void widths(void)
{
    SIZE(aclError);
    SIZE(aclrtContext);
    SIZE(aclrtStream);
    SIZE(aclrtEvent);
    SIZE(aclrtBinHandle);
    SIZE(aclrtFuncHandle);
    SIZE(aclrtArgsHandle);
    SIZE(aclrtDrvMemHandle);
    SIZE(aclmdlRI);
    SIZE(aclrtCallback);
    SIZE(aclrtHostFunc);
    SIZE(aclrtMemMallocPolicy);
    SIZE(aclrtMemcpyKind);
    SIZE(aclrtMemAttr);
    SIZE(aclrtStreamStatus);
    SIZE(aclrtEventStatus);
    SIZE(aclrtRunMode);
    SIZE(aclrtEventRecordedStatus);
    SIZE(aclrtEventWaitStatus);
    SIZE(aclrtDevAttr);
    SIZE(aclrtDevResLimitType);
    SIZE(aclrtCallbackBlockType);
    SIZE(aclrtLastErrLevel);
    SIZE(aclSysParamOpt);
    SIZE(aclDeviceInfo);
    SIZE(aclCANNPackageName);
    SIZE(aclrtFloatOverflowMode);
    SIZE(aclrtMemLocationType);
    SIZE(aclrtLaunchKernelAttrId);
    SIZE(aclrtBinaryLoadOptionType);
    SIZE(aclmdlRICaptureStatus);
    SIZE(aclmdlRICaptureMode);
    SIZE(aclCannAttr);
    SIZE(aclLogLevel);
    SIZE(aclCompileOpt);
}

static void codes(void)
{
    VALUE(ACL_SUCCESS);
    VALUE(ACL_ERROR_UNINITIALIZE);
    VALUE(ACL_ERROR_REPEAT_INITIALIZE);
    VALUE(ACL_ERROR_RT_PARAM_INVALID);
    VALUE(ACL_ERROR_RT_INVALID_DEVICEID);
    VALUE(ACL_ERROR_RT_CONTEXT_NULL);
    VALUE(ACL_ERROR_RT_STREAM_CONTEXT);
    VALUE(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID);
    VALUE(ACL_ERROR_RT_FILE_OPEN);
    VALUE(ACL_ERROR_RT_STREAM_SUBSCRIBE);
    VALUE(ACL_ERROR_RT_THREAD_SUBSCRIBE);
    VALUE(ACL_ERROR_RT_STREAM_NO_CB_REG);
    VALUE(ACL_ERROR_RT_INVALID_HANDLE);
    VALUE(ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
    VALUE(ACL_ERROR_RT_MEMORY_ALLOCATION);
    VALUE(ACL_ERROR_RT_NO_DEVICE);
    VALUE(ACL_ERROR_RT_RESOURCE_ALLOC_FAIL);
    VALUE(ACL_ERROR_RT_INTERNAL_ERROR);
    VALUE(ACL_ERROR_RT_CONTEXT_RELEASE_ERROR);
    VALUE(ACL_ERROR_RT_REPORT_TIMEOUT);
    VALUE(ACL_ERROR_RT_AICORE_EXCEPTION);
    VALUE(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
    VALUE(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT);
    VALUE(ACL_ERROR_RT_DRV_INTERNAL_ERROR);
    OURS(207018, ACL_ERROR_RT_DEVICE_OOM);
}

static void numbers(void)
{
    VALUE(ACL_EVENT_SYNC);
    VALUE(ACL_EVENT_CAPTURE_STREAM_PROGRESS);
    VALUE(ACL_EVENT_TIME_LINE);
    VALUE(ACL_EVENT_IPC);
    OURS(0x7b, ACL_EVENT_SYNC | ACL_EVENT_CAPTURE_STREAM_PROGRESS | ACL_EVENT_TIME_LINE | ACL_EVENT_DEVICE_USE_ONLY |
                   ACL_EVENT_EXTERNAL | ACL_EVENT_IPC);
    OURS(0x3f, ACL_STREAM_FAST_LAUNCH | ACL_STREAM_FAST_SYNC | ACL_STREAM_PERSISTENT | ACL_STREAM_HUGE |
                   ACL_STREAM_CPU_SCHEDULE | ACL_STREAM_DEVICE_USE_ONLY);
    OURS(ACL_HOST_TO_HOST, ACL_MEMCPY_HOST_TO_HOST);
    OURS(ACL_HOST_TO_DEVICE, ACL_MEMCPY_HOST_TO_DEVICE);
    OURS(ACL_DEVICE_TO_HOST, ACL_MEMCPY_DEVICE_TO_HOST);
    OURS(ACL_DEVICE_TO_DEVICE, ACL_MEMCPY_DEVICE_TO_DEVICE);
    OURS(ACL_DEFAULT, ACL_MEMCPY_DEFAULT);
    OURS(5, ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE);
    OURS(6, ACL_MEMCPY_INNER_DEVICE_TO_DEVICE);
    OURS(7, ACL_MEMCPY_INTER_DEVICE_TO_DEVICE);
    OURS(ACL_HOST_TO_HOST, RT_MEMCPY_HOST_TO_HOST);
    OURS(ACL_HOST_TO_DEVICE, RT_MEMCPY_HOST_TO_DEVICE);
    OURS(ACL_DEVICE_TO_HOST, RT_MEMCPY_DEVICE_TO_HOST);
    OURS(ACL_DEVICE_TO_DEVICE, RT_MEMCPY_DEVICE_TO_DEVICE);
    OURS(6, RT_MEMCPY_HOST_TO_DEVICE_EX);
    OURS(ACL_STREAM_DONE, ACL_STREAM_STATUS_COMPLETE);
    OURS(ACL_STREAM_BUSY, ACL_STREAM_STATUS_NOT_READY);
    OURS(ACL_EVENT_RECORDED, ACL_EVENT_RECORDED_STATUS_COMPLETE);
    OURS(ACL_EVENT_NOT_RECORDED, ACL_EVENT_RECORDED_STATUS_NOT_READY);
    OURS(ACL_EVENT_WAITED, ACL_EVENT_WAIT_STATUS_COMPLETE);
    OURS(ACL_EVENT_NOT_WAITED, ACL_EVENT_WAIT_STATUS_NOT_READY);
    OURS(0, ACL_EVENT_STATUS_COMPLETE);
    OURS(1, ACL_EVENT_STATUS_NOT_READY);
    OURS(ACL_LOCATION_HOST, ACL_MEM_LOCATION_TYPE_HOST);
    OURS(ACL_LOCATION_DEVICE, ACL_MEM_LOCATION_TYPE_DEVICE);
    OURS(ACL_LOCATION_UNREGISTERED, ACL_MEM_LOCATION_TYPE_UNREGISTERED);
    OURS(ACL_RUN_ON_HOST, ACL_HOST);
    OURS(1, ACL_HBM_MEM);
    OURS(4, ACL_HBM_MEM_HUGE);
    OURS(5, ACL_HBM_MEM_NORMAL);
    OURS(12, ACL_MEM_NORMAL);
    OURS(13, ACL_MEM_HUGE);
    OURS(0x10000000, ACL_HOST_REG_PINNED);
    OURS(1, ACL_RT_IPC_MEM_EXPORT_FLAG_DISABLE_PID_VALIDATION);
    OURS(1, ACL_RT_IPC_MEM_IMPORT_FLAG_ENABLE_PEER_ACCESS);
    OURS(1, ACL_RT_VMM_EXPORT_FLAG_DISABLE_PID_VALIDATION);
    OURS(0, ACL_RT_MEM_ALLOC_GRANULARITY_MINIMUM);
    OURS(2, ACL_RT_BINARY_LOAD_OPT_MAGIC);
    OURS(1, ACL_RT_LAUNCH_KERNEL_ATTR_SCHEM_MODE);
    OURS(1, ACL_CALLBACK_BLOCK);
    OURS(1, ACL_RT_OVERFLOW_MODE_INFNAN);
    OURS(0, ACL_MODEL_RI_CAPTURE_STATUS_NONE);
    OURS(2, ACL_MODEL_RI_CAPTURE_MODE_RELAXED);
    OURS(2, ACL_DEVICE_INFO_L2_SIZE);
    OURS(10, ACL_OP_JIT_COMPILE);
}

static void attributes(void)
{
    OURS(ACL_ATTRIBUTE[0], ACL_DEV_ATTR_AICPU_CORE_NUM);
    OURS(ACL_ATTRIBUTE[1], ACL_DEV_ATTR_AICORE_CORE_NUM);
    OURS(ACL_ATTRIBUTE[2], ACL_DEV_ATTR_CUBE_CORE_NUM);
    OURS(ACL_ATTRIBUTE[3], ACL_DEV_ATTR_VECTOR_CORE_NUM);
    OURS(ACL_ATTRIBUTE[4], ACL_DEV_ATTR_WARP_SIZE);
    OURS(ACL_ATTRIBUTE[5], ACL_DEV_ATTR_MAX_THREAD_PER_VECTOR_CORE);
    OURS(ACL_ATTRIBUTE[6], ACL_DEV_ATTR_UBUF_PER_VECTOR_CORE);
    OURS(ACL_ATTRIBUTE[7], ACL_DEV_ATTR_MAX_GRID_DIM_X);
    OURS(ACL_ATTRIBUTE[9], ACL_DEV_ATTR_MAX_GRID_DIM_Z);
    OURS(ACL_ATTRIBUTE[10], ACL_DEV_ATTR_MAX_BLOCK_PER_GRID);
    OURS(ACL_ATTRIBUTE[11], ACL_DEV_ATTR_MAX_THREADS_PER_BLOCK);
    OURS(ACL_ATTRIBUTE[12], ACL_DEV_ATTR_MAX_BLOCK_DIM_X);
    OURS(ACL_ATTRIBUTE[14], ACL_DEV_ATTR_MAX_BLOCK_DIM_Z);
    OURS(ACL_ATTRIBUTE[15], ACL_DEV_ATTR_L2_CACHE_SIZE);
    OURS(ACL_ATTRIBUTE[16], ACL_DEV_ATTR_PHY_CHIP_ID);
    OURS(ACL_ATTRIBUTE[17], ACL_DEV_ATTR_CUST_OP_PRIVILEGE);
    OURS(ACL_ATTRIBUTE[18], ACL_DEV_ATTR_MAINBOARD_ID);
    OURS(ACL_ATTRIBUTE[19], ACL_DEV_ATTR_HD_CONNECT_TYPE);
    OURS(ACL_ATTRIBUTE[20], ACL_DEV_ATTR_IS_VIRTUAL);
    OURS(ACL_ATTRIBUTE[21], ACL_DEV_ATTR_NPU_ARCH);
    OURS(301, ACL_DEV_ATTR_TOTAL_GLOBAL_MEM_SIZE);
}

int main(void)
{
    layouts();
    widths();
    codes();
    numbers();
    attributes();
    return 0;
}
