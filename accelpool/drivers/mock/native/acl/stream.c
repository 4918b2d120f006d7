/* SPDX-License-Identifier: Apache-2.0 */
/* Streams and events. A stream waits for no other by itself, as AscendCL has it. */
#include <time.h>

#include "emu_acl.h"

#define STREAM_FLAGS 0x3fu
#define EVENT_FLAGS 0x7bu
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

/*
 * A wait with an end: -1 is none, 0 only looks, `late` is the code of one that has passed. The engine has no such wait, so
 * this one looks now and then.
 */
static aclError wait_until(CUresult (*query)(void *), void *handle, int32_t milliseconds, aclError late) {
    const struct timespec pause = {.tv_nsec = POLL_NS};
    const uint64_t end = device_time_ns() + (uint64_t)milliseconds * 1000000u;
    CUresult status;
    if (milliseconds < -1)
        return ACL_ERROR_RT_PARAM_INVALID;
    while ((status = query(handle)) == CUDA_ERROR_NOT_READY) {
        if (milliseconds >= 0 && device_time_ns() >= end)
            return late;
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

static CUresult query_device(void *none) {
    struct stream *stream;
    (void)none;
    TRY(stream_find(NULL, &stream)); /* what has failed never becomes idle */
    return device_idle() ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

API aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, int32_t milliseconds) {
    return wait_until(query_stream, stream, milliseconds, ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
}

API aclError aclrtSynchronizeEventWithTimeout(aclrtEvent event, int32_t milliseconds) {
    return wait_until(query_event, event, milliseconds, ACL_ERROR_RT_EVENT_SYNC_TIMEOUT);
}

API aclError aclrtSynchronizeDeviceWithTimeout(int32_t milliseconds) {
    return wait_until(query_device, NULL, milliseconds, ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
}

API aclError aclrtCreateEventExWithFlag(aclrtEvent *event, uint32_t flags) {
    if (!event || !flags || flags & ~EVENT_FLAGS || (flags & ACL_EVENT_IPC && flags != ACL_EVENT_IPC))
        return ACL_ERROR_RT_PARAM_INVALID;
    return acl_status(event_new((CUevent *)event, flags & ACL_EVENT_IPC ? CU_EVENT_INTERPROCESS : 0));
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

static aclError time_of(aclrtEvent event, uint64_t *ns) {
    CUresult status = event_time(event, ns);
    return status == CUDA_ERROR_NOT_READY ? ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID : acl_status(status);
}

API aclError aclrtEventElapsedTime(float *milliseconds, aclrtEvent start, aclrtEvent end) {
    uint64_t first = 0, last = 0;
    aclError status = milliseconds ? time_of(start, &first) : ACL_ERROR_RT_PARAM_INVALID;
    if (!status)
        status = time_of(end, &last);
    if (!status)
        *milliseconds = (float)((double)(int64_t)(last - first) * 1e-6);
    return status;
}

/* Microseconds. */
API aclError aclrtEventGetTimestamp(aclrtEvent event, uint64_t *timestamp) {
    uint64_t ns = 0;
    aclError status = timestamp ? time_of(event, &ns) : ACL_ERROR_RT_PARAM_INVALID;
    if (!status)
        *timestamp = ns / 1000;
    return status;
}
