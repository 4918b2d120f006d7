/* SPDX-License-Identifier: Apache-2.0 */
/* Streams and events, as far as they are not generated. A stream's flags and priority are kept in its handle. */
#include "client.h"
#include "cuda_wire.h"

static void *pack(unsigned flags, int priority)
{
    return (void *)((uintptr_t)(uint32_t)priority << 32 | flags);
}

CUstream client_thread_stream(CUstream stream)
{
    return stream ? stream : CLIENT_STREAM_PER_THREAD;
}

CUresult client_stream(struct device *device, CUstream stream, uint64_t *id)
{
    CUresult status = stream == CLIENT_STREAM_PER_THREAD ? thread_stream(device, &stream) : 0;

    *id = (uintptr_t)stream;
    return status || *id <= (uintptr_t)CLIENT_STREAM_LEGACY ? status : handle_id(HANDLE_STREAM, device, stream, id);
}

CUresult stream_make(struct device *device, unsigned flags, int priority, CUstream *stream)
{
    if (priority > device->snapshot.priority_least)
        priority = device->snapshot.priority_least;
    if (priority < device->snapshot.priority_greatest)
        priority = device->snapshot.priority_greatest;
    struct cuda_cuStreamCreateWithPriority_call call = {
        .phStream = handle_new(HANDLE_STREAM, device, pack(flags, priority)), .flags = flags, .priority = priority};
    if (!call.phStream)
        return CLIENT_OUT_OF_MEMORY;
    CUresult status = session_post(device, CUDA_OP_cuStreamCreateWithPriority, &call, sizeof call, 0);
    if (!status)
        *stream = handle_value(HANDLE_STREAM, call.phStream);
    else
        handle_free(HANDLE_STREAM, call.phStream);
    return status;
}

void stream_end(struct device *device, uint64_t id)
{
    struct cuda_cuStreamDestroy_v2_call call = {id};

    session_post(device, CUDA_OP_cuStreamDestroy_v2, &call, sizeof call, CALL_ALWAYS);
    handle_free(HANDLE_STREAM, id);
}

CUresult cuStreamCreateWithPriority(CUstream *phStream, unsigned int flags, int priority)
{
    struct device *device;
    CUresult status = client_enter(&device);

    if (!status && (!phStream || flags & ~1u))
        status = CLIENT_INVALID_VALUE;
    return status ? status : stream_make(device, flags, priority, phStream);
}

CUresult cuStreamCreate(CUstream *phStream, unsigned int Flags)
{
    return cuStreamCreateWithPriority(phStream, Flags, 0);
}

/* A stream of the current device and what was kept with it. */
static CUresult look_up(CUstream stream, struct device **device, uintptr_t *kept)
{
    uint64_t id;
    CUresult status = client_enter(device);

    if (!status)
        status = client_stream(*device, stream, &id);
    if (!status) /* nothing was kept with the default ones: no flags, no priority */
        *kept = (uintptr_t)handle_object(HANDLE_STREAM, stream);
    return status;
}

CUresult cuStreamGetFlags(CUstream hStream, unsigned int *flags)
{
    struct device *device;
    uintptr_t kept;
    CUresult status = look_up(hStream, &device, &kept);

    if (!status && !flags)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *flags = (unsigned)kept;
    return status;
}

CUresult cuStreamGetPriority(CUstream hStream, int *priority)
{
    struct device *device;
    uintptr_t kept;
    CUresult status = look_up(hStream, &device, &kept);

    if (!status && !priority)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *priority = (int)(kept >> 32);
    return status;
}

CUresult cuStreamGetId(CUstream hStream, unsigned long long *streamId)
{
    struct device *device;
    uint64_t id;
    CUresult status = client_enter(&device);

    if (!status)
        status = client_stream(device, hStream, &id);
    if (!status && !streamId)
        status = CLIENT_INVALID_VALUE;
    if (!status) /* a handle has its generation in it: unique */
        *streamId = id > (uintptr_t)CLIENT_STREAM_LEGACY ? (uintptr_t)handle_value(HANDLE_STREAM, id) : id + 1;
    return status;
}

CUresult cuStreamGetCtx(CUstream hStream, CUcontext *pctx)
{
    struct device *device;
    uintptr_t kept;
    CUresult status = look_up(hStream, &device, &kept);

    if (!status && !pctx)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *pctx = context_current()->value;
    return status;
}

CUresult cuStreamGetDevice(CUstream hStream, CUdevice *device)
{
    struct device *of;
    uintptr_t kept;
    CUresult status = look_up(hStream, &of, &kept);

    if (!status && !device)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *device = of->ordinal;
    return status;
}

/* Nothing is ever captured: graphs are not carried yet. */
CUresult cuStreamIsCapturing(CUstream hStream, CUstreamCaptureStatus *captureStatus)
{
    struct device *device;
    uintptr_t kept;
    CUresult status = look_up(hStream, &device, &kept);

    if (!status && !captureStatus)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *captureStatus = 0;
    return status;
}

CUresult cuStreamGetCaptureInfo_v2(CUstream hStream, CUstreamCaptureStatus *captureStatus_out, cuuint64_t *id_out,
                                   CUgraph *graph_out, const CUgraphNode **dependencies_out, size_t *numDependencies_out)
{
    (void)id_out, (void)graph_out, (void)dependencies_out, (void)numDependencies_out;
    return cuStreamIsCapturing(hStream, captureStatus_out);
}

CUresult cuStreamGetCaptureInfo_v3(CUstream hStream, CUstreamCaptureStatus *captureStatus_out, cuuint64_t *id_out,
                                   CUgraph *graph_out, const CUgraphNode **dependencies_out,
                                   const CUgraphEdgeData **edgeData_out, size_t *numDependencies_out)
{
    (void)edgeData_out;
    return cuStreamGetCaptureInfo_v2(hStream, captureStatus_out, id_out, graph_out, dependencies_out, numDependencies_out);
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    static _Thread_local CUstreamCaptureMode current; /* 0: global */

    if (!mode || *mode < 0 || *mode > 2)
        return CLIENT_INVALID_VALUE;
    CUstreamCaptureMode before = current;
    current = *mode;
    *mode = before;
    return 0;
}

CUresult cuEventElapsedTime(float *pMilliseconds, CUevent hStart, CUevent hEnd)
{
    return cuEventElapsedTime_v2(pMilliseconds, hStart, hEnd);
}
