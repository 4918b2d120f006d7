/* SPDX-License-Identifier: Apache-2.0 */
/* Loss functions. integers[0]: reduction, 0 none, 1 mean, 2 sum. nll: {..., target}; integers[1]: the class left out. */
#include "emu_acl.h"

enum { NONE, MEAN, SUM };

/* {out, input, target} of one shape */
static int prepare_mse(struct run *run) {
    const struct tensor *in = &run->tensors[1];
    if (!fits(&run->tensors[2], in))
        return -1;
    run->items = run->integers[0] == NONE ? in->count : 1;
    return run->tensors[0].count == run->items ? 0 : -1;
}

static double difference(const struct run *run, const struct tensor *in, const struct tensor *target, int64_t index) {
    (void)run;
    return get_number(in, offset_of(in, index)) - get_number(target, offset_like(target, in, index));
}

static void do_mse_loss(struct run *run, int64_t first, int64_t end) {
    const struct tensor *out = &run->tensors[0], *in = &run->tensors[1], *target = &run->tensors[2];
    double sum = 0;
    if (run->integers[0] == NONE) {
        for (int64_t i = first; i < end; i++) {
            const double d = difference(run, in, target, i);
            set_number(out, offset_of(out, i), d * d);
        }
        return;
    }
    for (int64_t i = 0; i < in->count; i++) {
        const double d = difference(run, in, target, i);
        sum += d * d;
    }
    set_number(out, 0, run->integers[0] == MEAN ? sum / (double)in->count : sum);
}

/* {grad_in, grad_out, input, target} */
static int prepare_mse_backward(struct run *run) {
    const struct tensor *in = &run->tensors[2];
    if (!fits(&run->tensors[1], in) || !fits(&run->tensors[3], in) || run->tensors[0].count != in->count)
        return -1;
    run->items = in->count;
    return 0;
}

static void do_mse_loss_backward(struct run *run, int64_t first, int64_t end) {
    const struct tensor *out = &run->tensors[0], *grad = &run->tensors[1], *in = &run->tensors[2];
    const double scale = 2.0 / (run->integers[0] == MEAN ? (double)in->count : 1);
    for (int64_t i = first; i < end; i++)
        set_number(out, offset_of(out, i),
                   scale * difference(run, in, &run->tensors[3], i) * get_number(grad, offset_like(grad, in, i)));
}

/* --- negative log likelihood of rows ------------------------------------------------------------------------------- */

/* {out, total_weight, input [n, classes], target [n][, weight [classes]]} */
static int prepare_nll(struct run *run) {
    const struct tensor *in = &run->tensors[2], *target = &run->tensors[3];
    if (in->rank != 2 || target->rank != 1 || target->count != in->sizes[0] || run->tensors[1].count != 1 ||
        run->tensors[0].count != (run->integers[0] == NONE ? in->sizes[0] : 1))
        return -1;
    run->items = 1;
    return run->tensor_count < 5 || run->tensors[4].count == in->sizes[1] ? 0 : -1;
}

/* The class of a row and its weight; a class out of bounds counts as left out. */
static double weight_of(const struct run *run, const struct tensor *target, const struct tensor *weights, int64_t classes,
                        int64_t row, int64_t *class) {
    *class = get_integer(target, offset_of(target, row));
    if (*class == run->integers[1] || *class < 0 || *class >= classes)
        return 0;
    return weights ? get_number(weights, offset_of(weights, *class)) : 1;
}

static void do_nll_loss(struct run *run, int64_t first, int64_t end) {
    const struct tensor *out = &run->tensors[0], *in = &run->tensors[2], *target = &run->tensors[3];
    const struct tensor *weights = run->tensor_count > 4 ? &run->tensors[4] : NULL;
    double sum = 0, total = 0;
    (void)first, (void)end;
    for (int64_t row = 0; row < in->sizes[0]; row++) {
        int64_t class;
        const double weight = weight_of(run, target, weights, in->sizes[1], row, &class);
        const double loss = weight == 0 ? 0 : -weight * get_number(in, row * in->strides[0] + class * in->strides[1]);
        if (run->integers[0] == NONE)
            set_number(out, offset_of(out, row), loss);
        sum += loss;
        total += weight;
    }
    if (run->integers[0] != NONE)
        set_number(out, 0, run->integers[0] == MEAN ? sum / total : sum);
    set_number(&run->tensors[1], 0, total);
}

/* {grad_in [n, classes], grad_out, total_weight, target [n][, weight]} */
static int prepare_nll_backward(struct run *run) {
    const struct tensor *in = &run->tensors[0], *grad = &run->tensors[1], *target = &run->tensors[3];
    if (in->rank != 2 || target->rank != 1 || target->count != in->sizes[0] || run->tensors[2].count != 1 ||
        grad->count != (run->integers[0] == NONE ? in->sizes[0] : 1))
        return -1;
    run->items = in->sizes[0];
    return run->tensor_count < 5 || run->tensors[4].count == in->sizes[1] ? 0 : -1;
}

static void do_nll_loss_backward(struct run *run, int64_t first, int64_t end) {
    const struct tensor *in = &run->tensors[0], *grad = &run->tensors[1], *target = &run->tensors[3];
    const struct tensor *weights = run->tensor_count > 4 ? &run->tensors[4] : NULL;
    const double total = run->integers[0] == MEAN ? get_number(&run->tensors[2], 0) : 1;
    for (int64_t row = first; row < end; row++) {
        int64_t class;
        const double weight = weight_of(run, target, weights, in->sizes[1], row, &class);
        const double upstream = get_number(grad, run->integers[0] == NONE ? offset_of(grad, row) : 0);
        for (int64_t i = 0; i < in->sizes[1]; i++)
            set_number(in, row * in->strides[0] + i * in->strides[1],
                       weight != 0 && i == class ? -weight * upstream / total : 0);
    }
}

const struct npu_kernel kernels_loss[] = {
    {"mse_loss", 3, 1, prepare_mse, do_mse_loss, 1},
    {"mse_loss_backward", 4, 1, prepare_mse_backward, do_mse_loss_backward, 1},
    {"nll_loss", 4, 2, prepare_nll, do_nll_loss, 64},
    {"nll_loss_backward", 4, 1, prepare_nll_backward, do_nll_loss_backward, 64},
    {0},
};
