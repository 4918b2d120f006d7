/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that work element by element. Parameters are CANN's; those that end with Ref are changed in place. */
#include "opapi.h"

static void plan_unary(aclOpExecutor *executor, const char *kernel, const aclTensor *self, const aclTensor *out) {
    struct step *step = executor_step(executor, kernel);
    step_tensor(executor, step, out);
    step_tensor(executor, step, self);
}

#define UNARY(name, kernel)                                                                                            \
    static void plan_##name(aclOpExecutor *executor, const aclTensor *self, const aclTensor *out) {                    \
        plan_unary(executor, kernel, self, out);                                                                       \
    }                                                                                                                  \
    ACLNN(name, (const aclTensor *self, const aclTensor *out), (self, out))                                            \
    static void plan_Inplace##name(aclOpExecutor *executor, const aclTensor *self) {                                   \
        plan_unary(executor, kernel, self, self);                                                                      \
    }                                                                                                                  \
    ACLNN(Inplace##name, (const aclTensor *selfRef), (selfRef))
UNARY(Neg, "neg")
UNARY(Abs, "abs")
UNARY(Exp, "exp")
UNARY(Log, "log")
UNARY(Sqrt, "sqrt")
UNARY(Rsqrt, "rsqrt")
UNARY(Reciprocal, "reciprocal")
UNARY(Relu, "relu")
UNARY(Sigmoid, "sigmoid")
UNARY(Tanh, "tanh")
UNARY(Sin, "sin")
UNARY(Cos, "cos")
UNARY(Floor, "floor")
UNARY(Ceil, "ceil")
UNARY(Gelu, "gelu")
UNARY(Silu, "silu")
UNARY(IsFinite, "isfinite")
UNARY(LogicalNot, "logical_not")

/* other: a tensor or a scalar, never both */
static void plan_binary(aclOpExecutor *executor, const char *kernel, const aclTensor *self, const aclTensor *other,
                        const aclScalar *scalar, const aclScalar *alpha, const aclTensor *out, int64_t mode) {
    struct step *step = executor_step(executor, kernel);
    step_tensor(executor, step, out);
    step_tensor(executor, step, self);
    if (other)
        step_tensor(executor, step, other);
    else if (scalar)
        step_scalar(step, scalar);
    else
        executor->error = ACLNN_ERR_PARAM_NULLPTR;
    step_alpha(step, alpha);
    step->tiling.integers[3] = mode;
}

#define WITH_ALPHA(name, kernel)                                                                                       \
    static void plan_##name(aclOpExecutor *executor, const aclTensor *self, const aclTensor *other,                    \
                            const aclScalar *alpha, const aclTensor *out) {                                            \
        plan_binary(executor, kernel, self, other, NULL, alpha, out, 0);                                               \
    }                                                                                                                  \
    ACLNN(name, (const aclTensor *self, const aclTensor *other, const aclScalar *alpha, const aclTensor *out),         \
          (self, other, alpha, out))                                                                                   \
    static void plan_##name##s(aclOpExecutor *executor, const aclTensor *self, const aclScalar *other,                 \
                               const aclScalar *alpha, const aclTensor *out) {                                         \
        plan_binary(executor, kernel, self, NULL, other, alpha, out, 0);                                               \
    }                                                                                                                  \
    ACLNN(name##s, (const aclTensor *self, const aclScalar *other, const aclScalar *alpha, const aclTensor *out),      \
          (self, other, alpha, out))                                                                                   \
    static void plan_Inplace##name(aclOpExecutor *executor, const aclTensor *self, const aclTensor *other,             \
                                   const aclScalar *alpha) {                                                           \
        plan_binary(executor, kernel, self, other, NULL, alpha, self, 0);                                              \
    }                                                                                                                  \
    ACLNN(Inplace##name, (const aclTensor *selfRef, const aclTensor *other, const aclScalar *alpha),                   \
          (selfRef, other, alpha))                                                                                     \
    static void plan_Inplace##name##s(aclOpExecutor *executor, const aclTensor *self, const aclScalar *other,          \
                                      const aclScalar *alpha) {                                                        \
        plan_binary(executor, kernel, self, NULL, other, alpha, self, 0);                                              \
    }                                                                                                                  \
    ACLNN(Inplace##name##s, (const aclTensor *selfRef, const aclScalar *other, const aclScalar *alpha),                \
          (selfRef, other, alpha))
WITH_ALPHA(Add, "add")
WITH_ALPHA(Sub, "sub")

#define BINARY(name, second, operand, tensor, scalar, kernel)                                                          \
    static void plan_##name(aclOpExecutor *executor, const aclTensor *self, const operand *second,                     \
                            const aclTensor *out) {                                                                    \
        plan_binary(executor, kernel, self, tensor, scalar, NULL, out, 0);                                             \
    }                                                                                                                  \
    ACLNN(name, (const aclTensor *self, const operand *second, const aclTensor *out), (self, second, out))             \
    static void plan_Inplace##name(aclOpExecutor *executor, const aclTensor *self, const operand *second) {            \
        plan_binary(executor, kernel, self, tensor, scalar, NULL, self, 0);                                            \
    }                                                                                                                  \
    ACLNN(Inplace##name, (const aclTensor *selfRef, const operand *second), (selfRef, second))
#define TENSOR(name, kernel) BINARY(name, other, aclTensor, other, NULL, kernel)
#define SCALAR(name, kernel) BINARY(name, other, aclScalar, NULL, other, kernel)
TENSOR(Mul, "mul")
SCALAR(Muls, "mul")
TENSOR(Div, "div")
SCALAR(Divs, "div")
TENSOR(Maximum, "maximum")
TENSOR(Minimum, "minimum")
TENSOR(PowTensorTensor, "pow")
SCALAR(PowTensorScalar, "pow")
TENSOR(EqTensor, "eq")
SCALAR(EqScalar, "eq")
TENSOR(NeTensor, "ne")
SCALAR(NeScalar, "ne")
TENSOR(LtTensor, "lt")
SCALAR(LtScalar, "lt")
TENSOR(LeTensor, "le")
SCALAR(LeScalar, "le")
TENSOR(GtTensor, "gt")
SCALAR(GtScalar, "gt")
TENSOR(GeTensor, "ge")
SCALAR(GeScalar, "ge")
TENSOR(LogicalAnd, "logical_and")
TENSOR(LogicalOr, "logical_or")
TENSOR(BitwiseAndTensor, "bitwise_and")
TENSOR(BitwiseOrTensor, "bitwise_or")

#define DIVISION(name, operand, tensor, scalar)                                                                        \
    static void plan_##name(aclOpExecutor *executor, const aclTensor *self, const operand *other, int mode,            \
                            const aclTensor *out) {                                                                    \
        plan_binary(executor, "div", self, tensor, scalar, NULL, out, mode);                                           \
    }                                                                                                                  \
    ACLNN(name, (const aclTensor *self, const operand *other, int mode, const aclTensor *out), (self, other, mode, out))
DIVISION(DivMod, aclTensor, other, NULL)
DIVISION(DivMods, aclScalar, NULL, other)

/* other - alpha * self is -alpha * self + other. */
static void plan_Rsubs(aclOpExecutor *executor, const aclTensor *self, const aclScalar *other, const aclScalar *alpha,
                       const aclTensor *out) {
    const aclScalar factor = {.whole = alpha && alpha->whole,
                              .number = alpha ? -alpha->number : -1,
                              .integer = alpha ? -alpha->integer : -1};
    plan_binary(executor, "mul", self, NULL, &factor, NULL, out, 0);
    plan_binary(executor, "add", out, NULL, other, NULL, out, 0);
}
ACLNN(Rsubs, (const aclTensor *self, const aclScalar *other, const aclScalar *alpha, const aclTensor *out),
      (self, other, alpha, out))

static void plan_Rsub(aclOpExecutor *executor, const aclTensor *self, const aclTensor *other, const aclScalar *alpha,
                      const aclTensor *out) {
    plan_Sub(executor, other, self, alpha, out);
}
ACLNN(Rsub, (const aclTensor *self, const aclTensor *other, const aclScalar *alpha, const aclTensor *out),
      (self, other, alpha, out))

#define FLOORED(name, operand, tensor, scalar)                                                                         \
    static void plan_##name(aclOpExecutor *executor, const aclTensor *self, const operand *other, const aclTensor *out) { \
        plan_binary(executor, "div", self, tensor, scalar, NULL, out, 2);                                              \
    }                                                                                                                  \
    ACLNN(name, (const aclTensor *self, const operand *other, const aclTensor *out), (self, other, out))               \
    static void plan_Inplace##name(aclOpExecutor *executor, const aclTensor *self, const operand *other) {             \
        plan_##name(executor, self, other, self);                                                                      \
    }                                                                                                                  \
    ACLNN(Inplace##name, (const aclTensor *selfRef, const operand *other), (selfRef, other))
FLOORED(FloorDivide, aclTensor, other, NULL)
FLOORED(FloorDivides, aclScalar, NULL, other)

/* --- copies and fills ---------------------------------------------------------------------------------------------- */

static void plan_InplaceCopy(aclOpExecutor *executor, const aclTensor *self, const aclTensor *src) {
    plan_unary(executor, "copy", src, self);
}
ACLNN(InplaceCopy, (const aclTensor *selfRef, const aclTensor *src), (selfRef, src))

static void plan_Cast(aclOpExecutor *executor, const aclTensor *self, int type, const aclTensor *out) {
    (void)type; /* the output's */
    plan_unary(executor, "copy", self, out);
}
ACLNN(Cast, (const aclTensor *self, int type, const aclTensor *out), (self, type, out))

static void plan_InplaceFillScalar(aclOpExecutor *executor, const aclTensor *self, const aclScalar *value) {
    struct step *step = executor_step(executor, "fill");
    step_tensor(executor, step, self);
    step_scalar(step, value);
}
ACLNN(InplaceFillScalar, (const aclTensor *selfRef, const aclScalar *value), (selfRef, value))

static void plan_InplaceFillTensor(aclOpExecutor *executor, const aclTensor *self, const aclTensor *value) {
    plan_unary(executor, "copy", value, self);
}
ACLNN(InplaceFillTensor, (const aclTensor *selfRef, const aclTensor *value), (selfRef, value))

static void plan_InplaceZero(aclOpExecutor *executor, const aclTensor *self) {
    plan_InplaceFillScalar(executor, self, &(aclScalar){.whole = true});
}
ACLNN(InplaceZero, (const aclTensor *selfRef), (selfRef))

static void plan_InplaceOne(aclOpExecutor *executor, const aclTensor *self) {
    plan_InplaceFillScalar(executor, self, &(aclScalar){.whole = true, .number = 1, .integer = 1});
}
ACLNN(InplaceOne, (const aclTensor *selfRef), (selfRef))

static void plan_Arange(aclOpExecutor *executor, const aclScalar *start, const aclScalar *end, const aclScalar *step_size,
                        const aclTensor *out) {
    struct step *step = executor_step(executor, "arange");
    (void)end; /* the output has the length */
    step_tensor(executor, step, out);
    step->tiling.numbers[0] = start ? start->number : 0;
    step->tiling.numbers[1] = step_size ? step_size->number : 1;
}
ACLNN(Arange, (const aclScalar *start, const aclScalar *end, const aclScalar *step, const aclTensor *out),
      (start, end, step, out))

/* --- several inputs ------------------------------------------------------------------------------------------------ */

static void plan_several(aclOpExecutor *executor, const char *kernel, const aclTensor *out, const aclTensor *a,
                         const aclTensor *b, const aclTensor *c, double first, double second) {
    struct step *step = executor_step(executor, kernel);
    step_tensor(executor, step, out);
    step_tensor(executor, step, a);
    if (b)
        step_tensor(executor, step, b);
    if (c)
        step_tensor(executor, step, c);
    step->tiling.numbers[0] = first;
    step->tiling.numbers[1] = second;
}

#define FUSED(name, kernel)                                                                                            \
    static void plan_##name(aclOpExecutor *executor, const aclTensor *self, const aclTensor *a, const aclTensor *b,    \
                            const aclScalar *value, const aclTensor *out) {                                            \
        plan_several(executor, kernel, out, self, a, b, value ? value->number : 1, 0);                                 \
    }                                                                                                                  \
    ACLNN(name, (const aclTensor *self, const aclTensor *a, const aclTensor *b, const aclScalar *value,                \
                 const aclTensor *out), (self, a, b, value, out))                                                      \
    static void plan_Inplace##name(aclOpExecutor *executor, const aclTensor *self, const aclTensor *a,                 \
                                   const aclTensor *b, const aclScalar *value) {                                       \
        plan_several(executor, kernel, self, self, a, b, value ? value->number : 1, 0);                                \
    }                                                                                                                  \
    ACLNN(Inplace##name, (const aclTensor *selfRef, const aclTensor *a, const aclTensor *b, const aclScalar *value),   \
          (selfRef, a, b, value))
FUSED(Addcmul, "addcmul")
FUSED(Addcdiv, "addcdiv")

static void plan_Lerps(aclOpExecutor *executor, const aclTensor *self, const aclTensor *end, const aclScalar *weight,
                       const aclTensor *out) {
    plan_several(executor, "lerp", out, self, end, NULL, weight ? weight->number : 0, 0);
}
ACLNN(Lerps, (const aclTensor *self, const aclTensor *end, const aclScalar *weight, const aclTensor *out),
      (self, end, weight, out))

static void plan_InplaceLerps(aclOpExecutor *executor, const aclTensor *self, const aclTensor *end,
                              const aclScalar *weight) {
    plan_Lerps(executor, self, end, weight, self);
}
ACLNN(InplaceLerps, (const aclTensor *selfRef, const aclTensor *end, const aclScalar *weight), (selfRef, end, weight))

static void plan_SWhere(aclOpExecutor *executor, const aclTensor *condition, const aclTensor *self,
                        const aclTensor *other, const aclTensor *out) {
    plan_several(executor, "where", out, condition, self, other, 0, 0);
}
ACLNN(SWhere, (const aclTensor *condition, const aclTensor *self, const aclTensor *other, const aclTensor *out),
      (condition, self, other, out))

static void plan_InplaceMaskedFillScalar(aclOpExecutor *executor, const aclTensor *self, const aclTensor *mask,
                                         const aclScalar *value) {
    plan_several(executor, "masked_fill", self, self, mask, NULL, value ? value->number : 0, 0);
}
ACLNN(InplaceMaskedFillScalar, (const aclTensor *selfRef, const aclTensor *mask, const aclScalar *value),
      (selfRef, mask, value))

static void plan_Clamp(aclOpExecutor *executor, const aclTensor *self, const aclScalar *low, const aclScalar *high,
                       const aclTensor *out) {
    plan_several(executor, "clamp", out, self, NULL, NULL, low ? low->number : -__builtin_inf(),
                 high ? high->number : __builtin_inf());
}
ACLNN(Clamp, (const aclTensor *self, const aclScalar *low, const aclScalar *high, const aclTensor *out),
      (self, low, high, out))

static void plan_ClampMin(aclOpExecutor *executor, const aclTensor *self, const aclScalar *low, const aclTensor *out) {
    plan_Clamp(executor, self, low, NULL, out);
}
ACLNN(ClampMin, (const aclTensor *self, const aclScalar *low, const aclTensor *out), (self, low, out))

/* --- backward ------------------------------------------------------------------------------------------------------ */

static void plan_ThresholdBackward(aclOpExecutor *executor, const aclTensor *grad, const aclTensor *self,
                                   const aclScalar *threshold, const aclTensor *out) {
    plan_several(executor, "threshold_backward", out, grad, self, NULL, threshold ? threshold->number : 0, 0);
}
ACLNN(ThresholdBackward,
      (const aclTensor *grad, const aclTensor *self, const aclScalar *threshold, const aclTensor *out),
      (grad, self, threshold, out))

static void plan_SigmoidBackward(aclOpExecutor *executor, const aclTensor *grad, const aclTensor *output,
                                 const aclTensor *out) {
    plan_several(executor, "sigmoid_backward", out, grad, output, NULL, 0, 0);
}
ACLNN(SigmoidBackward, (const aclTensor *grad, const aclTensor *output, const aclTensor *out), (grad, output, out))

static void plan_TanhBackward(aclOpExecutor *executor, const aclTensor *grad, const aclTensor *output,
                              const aclTensor *out) {
    plan_several(executor, "tanh_backward", out, grad, output, NULL, 0, 0);
}
ACLNN(TanhBackward, (const aclTensor *grad, const aclTensor *output, const aclTensor *out), (grad, output, out))
