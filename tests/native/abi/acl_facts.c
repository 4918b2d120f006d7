/* SPDX-License-Identifier: Apache-2.0 */
/* Prints sizes, offsets and numbers; the same with the vendor's headers (VENDOR) as with ours. */
#include <stddef.h>
#include <stdio.h>

#ifdef VENDOR
#include <acl/acl.h>
#include <acl/acl_op_compiler.h>
#include <acl/acl_rt.h>
#include <acl/error_codes/rt_error_codes.h>
#define OURS(ours, vendors) printf(#ours " %ld\n", (long)(vendors))
#else
#include "acl_abi.h"
#include "acl_device.h"
#define OURS(ours, vendors) printf(#ours " %ld\n", (long)(ours))
#endif

#define SIZE(type) printf("%s %zu\n", #type, sizeof(type))
#define FIELD(type, member) printf("%s.%s %zu\n", #type, #member, offsetof(type, member))
#define VALUE(name) printf("%s %ld\n", #name, (long)(name))

int main(void)
{
    SIZE(aclrtPtrAttributes);
    FIELD(aclrtPtrAttributes, pageSize);
    SIZE(aclrtPhysicalMemProp);
    FIELD(aclrtPhysicalMemProp, location);
    FIELD(aclrtPhysicalMemProp, reserve);
    SIZE(aclrtBinaryLoadOption);
    FIELD(aclrtBinaryLoadOption, value);
    SIZE(aclrtBinaryLoadOptions);
    SIZE(aclrtLaunchKernelAttr);
    FIELD(aclrtLaunchKernelAttr, value);
    SIZE(aclrtLaunchKernelCfg);
    FIELD(aclrtLaunchKernelCfg, numAttrs);
    SIZE(aclrtPlaceHolderInfo);
    FIELD(aclrtPlaceHolderInfo, dataOffset);
    SIZE(aclrtUuid);
    SIZE(aclrtMemcpyKind);
    SIZE(aclrtDevAttr);
    SIZE(aclSysParamOpt);

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
    VALUE(ACL_ERROR_RT_INVALID_HANDLE);
    VALUE(ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
    VALUE(ACL_ERROR_RT_MEMORY_ALLOCATION);
    VALUE(ACL_ERROR_RT_NO_DEVICE);
    VALUE(ACL_ERROR_RT_RESOURCE_ALLOC_FAIL);
    VALUE(ACL_ERROR_RT_INTERNAL_ERROR);
    VALUE(ACL_ERROR_RT_AICORE_EXCEPTION);
    VALUE(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
    VALUE(ACL_ERROR_RT_DRV_INTERNAL_ERROR);

    OURS(ACL_HOST_TO_DEVICE, ACL_MEMCPY_HOST_TO_DEVICE);
    OURS(ACL_DEVICE_TO_HOST, ACL_MEMCPY_DEVICE_TO_HOST);
    OURS(ACL_DEVICE_TO_DEVICE, ACL_MEMCPY_DEVICE_TO_DEVICE);
    OURS(ACL_DEFAULT, ACL_MEMCPY_DEFAULT);
    OURS(ACL_STREAM_BUSY, ACL_STREAM_STATUS_NOT_READY);
    OURS(ACL_EVENT_RECORDED, ACL_EVENT_RECORDED_STATUS_COMPLETE);
    OURS(ACL_EVENT_NOT_WAITED, ACL_EVENT_WAIT_STATUS_NOT_READY);
    OURS(ACL_LOCATION_DEVICE, ACL_MEM_LOCATION_TYPE_DEVICE);
    OURS(ACL_LOCATION_UNREGISTERED, ACL_MEM_LOCATION_TYPE_UNREGISTERED);
    OURS(ACL_RUN_ON_HOST, ACL_HOST);
    OURS(10, ACL_OP_JIT_COMPILE);
    return 0;
}
