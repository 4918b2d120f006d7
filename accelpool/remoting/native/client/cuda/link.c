/* SPDX-License-Identifier: Apache-2.0 */
/* cuLink*: the worker's library compiles and links; inputs go up one by one, so that each call reports its own errors. */
#include <stdlib.h>
#include <string.h>

#include "module.h"

#define IMAGE_MAX (1u << 30)

enum { INPUT_CUBIN = 0, INPUT_PTX = 1, INPUT_NVVM = 5 }; /* CUjitInputType */

struct link {
    uint64_t id;
    struct device *device;
    struct jit jit;
    char *image; /* of cuLinkComplete, until cuLinkDestroy */
};

CUresult cuLinkCreate_v2(unsigned int numOptions, CUjit_option *options, void **optionValues, CUlinkState *stateOut)
{
    struct device *device;
    struct jit jit;
    CUresult status = client_enter(&device);

    if (!status && !stateOut)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        status = jit_read(&jit, numOptions, options, optionValues);
    if (status)
        return status;
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        return CLIENT_OUT_OF_MEMORY;
    *link = (struct link){.device = device, .jit = jit, .id = handle_new(HANDLE_LINK, device, link)};
    struct wire_link_create call = {.link = (uint32_t)link->id, .option_count = jit.count};
    struct iovec parts[2] = {{&call, sizeof call}, {jit.options, jit.count * sizeof *jit.options}};
    status = link->id ? channel_send(device->channel, WIRE_LINK_CREATE, parts, jit.count ? 2 : 1) : CLIENT_OUT_OF_MEMORY;
    if (status) {
        if (link->id)
            handle_free(HANDLE_LINK, link->id);
        free(link);
        return status;
    }
    *stateOut = handle_value(HANDLE_LINK, link->id);
    return 0;
}

static CUresult look_up(CUlinkState state, struct link **link)
{
    struct device *device;
    CUresult status = client_enter(&device);

    if (status)
        return status;
    *link = handle_object(HANDLE_LINK, state);
    return *link ? 0 : CLIENT_INVALID_HANDLE;
}

/* The answer's diagnostics go to the buffers named at creation, or to those of this call. */
static size_t report(const struct link *link, const struct jit *own, CUresult status, const struct wire_link_reply *reply,
                     const struct channel_reply *answer)
{
    size_t length = reply->log_length <= answer->body_received ? reply->log_length : 0;

    jit_report(own && (own->info || own->error) ? own : &link->jit, status, answer->body, length);
    return length;
}

static CUresult add(CUlinkState state, CUjitInputType type, const void *data, size_t size, const char *name,
                    const struct jit *own)
{
    struct link *link;
    struct wire_link_reply reply = {0};
    CUresult status = look_up(state, &link);

    if (status)
        return status;
    if (!data || !size || type < INPUT_CUBIN || type > INPUT_NVVM || size > WIRE_MODULE_MAX)
        return CLIENT_INVALID_VALUE;
    if (!name)
        name = "";
    struct wire_link_add call = {.link = (uint32_t)link->id, .input = (uint32_t)type, .length = size,
                                 .name_length = (uint32_t)strnlen(name, 255) + 1};
    char copy[256] = "";
    memcpy(copy, name, call.name_length - 1);
    struct iovec parts[2] = {{&call, sizeof call}, {copy, call.name_length}};
    struct channel_reply answer = {.head = &reply, .head_size = sizeof reply, .body_size = IMAGE_MAX, .grow = 1};
    status = channel_call_bulk(link->device->channel, WIRE_LINK_ADD, parts, 2, data, size, &answer);
    report(link, own, status, &reply, &answer);
    free(answer.body);
    return status;
}

CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t size, const char *name,
                          unsigned int numOptions, CUjit_option *options, void **optionValues)
{
    struct jit own;
    CUresult status = jit_read(&own, numOptions, options, optionValues);

    if (status)
        return status;
    if (type != INPUT_PTX || !data || !size || memchr(data, 0, size))
        return add(state, type, data, size, name, &own);
    char *text = malloc(size + 1); /* terminated, without reading behind the program's buffer */
    if (!text)
        return CLIENT_OUT_OF_MEMORY;
    memcpy(text, data, size);
    text[size] = 0;
    status = add(state, type, text, size + 1, name, &own);
    free(text);
    return status;
}

CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char *path, unsigned int numOptions,
                          CUjit_option *options, void **optionValues)
{
    size_t length;
    struct jit own;
    CUresult status = jit_read(&own, numOptions, options, optionValues);
    char *data = status ? NULL : module_read_file(path, &length);

    if (!status && !data)
        status = path ? CLIENT_FILE_NOT_FOUND : CLIENT_INVALID_VALUE;
    if (!status)
        status = add(state, type, data, type == INPUT_PTX ? length + 1 : length, path, &own);
    free(data);
    return status;
}

CUresult cuLinkComplete(CUlinkState state, void **cubinOut, size_t *sizeOut)
{
    struct link *link;
    struct wire_link_reply reply = {0};
    CUresult status = look_up(state, &link);

    if (status)
        return status;
    if (!cubinOut)
        return CLIENT_INVALID_VALUE;
    struct wire_link_handle call = {.link = (uint32_t)link->id};
    struct iovec part = {&call, sizeof call};
    struct channel_reply answer = {.head = &reply, .head_size = sizeof reply, .body_size = IMAGE_MAX, .grow = 1};
    status = channel_call(link->device->channel, WIRE_LINK_COMPLETE, &part, 1, &answer);
    size_t log = report(link, NULL, status, &reply, &answer), length = answer.body_received - log;
    char *image = status ? NULL : malloc(length + 1);
    if (image) {
        memcpy(image, (char *)answer.body + log, length);
        image[length] = 0;
        free(link->image);
        *cubinOut = link->image = image;
        if (sizeOut)
            *sizeOut = length;
    } else if (!status) {
        status = CLIENT_OUT_OF_MEMORY;
    }
    free(answer.body);
    return status;
}

CUresult cuLinkDestroy(CUlinkState state)
{
    struct link *link;
    CUresult status = look_up(state, &link);

    if (status)
        return status;
    struct wire_link_handle call = {.link = (uint32_t)link->id};
    status = session_post(link->device, WIRE_LINK_DESTROY, &call, sizeof call, CALL_ALWAYS);
    handle_free(HANDLE_LINK, link->id);
    free(link->image);
    free(link);
    return status;
}
