/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows picked by an index tensor. An index out of bounds is the program's error and ends the launch's effect on that
 * element only: it reads as zero and writes nothing. integers[0]: the dimension.
 */
#include "emu_acl.h"

static int64_t along(const struct run *run) {
    return run->integers[0];
}

/* index_select: {out, in, index}; out is `in` with the dimension replaced by the index's length. */
static int prepare_select(struct run *run) {
    const struct tensor *out = &run->tensors[0], *in = &run->tensors[1], *index = &run->tensors[2];
    if (in->rank != out->rank || along(run) < 0 || along(run) >= in->rank || index->rank > 1)
        return -1;
    for (int i = 0; i < in->rank; i++)
        if (out->sizes[i] != (i == along(run) ? index->count : in->sizes[i]))
            return -1;
    run->items = out->count;
    return 0;
}

/* Offset in `tensor` of the element that has the output's coordinates, but `position` along the dimension. */
static int64_t moved(const struct run *run, const struct tensor *tensor, const struct tensor *like, int64_t item,
                     int64_t position) {
    int64_t offset = 0;
    for (int i = like->rank - 1; i >= 0; i--) {
        offset += (i == along(run) ? position : item % like->sizes[i]) * tensor->strides[i];
        item /= like->sizes[i];
    }
    return offset;
}

static int64_t coordinate(const struct run *run, const struct tensor *like, int64_t item) {
    for (int i = like->rank - 1; i > along(run); i--)
        item /= like->sizes[i];
    return item % like->sizes[along(run)];
}

static void put(const struct tensor *out, int64_t to, const struct tensor *in, int64_t from) {
    if (type_is_integer(out->type) && type_is_integer(in->type))
        set_integer(out, to, get_integer(in, from));
    else
        set_number(out, to, get_number(in, from));
}

static void do_index_select(struct run *run, int64_t first, int64_t end) {
    const struct tensor *out = &run->tensors[0], *in = &run->tensors[1], *index = &run->tensors[2];
    for (int64_t item = first; item < end; item++) {
        int64_t position = get_integer(index, offset_of(index, coordinate(run, out, item)));
        position += position < 0 ? in->sizes[along(run)] : 0;
        if (position < 0 || position >= in->sizes[along(run)])
            set_integer(out, offset_of(out, item), 0);
        else
            put(out, offset_of(out, item), in, moved(run, in, out, item, position));
    }
}

/* gather: {out, in, index}; index has the output's shape. */
static int prepare_gather(struct run *run) {
    const struct tensor *out = &run->tensors[0], *in = &run->tensors[1], *index = &run->tensors[2];
    if (in->rank != out->rank || index->rank != out->rank || along(run) < 0 || along(run) >= in->rank)
        return -1;
    for (int i = 0; i < in->rank; i++)
        if (index->sizes[i] != out->sizes[i] || (i != along(run) && out->sizes[i] > in->sizes[i]))
            return -1;
    run->items = out->count;
    return 0;
}

static void do_gather(struct run *run, int64_t first, int64_t end) {
    const struct tensor *out = &run->tensors[0], *in = &run->tensors[1], *index = &run->tensors[2];
    for (int64_t item = first; item < end; item++) {
        const int64_t position = get_integer(index, offset_of(index, item));
        if (position < 0 || position >= in->sizes[along(run)])
            set_integer(out, offset_of(out, item), 0);
        else
            put(out, offset_of(out, item), in, moved(run, in, out, item, position));
    }
}

/* concatenation: {out, in}: `in` goes to out, `integers[1]` further along the dimension. */
static int prepare_place(struct run *run) {
    const struct tensor *out = &run->tensors[0], *in = &run->tensors[1];
    if (in->rank != out->rank || along(run) < 0 || along(run) >= in->rank || run->integers[1] < 0)
        return -1;
    for (int i = 0; i < in->rank; i++)
        if (i == along(run) ? in->sizes[i] > out->sizes[i] - run->integers[1] : in->sizes[i] != out->sizes[i])
            return -1;
    run->items = in->count;
    return 0;
}

static void do_place(struct run *run, int64_t first, int64_t end) {
    const struct tensor *out = &run->tensors[0], *in = &run->tensors[1];
    for (int64_t item = first; item < end; item++)
        put(out, moved(run, out, in, item, coordinate(run, in, item) + run->integers[1]), in, offset_of(in, item));
}

const struct npu_kernel kernels_index[] = {
    {"index_select", 3, 1, prepare_select, do_index_select, 1},
    {"gather", 3, 1, prepare_gather, do_gather, 1},
    {"place", 2, 1, prepare_place, do_place, 1},
    {0},
};
