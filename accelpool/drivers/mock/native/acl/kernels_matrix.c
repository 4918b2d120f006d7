/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix products and softmax. matmul: {out, a, b[, c]} computes numbers[0] * (a x b) + numbers[1] * c over the last two
 * dimensions; leading ones are batches. softmax and its kind: integers[0] is the dimension; one item is one row along it.
 */
#include <math.h>

#include "emu_acl.h"

static int prepare_matmul(struct run *run) {
    const struct tensor *out = &run->tensors[0], *a = &run->tensors[1], *b = &run->tensors[2];
    if (out->rank < 2 || a->rank != out->rank || b->rank != out->rank)
        return -1;
    const int m = out->rank - 2, n = out->rank - 1;
    if (a->sizes[m] != out->sizes[m] || b->sizes[n] != out->sizes[n] || a->sizes[n] != b->sizes[m])
        return -1;
    for (int i = 0; i < m; i++)
        if ((a->sizes[i] != 1 && a->sizes[i] != out->sizes[i]) || (b->sizes[i] != 1 && b->sizes[i] != out->sizes[i]))
            return -1;
    run->items = out->count;
    return run->tensor_count < 4 || fits(&run->tensors[3], out) ? 0 : -1;
}

/* Offset of the batch, row and column that an output element has in a tensor of the same rank, without those two. */
static int64_t batch_of(const struct tensor *tensor, const struct tensor *out, int64_t index) {
    int64_t offset = 0;
    index /= out->sizes[out->rank - 1] * out->sizes[out->rank - 2];
    for (int i = out->rank - 3; i >= 0; i--) {
        if (tensor->sizes[i] != 1)
            offset += index % out->sizes[i] * tensor->strides[i];
        index /= out->sizes[i];
    }
    return offset;
}

static double dot(const struct tensor *a, int64_t at, const struct tensor *b, int64_t bt, int64_t count, int64_t step_a,
                  int64_t step_b) {
    double sum = 0;
    if (a->type == 0 && b->type == 0) {
        const float *x = (const float *)(const void *)a->data + at, *y = (const float *)(const void *)b->data + bt;
        for (int64_t i = 0; i < count; i++)
            sum += (double)x[i * step_a] * (double)y[i * step_b];
        return sum;
    }
    for (int64_t i = 0; i < count; i++)
        sum += get_number(a, at + i * step_a) * get_number(b, bt + i * step_b);
    return sum;
}

static void do_matmul(struct run *run, int64_t first, int64_t end) {
    const struct tensor *out = &run->tensors[0], *a = &run->tensors[1], *b = &run->tensors[2], *c = &run->tensors[3];
    const int m = out->rank - 2, n = out->rank - 1;
    for (int64_t i = first; i < end; i++) {
        const int64_t column = i % out->sizes[n], row = i / out->sizes[n] % out->sizes[m];
        double value = run->numbers[0] * dot(a, batch_of(a, out, i) + row * a->strides[m], b,
                                             batch_of(b, out, i) + column * b->strides[n], a->sizes[n], a->strides[n],
                                             b->strides[m]);
        if (run->tensor_count > 3 && run->numbers[1] != 0)
            value += run->numbers[1] * get_number(c, offset_like(c, out, i));
        set_number(out, offset_of(out, i), value);
    }
}

/* --- along one dimension -------------------------------------------------------------------------------------------- */

static int prepare_rows(struct run *run) {
    const struct tensor *out = &run->tensors[0];
    const int64_t along = run->integers[0];
    if (along < 0 || along >= out->rank)
        return -1;
    for (unsigned t = 1; t < run->tensor_count; t++) {
        if (run->tensors[t].rank != out->rank)
            return -1;
        for (int i = 0; i < out->rank; i++)
            if (run->tensors[t].sizes[i] != out->sizes[i])
                return -1;
    }
    run->items = out->sizes[along] ? out->count / out->sizes[along] : 0;
    return 0;
}

static int64_t row_of(const struct tensor *tensor, int64_t along, int64_t item) {
    int64_t offset = 0;
    for (int i = tensor->rank - 1; i >= 0; i--)
        if (i != along) {
            offset += item % tensor->sizes[i] * tensor->strides[i];
            item /= tensor->sizes[i];
        }
    return offset;
}

static void softmax(struct run *run, int64_t first, int64_t end, int logarithm) {
    const struct tensor *out = &run->tensors[0], *in = &run->tensors[1];
    const int64_t along = run->integers[0], count = in->sizes[along], step = in->strides[along];
    for (int64_t item = first; item < end; item++) {
        const int64_t from = row_of(in, along, item), to = row_of(out, along, item);
        double most = -INFINITY, sum = 0;
        for (int64_t i = 0; i < count; i++)
            most = fmax(most, get_number(in, from + i * step));
        for (int64_t i = 0; i < count; i++)
            sum += exp(get_number(in, from + i * step) - most);
        for (int64_t i = 0; i < count; i++) {
            const double x = get_number(in, from + i * step) - most;
            set_number(out, to + i * out->strides[along], logarithm ? x - log(sum) : exp(x) / sum);
        }
    }
}

static void do_softmax(struct run *run, int64_t first, int64_t end) {
    softmax(run, first, end, 0);
}

static void do_log_softmax(struct run *run, int64_t first, int64_t end) {
    softmax(run, first, end, 1);
}

/* {grad_in, grad_out, output} */
static void backward(struct run *run, int64_t first, int64_t end, int logarithm) {
    const struct tensor *in = &run->tensors[0], *grad = &run->tensors[1], *output = &run->tensors[2];
    const int64_t along = run->integers[0], count = in->sizes[along];
    for (int64_t item = first; item < end; item++) {
        const int64_t to = row_of(in, along, item), g = row_of(grad, along, item), y = row_of(output, along, item);
        double sum = 0;
        for (int64_t i = 0; i < count; i++)
            sum += get_number(grad, g + i * grad->strides[along]) *
                   (logarithm ? 1 : get_number(output, y + i * output->strides[along]));
        for (int64_t i = 0; i < count; i++) {
            const double dy = get_number(grad, g + i * grad->strides[along]);
            const double value = get_number(output, y + i * output->strides[along]);
            set_number(in, to + i * in->strides[along], logarithm ? dy - exp(value) * sum : value * (dy - sum));
        }
    }
}

static void do_softmax_backward(struct run *run, int64_t first, int64_t end) {
    backward(run, first, end, 0);
}

static void do_log_softmax_backward(struct run *run, int64_t first, int64_t end) {
    backward(run, first, end, 1);
}

const struct npu_kernel kernels_matrix[] = {
    {"matmul", 3, 1, prepare_matmul, do_matmul, 64},
    {"softmax", 2, 1, prepare_rows, do_softmax, 64},
    {"log_softmax", 2, 1, prepare_rows, do_log_softmax, 64},
    {"softmax_backward", 3, 1, prepare_rows, do_softmax_backward, 64},
    {"log_softmax_backward", 3, 1, prepare_rows, do_log_softmax_backward, 64},
    {0},
};
