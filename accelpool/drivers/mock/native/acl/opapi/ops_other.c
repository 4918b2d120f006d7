/* SPDX-License-Identifier: Apache-2.0 */
/* Operators with a shape of their own: matrix products, reductions, softmax, indexing, losses. */
#include "opapi.h"

static int64_t wrap(int64_t dimension, const aclTensor *tensor) {
    return dimension < 0 && tensor ? dimension + tensor->shape.rank : dimension;
}

/* --- matrices ------------------------------------------------------------------------------------------------------ */

static void plan_product(aclOpExecutor *executor, const aclTensor *a, const aclTensor *b, const aclTensor *c, double alpha,
                         double beta, const aclTensor *out) {
    struct step *step = executor_step(executor, "matmul");
    step_tensor(executor, step, out);
    step_tensor(executor, step, a);
    step_tensor(executor, step, b);
    if (c)
        step_tensor(executor, step, c);
    step->tiling.numbers[0] = alpha;
    step->tiling.numbers[1] = beta;
}

/* A vector is a row on the left and a column on the right; what is missing of the rank is in front. */
static aclTensor shaped(const aclTensor *tensor, int rank, bool right) {
    aclTensor wide = *tensor;
    const int have = tensor->shape.rank;
    if (have == 1 && right) {
        wide.shape.rank = 2;
        wide.shape.sizes[1] = 1;
        wide.shape.strides[1] = 1;
    }
    const int missing = rank - wide.shape.rank;
    for (int i = rank - 1; i >= 0 && missing > 0; i--) {
        wide.shape.sizes[i] = i >= missing ? wide.shape.sizes[i - missing] : 1;
        wide.shape.strides[i] = i >= missing ? wide.shape.strides[i - missing] : 0;
    }
    wide.shape.rank = missing > 0 ? rank : wide.shape.rank;
    return wide;
}

static void plan_Matmul(aclOpExecutor *executor, const aclTensor *self, const aclTensor *mat2, const aclTensor *out,
                        int8_t precision) {
    (void)precision;
    if (!self || !mat2 || !out || self->shape.rank < 1 || mat2->shape.rank < 1) {
        executor->error = ACLNN_ERR_PARAM_NULLPTR;
        return;
    }
    int rank = self->shape.rank > mat2->shape.rank ? self->shape.rank : mat2->shape.rank;
    rank = rank < 2 ? 2 : rank;
    const aclTensor a = shaped(self, rank, false), b = shaped(mat2, rank, true);
    aclTensor c = *out;
    if (out->shape.rank < rank) { /* a dimension of a vector is not in the result */
        const int gone_row = self->shape.rank == 1, gone_column = mat2->shape.rank == 1;
        const int batch = rank - 2;
        c.shape.rank = rank;
        int from = batch;
        c.shape.sizes[batch] = gone_row ? 1 : out->shape.sizes[from];
        c.shape.strides[batch] = gone_row ? 0 : out->shape.strides[from];
        from += !gone_row;
        c.shape.sizes[batch + 1] = gone_column ? 1 : out->shape.sizes[from];
        c.shape.strides[batch + 1] = gone_column ? 0 : out->shape.strides[from];
    }
    plan_product(executor, &a, &b, NULL, 1, 0, &c);
}
ACLNN(Matmul, (const aclTensor *self, const aclTensor *mat2, const aclTensor *out, int8_t precision),
      (self, mat2, out, precision))

#define PRODUCT(name)                                                                                                  \
    static void plan_##name(aclOpExecutor *executor, const aclTensor *self, const aclTensor *mat2,                     \
                            const aclTensor *out, int8_t precision) {                                                  \
        plan_Matmul(executor, self, mat2, out, precision);                                                             \
    }                                                                                                                  \
    ACLNN(name, (const aclTensor *self, const aclTensor *mat2, const aclTensor *out, int8_t precision),                \
          (self, mat2, out, precision))
PRODUCT(Mm)
PRODUCT(BatchMatMul)

static void plan_Addmm(aclOpExecutor *executor, const aclTensor *self, const aclTensor *mat1, const aclTensor *mat2,
                       const aclScalar *beta, const aclScalar *alpha, const aclTensor *out, int8_t precision) {
    (void)precision;
    plan_product(executor, mat1, mat2, self, alpha ? alpha->number : 1, beta ? beta->number : 1, out);
}
ACLNN(Addmm,
      (const aclTensor *self, const aclTensor *mat1, const aclTensor *mat2, const aclScalar *beta, const aclScalar *alpha,
       const aclTensor *out, int8_t precision),
      (self, mat1, mat2, beta, alpha, out, precision))

/* --- reductions ---------------------------------------------------------------------------------------------------- */

/* No dimensions: all of them. */
static void plan_reduce(aclOpExecutor *executor, const char *kernel, const aclTensor *self, const int64_t *dimensions,
                        uint64_t count, const aclTensor *out) {
    struct step *step = executor_step(executor, kernel);
    int64_t mask = 0;
    step_tensor(executor, step, out);
    step_tensor(executor, step, self);
    for (uint64_t i = 0; i < count; i++)
        mask |= (int64_t)1 << (wrap(dimensions[i], self) & 63);
    step->tiling.integers[0] = count ? mask : -1;
}

static void plan_over(aclOpExecutor *executor, const char *kernel, const aclTensor *self, const aclIntArray *dimensions,
                      const aclTensor *out) {
    plan_reduce(executor, kernel, self, dimensions ? dimensions->values : NULL, dimensions ? dimensions->size : 0, out);
}

#define TYPED(name, kernel)                                                                                            \
    static void plan_##name(aclOpExecutor *executor, const aclTensor *self, const aclIntArray *dim, bool keep,         \
                            int type, const aclTensor *out) {                                                          \
        (void)keep, (void)type; /* the output's */                                                                     \
        plan_over(executor, kernel, self, dim, out);                                                                   \
    }                                                                                                                  \
    ACLNN(name, (const aclTensor *self, const aclIntArray *dim, bool keep, int type, const aclTensor *out),            \
          (self, dim, keep, type, out))
TYPED(ReduceSum, "sum")
TYPED(Mean, "mean")

#define UNTYPED(name, kernel)                                                                                          \
    static void plan_##name(aclOpExecutor *executor, const aclTensor *self, const aclIntArray *dim, bool keep,         \
                            const aclTensor *out) {                                                                    \
        (void)keep;                                                                                                    \
        plan_over(executor, kernel, self, dim, out);                                                                   \
    }                                                                                                                  \
    ACLNN(name, (const aclTensor *self, const aclIntArray *dim, bool keep, const aclTensor *out), (self, dim, keep, out))
UNTYPED(Amax, "max")
UNTYPED(Amin, "min")
UNTYPED(Any, "any")
UNTYPED(All, "all")

#define WHOLE(name, kernel)                                                                                            \
    static void plan_##name(aclOpExecutor *executor, const aclTensor *self, const aclTensor *out) {                    \
        plan_over(executor, kernel, self, NULL, out);                                                                  \
    }                                                                                                                  \
    ACLNN(name, (const aclTensor *self, const aclTensor *out), (self, out))
WHOLE(Max, "max")
WHOLE(Min, "min")

#define ALONG(name, kernel)                                                                                            \
    static void plan_##name(aclOpExecutor *executor, const aclTensor *self, int64_t dim, bool keep,                    \
                            const aclTensor *out) {                                                                    \
        (void)keep;                                                                                                    \
        plan_reduce(executor, kernel, self, &dim, 1, out);                                                             \
    }                                                                                                                  \
    ACLNN(name, (const aclTensor *self, int64_t dim, bool keep, const aclTensor *out), (self, dim, keep, out))
ALONG(ArgMax, "argmax")
ALONG(ArgMin, "argmin")

/* --- softmax ------------------------------------------------------------------------------------------------------- */

static void plan_rows(aclOpExecutor *executor, const char *kernel, const aclTensor *out, const aclTensor *a,
                      const aclTensor *b, int64_t dim) {
    struct step *step = executor_step(executor, kernel);
    step_tensor(executor, step, out);
    step_tensor(executor, step, a);
    if (b)
        step_tensor(executor, step, b);
    step->tiling.integers[0] = wrap(dim, out);
}

#define ROWS(name, kernel)                                                                                             \
    static void plan_##name(aclOpExecutor *executor, const aclTensor *self, int64_t dim, const aclTensor *out) {       \
        plan_rows(executor, kernel, out, self, NULL, dim);                                                             \
    }                                                                                                                  \
    ACLNN(name, (const aclTensor *self, int64_t dim, const aclTensor *out), (self, dim, out))                          \
    static void plan_##name##Backward(aclOpExecutor *executor, const aclTensor *grad, const aclTensor *output,         \
                                      int64_t dim, const aclTensor *out) {                                             \
        plan_rows(executor, kernel "_backward", out, grad, output, dim);                                               \
    }                                                                                                                  \
    ACLNN(name##Backward, (const aclTensor *grad, const aclTensor *output, int64_t dim, const aclTensor *out),         \
          (grad, output, dim, out))
ROWS(Softmax, "softmax")
ROWS(LogSoftmax, "log_softmax")

/* --- indexing ------------------------------------------------------------------------------------------------------ */

#define PICK(name, kernel)                                                                                             \
    static void plan_##name(aclOpExecutor *executor, const aclTensor *self, int64_t dim, const aclTensor *index,       \
                            const aclTensor *out) {                                                                    \
        plan_rows(executor, kernel, out, self, index, dim);                                                            \
    }                                                                                                                  \
    ACLNN(name, (const aclTensor *self, int64_t dim, const aclTensor *index, const aclTensor *out),                    \
          (self, dim, index, out))
PICK(IndexSelect, "index_select")
PICK(Gather, "gather")

static void plan_Cat(aclOpExecutor *executor, const aclTensorList *tensors, int64_t dim, const aclTensor *out) {
    int64_t at = 0;
    for (uint64_t i = 0; tensors && out && i < tensors->size; i++) {
        const aclTensor *tensor = tensors->tensors[i];
        if (tensor->shape.rank == 1 && !tensor->shape.sizes[0])
            continue; /* the empty tensor that older programs start with */
        struct step *step = executor_step(executor, "place");
        step_tensor(executor, step, out);
        step_tensor(executor, step, tensor);
        step->tiling.integers[0] = wrap(dim, out);
        step->tiling.integers[1] = at;
        at += tensor->shape.sizes[wrap(dim, out) & (NPU_RANK - 1)];
    }
}
ACLNN(Cat, (const aclTensorList *tensors, int64_t dim, const aclTensor *out), (tensors, dim, out))

/* Every input is one position of a new dimension. */
static void plan_Stack(aclOpExecutor *executor, const aclTensorList *tensors, int64_t dim, const aclTensor *out) {
    for (uint64_t i = 0; tensors && out && i < tensors->size; i++) {
        const int64_t along = wrap(dim, out) & (NPU_RANK - 1);
        aclTensor slot = *out;
        slot.shape.rank--;
        for (int64_t k = along; k < slot.shape.rank; k++) {
            slot.shape.sizes[k] = out->shape.sizes[k + 1];
            slot.shape.strides[k] = out->shape.strides[k + 1];
        }
        slot.shape.offset += (int64_t)i * out->shape.strides[along];
        struct step *step = executor_step(executor, "copy");
        step_tensor(executor, step, &slot);
        step_tensor(executor, step, tensors->tensors[i]);
    }
}
ACLNN(Stack, (const aclTensorList *tensors, int64_t dim, const aclTensor *out), (tensors, dim, out))

/* Rows of a matrix, by a flat list of indices. */
static void plan_Embedding(aclOpExecutor *executor, const aclTensor *weight, const aclTensor *indices,
                           const aclTensor *out) {
    if (!weight || !indices || !out || weight->shape.rank != 2) {
        executor->error = ACLNN_ERR_PARAM_INVALID;
        return;
    }
    aclTensor flat = *indices, rows = *out;
    flat.shape.rank = 1;
    flat.shape.sizes[0] = count_of(indices);
    flat.shape.strides[0] = 1;
    rows.shape.rank = 2;
    rows.shape.sizes[0] = flat.shape.sizes[0];
    rows.shape.sizes[1] = weight->shape.sizes[1];
    rows.shape.strides[0] = weight->shape.sizes[1];
    rows.shape.strides[1] = 1;
    plan_rows(executor, "index_select", &rows, weight, &flat, 0);
}
ACLNN(Embedding, (const aclTensor *weight, const aclTensor *indices, const aclTensor *out), (weight, indices, out))

/* --- losses -------------------------------------------------------------------------------------------------------- */

static struct step *plan_loss(aclOpExecutor *executor, const char *kernel, const aclTensor *const *tensors, int count,
                              int64_t reduction) {
    struct step *step = executor_step(executor, kernel);
    for (int i = 0; i < count; i++)
        step_tensor(executor, step, tensors[i]);
    step->tiling.integers[0] = reduction;
    return step;
}

static void plan_MseLoss(aclOpExecutor *executor, const aclTensor *self, const aclTensor *target, int64_t reduction,
                         const aclTensor *out) {
    plan_loss(executor, "mse_loss", (const aclTensor *[]){out, self, target}, 3, reduction);
}
ACLNN(MseLoss, (const aclTensor *self, const aclTensor *target, int64_t reduction, const aclTensor *out),
      (self, target, reduction, out))

static void plan_MseLossBackward(aclOpExecutor *executor, const aclTensor *grad, const aclTensor *self,
                                 const aclTensor *target, int64_t reduction, const aclTensor *out) {
    plan_loss(executor, "mse_loss_backward", (const aclTensor *[]){out, grad, self, target}, 4, reduction);
}
ACLNN(MseLossBackward,
      (const aclTensor *grad, const aclTensor *self, const aclTensor *target, int64_t reduction, const aclTensor *out),
      (grad, self, target, reduction, out))

static void plan_NLLLoss(aclOpExecutor *executor, const aclTensor *self, const aclTensor *target, const aclTensor *weight,
                         int64_t reduction, int64_t ignore, const aclTensor *out, const aclTensor *total) {
    plan_loss(executor, "nll_loss", (const aclTensor *[]){out, total, self, target, weight}, weight ? 5 : 4, reduction)
        ->tiling.integers[1] = ignore;
}
ACLNN(NLLLoss,
      (const aclTensor *self, const aclTensor *target, const aclTensor *weight, int64_t reduction, int64_t ignore,
       const aclTensor *out, const aclTensor *total),
      (self, target, weight, reduction, ignore, out, total))

static void plan_NLLLossBackward(aclOpExecutor *executor, const aclTensor *grad, const aclTensor *self,
                                 const aclTensor *target, const aclTensor *weight, int64_t reduction, int64_t ignore,
                                 const aclTensor *total, const aclTensor *out) {
    (void)self; /* only its shape counts, which is the output's */
    plan_loss(executor, "nll_loss_backward", (const aclTensor *[]){out, grad, total, target, weight}, weight ? 5 : 4,
              reduction)
        ->tiling.integers[1] = ignore;
}
ACLNN(NLLLossBackward,
      (const aclTensor *grad, const aclTensor *self, const aclTensor *target, const aclTensor *weight, int64_t reduction,
       int64_t ignore, const aclTensor *total, const aclTensor *out),
      (grad, self, target, weight, reduction, ignore, total, out))
