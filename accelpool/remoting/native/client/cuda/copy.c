/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies. To the device: sent and not waited for; the source may change as soon as the call returns. From the device: one
 * round trip, also for the asynchronous variants, because the bytes have nowhere to wait but the program's memory.
 */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "cuda_wire.h"

#define BOUNCE (1u << 20) /* bytes on their way from one device to another */

static CUresult copy_in(struct device *device, CUdeviceptr to, const void *from, size_t bytes, CUstream stream)
{
    uint64_t id;
    CUresult status = client_stream(device, stream, &id);

    if (!status && bytes)
        status = from ? client_range(device, to, bytes) : CLIENT_INVALID_VALUE;
    return status || !bytes ? status : session_copy_in(device, to, from, bytes, id);
}

static CUresult copy_out(struct device *device, void *to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    uint64_t id;
    CUresult status = client_stream(device, stream, &id);

    if (!status && bytes)
        status = to ? client_range(device, from, bytes) : CLIENT_INVALID_VALUE;
    return status || !bytes ? status : session_copy_out(device, to, from, bytes, id);
}

static CUresult copy_within(struct device *device, CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    struct cuda_cuMemcpyDtoDAsync_v2_call call = {.dstDevice = to, .srcDevice = from, .ByteCount = bytes};
    uint64_t id;
    CUresult status = client_stream(device, stream, &id);

    if (!status)
        status = client_range(device, to, bytes);
    if (!status)
        status = client_range(device, from, bytes);
    if (status || !bytes)
        return status;
    call.hStream = id;
    return session_post(device, CUDA_OP_cuMemcpyDtoDAsync_v2, &call, sizeof call, CALL_WORK);
}

/* Between devices, through the program's memory. */
static CUresult copy_across(struct device *device, CUdeviceptr to, struct device *source, CUdeviceptr from, size_t bytes)
{
    CUresult status = client_range(device, to, bytes);
    char *bounce = status ? NULL : malloc(BOUNCE);

    if (!status && !bounce)
        status = CLIENT_OUT_OF_MEMORY;
    for (size_t done = 0; !status && done < bytes; done += BOUNCE) {
        size_t part = bytes - done < BOUNCE ? bytes - done : BOUNCE;

        status = copy_out(source, bounce, from + done, part, NULL);
        if (!status)
            status = copy_in(device, to + done, bounce, part, NULL);
    }
    free(bounce);
    return status;
}

/* The device that an address of the unified space belongs to; NULL: host memory. */
static struct device *side(struct device *current, CUdeviceptr address)
{
    uint64_t start, bytes;
    struct device *device = client_device_at(address);

    return !device && module_global_at(current, address, &start, &bytes) ? current : device;
}

static CUresult copy_any(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    struct device *current;
    CUresult status = client_enter(&current);

    if (status)
        return status;
    struct device *target = side(current, to), *source = side(current, from);
    void *host_to = (void *)(uintptr_t)to;
    const void *host_from = (const void *)(uintptr_t)from;
    if (target && source)
        return target == source ? copy_within(target, to, from, bytes, target == current ? stream : NULL)
                                : copy_across(target, to, source, from, bytes);
    if (target)
        return copy_in(target, to, host_from, bytes, target == current ? stream : NULL);
    if (source)
        return copy_out(source, host_to, from, bytes, source == current ? stream : NULL);
    if (bytes && (!to || !from))
        return CLIENT_INVALID_VALUE;
    status = cuStreamSynchronize(stream);
    if (!status)
        memmove(host_to, host_from, bytes);
    return status;
}

CUresult cuMemcpy(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount)
{
    return copy_any(dst, src, ByteCount, NULL);
}

CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount, CUstream hStream)
{
    return copy_any(dst, src, ByteCount, hStream);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount, CUstream hStream)
{
    struct device *device;
    CUresult status = client_enter(&device);

    return status ? status : copy_in(device, dstDevice, srcHost, ByteCount, hStream);
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount)
{
    return cuMemcpyHtoDAsync_v2(dstDevice, srcHost, ByteCount, NULL);
}

CUresult cuMemcpyDtoHAsync_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream)
{
    struct device *device;
    CUresult status = client_enter(&device);

    return status ? status : copy_out(device, dstHost, srcDevice, ByteCount, hStream);
}

CUresult cuMemcpyDtoH_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount)
{
    return cuMemcpyDtoHAsync_v2(dstHost, srcDevice, ByteCount, NULL);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice, CUcontext srcContext,
                           size_t ByteCount, CUstream hStream)
{
    if (!handle_object(HANDLE_CONTEXT, dstContext) || !handle_object(HANDLE_CONTEXT, srcContext))
        return client_ready() ? CLIENT_NOT_INITIALIZED : CLIENT_INVALID_CONTEXT;
    return copy_any(dstDevice, srcDevice, ByteCount, hStream);
}

CUresult cuMemcpyPeer(CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice, CUcontext srcContext,
                      size_t ByteCount)
{
    return cuMemcpyPeerAsync(dstDevice, dstContext, srcDevice, srcContext, ByteCount, NULL);
}

/* --- rectangles: row after row, because that is what a pitch means ------------------------------------------------- */

static CUresult start_of(CUmemorytype type, const void *host, CUdeviceptr device, size_t x, size_t y, size_t pitch,
                         size_t width, CUdeviceptr *start)
{
    if (type == MEMORY_ARRAY)
        return CLIENT_NOT_SUPPORTED;
    if (type < MEMORY_HOST || type > MEMORY_UNIFIED || (pitch && pitch < x + width))
        return CLIENT_INVALID_VALUE;
    *start = (type == MEMORY_HOST ? (uintptr_t)host : device) + y * pitch + x;
    return 0;
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *pCopy, CUstream hStream)
{
    CUdeviceptr to, from;
    CUresult status = client_ready();

    if (status)
        return status;
    if (!pCopy)
        return CLIENT_INVALID_VALUE;
    size_t rows = pCopy->Height, width = pCopy->WidthInBytes;
    status = start_of(pCopy->srcMemoryType, pCopy->srcHost, pCopy->srcDevice, pCopy->srcXInBytes, pCopy->srcY,
                      pCopy->srcPitch, width, &from);
    if (!status)
        status = start_of(pCopy->dstMemoryType, pCopy->dstHost, pCopy->dstDevice, pCopy->dstXInBytes, pCopy->dstY,
                          pCopy->dstPitch, width, &to);
    if (!status && rows > 1 && pCopy->srcPitch == width && pCopy->dstPitch == width &&
        !__builtin_mul_overflow(rows, width, &width))
        rows = 1; /* no gaps: one copy */
    for (size_t row = 0; !status && row < rows; row++)
        status = copy_any(to + row * pCopy->dstPitch, from + row * pCopy->srcPitch, width, hStream);
    return status;
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *pCopy)
{
    return cuMemcpy2DAsync_v2(pCopy, NULL);
}

CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *pCopy)
{
    return cuMemcpy2DAsync_v2(pCopy, NULL);
}
