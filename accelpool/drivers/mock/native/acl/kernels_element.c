/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels that compute one element at a time: tensors are {out, inputs...}, inputs are repeated to the output's shape.
 * Integers stay integers where all inputs are. numbers[0], integers[0]: a factor (alpha); numbers[1], integers[1]: a
 * scalar operand in place of the last tensor; integers[2]: that scalar is an integer.
 */
#include <math.h>

#include "emu_acl.h"

static int prepare(struct run *run) {
    run->items = run->tensors[0].count;
    for (unsigned i = 1; i < run->tensor_count; i++)
        if (!fits(&run->tensors[i], &run->tensors[0]))
            return -1;
    return 0;
}

static double number_at(const struct run *run, unsigned tensor, int64_t index) {
    return get_number(&run->tensors[tensor], offset_like(&run->tensors[tensor], &run->tensors[0], index));
}

static int64_t integer_at(const struct run *run, unsigned tensor, int64_t index) {
    return get_integer(&run->tensors[tensor], offset_like(&run->tensors[tensor], &run->tensors[0], index));
}

/* --- one input ----------------------------------------------------------------------------------------------------- */

#define UNARY(name, expression)                                                                                        \
    static void do_##name(struct run *run, int64_t first, int64_t end) {                                               \
        for (int64_t i = first; i < end; i++) {                                                                        \
            const double x = number_at(run, 1, i);                                                                     \
            set_number(&run->tensors[0], offset_of(&run->tensors[0], i), expression);                                  \
        }                                                                                                              \
    }
UNARY(neg, -x)
UNARY(abs, fabs(x))
UNARY(exp, exp(x))
UNARY(log, log(x))
UNARY(sqrt, sqrt(x))
UNARY(rsqrt, 1 / sqrt(x))
UNARY(reciprocal, 1 / x)
UNARY(relu, x > 0 || x != x ? x : 0)
UNARY(sigmoid, 1 / (1 + exp(-x)))
UNARY(tanh, tanh(x))
UNARY(sin, sin(x))
UNARY(cos, cos(x))
UNARY(floor, floor(x))
UNARY(ceil, ceil(x))
UNARY(gelu, x * 0.5 * (1 + erf(x * 0.70710678118654752440)))
UNARY(silu, x / (1 + exp(-x)))
UNARY(isfinite, isfinite(x) ? 1 : 0)
UNARY(logical_not, x == 0 ? 1 : 0)

static void do_copy(struct run *run, int64_t first, int64_t end) {
    const struct tensor *out = &run->tensors[0];
    const int whole = type_is_integer(out->type) && type_is_integer(run->tensors[1].type);
    for (int64_t i = first; i < end; i++)
        if (whole)
            set_integer(out, offset_of(out, i), integer_at(run, 1, i));
        else
            set_number(out, offset_of(out, i), number_at(run, 1, i));
}

static void do_fill(struct run *run, int64_t first, int64_t end) {
    const struct tensor *out = &run->tensors[0];
    for (int64_t i = first; i < end; i++)
        if (run->integers[2])
            set_integer(out, offset_of(out, i), run->integers[1]);
        else
            set_number(out, offset_of(out, i), run->numbers[1]);
}

/* --- two inputs ---------------------------------------------------------------------------------------------------- */

static int both_integers(const struct run *run) {
    return type_is_integer(run->tensors[1].type) &&
           (run->tensor_count > 2 ? type_is_integer(run->tensors[2].type) : (int)run->integers[2]);
}

#define BINARY(name, in_numbers, in_integers)                                                                          \
    static void do_##name(struct run *run, int64_t first, int64_t end) {                                               \
        const struct tensor *out = &run->tensors[0];                                                                   \
        const int scalar = run->tensor_count < 3, whole = both_integers(run);                                          \
        const double alpha = run->numbers[0];                                                                          \
        const int64_t ialpha = run->integers[0];                                                                       \
        (void)alpha, (void)ialpha;                                                                                     \
        for (int64_t i = first; i < end; i++) {                                                                        \
            if (whole) {                                                                                               \
                const int64_t a = integer_at(run, 1, i), b = scalar ? run->integers[1] : integer_at(run, 2, i);        \
                set_integer(out, offset_of(out, i), in_integers);                                                      \
            } else {                                                                                                   \
                const double a = number_at(run, 1, i), b = scalar ? run->numbers[1] : number_at(run, 2, i);            \
                set_number(out, offset_of(out, i), in_numbers);                                                        \
            }                                                                                                          \
        }                                                                                                              \
    }
/* Integers wrap around. */
#define WRAP(a, op, b) (int64_t)((uint64_t)(a)op(uint64_t)(b))
BINARY(add, a + alpha * b, WRAP(a, +, WRAP(ialpha, *, b)))
BINARY(sub, a - alpha * b, WRAP(a, -, WRAP(ialpha, *, b)))
BINARY(mul, a *b, WRAP(a, *, b))
BINARY(maximum, a != a || a > b ? a : b, a > b ? a : b)
BINARY(minimum, a != a || a < b ? a : b, a < b ? a : b)
BINARY(eq, a == b, a == b)
BINARY(ne, a != b, a != b)
BINARY(lt, a < b, a < b)
BINARY(le, a <= b, a <= b)
BINARY(gt, a > b, a > b)
BINARY(ge, a >= b, a >= b)
BINARY(logical_and, a != 0 && b != 0, a != 0 && b != 0)
BINARY(logical_or, a != 0 || b != 0, a != 0 || b != 0)
BINARY(bitwise_and, (double)((int64_t)a & (int64_t)b), a & b)
BINARY(bitwise_or, (double)((int64_t)a | (int64_t)b), a | b)

/* integers[3]: 0 true division, 1 toward zero, 2 toward minus infinity. */
static double divide(double a, double b, int64_t mode) {
    return mode == 1 ? trunc(a / b) : mode == 2 ? floor(a / b) : a / b;
}

static void do_div(struct run *run, int64_t first, int64_t end) {
    const struct tensor *out = &run->tensors[0];
    for (int64_t i = first; i < end; i++) {
        const double b = run->tensor_count < 3 ? run->numbers[1] : number_at(run, 2, i);
        set_number(out, offset_of(out, i), divide(number_at(run, 1, i), b, run->integers[3]));
    }
}

static void do_pow(struct run *run, int64_t first, int64_t end) {
    const struct tensor *out = &run->tensors[0];
    for (int64_t i = first; i < end; i++) {
        const double b = run->tensor_count < 3 ? run->numbers[1] : number_at(run, 2, i);
        set_number(out, offset_of(out, i), pow(number_at(run, 1, i), b));
    }
}

/* --- more ---------------------------------------------------------------------------------------------------------- */

#define SEVERAL(name, inputs, expression)                                                                              \
    static void do_##name(struct run *run, int64_t first, int64_t end) {                                               \
        double x[4] = {0};                                                                                             \
        const double *n = run->numbers;                                                                                \
        (void)n;                                                                                                       \
        for (int64_t i = first; i < end; i++) {                                                                        \
            for (unsigned t = 0; t < (inputs); t++)                                                                    \
                x[t] = number_at(run, t + 1, i);                                                                       \
            set_number(&run->tensors[0], offset_of(&run->tensors[0], i), expression);                                  \
        }                                                                                                              \
    }
SEVERAL(addcmul, 3, x[0] + n[0] * x[1] * x[2])
SEVERAL(addcdiv, 3, x[0] + n[0] * x[1] / x[2])
SEVERAL(lerp, 2, x[0] + n[0] * (x[1] - x[0]))
SEVERAL(where, 3, x[0] != 0 ? x[1] : x[2])
SEVERAL(masked_fill, 2, x[1] != 0 ? n[0] : x[0])
SEVERAL(clamp, 1, x[0] < n[0] ? n[0] : x[0] > n[1] ? n[1] : x[0])
SEVERAL(threshold_backward, 2, x[1] > n[0] ? x[0] : 0)
SEVERAL(sigmoid_backward, 2, x[0] * x[1] * (1 - x[1]))
SEVERAL(tanh_backward, 2, x[0] * (1 - x[1] * x[1]))

static void do_arange(struct run *run, int64_t first, int64_t end) {
    for (int64_t i = first; i < end; i++)
        set_number(&run->tensors[0], offset_of(&run->tensors[0], i), run->numbers[0] + (double)i * run->numbers[1]);
}

#define KERNEL(name, tensors) {#name, tensors, 1, prepare, do_##name, 1}
const struct npu_kernel kernels_element[] = {
    KERNEL(neg, 2), KERNEL(abs, 2), KERNEL(exp, 2), KERNEL(log, 2), KERNEL(sqrt, 2), KERNEL(rsqrt, 2),
    KERNEL(reciprocal, 2), KERNEL(relu, 2), KERNEL(sigmoid, 2), KERNEL(tanh, 2), KERNEL(sin, 2), KERNEL(cos, 2),
    KERNEL(floor, 2), KERNEL(ceil, 2), KERNEL(gelu, 2), KERNEL(silu, 2), KERNEL(isfinite, 2), KERNEL(logical_not, 2),
    KERNEL(copy, 2), KERNEL(fill, 1), KERNEL(add, 2), KERNEL(sub, 2), KERNEL(mul, 2), KERNEL(div, 2), KERNEL(pow, 2),
    KERNEL(maximum, 2), KERNEL(minimum, 2), KERNEL(eq, 2), KERNEL(ne, 2), KERNEL(lt, 2), KERNEL(le, 2), KERNEL(gt, 2),
    KERNEL(ge, 2), KERNEL(logical_and, 2), KERNEL(logical_or, 2), KERNEL(bitwise_and, 2), KERNEL(bitwise_or, 2),
    KERNEL(addcmul, 4), KERNEL(addcdiv, 4), KERNEL(lerp, 3), KERNEL(where, 4), KERNEL(masked_fill, 3), KERNEL(clamp, 2),
    KERNEL(threshold_backward, 3), KERNEL(sigmoid_backward, 3), KERNEL(tanh_backward, 3), KERNEL(arange, 1),
    {0},
};
