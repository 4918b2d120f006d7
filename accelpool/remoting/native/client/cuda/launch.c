/* SPDX-License-Identifier: Apache-2.0 */
/* Launches: every documented synchronous error is found here; what is sent is expected to run, and nobody waits for it. */
#include <string.h>

#include "cuda_calls.h"
#include "cuda_wire.h"
#include "module.h"

enum { /* CUlaunchAttributeID */
    LAUNCH_IGNORE = 0,
    LAUNCH_COOPERATIVE = 2,
    LAUNCH_PROGRAMMATIC_EVENT = 7,
    LAUNCH_COMPLETION_EVENT = 12,
    LAUNCH_DEVICE_UPDATABLE = 13,
};

enum { EXTRA_END = 0, EXTRA_BUFFER_POINTER = 1, EXTRA_BUFFER_SIZE = 2 }; /* CU_LAUNCH_PARAM_... */

static uint32_t limit(const struct kernel *kernel, int attribute)
{
    int value = kernel->module->device->snapshot.attributes[attribute];

    return value > 0 ? (uint32_t)value : 0;
}

static CUresult check_shape(const struct kernel *kernel, const struct wire_launch *launch)
{
    uint64_t threads = 1;

    for (int i = 0; i < 3; i++) {
        if (!launch->grid[i] || launch->grid[i] > limit(kernel, ATTRIBUTE_MAX_GRID_DIM_X + i) || !launch->block[i] ||
            launch->block[i] > limit(kernel, ATTRIBUTE_MAX_BLOCK_DIM_X + i))
            return CLIENT_INVALID_VALUE;
        threads *= launch->block[i];
    }
    if (threads > limit(kernel, ATTRIBUTE_MAX_THREADS_PER_BLOCK))
        return CLIENT_INVALID_VALUE;
    if (kernel->attributes[FUNCTION_MAX_THREADS_PER_BLOCK] > 0 &&
        threads > (uint32_t)kernel->attributes[FUNCTION_MAX_THREADS_PER_BLOCK])
        return CLIENT_LAUNCH_OUT_OF_RESOURCES;
    return launch->shared_bytes > (uint32_t)kernel->dynamic_shared ? CLIENT_INVALID_VALUE : 0;
}

/* A cooperative grid must be on the device as a whole. */
static CUresult check_cooperative(const struct kernel *kernel, const struct wire_launch *launch)
{
    int blocks = 0;

    if (!limit(kernel, ATTRIBUTE_COOPERATIVE_LAUNCH))
        return CLIENT_NOT_SUPPORTED;
    CUresult status = cuOccupancyMaxActiveBlocksPerMultiprocessor(
        &blocks, kernel_value(kernel), (int)(launch->block[0] * launch->block[1] * launch->block[2]), launch->shared_bytes);
    uint64_t room = (uint64_t)blocks * limit(kernel, ATTRIBUTE_MULTIPROCESSOR_COUNT);
    if (!status && (uint64_t)launch->grid[0] * launch->grid[1] > room / launch->grid[2])
        status = CLIENT_COOPERATIVE_LAUNCH_TOO_LARGE;
    return status;
}

static CUresult read_attributes(const struct kernel *kernel, struct wire_launch *launch, const CUlaunchAttribute *from,
                                unsigned count, struct wire_launch_attribute *to)
{
    if (count && !from)
        return CLIENT_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++) {
        int id = from[i].id;

        if (id == LAUNCH_IGNORE)
            continue;
        if (id == LAUNCH_PROGRAMMATIC_EVENT || id == LAUNCH_COMPLETION_EVENT || id == LAUNCH_DEVICE_UPDATABLE)
            return CLIENT_NOT_SUPPORTED; /* their values hold handles */
        if (id < 0 || launch->attribute_count == WIRE_LAUNCH_ATTRIBUTES)
            return CLIENT_INVALID_VALUE;
        int value;
        memcpy(&value, from[i].value, sizeof value);
        if (id == LAUNCH_COOPERATIVE && value) {
            CUresult status = check_cooperative(kernel, launch);

            if (status)
                return status;
        }
        struct wire_launch_attribute *attribute = &to[launch->attribute_count++];
        *attribute = (struct wire_launch_attribute){.id = (uint32_t)id};
        memcpy(attribute->value, from[i].value, sizeof attribute->value);
    }
    return 0;
}

/* The program's own packed buffer. */
static CUresult read_extra(const struct kernel *kernel, void **extra, const void **buffer, uint32_t *bytes)
{
    const size_t *size = NULL;

    *buffer = NULL;
    for (; (uintptr_t)extra[0] != EXTRA_END; extra += 2) {
        if ((uintptr_t)extra[0] == EXTRA_BUFFER_POINTER)
            *buffer = extra[1];
        else if ((uintptr_t)extra[0] == EXTRA_BUFFER_SIZE)
            size = extra[1];
        else
            return CLIENT_INVALID_VALUE;
    }
    if (!size || (*size && !*buffer) || *size > WIRE_LAUNCH_PARAMETERS || *size < kernel->parameter_bytes)
        return CLIENT_INVALID_VALUE;
    *bytes = (uint32_t)*size;
    return 0;
}

static CUresult pack(const struct kernel *kernel, void **values, uint8_t *buffer, uint32_t *bytes)
{
    if (kernel->parameter_count == UINT32_MAX)
        return CLIENT_NOT_SUPPORTED; /* neither PTX nor vendor library says how */
    if (kernel->parameter_count && !values)
        return CLIENT_INVALID_VALUE;
    for (uint32_t i = 0, end = 0; i < kernel->parameter_count; i++) {
        const struct wire_parameter *parameter = &kernel->parameters[i];

        if (!values[i])
            return CLIENT_INVALID_VALUE;
        if (parameter->offset > end)
            memset(buffer + end, 0, parameter->offset - end);
        memcpy(buffer + parameter->offset, values[i], parameter->size);
        end = parameter->offset + parameter->size;
    }
    *bytes = kernel->parameter_bytes;
    return 0;
}

/* The device that is current, and the kernel on it. */
static CUresult enter(const void *function, struct device **device, struct kernel **kernel)
{
    CUresult status = client_enter(device);

    if (status)
        return status;
    *kernel = kernel_of(function);
    return *kernel && (*kernel)->module->device == *device ? 0 : CLIENT_INVALID_HANDLE;
}

static CUresult launch(const void *function, struct wire_launch *call, CUstream stream, const CUlaunchAttribute *attributes,
                       unsigned attribute_count, void **values, void **extra)
{
    struct wire_launch_attribute wire_attributes[WIRE_LAUNCH_ATTRIBUTES];
    uint8_t buffer[WIRE_LAUNCH_PARAMETERS];
    const void *parameters = buffer;
    struct device *device;
    struct kernel *kernel;
    uint32_t parameter_bytes = 0;
    uint64_t id;
    CUresult status = enter(function, &device, &kernel);

    if (status)
        return status;
    if (values && extra)
        return CLIENT_INVALID_VALUE;
    status = client_stream(device, stream, &id);
    if (!status)
        status = kernel_ready(kernel);
    if (!status)
        status = check_shape(kernel, call);
    if (!status)
        status = read_attributes(kernel, call, attributes, attribute_count, wire_attributes);
    if (!status)
        status = extra ? read_extra(kernel, extra, &parameters, &parameter_bytes)
                       : pack(kernel, values, buffer, &parameter_bytes);
    if (status)
        return status;
    call->module = (uint32_t)kernel->module->id;
    call->kernel = kernel->index;
    call->stream = id;
    call->parameter_bytes = parameter_bytes;
    struct iovec parts[3] = {{call, sizeof *call}};
    int count = 1;
    if (call->attribute_count)
        parts[count++] = (struct iovec){wire_attributes, call->attribute_count * sizeof *wire_attributes};
    if (parameter_bytes)
        parts[count++] = (struct iovec){(void *)parameters, parameter_bytes};
    session_worked(device);
    return channel_send(device->channel, WIRE_LAUNCH, parts, count);
}

CUresult cuLaunchKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ,
                        unsigned int blockDimX, unsigned int blockDimY, unsigned int blockDimZ, unsigned int sharedMemBytes,
                        CUstream hStream, void **kernelParams, void **extra)
{
    struct wire_launch call = {.grid = {gridDimX, gridDimY, gridDimZ}, .block = {blockDimX, blockDimY, blockDimZ},
                               .shared_bytes = sharedMemBytes};

    return launch(f, &call, hStream, NULL, 0, kernelParams, extra);
}

static struct wire_launch described(const CUlaunchConfig *config)
{
    return (struct wire_launch){.grid = {config->gridDimX, config->gridDimY, config->gridDimZ},
                                .block = {config->blockDimX, config->blockDimY, config->blockDimZ},
                                .shared_bytes = config->sharedMemBytes};
}

/* What the vendor's library says of a launch that is not made. */
static CUresult ask(uint16_t opcode, int *answer, CUfunction function, const CUlaunchConfig *config)
{
    struct wire_launch_attribute attributes[WIRE_LAUNCH_ATTRIBUTES];
    struct cuda_cluster_reply body;
    struct channel_reply reply = {.head = &body.reply, .head_size = sizeof body};
    struct device *device;
    struct kernel *kernel;
    uint64_t id;
    CUresult status = enter(function, &device, &kernel);

    if (status)
        return status;
    if (!answer || !config)
        return CLIENT_INVALID_VALUE;
    struct wire_launch call = described(config);
    status = client_stream(device, config->hStream, &id);
    if (!status)
        status = kernel_ready(kernel);
    if (!status)
        status = read_attributes(kernel, &call, config->attrs, config->numAttrs, attributes);
    if (status)
        return status;
    call.module = (uint32_t)kernel->module->id;
    call.kernel = kernel->index;
    call.stream = id;
    struct iovec parts[2] = {{&call, sizeof call}, {attributes, call.attribute_count * sizeof *attributes}};
    status = channel_call(device->channel, opcode, parts, call.attribute_count ? 2 : 1, &reply);
    if (!status)
        *answer = body.value;
    return status;
}

CUresult cuOccupancyMaxActiveClusters(int *numClusters, CUfunction func, const CUlaunchConfig *config)
{
    return ask(CUDA_OP_cuOccupancyMaxActiveClusters, numClusters, func, config);
}

CUresult cuOccupancyMaxPotentialClusterSize(int *clusterSize, CUfunction func, const CUlaunchConfig *config)
{
    return ask(CUDA_OP_cuOccupancyMaxPotentialClusterSize, clusterSize, func, config);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **kernelParams, void **extra)
{
    if (!config)
        return client_ready() ? CLIENT_NOT_INITIALIZED : CLIENT_INVALID_VALUE;
    struct wire_launch call = described(config);

    return launch(f, &call, config->hStream, config->attrs, config->numAttrs, kernelParams, extra);
}

CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction f, void **kernelParams, void **extra)
{
    if (!config || config->hStream)
        return cuLaunchKernelEx(config, f, kernelParams, extra);
    CUlaunchConfig own = *config;
    own.hStream = CLIENT_STREAM_PER_THREAD;
    return cuLaunchKernelEx(&own, f, kernelParams, extra);
}

CUresult cuLaunchCooperativeKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ,
                                   unsigned int blockDimX, unsigned int blockDimY, unsigned int blockDimZ,
                                   unsigned int sharedMemBytes, CUstream hStream, void **kernelParams)
{
    struct wire_launch call = {.grid = {gridDimX, gridDimY, gridDimZ}, .block = {blockDimX, blockDimY, blockDimZ},
                               .shared_bytes = sharedMemBytes};
    const CUlaunchAttribute cooperative = {.id = LAUNCH_COOPERATIVE, .value = {1}};

    return launch(f, &call, hStream, &cooperative, 1, kernelParams, NULL);
}
