/* SPDX-License-Identifier: Apache-2.0 */
/* Entry points of one-dimensional copies. The _ptds and _ptsz forms take the thread's own default stream for NULL. */
#include "copy.h"

static bool on_device(CUdeviceptr address) {
    return memory_is_device(address) || memory_is_pinned((const void *)address, 1);
}

API CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size) {
    return copy_submit(to, (uint64_t)from, size, true, false, NULL, true);
}

API CUresult cuMemcpyHtoD_v2_ptds(CUdeviceptr to, const void *from, size_t size) {
    return copy_submit(to, (uint64_t)from, size, true, false, CU_STREAM_PER_THREAD, true);
}

API CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size) {
    return copy_submit((uint64_t)to, from, size, false, true, NULL, true);
}

API CUresult cuMemcpyDtoH_v2_ptds(void *to, CUdeviceptr from, size_t size) {
    return copy_submit((uint64_t)to, from, size, false, true, CU_STREAM_PER_THREAD, true);
}

API CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t size) {
    return copy_submit(to, from, size, true, true, NULL, false);
}

API CUresult cuMemcpyDtoD_v2_ptds(CUdeviceptr to, CUdeviceptr from, size_t size) {
    return copy_submit(to, from, size, true, true, CU_STREAM_PER_THREAD, false);
}

API CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t size) {
    return copy_submit(to, from, size, on_device(to), on_device(from), NULL, true);
}

API CUresult cuMemcpy_ptds(CUdeviceptr to, CUdeviceptr from, size_t size) {
    return copy_submit(to, from, size, on_device(to), on_device(from), CU_STREAM_PER_THREAD, true);
}

API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, CUstream stream) {
    return copy_submit(to, (uint64_t)from, size, true, false, stream, false);
}

API CUresult cuMemcpyHtoDAsync_v2_ptsz(CUdeviceptr to, const void *from, size_t size, CUstream stream) {
    return copy_submit(to, (uint64_t)from, size, true, false, stream_or_per_thread(stream), false);
}

API CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, CUstream stream) {
    return copy_submit((uint64_t)to, from, size, false, true, stream, false);
}

API CUresult cuMemcpyDtoHAsync_v2_ptsz(void *to, CUdeviceptr from, size_t size, CUstream stream) {
    return copy_submit((uint64_t)to, from, size, false, true, stream_or_per_thread(stream), false);
}

API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) {
    return copy_submit(to, from, size, true, true, stream, false);
}

API CUresult cuMemcpyDtoDAsync_v2_ptsz(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) {
    return copy_submit(to, from, size, true, true, stream_or_per_thread(stream), false);
}

API CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) {
    return copy_submit(to, from, size, on_device(to), on_device(from), stream, false);
}

API CUresult cuMemcpyAsync_ptsz(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) {
    return copy_submit(to, from, size, on_device(to), on_device(from), stream_or_per_thread(stream), false);
}

/* Peer copies: this process has one device, so both contexts are on it. */
static CUresult peers(CUcontext to, CUcontext from) {
    struct context *context;
    TRY(context_find(to, &context));
    return context_find(from, &context);
}

API CUresult cuMemcpyPeer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t size) {
    TRY(peers(to_context, from_context));
    return copy_submit(to, from, size, true, true, NULL, false);
}

API CUresult cuMemcpyPeer_ptds(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context,
                               size_t size) {
    TRY(peers(to_context, from_context));
    return copy_submit(to, from, size, true, true, CU_STREAM_PER_THREAD, false);
}

API CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context,
                               size_t size, CUstream stream) {
    TRY(peers(to_context, from_context));
    return copy_submit(to, from, size, true, true, stream, false);
}

API CUresult cuMemcpyPeerAsync_ptsz(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context,
                                    size_t size, CUstream stream) {
    return cuMemcpyPeerAsync(to, to_context, from, from_context, size, stream_or_per_thread(stream));
}
