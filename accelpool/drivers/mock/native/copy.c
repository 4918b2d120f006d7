/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies and fills: up to three-dimensional pieces of memory.
 *
 * Copies between host and idle device are made by the calling thread; other work goes to the stream. A pageable source
 * is copied before an asynchronous call returns, a pageable destination makes the call synchronous, as the vendor's
 * driver does.
 * Pages are paid for before the call returns, so running out of memory is this call's error and no one else's.
 */
#include <stdlib.h>
#include <string.h>

#include "copy.h"

#define SMALL ((uint64_t)64 << 10) /* bytes of a fill or copy inside an idle device that the caller does itself */
#define ROW_COST 256u /* a short row takes as long as so many bytes */


static CUresult piece(const struct plane *plane, uint64_t to, uint64_t from, uint64_t size) {
    if (plane->element)
        return memory_fill(to, plane->value, plane->element, size / plane->element);
    if (plane->to_device)
        return plane->from_device ? memory_copy(to, from, size) : memory_write(to, (const void *)from, size);
    if (plane->from_device)
        return memory_read((void *)to, from, size);
    memmove((void *)to, (const void *)from, size);
    return CUDA_SUCCESS;
}

CUresult plane_step(struct plane *plane, uint64_t limit, bool *done) {
    while (plane->z < plane->depth) {
        uint64_t to = plane->to + plane->z * plane->to_slice + plane->y * plane->to_pitch + plane->x;
        uint64_t from = plane->from + plane->z * plane->from_slice + plane->y * plane->from_pitch + plane->x;
        uint64_t size = plane->width - plane->x;
        if (!limit)
            return CUDA_SUCCESS;
        if (size > limit)
            size = limit;
        if ((plane->to_device && !memory_covers(to, size)) ||
            (!plane->element && plane->from_device && !memory_covers(from, size)))
            return CUDA_ERROR_ILLEGAL_ADDRESS; /* freed after the call */
        TRY(piece(plane, to, from, size));
        limit -= size > ROW_COST ? size : limit < ROW_COST ? limit : ROW_COST;
        plane->x += size;
        if (plane->x == plane->width) {
            plane->x = 0;
            plane->y++;
        }
        if (plane->y == plane->height) {
            plane->y = 0;
            plane->z++;
        }
    }
    *done = true;
    return CUDA_SUCCESS;
}

/* Extent in bytes from the first to the last byte; 0: it does not fit the address space. */
static uint64_t extent(uint64_t width, uint64_t height, uint64_t depth, uint64_t pitch, uint64_t slice) {
    const uint64_t most = (uint64_t)1 << ADDRESS_BITS;
    if (width > most || (height > 1 && pitch > most / (height - 1)) || (depth > 1 && slice > most / (depth - 1)))
        return 0;
    uint64_t size = width + (height - 1) * pitch + (depth - 1) * slice;
    return size <= most ? size : 0;
}

static CUresult check(const struct plane *plane) {
    uint64_t to = extent(plane->width, plane->height, plane->depth, plane->to_pitch, plane->to_slice);
    uint64_t from = extent(plane->width, plane->height, plane->depth, plane->from_pitch, plane->from_slice);
    if (!to || !from || !plane->to || (!plane->from && !plane->element))
        return CUDA_ERROR_INVALID_VALUE;
    if (plane->to_device && !memory_covers(plane->to, to))
        return CUDA_ERROR_INVALID_VALUE;
    if (plane->from_device && !memory_covers(plane->from, from))
        return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

static CUresult commit(const struct plane *plane) {
    if (!plane->to_device || (plane->element && !plane->value))
        return CUDA_SUCCESS;
    if (plane->to_pitch <= PAGE_BYTES && plane->depth == 1) /* no page is left out */
        return memory_commit(plane->to, plane->width + (plane->height - 1) * plane->to_pitch);
    for (uint64_t z = 0; z < plane->depth; z++)
        for (uint64_t y = 0; y < plane->height; y++)
            TRY(memory_commit(plane->to + z * plane->to_slice + y * plane->to_pitch, plane->width));
    return CUDA_SUCCESS;
}

/* A pageable source becomes a packed copy of this item's own. Fails when too much is staged already. */
static bool stage(struct plane *plane) {
    uint64_t rows = plane->height * plane->depth;
    uint8_t *staged = staging_new(plane->width * rows);
    if (!staged)
        return false;
    for (uint64_t row = 0; row < rows; row++)
        memcpy(staged + row * plane->width,
               (const void *)(plane->from + row / plane->height * plane->from_slice + row % plane->height * plane->from_pitch),
               plane->width);
    plane->from = (uint64_t)staged;
    plane->from_pitch = plane->width;
    plane->from_slice = plane->width * plane->height;
    plane->staged = staged;
    return true;
}

/* Rows that follow one another without a gap are one row. */
static void join_rows(struct plane *plane) {
    if (plane->depth > 1 || plane->to_pitch != plane->width || (!plane->element && plane->from_pitch != plane->width))
        return;
    plane->width *= plane->height;
    plane->height = 1;
}

static void enqueue(struct stream *stream, const struct plane *plane) {
    struct work *work = work_begin(stream);
    work->kind = plane->element ? WORK_FILL : WORK_COPY;
    work->plane = *plane;
    work_submit(stream);
}

/* With host memory at one end: by the calling thread, unless the stream is busy and the host's side can wait. */
static CUresult submit_host_copy(struct stream *stream, struct plane *plane, bool wait) {
    bool done = false;
    bool pageable_to = !plane->to_device && !memory_is_pinned((void *)plane->to, plane->width);
    bool pageable_from = !plane->from_device && !memory_is_pinned((void *)plane->from, plane->width);
    if (!wait && !pageable_to && !stream_idle(stream) && (!pageable_from || stage(plane))) {
        enqueue(stream, plane);
        return CUDA_SUCCESS;
    }
    TRY(stream_settle(stream));
    return plane_step(plane, UINT64_MAX, &done);
}

/* Inside the device: the engine's work, so that it is metered, unless it is too little to be worth the way. */
static CUresult submit_device_work(struct stream *stream, struct plane *plane, bool wait) {
    bool done = false;
    if (plane->width <= SMALL / plane->height / plane->depth && stream_idle(stream))
        return plane_step(plane, UINT64_MAX, &done);
    enqueue(stream, plane);
    return wait ? stream_drain(stream) : CUDA_SUCCESS;
}

CUresult plane_submit(struct plane *plane, CUstream handle, bool wait) {
    struct stream *stream;
    TRY(stream_find(handle, &stream));
    if (!plane->width || !plane->height || !plane->depth)
        return CUDA_SUCCESS;
    TRY(check(plane));
    join_rows(plane);
    TRY(commit(plane));
    if (plane->to_device && (plane->from_device || plane->element))
        return submit_device_work(stream, plane, wait);
    return submit_host_copy(stream, plane, wait);
}

CUresult copy_submit(uint64_t to, uint64_t from, uint64_t size, bool to_device, bool from_device, CUstream stream,
                     bool wait) {
    struct plane plane = {.to = to, .from = from, .width = size, .height = 1, .depth = 1, .to_device = to_device,
                          .from_device = from_device};
    return plane_submit(&plane, stream, wait);
}

CUresult fill_submit(CUdeviceptr to, size_t pitch, uint32_t value, unsigned element, size_t width, size_t height,
                     CUstream stream, bool wait) {
    if (to % element || width > SIZE_MAX / element || (height > 1 && (pitch < width * element || pitch % element)))
        return CUDA_ERROR_INVALID_VALUE;
    struct plane plane = {.to = to, .width = width * element, .height = height, .depth = 1, .to_pitch = pitch,
                          .to_device = true, .element = (uint8_t)element, .value = value};
    if (element < 4)
        plane.value &= element == 1 ? 0xffu : 0xffffu;
    return plane_submit(&plane, stream, wait);
}
