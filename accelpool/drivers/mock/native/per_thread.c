/* SPDX-License-Identifier: Apache-2.0 */
/* The entry points of programs built for per-thread default streams: NULL means the calling thread's own stream. */
#include "api.h"

API CUresult cuStreamGetPriority_ptsz(CUstream stream, int *priority) {
    return cuStreamGetPriority(stream_or_per_thread(stream), priority);
}

API CUresult cuStreamGetFlags_ptsz(CUstream stream, unsigned *flags) {
    return cuStreamGetFlags(stream_or_per_thread(stream), flags);
}

API CUresult cuStreamGetId_ptsz(CUstream stream, unsigned long long *id) {
    return cuStreamGetId(stream_or_per_thread(stream), id);
}

API CUresult cuStreamGetCtx_ptsz(CUstream stream, CUcontext *context) {
    return cuStreamGetCtx(stream_or_per_thread(stream), context);
}

API CUresult cuStreamGetDevice_ptsz(CUstream stream, CUdevice *device) {
    return cuStreamGetDevice(stream_or_per_thread(stream), device);
}

API CUresult cuStreamWaitEvent_ptsz(CUstream stream, CUevent event, unsigned flags) {
    return cuStreamWaitEvent(stream_or_per_thread(stream), event, flags);
}

API CUresult cuStreamAddCallback_ptsz(CUstream stream, CUstreamCallback callback, void *data, unsigned flags) {
    return cuStreamAddCallback(stream_or_per_thread(stream), callback, data, flags);
}

API CUresult cuStreamQuery_ptsz(CUstream stream) {
    return cuStreamQuery(stream_or_per_thread(stream));
}

API CUresult cuStreamSynchronize_ptsz(CUstream stream) {
    return cuStreamSynchronize(stream_or_per_thread(stream));
}

API CUresult cuStreamIsCapturing_ptsz(CUstream stream, int *status) {
    return cuStreamIsCapturing(stream_or_per_thread(stream), status);
}

API CUresult cuEventRecord_ptsz(CUevent event, CUstream stream) {
    return cuEventRecord(event, stream_or_per_thread(stream));
}

API CUresult cuEventRecordWithFlags_ptsz(CUevent event, CUstream stream, unsigned flags) {
    return cuEventRecordWithFlags(event, stream_or_per_thread(stream), flags);
}

API CUresult cuLaunchHostFunc_ptsz(CUstream stream, CUhostFn function, void *data) {
    return cuLaunchHostFunc(stream_or_per_thread(stream), function, data);
}

API CUresult cuMemAllocAsync_ptsz(CUdeviceptr *address, size_t size, CUstream stream) {
    return cuMemAllocAsync(address, size, stream_or_per_thread(stream));
}

API CUresult cuMemFreeAsync_ptsz(CUdeviceptr address, CUstream stream) {
    return cuMemFreeAsync(address, stream_or_per_thread(stream));
}

API CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr *address, size_t size, CUmemoryPool pool, CUstream stream) {
    return cuMemAllocFromPoolAsync(address, size, pool, stream_or_per_thread(stream));
}

API CUresult cuLaunchKernel_ptsz(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                 unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                                 CUstream stream, void **parameters, void **extra) {
    return cuLaunchKernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared,
                          stream_or_per_thread(stream), parameters, extra);
}

API CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction function, void **parameters,
                                   void **extra) {
    if (!config)
        return CUDA_ERROR_INVALID_VALUE;
    CUlaunchConfig own = *config;
    own.hStream = stream_or_per_thread(config->hStream);
    return cuLaunchKernelEx(&own, function, parameters, extra);
}

API CUresult cuLaunchCooperativeKernel_ptsz(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                            unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                                            CUstream stream, void **parameters) {
    return cuLaunchCooperativeKernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared,
                                     stream_or_per_thread(stream), parameters);
}
