/* SPDX-License-Identifier: Apache-2.0 */
/* Launches: one kernel binary for each kernel and device, loaded when it is first needed. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opapi.h"

#define KERNELS 128
#define DEVICES 16

aclError aclrtGetDevice(int32_t *device);
aclError aclrtBinaryLoadFromData(const void *data, size_t length, const aclrtBinaryLoadOptions *options,
                                 aclrtBinHandle *binary);
aclError aclrtBinaryGetFunction(const aclrtBinHandle binary, const char *name, aclrtFuncHandle *function);
aclError aclrtLaunchKernelWithHostArgs(aclrtFuncHandle function, uint32_t blocks, aclrtStream stream,
                                       aclrtLaunchKernelCfg *settings, void *arguments, size_t size,
                                       aclrtPlaceHolderInfo *places, size_t place_count);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const char *name;
    aclrtFuncHandle functions[DEVICES];
} loaded[KERNELS];

aclOpExecutor *executor_new(void) {
    return calloc(1, sizeof(aclOpExecutor));
}

struct step *executor_step(aclOpExecutor *executor, const char *kernel) {
    if (executor->count == executor->room) {
        const unsigned room = executor->room ? 2 * executor->room : 2;
        struct step *steps = realloc(executor->steps, room * sizeof *steps);
        if (!steps) {
            executor->error = ACLNN_ERR_INNER;
            executor->spare = (struct step){0};
            return &executor->spare;
        }
        executor->steps = steps;
        executor->room = room;
    }
    struct step *step = &executor->steps[executor->count++];
    *step = (struct step){.kernel = kernel, .tiling = {.numbers = {1, 0}, .integers = {1, 0}}};
    return step;
}

void executor_free(aclOpExecutor *executor) {
    if (executor)
        free(executor->steps);
    free(executor);
}

void step_tensor(aclOpExecutor *executor, struct step *step, const aclTensor *tensor) {
    if (!tensor || step->tensor_count == NPU_TENSORS) {
        executor->error = executor->error ? executor->error : ACLNN_ERR_PARAM_NULLPTR;
        return;
    }
    step->addresses[step->tensor_count] = (uint64_t)(uintptr_t)tensor->data;
    step->tiling.shapes[step->tensor_count++] = tensor->shape;
}

void step_scalar(struct step *step, const aclScalar *scalar) {
    step->tiling.numbers[1] = scalar ? scalar->number : 0;
    step->tiling.integers[1] = scalar ? scalar->integer : 0;
    step->tiling.integers[2] = scalar && scalar->whole;
}

void step_alpha(struct step *step, const aclScalar *alpha) {
    step->tiling.numbers[0] = alpha ? alpha->number : 1;
    step->tiling.integers[0] = alpha ? alpha->integer : 1;
}

int64_t count_of(const aclTensor *tensor) {
    int64_t count = 1;
    for (int i = 0; tensor && i < tensor->shape.rank; i++)
        count *= tensor->shape.sizes[i];
    return count;
}

int executor_done(aclOpExecutor *executor, uint64_t *workspace, aclOpExecutor **result) {
    const int error = executor->error ? executor->error : workspace && result ? ACLNN_OK : ACLNN_ERR_PARAM_NULLPTR;
    if (error) {
        executor_free(executor);
        return error;
    }
    *workspace = 0;
    *result = executor;
    return ACLNN_OK;
}

static int load(const char *name, aclrtFuncHandle *function) {
    char text[128];
    aclrtBinHandle binary;
    const int length = snprintf(text, sizeof text, NPU_BINARY_MAGIC "%s\n", name);
    int error = aclrtBinaryLoadFromData(text, (size_t)length, NULL, &binary);
    return error ? error : aclrtBinaryGetFunction(binary, name, function);
}

static int find(const char *name, aclrtFuncHandle *function) {
    int32_t device = 0;
    int error = aclrtGetDevice(&device), i = 0;
    if (error || device >= DEVICES)
        return error ? error : ACLNN_ERR_INNER;
    pthread_mutex_lock(&lock);
    while (i < KERNELS - 1 && loaded[i].name && strcmp(loaded[i].name, name))
        i++;
    loaded[i].name = name;
    if (!loaded[i].functions[device])
        error = load(name, &loaded[i].functions[device]);
    *function = loaded[i].functions[device];
    pthread_mutex_unlock(&lock);
    return error;
}

/* Addresses of the tensors, the address of the tiling data, the tiling data. */
static int launch(struct step *step, aclrtStream stream) {
    struct {
        uint64_t addresses[NPU_TENSORS + 1];
        struct npu_tiling tiling;
    } arguments;
    const size_t count = step->tensor_count, head = (count + 1) * sizeof(uint64_t);
    const size_t size = offsetof(struct npu_tiling, shapes) + count * sizeof step->tiling.shapes[0];
    aclrtPlaceHolderInfo place = {.addrOffset = (uint32_t)(count * sizeof(uint64_t)), .dataOffset = (uint32_t)head};
    aclrtFuncHandle function;
    int error = find(step->kernel, &function);
    if (error)
        return error;
    step->tiling.tensors = (uint32_t)count;
    memcpy(arguments.addresses, step->addresses, count * sizeof(uint64_t));
    arguments.addresses[count] = 0;
    memcpy((uint8_t *)&arguments + head, &step->tiling, size);
    return aclrtLaunchKernelWithHostArgs(function, 1, stream, NULL, &arguments, head + size, &place, 1);
}

int executor_run(aclOpExecutor *executor, aclrtStream stream) {
    int error = executor ? ACLNN_OK : ACLNN_ERR_PARAM_NULLPTR;
    for (unsigned i = 0; !error && i < executor->count; i++)
        error = launch(&executor->steps[i], stream);
    executor_free(executor);
    return error;
}
