/* SPDX-License-Identifier: Apache-2.0 */
/* Launches: the arguments travel as the program made them, because device addresses are the worker's own. */
#include "acl_launch.h"
#include "acl_wire.h"
#include "client.h"

#define BLOCKS_MAX 65535u

static int launch(aclrtFuncHandle function, uint32_t blocks, aclrtStream stream, const aclrtLaunchKernelCfg *settings,
                  const void *arguments, size_t size, const aclrtPlaceHolderInfo *places, size_t place_count)
{
    const size_t attributes = settings ? settings->numAttrs : 0;
    struct wire_acl_launch call = {.blocks = blocks, .attributes = (uint32_t)attributes, .places = (uint32_t)place_count,
                                   .size = (uint32_t)size};
    struct iovec parts[4] = {{&call, sizeof call},
                             {attributes ? settings->attrs : NULL, attributes * sizeof(aclrtLaunchKernelAttr)},
                             {(void *)places, place_count * sizeof *places},
                             {(void *)arguments, size}};
    struct device *device;
    uint64_t id;
    int status = client_enter(&device);

    if (!status)
        status = handle_id(HANDLE_FUNCTION, device, function, &id);
    call.function = id;
    if (!status)
        status = client_stream(device, stream, &id);
    call.stream = id;
    if (!status && (!blocks || blocks > BLOCKS_MAX || !arguments || !size || size > WIRE_ACL_ARGUMENTS ||
                    attributes > WIRE_ACL_ATTRIBUTES || (attributes && !settings->attrs) ||
                    place_count > WIRE_ACL_PLACES || (place_count && !places)))
        status = CLIENT_INVALID_VALUE;
    for (size_t i = 0; !status && i < place_count; i++)
        if (size < sizeof(uint64_t) || places[i].addrOffset > size - sizeof(uint64_t) || places[i].dataOffset >= size)
            status = CLIENT_INVALID_VALUE;
    if (status)
        return status;
    session_worked(device);
    return channel_send(device->channel, ACL_OP_aclrtLaunchKernelWithHostArgs, parts, 4);
}

aclError aclrtLaunchKernelWithHostArgs(aclrtFuncHandle funcHandle, uint32_t numBlocks, aclrtStream stream,
                                       aclrtLaunchKernelCfg *cfg, void *hostArgs, size_t argsSize,
                                       aclrtPlaceHolderInfo *placeHolderArray, size_t placeHolderNum)
{
    return CLIENT_STATUS(launch(funcHandle, numBlocks, stream, cfg, hostArgs, argsSize, placeHolderArray, placeHolderNum));
}

aclError aclrtLaunchKernel(aclrtFuncHandle funcHandle, uint32_t numBlocks, const void *argsData, size_t argsSize,
                           aclrtStream stream)
{
    return CLIENT_STATUS(launch(funcHandle, numBlocks, stream, NULL, argsData, argsSize, NULL, 0));
}

aclError aclrtLaunchKernelV2(aclrtFuncHandle funcHandle, uint32_t numBlocks, const void *argsData, size_t argsSize,
                             aclrtLaunchKernelCfg *cfg, aclrtStream stream)
{
    return CLIENT_STATUS(launch(funcHandle, numBlocks, stream, cfg, argsData, argsSize, NULL, 0));
}
