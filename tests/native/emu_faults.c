/* SPDX-License-Identifier: Apache-2.0 */
/* Errors that come later, and that stay: what a faulty kernel does to its context, and what it does not do to others. */
#include <sys/wait.h>
#include <unistd.h>

#include "emu_test.h"

static CUresult run(const char *name, CUdeviceptr argument) {
    CUmodule module = load_kernels();
    void *parameters[] = {&argument};
    OK(launch1(function_of(module, name), 1, 1, NULL, parameters));
    return cuCtxSynchronize();
}

static void sticky(CUdeviceptr bad, CUresult code) {
    CUcontext context = NULL;
    CUevent event = NULL;
    CUdeviceptr at = 0;
    float milliseconds;
    OK(cuCtxCreate_v2(&context, 0, 0));
    OK(cuMemAlloc_v2(&at, 64));
    OK(cuEventCreate(&event, 0));
    OK(cuEventRecord(event, NULL));
    EXPECT(run("poke", bad), code);
    EXPECT(cuCtxSynchronize(), code);
    EXPECT(cuMemAlloc_v2(&at, 64), code);
    EXPECT(cuMemsetD8_v2(at, 0, 1), code);
    EXPECT(cuEventQuery(event), code);
    EXPECT(cuEventElapsedTime(&milliseconds, event, event), code);
    EXPECT(cuStreamQuery(NULL), code);
    OK(cuCtxDestroy_v2(context));
}

static _Atomic int told;

static void tell(CUstream stream, CUresult status, void *data) {
    (void)stream, (void)data;
    told = status;
}

static void never(void *data) {
    *(int *)data = 1;
}

/* Nobody waits for ever behind a fault. */
static void queue_behind_fault(void) {
    CUcontext context = NULL;
    CUstream stream = NULL, waiting = NULL;
    CUevent event = NULL;
    int called = 0;
    CUdeviceptr bad = 4096;
    void *parameters[] = {&bad};
    OK(cuCtxCreate_v2(&context, 0, 0));
    CUmodule module = load_kernels();
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreate(&waiting, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&event, 0));
    CUfunction poke = function_of(module, "poke");
    (void)launch1(poke, 1, 1, stream, parameters); /* what follows may already hear of it */
    (void)cuLaunchHostFunc(stream, never, &called);
    CUresult added = cuStreamAddCallback(stream, tell, NULL, 0);
    (void)cuEventRecord(event, stream);
    (void)cuStreamWaitEvent(waiting, event, 0);
    (void)launch1(poke, 1, 1, waiting, parameters);
    EXPECT(cuStreamSynchronize(waiting), CUDA_ERROR_ILLEGAL_ADDRESS);
    EXPECT(cuEventSynchronize(event), CUDA_ERROR_ILLEGAL_ADDRESS);
    EXPECT(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    OK(cuCtxDestroy_v2(context));
    EXPECT(called, 0);
    if (added == CUDA_SUCCESS)
        EXPECT(told, CUDA_ERROR_ILLEGAL_ADDRESS);
}

static void forked(void) {
    pid_t child = fork();
    if (child == 0)
        _exit(cuInit(0) == CUDA_ERROR_NOT_INITIALIZED && cuCtxSynchronize() == CUDA_ERROR_NOT_INITIALIZED ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT(status, 0);
}

int main(void) {
    CUdeviceptr gone = 0;
    const char *text = NULL;
    int count = 0;
    EXPECT(cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED);
    EXPECT(cuInit(1), CUDA_ERROR_INVALID_VALUE);
    OK(cuInit(0));
    EXPECT(cuMemAlloc_v2(&gone, 1), CUDA_ERROR_INVALID_CONTEXT);
    EXPECT(cuDeviceGet(&count, 1), CUDA_ERROR_INVALID_DEVICE);
    OK(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    EXPECT(strcmp(text, "CUDA_ERROR_ILLEGAL_ADDRESS"), 0);
    EXPECT(cuGetErrorString(12345, &text), CUDA_ERROR_INVALID_VALUE);
    CUcontext primary = open_device();
    OK(cuMemAlloc_v2(&gone, 4 << 20));
    OK(cuMemFree_v2(gone));
    sticky(gone, CUDA_ERROR_ILLEGAL_ADDRESS);
    sticky(4096, CUDA_ERROR_ILLEGAL_ADDRESS);
    sticky(0x7fffffffffffff00ull, CUDA_ERROR_ILLEGAL_ADDRESS);
    sticky((CUdeviceptr)(uintptr_t)&count & ~3ull, CUDA_ERROR_ILLEGAL_ADDRESS); /* the host's memory is not the kernel's */
    OK(cuMemAlloc_v2(&gone, 64));
    sticky(gone + 1, CUDA_ERROR_MISALIGNED_ADDRESS);
    queue_behind_fault();
    OK(cuCtxSynchronize()); /* the primary context never noticed */
    EXPECT(run("poke", 4096), CUDA_ERROR_ILLEGAL_ADDRESS);
    OK(cuDevicePrimaryCtxReset_v2(0));
    OK(cuDevicePrimaryCtxRetain(&primary, 0));
    OK(cuCtxSetCurrent(primary));
    OK(cuMemAlloc_v2(&gone, 64));
    OK(run("poke", gone));
    forked();
    return verdict("emu_faults");
}
