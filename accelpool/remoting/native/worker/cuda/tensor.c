/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor maps: encoded by the vendor's library. Only kernels of this session use the address in one. */
#include "cuda_calls.h"
#include "cuda_worker.h"
#include "vendor.h"

/* A payload of this size; 0 or -1: the session is over. */
static int take(struct session *s, const struct call *call, void *to, size_t size)
{
    if (call->length != size) {
        session_end(s, "a tensor map: malformed");
        return -1;
    }
    memcpy(to, call->payload, size);
    return 0;
}

static int take_map(struct session *s, const struct call *call, struct cuda_tensor_map *t)
{
    if (take(s, call, t, sizeof *t))
        return -1;
    if (t->rank && t->rank <= TENSOR_RANK)
        return 0;
    call_status(s, call, CU_INVALID_VALUE); /* the vendor would read past the arrays */
    return -1;
}

void worker_cuTensorMapEncodeTiled(struct session *s, const struct call *call)
{
    _Alignas(128) uint64_t map[TENSOR_MAP_WORDS] = {0};
    struct cuda_tensor_map t;

    if (take_map(s, call, &t))
        return;
    int status = vendor.tensor_tiled ? vendor.tensor_tiled(map, t.type, t.rank, t.address, t.dimensions, t.strides, t.box,
                                                           t.element_strides, t.interleave, t.swizzle, t.promotion, t.fill)
                                     : CU_NOT_SUPPORTED;
    call_reply(s, call, status, map, sizeof map);
}

void worker_cuTensorMapEncodeIm2col(struct session *s, const struct call *call)
{
    _Alignas(128) uint64_t map[TENSOR_MAP_WORDS] = {0};
    struct cuda_tensor_map t;

    if (take_map(s, call, &t))
        return;
    int status = vendor.tensor_im2col
                     ? vendor.tensor_im2col(map, t.type, t.rank, t.address, t.dimensions, t.strides, t.lower, t.upper,
                                            t.channels, t.pixels, t.element_strides, t.interleave, t.swizzle, t.promotion,
                                            t.fill)
                     : CU_NOT_SUPPORTED;
    call_reply(s, call, status, map, sizeof map);
}

void worker_cuTensorMapReplaceAddress(struct session *s, const struct call *call)
{
    _Alignas(128) uint64_t map[TENSOR_MAP_WORDS];
    struct cuda_tensor_replace t;

    if (take(s, call, &t, sizeof t))
        return;
    memcpy(map, t.map, sizeof map);
    int status = vendor.tensor_replace ? vendor.tensor_replace(map, t.address) : CU_NOT_SUPPORTED;
    call_reply(s, call, status, map, sizeof map);
}
