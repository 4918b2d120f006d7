/* SPDX-License-Identifier: Apache-2.0 */
/* Launches: every documented synchronous error, the parameters packed, and into the stream's ring. */
#include <string.h>

#include "emu.h"
#include "kernel.h"

#define WORKSPACE_BYTES 64u

static CUresult check_shape(const CUlaunchConfig *config) {
    if (!config->gridDimX || !config->gridDimY || !config->gridDimZ || config->gridDimX > 2147483647u ||
        config->gridDimY > 65535u || config->gridDimZ > 65535u)
        return CUDA_ERROR_INVALID_VALUE;
    if (!config->blockDimX || !config->blockDimY || !config->blockDimZ || config->blockDimX > 1024u ||
        config->blockDimY > 1024u || config->blockDimZ > 64u)
        return CUDA_ERROR_INVALID_VALUE;
    return config->blockDimX * config->blockDimY * config->blockDimZ > 1024u ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

static CUresult check_function(const CUlaunchConfig *config, const struct function *function) {
    const struct kernel_function *entry = function->entry;
    const uint32_t *required = entry->required_ntid;
    int limit;
    if (required[0] && (required[0] != config->blockDimX || required[1] != config->blockDimY ||
                        required[2] != config->blockDimZ))
        return CUDA_ERROR_INVALID_VALUE;
    if (config->blockDimX * config->blockDimY * config->blockDimZ > entry->max_threads)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(function_attribute(entry, &function->settings, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, &limit));
    return config->sharedMemBytes > (unsigned)limit ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

/* Attributes that ask for what this device cannot do are refused; hints are not needed. */
static CUresult check_attributes(const CUlaunchConfig *config, bool *cooperative) {
    if (config->numAttrs && !config->attrs)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < config->numAttrs; i++) {
        const CUlaunchAttribute *attribute = &config->attrs[i];
        switch (attribute->id) {
        case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
            *cooperative = attribute->value.cooperative != 0;
            break;
        case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
            if (attribute->value.clusterDim.x > 1 || attribute->value.clusterDim.y > 1 || attribute->value.clusterDim.z > 1)
                return CUDA_ERROR_NOT_SUPPORTED;
            break;
        case CU_LAUNCH_ATTRIBUTE_IGNORE:
        case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
        case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
        case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
        case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
        case CU_LAUNCH_ATTRIBUTE_PRIORITY:
        case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
        case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
        case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
        case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
            break;
        default:
            return CUDA_ERROR_NOT_SUPPORTED;
        }
    }
    return CUDA_SUCCESS;
}

/* All blocks of a cooperative launch must be resident at once: *resident = how many that is. They meet in *workspace. */
static CUresult prepare_cooperative(const CUlaunchConfig *config, const struct function *function, uint32_t *resident,
                                    CUdeviceptr *workspace) {
    const struct kernel_function *entry = function->entry;
    uint64_t blocks = (uint64_t)config->gridDimX * config->gridDimY * config->gridDimZ;
    int fit;
    TRY(occupancy(entry, (int)(config->blockDimX * config->blockDimY * config->blockDimZ), config->sharedMemBytes, &fit));
    if (blocks > (uint64_t)fit * (unsigned)emu_device.multiprocessors)
        return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
    *resident = (uint32_t)blocks;
    TRY(allocation_new(function->module->context, WORKSPACE_BYTES, workspace));
    return memory_fill(*workspace, 0, 1, WORKSPACE_BYTES);
}

/* The parameter buffer of `extra`: {BUFFER_POINTER, pointer, BUFFER_SIZE, size pointer, END}. */
static CUresult parse_extra(void **extra, const void **buffer, size_t *size) {
    for (unsigned i = 0; extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
        if (i >= 8)
            return CUDA_ERROR_INVALID_VALUE;
        if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER)
            *buffer = extra[i + 1];
        else if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[i + 1])
            memcpy(size, extra[i + 1], sizeof *size);
        else
            return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

static CUresult check_parameters(const struct kernel_function *entry, void **parameters, void **extra,
                                 const void **buffer) {
    size_t size = 0;
    *buffer = NULL;
    if (parameters && extra)
        return CUDA_ERROR_INVALID_VALUE;
    if (extra)
        TRY(parse_extra(extra, buffer, &size));
    if (!entry->param_count)
        return CUDA_SUCCESS;
    if (parameters) {
        for (uint32_t i = 0; i < entry->param_count; i++)
            if (!parameters[i])
                return CUDA_ERROR_INVALID_VALUE;
        return CUDA_SUCCESS;
    }
    return *buffer && size >= entry->param_bytes ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static void pack(const struct kernel_function *entry, void **parameters, const void *buffer, uint8_t *to) {
    if (!entry->param_count)
        return;
    if (buffer) {
        memcpy(to, buffer, entry->param_bytes);
        return;
    }
    for (uint32_t i = 0; i < entry->param_count; i++)
        memcpy(to + entry->params[i].offset, parameters[i], entry->params[i].size);
}

/* Parameters that do not fit the ring. */
static CUresult make_room(struct stream *stream, size_t size, uint8_t **room) {
    *room = staging_new(size);
    if (*room)
        return CUDA_SUCCESS;
    TRY(stream_settle(stream));
    *room = staging_new(size);
    return *room ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult launch(const CUlaunchConfig *config, CUfunction handle, void **parameters, void **extra) {
    struct stream *stream;
    struct function *function;
    const void *buffer;
    bool cooperative = false;
    uint32_t resident = 0;
    CUdeviceptr workspace = 0;
    TRY(stream_find(config->hStream, &stream));
    TRY(function_find(handle, stream->context, &function));
    const struct kernel_function *entry = function->entry;
    TRY(check_shape(config));
    TRY(check_function(config, function));
    TRY(check_attributes(config, &cooperative));
    TRY(check_parameters(entry, parameters, extra, &buffer));
    uint8_t *outside = NULL;
    if (entry->param_bytes > INLINE_PARAMS)
        TRY(make_room(stream, entry->param_bytes, &outside));
    CUresult status = cooperative ? prepare_cooperative(config, function, &resident, &workspace) : CUDA_SUCCESS;
    if (status != CUDA_SUCCESS) {
        staging_free(outside);
        return status;
    }
    struct work *work = work_begin(stream);
    work->kind = WORK_KERNEL;
    work->kernel.function = function;
    work->kernel.grid[0] = config->gridDimX;
    work->kernel.grid[1] = config->gridDimY;
    work->kernel.grid[2] = config->gridDimZ;
    work->kernel.block[0] = config->blockDimX;
    work->kernel.block[1] = config->blockDimY;
    work->kernel.block[2] = config->blockDimZ;
    work->kernel.shared = config->sharedMemBytes;
    work->kernel.resident = resident;
    work->kernel.workspace = workspace;
    work->kernel.parameters = outside;
    pack(entry, parameters, buffer, outside ? outside : work->kernel.inside);
    work_submit(stream);
    return CUDA_SUCCESS;
}

API CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                            unsigned block_y, unsigned block_z, unsigned shared, CUstream stream, void **parameters,
                            void **extra) {
    CUlaunchConfig config = {grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, stream, NULL, 0};
    return launch(&config, function, parameters, extra);
}

API CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra) {
    return config ? launch(config, function, parameters, extra) : CUDA_ERROR_INVALID_VALUE;
}

API CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                       unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                                       CUstream stream, void **parameters) {
    CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE, .value = {.cooperative = 1}};
    CUlaunchConfig config = {grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, stream, &attribute, 1};
    return launch(&config, function, parameters, NULL);
}
