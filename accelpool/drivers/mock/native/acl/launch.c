/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches: the arguments are copied and their place holders filled in when the call is made, and everything in them is
 * checked on the device before its first item runs, because it comes from the program.
 */
#include <string.h>

#include "emu_acl.h"

#define ARGUMENTS_MAX (1u << 20)
#define PLACES_MAX 1024u
#define BLOCKS_MAX 65535u
#define CHUNK 4096 /* rough elements between two looks at the clock */
#define COUNT_MAX ((int64_t)1 << 31)

struct launch {
    struct task task;
    const struct npu_kernel *kernel;
    struct run run;
    struct npu_tiling tiling;
    int prepared;
    int64_t next;
    size_t size;
    _Alignas(8) uint8_t arguments[];
};

/* Elements from the lowest to the highest that a shape reaches, *from the first; 0: none; -1: nonsense. */
static int64_t reach(const struct npu_shape *shape, int64_t *from, int64_t *count) {
    __int128 low = shape->offset, high = shape->offset;
    *count = 1;
    for (int i = 0; i < shape->rank; i++) {
        const int64_t size = shape->sizes[i], stride = shape->strides[i];
        if (size < 0 || size > COUNT_MAX || stride < -(int64_t)COUNT_MAX || stride > (int64_t)COUNT_MAX)
            return -1;
        *count *= size;
        if (*count > COUNT_MAX)
            return -1;
        if (size > 0 && stride < 0)
            low += (__int128)(size - 1) * stride;
        else if (size > 0)
            high += (__int128)(size - 1) * stride;
    }
    if (!*count)
        return 0;
    if (low < 0 || high >= (__int128)1 << 44)
        return -1;
    *from = (int64_t)low;
    return (int64_t)(high - low) + 1;
}

static CUresult check_tensor(const struct npu_shape *shape, uint64_t address, int written, struct tensor *tensor) {
    const unsigned bytes = type_bytes(shape->type);
    int64_t from = 0;
    if (!bytes || shape->rank < 0 || shape->rank > NPU_RANK || shape->offset < 0 || shape->offset > (int64_t)1 << 40)
        return ACL_ERROR_RT_PARAM_INVALID;
    *tensor = (struct tensor){.type = shape->type, .rank = shape->rank};
    memcpy(tensor->sizes, shape->sizes, sizeof tensor->sizes);
    memcpy(tensor->strides, shape->strides, sizeof tensor->strides);
    const int64_t span = reach(shape, &from, &tensor->count);
    if (span < 0)
        return ACL_ERROR_RT_PARAM_INVALID;
    const uint64_t start = address + (uint64_t)from * bytes;
    if (start % bytes)
        return ACL_ERROR_RT_AICORE_EXCEPTION;
    tensor->data = (uint8_t *)(address + (uint64_t)shape->offset * bytes);
    if (!span)
        return CUDA_SUCCESS;
    if (start < address || !memory_covers(start, (uint64_t)span * bytes))
        return ACL_ERROR_RT_AICORE_EXCEPTION;
    return written ? memory_commit(start, (uint64_t)span * bytes) : CUDA_SUCCESS;
}

/*
 * The address of the tiling data is the last of the addresses. A place holder puts it behind them in the arguments, so
 * they are counted by looking for one that points there; without, they are all that there is, and it is device memory.
 */
static const uint8_t *tiling_of(const struct launch *launch, size_t *count, uint64_t *room) {
    const uint64_t base = (uint64_t)launch->arguments;
    uint64_t address = 0;
    for (*count = 0; *count <= NPU_TENSORS && (*count + 1) * sizeof address <= launch->size; ++*count) {
        memcpy(&address, launch->arguments + *count * sizeof address, sizeof address);
        if (address > base && address - base < launch->size) {
            *room = launch->size - (address - base);
            return launch->arguments + (address - base);
        }
    }
    if (!*count || *count * sizeof address != launch->size)
        return NULL;
    --*count;
    *room = offsetof(struct npu_tiling, shapes) + *count * sizeof(struct npu_shape);
    return memory_covers(address, *room) ? (const uint8_t *)address : NULL;
}

/* The tiling data is copied, so that nothing changes it. */
static CUresult prepare(struct launch *launch) {
    struct run *run = &launch->run;
    struct npu_tiling *tiling = &launch->tiling;
    const size_t head = offsetof(struct npu_tiling, shapes);
    uint64_t address, room = 0;
    size_t count = 0;
    const uint8_t *data = tiling_of(launch, &count, &room);
    if (!data || room < head)
        return ACL_ERROR_RT_AICORE_EXCEPTION;
    memcpy(tiling, data, head);
    if (tiling->tensors != count || count < launch->kernel->tensors || room - head < count * sizeof tiling->shapes[0])
        return ACL_ERROR_RT_AICORE_EXCEPTION;
    memcpy(tiling->shapes, data + head, count * sizeof tiling->shapes[0]);
    for (size_t i = 0; i < count; i++) {
        memcpy(&address, launch->arguments + i * sizeof address, sizeof address);
        TRY(check_tensor(&tiling->shapes[i], address, i < launch->kernel->outputs, &run->tensors[i]));
    }
    run->tensor_count = (unsigned)count;
    run->numbers = tiling->numbers;
    run->integers = tiling->integers;
    return launch->kernel->prepare(run) ? ACL_ERROR_RT_AICORE_EXCEPTION : CUDA_SUCCESS;
}

static int step(struct task *task, uint64_t budget) {
    struct launch *launch = (struct launch *)task;
    struct run *run = &launch->run;
    const uint64_t end = device_time_ns() + budget;
    const int64_t chunk = CHUNK / launch->kernel->cost;
    if (!launch->prepared) {
        const CUresult status = prepare(launch);
        if (status != CUDA_SUCCESS)
            return -acl_status(status);
        launch->prepared = 1;
    }
    while (launch->next < run->items) {
        const int64_t stop = run->items - launch->next > chunk ? launch->next + chunk : run->items;
        launch->kernel->execute(run, launch->next, stop);
        launch->next = stop;
        if (launch->next < run->items && device_time_ns() >= end)
            return 0;
    }
    return 1;
}

static void release(struct task *task) {
    staging_free(task);
}

/* Every place holder's address and data lie inside the arguments. */
static int places_inside(const aclrtPlaceHolderInfo *places, size_t count, size_t size) {
    for (size_t i = 0; i < count; i++)
        if (size < sizeof(uint64_t) || places[i].addrOffset > size - sizeof(uint64_t) || places[i].dataOffset >= size)
            return 0;
    return 1;
}

API aclError aclrtLaunchKernelWithHostArgs(aclrtFuncHandle handle, uint32_t blocks, aclrtStream stream_handle,
                                           aclrtLaunchKernelCfg *settings, void *arguments, size_t size,
                                           aclrtPlaceHolderInfo *places, size_t place_count) {
    struct stream *stream;
    (void)settings; /* hints about units and time limits, which this device has none of */
    ACL_TRY(stream_find(stream_handle, &stream));
    const struct npu_kernel *kernel = function_kernel(handle);
    if (!kernel)
        return ACL_ERROR_RT_INVALID_HANDLE;
    if (!blocks || blocks > BLOCKS_MAX || !arguments || !size || size > ARGUMENTS_MAX || place_count > PLACES_MAX ||
        (place_count && !places) || !places_inside(places, place_count, size))
        return ACL_ERROR_RT_PARAM_INVALID;
    struct launch *launch = staging_new(sizeof *launch + size);
    if (!launch) { /* too much is queued: wait until some of it is done */
        ACL_TRY(stream_settle(stream));
        launch = staging_new(sizeof *launch + size);
    }
    if (!launch)
        return ACL_ERROR_RT_MEMORY_ALLOCATION;
    memset(launch, 0, sizeof *launch);
    launch->task = (struct task){.step = step, .release = release};
    launch->kernel = kernel;
    launch->size = size;
    memcpy(launch->arguments, arguments, size);
    for (size_t i = 0; i < place_count; i++) {
        const uint64_t address = (uint64_t)launch->arguments + places[i].dataOffset;
        memcpy(launch->arguments + places[i].addrOffset, &address, sizeof address);
    }
    struct work *work = work_begin(stream);
    work->kind = WORK_TASK;
    work->task = &launch->task;
    work_submit(stream);
    return ACL_SUCCESS;
}
