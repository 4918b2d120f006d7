/* SPDX-License-Identifier: Apache-2.0 */
/* Operators over lists of tensors, as optimizers use them: one launch for each tensor. */
#include "opapi.h"

/* {out, x[, y[, z]]} of every position; scalar: in place of a last tensor, or the factor. */
static void plan_list(aclOpExecutor *executor, const char *kernel, const aclTensorList *out, const aclTensorList *x,
                      const aclTensorList *y, const aclTensorList *z, const aclScalar *scalar, bool is_factor) {
    const aclTensorList *inputs[] = {x, y, z};
    for (uint64_t i = 0; x && out && i < x->size; i++) {
        struct step *step = executor_step(executor, kernel);
        step_tensor(executor, step, i < out->size ? out->tensors[i] : NULL);
        for (unsigned k = 0; k < 3; k++)
            if (inputs[k])
                step_tensor(executor, step, i < inputs[k]->size ? inputs[k]->tensors[i] : NULL);
        if (is_factor)
            step_alpha(step, scalar);
        else
            step_scalar(step, scalar);
    }
    if (!x || !out)
        executor->error = ACLNN_ERR_PARAM_NULLPTR;
}

#define LISTS(name, kernel)                                                                                            \
    static void plan_##name(aclOpExecutor *executor, const aclTensorList *x, const aclTensorList *y,                   \
                            const aclTensorList *out) {                                                                \
        plan_list(executor, kernel, out, x, y, NULL, NULL, true);                                                      \
    }                                                                                                                  \
    ACLNN(name, (const aclTensorList *x, const aclTensorList *y, const aclTensorList *out), (x, y, out))
LISTS(ForeachMulList, "mul")
LISTS(ForeachDivList, "div")

#define LISTS_ALPHA(name, kernel)                                                                                      \
    static void plan_##name(aclOpExecutor *executor, const aclTensorList *x, const aclTensorList *y,                   \
                            const aclScalar *alpha, const aclTensorList *out) {                                        \
        plan_list(executor, kernel, out, x, y, NULL, alpha, true);                                                     \
    }                                                                                                                  \
    ACLNN(name, (const aclTensorList *x, const aclTensorList *y, const aclScalar *alpha, const aclTensorList *out),    \
          (x, y, alpha, out))
LISTS_ALPHA(ForeachAddListV2, "add")
LISTS_ALPHA(ForeachSubListV2, "sub")

#define LIST_SCALAR(name, kernel)                                                                                      \
    static void plan_##name(aclOpExecutor *executor, const aclTensorList *x, const aclScalar *scalar,                  \
                            const aclTensorList *out) {                                                                \
        plan_list(executor, kernel, out, x, NULL, NULL, scalar, false);                                                \
    }                                                                                                                  \
    ACLNN(name, (const aclTensorList *x, const aclScalar *scalar, const aclTensorList *out), (x, scalar, out))
LIST_SCALAR(ForeachAddScalarV2, "add")
LIST_SCALAR(ForeachSubScalarV2, "sub")
LIST_SCALAR(ForeachMulScalarV2, "mul")
LIST_SCALAR(ForeachDivScalarV2, "div")

#define LIST(name, kernel)                                                                                             \
    static void plan_##name(aclOpExecutor *executor, const aclTensorList *x, const aclTensorList *out) {               \
        plan_list(executor, kernel, out, x, NULL, NULL, NULL, true);                                                   \
    }                                                                                                                  \
    ACLNN(name, (const aclTensorList *x, const aclTensorList *out), (x, out))
LIST(ForeachSqrt, "sqrt")
LIST(ForeachNeg, "neg")

#define LISTS_FUSED(name, kernel)                                                                                      \
    static void plan_##name(aclOpExecutor *executor, const aclTensorList *x, const aclTensorList *y,                   \
                            const aclTensorList *z, const aclScalar *scalar, const aclTensorList *out) {               \
        plan_list(executor, kernel, out, x, y, z, scalar, true);                                                       \
    }                                                                                                                  \
    ACLNN(name, (const aclTensorList *x, const aclTensorList *y, const aclTensorList *z, const aclScalar *scalar,      \
                 const aclTensorList *out), (x, y, z, scalar, out))
LISTS_FUSED(ForeachAddcmulScalarV2, "addcmul")
LISTS_FUSED(ForeachAddcdivScalarV2, "addcdiv")

static void plan_ForeachLerpScalar(aclOpExecutor *executor, const aclTensorList *x, const aclTensorList *end,
                                   const aclScalar *weight, const aclTensorList *out) {
    plan_list(executor, "lerp", out, x, end, NULL, weight, true);
}
ACLNN(ForeachLerpScalar,
      (const aclTensorList *x, const aclTensorList *end, const aclScalar *weight, const aclTensorList *out),
      (x, end, weight, out))
