/* SPDX-License-Identifier: Apache-2.0 */
/* Streams and events. A stream waits for no other by itself, as AscendCL has it. */
#include <time.h>

#include "emu_acl.h"

#define STREAM_FLAGS 0x3fu
#define EVENT_FLAGS 0x7bu
#define EVENT_IPC 0x40u
#define POLL_NS 200000

API aclError aclrtCreateStreamWithConfig(aclrtStream *stream, uint32_t priority, uint32_t flags) {
    if (!stream || priority > 7 || flags & ~STREAM_FLAGS)
        return ACL_ERROR_RT_PARAM_INVALID;
    return acl_status(cuStreamCreateWithPriority((CUstream *)stream, CU_STREAM_NON_BLOCKING, 0));
}

/* Its work is done first, without anybody waiting. */
API aclError aclrtDestroyStream(aclrtStream stream) {
    return acl_status(cuStreamDestroy_v2(stream));
}

API aclError aclrtDestroyStreamForce(aclrtStream stream) {
    return acl_status(cuStreamDestroy_v2(stream));
}

API aclError aclrtSynchronizeStream(aclrtStream stream) {
    return acl_status(cuStreamSynchronize(stream));
}

API aclError aclrtStreamQuery(aclrtStream stream, aclrtStreamStatus *state) {
    if (!state)
        return ACL_ERROR_RT_PARAM_INVALID;
    CUresult status = cuStreamQuery(stream);
    *state = status == CUDA_ERROR_NOT_READY ? ACL_STREAM_BUSY : ACL_STREAM_DONE;
    return status == CUDA_ERROR_NOT_READY ? ACL_SUCCESS : acl_status(status);
}

API aclError aclrtStreamGetId(aclrtStream stream, int32_t *id) {
    unsigned long long number = 0;
    if (!id)
        return ACL_ERROR_RT_PARAM_INVALID;
    ACL_TRY(cuStreamGetId(stream, &number));
    *id = (int32_t)number;
    return ACL_SUCCESS;
}

/* milliseconds < 0: no limit. The engine has no wait with an end, so a limited one looks now and then. */
static aclError wait_until(CUresult (*query)(void *), void *handle, int32_t milliseconds) {
    const struct timespec pause = {.tv_nsec = POLL_NS};
    const uint64_t end = device_time_ns() + (uint64_t)(milliseconds < 0 ? 0 : milliseconds) * 1000000u;
    CUresult status;
    while ((status = query(handle)) == CUDA_ERROR_NOT_READY) {
        if (milliseconds >= 0 && device_time_ns() >= end)
            return ACL_ERROR_RT_STREAM_SYNC_TIMEOUT;
        nanosleep(&pause, NULL);
    }
    return acl_status(status);
}

static CUresult query_stream(void *stream) {
    return cuStreamQuery(stream);
}

static CUresult query_event(void *event) {
    return cuEventQuery(event);
}

API aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, int32_t milliseconds) {
    return milliseconds < 0 ? aclrtSynchronizeStream(stream) : wait_until(query_stream, stream, milliseconds);
}

API aclError aclrtSynchronizeEventWithTimeout(aclrtEvent event, int32_t milliseconds) {
    return milliseconds < 0 ? acl_status(cuEventSynchronize(event)) : wait_until(query_event, event, milliseconds);
}

API aclError aclrtCreateEventExWithFlag(aclrtEvent *event, uint32_t flags) {
    if (!event || flags & ~EVENT_FLAGS)
        return ACL_ERROR_RT_PARAM_INVALID;
    return acl_status(event_new((CUevent *)event, flags & EVENT_IPC ? CU_EVENT_INTERPROCESS : 0));
}

API aclError aclrtDestroyEvent(aclrtEvent event) {
    return acl_status(cuEventDestroy_v2(event));
}

API aclError aclrtRecordEvent(aclrtEvent event, aclrtStream stream) {
    return acl_status(cuEventRecord(event, stream));
}

API aclError aclrtStreamWaitEvent(aclrtStream stream, aclrtEvent event) {
    return acl_status(cuStreamWaitEvent(stream, event, 0));
}

/* The next recording replaces the old one by itself. */
API aclError aclrtResetEvent(aclrtEvent event, aclrtStream stream) {
    struct stream *found;
    ACL_TRY(stream_find(stream, &found));
    CUresult status = cuEventQuery(event);
    return status == CUDA_ERROR_NOT_READY ? ACL_SUCCESS : acl_status(status);
}

API aclError aclrtSynchronizeEvent(aclrtEvent event) {
    return acl_status(cuEventSynchronize(event));
}

API aclError aclrtQueryEventStatus(aclrtEvent event, aclrtEventRecordedStatus *state) {
    if (!state)
        return ACL_ERROR_RT_PARAM_INVALID;
    CUresult status = cuEventQuery(event);
    *state = status == CUDA_ERROR_NOT_READY ? ACL_EVENT_NOT_RECORDED : ACL_EVENT_RECORDED;
    return status == CUDA_ERROR_NOT_READY ? ACL_SUCCESS : acl_status(status);
}

API aclError aclrtQueryEventWaitStatus(aclrtEvent event, aclrtEventWaitStatus *state) {
    aclrtEventRecordedStatus recorded;
    aclError status = state ? aclrtQueryEventStatus(event, &recorded) : ACL_ERROR_RT_PARAM_INVALID;
    if (!status)
        *state = recorded ? ACL_EVENT_WAITED : ACL_EVENT_NOT_WAITED;
    return status;
}

API aclError aclrtEventElapsedTime(float *milliseconds, aclrtEvent start, aclrtEvent end) {
    CUresult status = cuEventElapsedTime(milliseconds, start, end);
    return status == CUDA_ERROR_NOT_READY ? ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID : acl_status(status);
}
