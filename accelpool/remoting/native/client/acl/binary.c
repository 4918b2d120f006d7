/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel binaries: named by their content, so that what the project has loaded before is not sent again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acl_launch.h"
#include "acl_wire.h"
#include "client.h"
#include "sha256.h"

static int upload(struct device *device, struct wire_module_call *call, const void *data)
{
    struct wire_module_reply answer = {.known = 0};
    struct iovec part = {call, sizeof *call};
    struct channel_reply reply = {.head = &answer, .head_size = sizeof answer};
    int status = channel_call(device->channel, WIRE_MODULE_OFFER, &part, 1, &reply);

    if (!status && !answer.known)
        status = channel_call_bulk(device->channel, WIRE_MODULE_DATA, &part, 1, data, call->length, &reply);
    return status;
}

aclError aclrtBinaryLoadFromData(const void *data, size_t length, const aclrtBinaryLoadOptions *options,
                                 aclrtBinHandle *binHandle)
{
    struct wire_module_call call = {.image = WIRE_IMAGE_BINARY, .length = length};
    struct device *device;
    struct sha256 hash;
    int status = client_enter(&device);

    if (!status && (!data || !length || length > WIRE_MODULE_MAX || !binHandle ||
                    (options && (options->numOpt > WIRE_JIT_OPTIONS || (options->numOpt && !options->options)))))
        status = CLIENT_INVALID_VALUE;
    if (status)
        return CLIENT_STATUS(status);
    for (size_t i = 0; options && i < options->numOpt; i++)
        call.options[call.option_count++] =
            (struct wire_jit_option){(uint32_t)options->options[i].type, options->options[i].value[0]};
    sha256_start(&hash);
    sha256_add(&hash, data, length);
    sha256_end(&hash, call.sha256);
    const uint64_t id = handle_new(HANDLE_MODULE, device, NULL);
    if (!id)
        return CLIENT_STATUS(CLIENT_OUT_OF_MEMORY);
    call.module = (uint32_t)id;
    status = upload(device, &call, data);
    if (status)
        handle_free(HANDLE_MODULE, id);
    else
        *binHandle = handle_value(HANDLE_MODULE, id);
    return CLIENT_STATUS(status);
}

aclError aclrtBinaryLoadFromFile(const char *binPath, aclrtBinaryLoadOptions *options, aclrtBinHandle *binHandle)
{
    FILE *file = binPath ? fopen(binPath, "rb") : NULL;
    long length = file && !fseek(file, 0, SEEK_END) ? ftell(file) : -1;
    void *data = length > 0 ? malloc((size_t)length) : NULL;
    aclError status = ACL_ERROR_RT_FILE_OPEN;

    if (data && !fseek(file, 0, SEEK_SET) && fread(data, (size_t)length, 1, file) == 1)
        status = aclrtBinaryLoadFromData(data, (size_t)length, options, binHandle);
    else
        CLIENT_STATUS(status);
    free(data);
    if (file)
        fclose(file);
    return status;
}

static void end_function(struct device *device, uint64_t id)
{
    (void)device;
    handle_free(HANDLE_FUNCTION, id);
}

/* A function's object is its binary's value; the program must not use it any more. */
aclError aclrtBinaryUnLoad(aclrtBinHandle binHandle)
{
    struct wire_module_unload call = {0};
    struct device *device;
    uint64_t id;
    int status = client_enter(&device);

    if (!status)
        status = handle_id(HANDLE_MODULE, device, binHandle, &id);
    if (status)
        return CLIENT_STATUS(status);
    call.module = (uint32_t)id;
    status = session_post(device, WIRE_MODULE_UNLOAD, &call, sizeof call, CALL_ALWAYS);
    handle_each(HANDLE_FUNCTION, device, binHandle, end_function);
    handle_free(HANDLE_MODULE, id);
    return CLIENT_STATUS(status);
}

/* Sends the parts, which start with `head`; that is filled in here. */
static int ask(aclrtBinHandle binary, uint16_t opcode, struct wire_acl_function_head *head, struct iovec *parts, int count,
               aclrtFuncHandle *result)
{
    struct device *device;
    struct wire_reply answer;
    struct channel_reply reply = {.head = &answer, .head_size = sizeof answer};
    uint64_t module;
    int status = client_enter(&device);

    if (!status)
        status = handle_id(HANDLE_MODULE, device, binary, &module);
    if (!status && !result)
        status = CLIENT_INVALID_VALUE;
    if (status)
        return status;
    const uint64_t function = handle_new(HANDLE_FUNCTION, device, binary);
    if (!function)
        return CLIENT_OUT_OF_MEMORY;
    *head = (struct wire_acl_function_head){module, function};
    status = channel_call(device->channel, opcode, parts, count, &reply);
    if (status)
        handle_free(HANDLE_FUNCTION, function);
    else
        *result = handle_value(HANDLE_FUNCTION, function);
    return status;
}

aclError aclrtBinaryGetFunction(const aclrtBinHandle binHandle, const char *kernelName, aclrtFuncHandle *funcHandle)
{
    struct wire_acl_function call = {0};
    const size_t length = kernelName ? strlen(kernelName) + 1 : 0;
    struct iovec parts[2] = {{&call, sizeof call}, {(void *)kernelName, length}};

    if (!length || length > WIRE_ACL_NAME_MAX)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    call.length = (uint32_t)length;
    return CLIENT_STATUS(ask(binHandle, ACL_OP_aclrtBinaryGetFunction, &call.head, parts, 2, funcHandle));
}

aclError aclrtBinaryGetFunctionByEntry(aclrtBinHandle binHandle, uint64_t funcEntry, aclrtFuncHandle *funcHandle)
{
    struct wire_acl_entry call = {.entry = funcEntry};
    struct iovec part = {&call, sizeof call};

    return CLIENT_STATUS(ask(binHandle, ACL_OP_aclrtBinaryGetFunctionByEntry, &call.head, &part, 1, funcHandle));
}
