/* SPDX-License-Identifier: Apache-2.0 */
/* Entry points of fills. They are asynchronous to the host, as the vendor documents. */
#include "copy.h"

API CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
    return fill_submit(to, 0, value, 1, count, 1, NULL, false);
}

API CUresult cuMemsetD8_v2_ptds(CUdeviceptr to, unsigned char value, size_t count) {
    return fill_submit(to, 0, value, 1, count, 1, CU_STREAM_PER_THREAD, false);
}

API CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    return fill_submit(to, 0, value, 1, count, 1, stream, false);
}

API CUresult cuMemsetD8Async_ptsz(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    return fill_submit(to, 0, value, 1, count, 1, stream_or_per_thread(stream), false);
}

API CUresult cuMemsetD2D8_v2(CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height) {
    return fill_submit(to, pitch, value, 1, width, height, NULL, false);
}

API CUresult cuMemsetD2D8_v2_ptds(CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height) {
    return fill_submit(to, pitch, value, 1, width, height, CU_STREAM_PER_THREAD, false);
}

API CUresult cuMemsetD2D8Async(CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height,
                               CUstream stream) {
    return fill_submit(to, pitch, value, 1, width, height, stream, false);
}

API CUresult cuMemsetD2D8Async_ptsz(CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height,
                                    CUstream stream) {
    return fill_submit(to, pitch, value, 1, width, height, stream_or_per_thread(stream), false);
}

API CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) {
    return fill_submit(to, 0, value, 2, count, 1, NULL, false);
}

API CUresult cuMemsetD16_v2_ptds(CUdeviceptr to, unsigned short value, size_t count) {
    return fill_submit(to, 0, value, 2, count, 1, CU_STREAM_PER_THREAD, false);
}

API CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream) {
    return fill_submit(to, 0, value, 2, count, 1, stream, false);
}

API CUresult cuMemsetD16Async_ptsz(CUdeviceptr to, unsigned short value, size_t count, CUstream stream) {
    return fill_submit(to, 0, value, 2, count, 1, stream_or_per_thread(stream), false);
}

API CUresult cuMemsetD2D16_v2(CUdeviceptr to, size_t pitch, unsigned short value, size_t width, size_t height) {
    return fill_submit(to, pitch, value, 2, width, height, NULL, false);
}

API CUresult cuMemsetD2D16_v2_ptds(CUdeviceptr to, size_t pitch, unsigned short value, size_t width, size_t height) {
    return fill_submit(to, pitch, value, 2, width, height, CU_STREAM_PER_THREAD, false);
}

API CUresult cuMemsetD2D16Async(CUdeviceptr to, size_t pitch, unsigned short value, size_t width, size_t height,
                                CUstream stream) {
    return fill_submit(to, pitch, value, 2, width, height, stream, false);
}

API CUresult cuMemsetD2D16Async_ptsz(CUdeviceptr to, size_t pitch, unsigned short value, size_t width, size_t height,
                                     CUstream stream) {
    return fill_submit(to, pitch, value, 2, width, height, stream_or_per_thread(stream), false);
}

API CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned int value, size_t count) {
    return fill_submit(to, 0, value, 4, count, 1, NULL, false);
}

API CUresult cuMemsetD32_v2_ptds(CUdeviceptr to, unsigned int value, size_t count) {
    return fill_submit(to, 0, value, 4, count, 1, CU_STREAM_PER_THREAD, false);
}

API CUresult cuMemsetD32Async(CUdeviceptr to, unsigned int value, size_t count, CUstream stream) {
    return fill_submit(to, 0, value, 4, count, 1, stream, false);
}

API CUresult cuMemsetD32Async_ptsz(CUdeviceptr to, unsigned int value, size_t count, CUstream stream) {
    return fill_submit(to, 0, value, 4, count, 1, stream_or_per_thread(stream), false);
}

API CUresult cuMemsetD2D32_v2(CUdeviceptr to, size_t pitch, unsigned int value, size_t width, size_t height) {
    return fill_submit(to, pitch, value, 4, width, height, NULL, false);
}

API CUresult cuMemsetD2D32_v2_ptds(CUdeviceptr to, size_t pitch, unsigned int value, size_t width, size_t height) {
    return fill_submit(to, pitch, value, 4, width, height, CU_STREAM_PER_THREAD, false);
}

API CUresult cuMemsetD2D32Async(CUdeviceptr to, size_t pitch, unsigned int value, size_t width, size_t height,
                                CUstream stream) {
    return fill_submit(to, pitch, value, 4, width, height, stream, false);
}

API CUresult cuMemsetD2D32Async_ptsz(CUdeviceptr to, size_t pitch, unsigned int value, size_t width, size_t height,
                                     CUstream stream) {
    return fill_submit(to, pitch, value, 4, width, height, stream_or_per_thread(stream), false);
}
