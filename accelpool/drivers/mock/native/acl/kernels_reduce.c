/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reductions: tensors are {out, in}; integers[0] = a bit for every dimension of `in` that goes. One item is one element of
 * the output, whose order is that of the dimensions that stay.
 */
#include <math.h>

#include "emu_acl.h"

static int goes(const struct run *run, int dimension) {
    return (int)(run->integers[0] >> dimension & 1);
}

static int prepare(struct run *run) {
    const struct tensor *in = &run->tensors[1];
    int64_t stay = 1;
    for (int i = 0; i < in->rank; i++)
        if (!goes(run, i))
            stay *= in->sizes[i];
    run->items = stay;
    return run->tensors[0].count == stay ? 0 : -1;
}

/* Offset in `in` of the output's item and how many elements are behind it. */
static int64_t base_of(const struct run *run, int64_t item, int64_t *count) {
    const struct tensor *in = &run->tensors[1];
    int64_t offset = 0;
    *count = 1;
    for (int i = in->rank - 1; i >= 0; i--) {
        if (goes(run, i)) {
            *count *= in->sizes[i];
        } else {
            offset += item % in->sizes[i] * in->strides[i];
            item /= in->sizes[i];
        }
    }
    return offset;
}

static int64_t inner(const struct run *run, int64_t index) {
    const struct tensor *in = &run->tensors[1];
    int64_t offset = 0;
    for (int i = in->rank - 1; i >= 0 && index; i--)
        if (goes(run, i)) {
            offset += index % in->sizes[i] * in->strides[i];
            index /= in->sizes[i];
        }
    return offset;
}

static void total(struct run *run, int64_t first, int64_t end, int mean) {
    const struct tensor *out = &run->tensors[0], *in = &run->tensors[1];
    for (int64_t item = first; item < end; item++) {
        int64_t count, base = base_of(run, item, &count), whole = 0;
        double sum = 0;
        for (int64_t i = 0; i < count; i++)
            if (type_is_integer(in->type))
                whole = (int64_t)((uint64_t)whole + (uint64_t)get_integer(in, base + inner(run, i)));
            else
                sum += get_number(in, base + inner(run, i));
        if (type_is_integer(in->type) && !mean)
            set_integer(out, offset_of(out, item), whole);
        else
            set_number(out, offset_of(out, item), (sum + (double)whole) / (mean ? (double)count : 1));
    }
}

static void do_sum(struct run *run, int64_t first, int64_t end) {
    total(run, first, end, 0);
}

static void do_mean(struct run *run, int64_t first, int64_t end) {
    total(run, first, end, 1);
}

/* Which element is the largest (sign 1) or smallest (sign -1); a NaN wins. */
static int64_t best_of(const struct run *run, int64_t item, double sign, double *value) {
    const struct tensor *in = &run->tensors[1];
    int64_t count, base = base_of(run, item, &count), best = 0;
    *value = 0;
    for (int64_t i = 0; i < count; i++) {
        const double x = get_number(in, base + inner(run, i));
        if (i == 0 || (*value == *value && (x != x || x * sign > *value * sign))) {
            *value = x;
            best = i;
        }
    }
    return best;
}

#define EXTREME(name, sign, set, what)                                                                                 \
    static void do_##name(struct run *run, int64_t first, int64_t end) {                                               \
        const struct tensor *out = &run->tensors[0];                                                                   \
        for (int64_t item = first; item < end; item++) {                                                               \
            double value;                                                                                              \
            const int64_t best = best_of(run, item, sign, &value);                                                     \
            (void)best;                                                                                                \
            set(out, offset_of(out, item), what);                                                                      \
        }                                                                                                              \
    }
EXTREME(max, 1, set_number, value)
EXTREME(min, -1, set_number, value)
EXTREME(argmax, 1, set_integer, best)
EXTREME(argmin, -1, set_integer, best)

#define LOGICAL(name, start, stop)                                                                                     \
    static void do_##name(struct run *run, int64_t first, int64_t end) {                                               \
        const struct tensor *out = &run->tensors[0], *in = &run->tensors[1];                                           \
        for (int64_t item = first; item < end; item++) {                                                               \
            int64_t count, base = base_of(run, item, &count), result = start;                                          \
            for (int64_t i = 0; i < count && result == start; i++)                                                     \
                if ((get_number(in, base + inner(run, i)) != 0) == (stop))                                             \
                    result = stop;                                                                                     \
            set_integer(out, offset_of(out, item), result);                                                            \
        }                                                                                                              \
    }
LOGICAL(any, 0, 1)
LOGICAL(all, 1, 0)

#define KERNEL(name) {#name, 2, 1, prepare, do_##name, 64}
const struct npu_kernel kernels_reduce[] = {
    KERNEL(sum), KERNEL(mean), KERNEL(max), KERNEL(min), KERNEL(argmax), KERNEL(argmin), KERNEL(any), KERNEL(all), {0},
};
