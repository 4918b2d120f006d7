/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kernel of the emulated Ascend device with shapes made at random, sensible and not: it computes or it faults (each
 * computes at times), and a sanitizer finds nothing. emu_acl_kernels [SEED [LAUNCHES]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acl_abi.h"
#include "kernel_args.h"

#define MEMORY 65536u

typedef struct CUctx_st *CUcontext;
int cuDevicePrimaryCtxReset_v2(int device);
int cuDevicePrimaryCtxRetain(CUcontext *context, int device);
aclError aclInit(const char *configuration);
aclError aclrtSetDevice(int32_t device);
aclError aclrtMalloc(void **address, size_t bytes, aclrtMemMallocPolicy policy);
aclError aclrtSynchronizeDevice(void);
aclError aclrtBinaryLoadFromData(const void *data, size_t length, const aclrtBinaryLoadOptions *options, void **binary);
aclError aclrtBinaryGetFunction(void *binary, const char *name, void **function);
aclError aclrtLaunchKernelWithHostArgs(void *function, uint32_t blocks, void *stream, aclrtLaunchKernelCfg *settings,
                                       void *arguments, size_t size, aclrtPlaceHolderInfo *places, size_t count);

static const char *const NAMES[] = {
    "neg", "abs", "exp", "log", "sqrt", "rsqrt", "reciprocal", "relu", "sigmoid", "tanh", "sin", "cos", "floor", "ceil",
    "gelu", "silu", "isfinite", "logical_not", "copy", "fill", "add", "sub", "mul", "div", "pow", "maximum", "minimum",
    "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "bitwise_and", "bitwise_or", "addcmul", "addcdiv",
    "lerp", "where", "masked_fill", "clamp", "threshold_backward", "sigmoid_backward", "tanh_backward", "arange", "sum",
    "mean", "max", "min", "argmax", "argmin", "any", "all", "matmul", "softmax", "log_softmax", "softmax_backward",
    "log_softmax_backward", "index_select", "gather", "place", "mse_loss", "mse_loss_backward", "nll_loss",
    "nll_loss_backward",
};
#define COUNT (sizeof NAMES / sizeof *NAMES)

static uint64_t state;

static uint64_t next(uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}

static int64_t odd_number(void) {
    static const int64_t values[] = {0, -1, 1, 1 << 20, INT64_MAX, INT64_MIN, (int64_t)1 << 40, (int64_t)1 << 31, -(1 << 20)};
    return values[next(sizeof values / sizeof *values)];
}

static void random_shape(struct npu_shape *shape, const struct npu_shape *like) {
    static const int types[] = {0, 0, 0, 1, 3, 9, 11, 12, 27, 2, 4, 6, 8};
    int64_t stride = 1;
    if (like && next(3)) {
        *shape = *like;
    } else {
        memset(shape, 0, sizeof *shape);
        shape->rank = (int)next(4);
        for (int i = shape->rank - 1; i >= 0; i--) {
            shape->sizes[i] = (int64_t)next(7);
            shape->strides[i] = next(8) ? stride : (int64_t)next(9) - 2;
            stride *= shape->sizes[i] ? shape->sizes[i] : 1;
        }
        shape->offset = (int64_t)next(3);
    }
    shape->type = types[next(sizeof types / sizeof *types)];
    if (!next(20))
        shape->sizes[next(NPU_RANK)] = odd_number();
    if (!next(20))
        shape->strides[next(NPU_RANK)] = odd_number();
    if (!next(40))
        shape->offset = odd_number();
    if (!next(60))
        shape->rank = (int)next(20) - 5;
}

static void vector_shape(struct npu_shape *shape, int64_t count, int type) {
    *shape = (struct npu_shape){.type = type, .rank = 1, .sizes = {count}, .strides = {1}};
}

/* What chance does not find: a loss, the sum of weights, rows of classes, a class for each row, weights of classes. */
static void row_shapes(struct npu_shape *shapes, int backward) {
    const int64_t rows = 1 + (int64_t)next(6), classes = 1 + (int64_t)next(6);
    vector_shape(&shapes[0], 1, 0);
    vector_shape(&shapes[1], 1, 0);
    shapes[2] = (struct npu_shape){.rank = 2, .sizes = {rows, classes}, .strides = {classes, 1}};
    vector_shape(&shapes[3], rows, 9);
    vector_shape(&shapes[4], classes, 0);
    if (backward) {
        shapes[0] = shapes[2];
        vector_shape(&shapes[2], 1, 0);
    }
}

static uint8_t *memory;
static void *functions[COUNT];

static void open_device(void) {
    char text[4096] = NPU_BINARY_MAGIC;
    void *binary, *address;
    for (size_t i = 0; i < COUNT; i++)
        strcat(strcat(text, NAMES[i]), "\n");
    if (aclrtSetDevice(0) || aclrtMalloc(&address, MEMORY, 0) ||
        aclrtBinaryLoadFromData(text, strlen(text), NULL, &binary))
        abort();
    memory = address;
    for (size_t i = 0; i < COUNT; i++)
        if (aclrtBinaryGetFunction(binary, NAMES[i], &functions[i])) {
            fprintf(stderr, "no kernel %s\n", NAMES[i]);
            abort();
        }
}

static int launch(size_t kernel) {
    struct {
        uint64_t addresses[NPU_TENSORS + 1];
        struct npu_tiling tiling;
    } arguments = {0};
    struct npu_tiling tiling = {0};
    const int rows = !strncmp(NAMES[kernel], "nll", 3) && next(2);
    const unsigned tensors = rows ? 4 + (unsigned)next(2) : 1 + (unsigned)next(5);
    const size_t head = (tensors + 1) * sizeof(uint64_t);
    const size_t size = offsetof(struct npu_tiling, shapes) + tensors * sizeof tiling.shapes[0];
    aclrtPlaceHolderInfo place = {.addrOffset = tensors * 8, .dataOffset = (uint32_t)head};
    for (unsigned i = 0; i < tensors; i++) {
        random_shape(&tiling.shapes[i], i ? &tiling.shapes[next(i)] : NULL);
        arguments.addresses[i] = (uint64_t)memory + next(64) * 64 + (next(30) ? 0 : next(8));
        if (!next(50))
            arguments.addresses[i] = (uint64_t)odd_number();
    }
    if (rows)
        row_shapes(tiling.shapes, !strcmp(NAMES[kernel], "nll_loss_backward"));
    tiling.tensors = next(60) ? tensors : (uint32_t)next(12);
    for (int i = 0; i < NPU_NUMBERS; i++)
        tiling.numbers[i] = next(4) ? (double)next(5) - 2 : 1e300;
    for (int i = 0; i < NPU_INTEGERS; i++)
        tiling.integers[i] = next(6) ? (int64_t)next(5) - 1 : odd_number();
    memcpy((uint8_t *)&arguments + head, &tiling, size);
    return aclrtLaunchKernelWithHostArgs(functions[kernel], 1, NULL, NULL, &arguments, head + size, &place, 1);
}

int main(int argc, char **argv) {
    const unsigned long launches = argc > 2 ? strtoul(argv[2], NULL, 10) : 30000;
    unsigned long done[COUNT] = {0}, faults = 0;
    int missed = 0;
    state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    if (aclInit(NULL))
        return 1;
    open_device();
    for (unsigned long i = 0; i < launches; i++) {
        const size_t kernel = i % COUNT;
        if (launch(kernel) || aclrtSynchronizeDevice()) {
            faults++;
            if (cuDevicePrimaryCtxReset_v2(0))
                abort();
            open_device();
        } else {
            done[kernel]++;
        }
    }
    for (size_t i = 0; i < COUNT; i++)
        if (!done[i]) {
            printf("%s never ran\n", NAMES[i]);
            missed = 1;
        }
    printf("emu_acl_kernels: %lu launches, %lu faults\n", launches, faults);
    return missed;
}
