/* SPDX-License-Identifier: Apache-2.0 */
/* Launches and copies of the layer below aclrt: they become aclrt's, so that the worker knows one kind. */
#include <string.h>

#include "acl_launch.h"
#include "rt.h"

enum { LAUNCH_SCHEDULE = 1 }; /* aclrtLaunchKernelAttrId */
enum { COPY_TO_DEVICE_EX = 6, COPY_TO_HOST_EX = 7, COPY_ANY = 8 }; /* rtMemcpyKind_t; up to 3 it is aclrtMemcpyKind */

/* The tiling data are one more input that lies in the arguments. */
static int places_of(const struct rt_arguments *arguments, aclrtPlaceHolderInfo *places, size_t *count)
{
    *count = arguments->input_count;
    if (*count + (arguments->has_tiling != 0) > WIRE_ACL_PLACES || (*count && !arguments->inputs))
        return CLIENT_INVALID_VALUE;
    if (*count)
        memcpy(places, arguments->inputs, *count * sizeof *places);
    if (arguments->has_tiling)
        places[(*count)++] = (aclrtPlaceHolderInfo){arguments->tiling_address, arguments->tiling_data};
    return 0;
}

static aclError launch(aclrtFuncHandle kernel, uint32_t blocks, const struct rt_arguments *arguments, const void *shared,
                       void *stream, const struct rt_task_settings *settings)
{
    aclrtLaunchKernelAttr schedule = {.id = LAUNCH_SCHEDULE};
    aclrtLaunchKernelCfg all = {.attrs = &schedule, .numAttrs = 1};
    aclrtPlaceHolderInfo places[WIRE_ACL_PLACES];
    size_t count = 0;
    int status = 0;

    if (shared || (arguments && arguments->on_device)) /* described by addresses of the program's; not ours to copy */
        status = ACL_ERROR_RT_FEATURE_NOT_SUPPORT;
    else if (!arguments)
        status = CLIENT_INVALID_VALUE;
    else
        status = places_of(arguments, places, &count);
    if (status)
        return CLIENT_STATUS(status);
    schedule.value[0] = settings ? settings->schedule : 0;
    return aclrtLaunchKernelWithHostArgs(kernel, blocks, stream, schedule.value[0] ? &all : NULL, arguments->args,
                                         arguments->size, count ? places : NULL, count);
}

int32_t rtKernelLaunchWithFlagV2(const void *stubFunc, uint32_t numBlocks, struct rt_arguments *argsInfo, void *smDesc,
                                 void *stm, uint32_t flags, const struct rt_task_settings *cfgInfo)
{
    struct device *device;
    aclrtFuncHandle kernel;
    int status = client_enter(&device);

    (void)flags; /* about dumps */
    if (!status)
        status = rt_kernel_by_stub(device, stubFunc, &kernel);
    return status ? CLIENT_STATUS(status) : launch(kernel, numBlocks, argsInfo, smDesc, stm, cfgInfo);
}

int32_t rtKernelLaunchWithFlag(const void *stubFunc, uint32_t numBlocks, struct rt_arguments *argsInfo, void *smDesc, void *stm,
                               uint32_t flags)
{
    return rtKernelLaunchWithFlagV2(stubFunc, numBlocks, argsInfo, smDesc, stm, flags, NULL);
}

int32_t rtKernelLaunch(const void *stubFunc, uint32_t numBlocks, void *args, uint32_t argsSize, void *smDesc, void *stm)
{
    struct rt_arguments arguments = {.args = args, .size = argsSize};

    return rtKernelLaunchWithFlagV2(stubFunc, numBlocks, &arguments, smDesc, stm, 0, NULL);
}

int32_t rtKernelLaunchWithHandleV2(void *hdl, uint64_t tilingKey, uint32_t numBlocks, struct rt_arguments *argsInfo,
                                   void *smDesc, void *stm, const struct rt_task_settings *cfgInfo)
{
    struct device *device;
    aclrtFuncHandle kernel;
    int status = client_enter(&device);

    if (!status)
        status = rt_kernel_by_number(device, hdl, tilingKey, &kernel);
    return status ? CLIENT_STATUS(status) : launch(kernel, numBlocks, argsInfo, smDesc, stm, cfgInfo);
}

int32_t rtKernelLaunchWithHandle(void *hdl, uint64_t tilingKey, uint32_t numBlocks, struct rt_arguments *argsInfo, void *smDesc,
                                 void *stm, const void *kernelInfo)
{
    (void)kernelInfo; /* for profiles */
    return rtKernelLaunchWithHandleV2(hdl, tilingKey, numBlocks, argsInfo, smDesc, stm, NULL);
}

int32_t rtMemcpyAsync(void *dst, uint64_t destMax, const void *src, uint64_t cnt, int32_t kind, void *stm)
{
    switch (kind) {
    case ACL_HOST_TO_HOST:
    case ACL_HOST_TO_DEVICE:
    case ACL_DEVICE_TO_HOST:
    case ACL_DEVICE_TO_DEVICE:
        break;
    case COPY_TO_DEVICE_EX:
        kind = ACL_HOST_TO_DEVICE;
        break;
    case COPY_TO_HOST_EX:
        kind = ACL_DEVICE_TO_HOST;
        break;
    case COPY_ANY:
        kind = ACL_DEFAULT;
        break;
    default:
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    }
    return aclrtMemcpyAsync(dst, destMax, src, cnt, kind, stm);
}
