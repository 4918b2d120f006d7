/* SPDX-License-Identifier: Apache-2.0 */
/* Physical memory and events that other processes have too: by numbers that this host knows them by. */
#include <string.h>


#include "emu_acl.h"

#define EXPORT_ANY_PROCESS 1u /* ACL_RT_VMM_EXPORT_FLAG_DISABLE_PID_VALIDATION */

/* The pages change places: the engine does it, so that nothing of its own runs meanwhile. */
struct move {
    struct task task;
    CUmemGenericAllocationHandle memory;
    uint64_t number;
    CUresult status;
};

static int step(struct task *task, uint64_t budget) {
    struct move *move = (struct move *)task;
    (void)budget;
    move->status = physical_share(move->memory, &move->number);
    return 1;
}

static void release(struct task *task) {
    (void)task;
}

API aclError aclrtMemExportToShareableHandle(aclrtDrvMemHandle handle, int type, uint64_t flags, uint64_t *number) {
    struct move move = {.task = {.step = step, .release = release},
                        .memory = (CUmemGenericAllocationHandle)handle,
                        .status = CUDA_ERROR_INVALID_CONTEXT};
    CUstream stream_handle;
    struct stream *stream;
    if (!number || type || flags & ~(uint64_t)EXPORT_ANY_PROCESS)
        return ACL_ERROR_RT_PARAM_INVALID;
    ACL_TRY(cuStreamCreateWithPriority(&stream_handle, CU_STREAM_NON_BLOCKING, 0));
    CUresult status = stream_find(stream_handle, &stream);
    if (status == CUDA_SUCCESS) {
        struct work *work = work_begin(stream);
        work->kind = WORK_TASK;
        work->task = &move.task;
        work_submit(stream);
        status = cuStreamSynchronize(stream_handle);
    }
    cuStreamDestroy_v2(stream_handle);
    if (status == CUDA_SUCCESS)
        status = move.status;
    if (status == CUDA_SUCCESS)
        *number = move.number;
    return acl_status(status);
}

API aclError aclrtMemImportFromShareableHandle(uint64_t number, int32_t device, aclrtDrvMemHandle *handle) {
    CUmemGenericAllocationHandle memory;
    ACL_TRY(device_check(device));
    if (!handle)
        return ACL_ERROR_RT_PARAM_INVALID;
    ACL_TRY(physical_adopt(number, &memory));
    *handle = (void *)memory;
    return ACL_SUCCESS;
}

/* --- events -------------------------------------------------------------------------------------------------------- */

#define EVENT_MAGIC "NPU-EVENT"

API aclError aclrtIpcGetEventHandle(aclrtEvent event, aclrtIpcEventHandle *handle) {
    uint64_t number;
    if (!handle)
        return ACL_ERROR_RT_PARAM_INVALID;
    ACL_TRY(event_share(event, &number));
    *handle = (aclrtIpcEventHandle){.reserved = EVENT_MAGIC};
    memcpy(handle->reserved + sizeof EVENT_MAGIC, &number, sizeof number);
    return ACL_SUCCESS;
}

API aclError aclrtIpcOpenEventHandle(aclrtIpcEventHandle handle, aclrtEvent *event) {
    uint64_t number;
    if (!event || memcmp(handle.reserved, EVENT_MAGIC, sizeof EVENT_MAGIC))
        return ACL_ERROR_RT_PARAM_INVALID;
    memcpy(&number, handle.reserved + sizeof EVENT_MAGIC, sizeof number);
    return acl_status(event_adopt(number, (CUevent *)event));
}
