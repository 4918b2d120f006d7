/* SPDX-License-Identifier: Apache-2.0 */
/* Streams and events: order, the legacy stream, waiting, host functions, preemption of kernels that never end. */
#include <pthread.h>

#include "emu_test.h"

static CUfunction step, spin, fill, empty;
static CUdeviceptr flag; /* what spin() waits for; its result stands behind */

static void raise_flag(CUstream stream, uint32_t value) {
    uint32_t count = 1;
    void *parameters[] = {&flag, &value, &count};
    OK(launch1(fill, 1, 1, stream, parameters));
}

static void spin_on(CUstream stream) {
    void *parameters[] = {&flag};
    OK(launch1(spin, 1, 1, stream, parameters));
}

static uint32_t word_at(CUdeviceptr at) {
    uint32_t word = 0;
    OK(cuMemcpyDtoH_v2(&word, at, 4));
    return word;
}

/* Everything of one stream happens in its order, also across kernels, copies and fills. */
static void order(void) {
    CUstream stream = NULL;
    CUdeviceptr at = 0;
    uint32_t value = 1, want = 1, *pinned = NULL;
    void *parameters[] = {&at};
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuMemAllocHost_v2((void **)&pinned, 4));
    OK(cuMemAlloc_v2(&at, 4));
    OK(cuMemcpyHtoDAsync_v2(at, &value, 4, stream));
    for (int i = 0; i < 20; i++) {
        OK(launch1(step, 1, 1, stream, parameters));
        want = want * 2 + 1;
    }
    OK(cuMemcpyDtoHAsync_v2(pinned, at, 4, stream));
    OK(cuMemsetD32Async(at, 5, 1, stream));
    OK(launch1(step, 1, 1, stream, parameters));
    OK(cuStreamSynchronize(stream));
    EXPECT(*pinned, want);
    OK(cuMemcpyDtoH_v2(&value, at, 4));
    EXPECT(value, 11);
    /* a pageable source may change as soon as the call returns */
    OK(cuMemsetD32_v2(flag, 0, 2));
    spin_on(stream);
    value = 40;
    OK(cuMemcpyHtoDAsync_v2(at, &value, 4, stream));
    value = 99;
    EXPECT(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
    raise_flag(NULL, 1);
    OK(cuStreamSynchronize(stream));
    EXPECT(word_at(at), 40);
    OK(cuMemFree_v2(at));
    OK(cuMemFreeHost(pinned));
    OK(cuStreamDestroy_v2(stream));
    EXPECT(cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE);
}

/* The legacy stream waits for blocking streams and they for it; non-blocking ones run past it. */
static void legacy(void) {
    CUstream blocking = NULL, free_running = NULL;
    OK(cuStreamCreate(&blocking, 0));
    OK(cuStreamCreate(&free_running, CU_STREAM_NON_BLOCKING));
    OK(cuMemsetD32_v2(flag, 0, 2));
    OK(cuCtxSynchronize());
    spin_on(blocking);
    OK(launch1(empty, 1, 1, NULL, NULL)); /* behind the spinning kernel */
    EXPECT(cuStreamQuery(NULL), CUDA_ERROR_NOT_READY);
    OK(launch1(empty, 1, 1, free_running, NULL)); /* not behind it */
    OK(cuStreamSynchronize(free_running));
    EXPECT(cuStreamQuery(blocking), CUDA_ERROR_NOT_READY);
    raise_flag(free_running, 6);
    OK(cuStreamSynchronize(NULL));
    OK(cuStreamQuery(blocking));
    EXPECT(word_at(flag + 4), 6);
    OK(cuStreamDestroy_v2(blocking));
    OK(cuStreamDestroy_v2(free_running));
}

static void events(void) {
    CUstream first = NULL, second = NULL;
    CUevent start = NULL, end = NULL, never = NULL, untimed = NULL;
    float milliseconds = -1;
    OK(cuStreamCreate(&first, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreate(&second, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&start, 0));
    OK(cuEventCreate(&end, 0));
    OK(cuEventCreate(&never, 0));
    OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    EXPECT(cuEventCreate(&never, 0x100), CUDA_ERROR_INVALID_VALUE);
    OK(cuEventQuery(never));
    EXPECT(cuEventElapsedTime(&milliseconds, never, never), CUDA_ERROR_INVALID_HANDLE);
    OK(cuMemsetD32_v2(flag, 0, 2));
    OK(cuEventRecord(start, first));
    spin_on(first);
    OK(cuEventRecord(end, first));
    EXPECT(cuEventQuery(end), CUDA_ERROR_NOT_READY);
    EXPECT(cuEventElapsedTime(&milliseconds, start, end), CUDA_ERROR_NOT_READY);
    OK(cuStreamWaitEvent(second, end, 0));
    OK(launch1(empty, 1, 1, second, NULL));
    EXPECT(cuStreamQuery(second), CUDA_ERROR_NOT_READY);
    raise_flag(NULL, 2);
    OK(cuStreamSynchronize(second));
    OK(cuEventSynchronize(end));
    OK(cuEventElapsedTime(&milliseconds, start, end));
    EXPECT(milliseconds > 0, 1);
    OK(cuEventRecord(untimed, first));
    EXPECT(cuEventElapsedTime(&milliseconds, start, untimed), CUDA_ERROR_INVALID_HANDLE);
    OK(cuEventDestroy_v2(start));
    OK(cuEventDestroy_v2(end));
    OK(cuEventDestroy_v2(never));
    OK(cuEventDestroy_v2(untimed));
    EXPECT(cuEventQuery(end), CUDA_ERROR_INVALID_HANDLE);
    OK(cuStreamDestroy_v2(first));
    OK(cuStreamDestroy_v2(second));
}

static _Atomic int calls;

static void count_call(void *data) {
    *(int *)data = ++calls;
}

static void count_callback(CUstream stream, CUresult status, void *data) {
    (void)stream;
    *(int *)data = status == CUDA_SUCCESS ? ++calls : -1;
}

static void host_functions(void) {
    CUstream stream = NULL;
    int first = 0, second = 0;
    OK(cuStreamCreate(&stream, 0));
    OK(cuMemsetD32_v2(flag, 0, 2));
    OK(cuCtxSynchronize());
    spin_on(stream);
    OK(cuLaunchHostFunc(stream, count_call, &first));
    OK(cuStreamAddCallback(stream, count_callback, &second, 0));
    CUstream other = NULL;
    OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
    OK(cuStreamSynchronize(other));
    EXPECT(calls, 0);
    raise_flag(other, 1);
    OK(cuStreamSynchronize(stream));
    EXPECT(first, 1);
    EXPECT(second, 2);
    EXPECT(cuLaunchHostFunc(stream, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
    OK(cuStreamDestroy_v2(stream));
    OK(cuStreamDestroy_v2(other));
}

/* More launches than the ring has places, from several threads. */
static void *hammer(void *context) {
    CUdeviceptr at = 0;
    void *parameters[] = {&at};
    OK(cuCtxSetCurrent(context));
    OK(cuMemAlloc_v2(&at, 4));
    OK(cuMemsetD32Async(at, 0, 1, CU_STREAM_PER_THREAD));
    for (int i = 0; i < 3000; i++)
        OK(launch1(i % 100 ? empty : step, 1, 1, CU_STREAM_PER_THREAD, i % 100 ? NULL : parameters));
    OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
    EXPECT(word_at(at), (1u << 30) - 1);
    OK(cuMemFree_v2(at));
    return NULL;
}

static void threads(CUcontext context) {
    pthread_t all[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&all[i], NULL, hammer, context);
    for (int i = 0; i < 4; i++)
        pthread_join(all[i], NULL);
}

/* A stream that is destroyed finishes its work first; stream-ordered frees wait their turn. */
static void endings(void) {
    CUstream stream = NULL;
    CUdeviceptr at = 0;
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuMemsetD32_v2(flag, 0, 2));
    OK(cuMemAllocAsync(&at, 1 << 20, stream));
    OK(cuMemsetD32Async(at, 1, 1, stream));
    spin_on(stream);
    OK(cuMemFreeAsync(at, stream));
    EXPECT(cuMemFreeAsync(at + 4, stream), CUDA_ERROR_INVALID_VALUE);
    OK(cuStreamDestroy_v2(stream));
    raise_flag(NULL, 3);
    OK(cuCtxSynchronize());
    EXPECT(word_at(flag + 4), 3);
    EXPECT(cuMemsetD8_v2(at, 1, 1), CUDA_ERROR_INVALID_VALUE);
}

/* Contexts are separate: one with a kernel that never ends goes down with it, the other works on. */
static void contexts(CUcontext primary) {
    CUcontext second = NULL, current = NULL;
    OK(cuCtxCreate_v2(&second, 0, 0));
    OK(cuCtxGetCurrent(&current));
    EXPECT(current == second, 1);
    CUmodule module = load_kernels();
    CUdeviceptr never = 0;
    OK(cuMemAlloc_v2(&never, 8));
    OK(cuMemsetD32_v2(never, 0, 2));
    void *parameters[] = {&never};
    OK(launch1(function_of(module, "spin"), 1, 1, NULL, parameters));
    EXPECT(launch1(empty, 1, 1, NULL, NULL), CUDA_ERROR_INVALID_HANDLE); /* of the other context */
    OK(cuCtxPopCurrent_v2(&current));
    EXPECT(current == second, 1);
    OK(cuCtxGetCurrent(&current));
    EXPECT(current == primary, 1);
    OK(launch1(empty, 1, 1, NULL, NULL));
    OK(cuCtxSynchronize());
    OK(cuCtxDestroy_v2(second));
    EXPECT(cuCtxPushCurrent_v2(second), CUDA_ERROR_INVALID_CONTEXT);
    EXPECT(cuMemsetD8_v2(never, 1, 1), CUDA_ERROR_INVALID_VALUE); /* went with its context */
}

int main(void) {
    int least = -1, greatest = 1;
    CUcontext context = open_device();
    CUmodule module = load_kernels();
    step = function_of(module, "step");
    spin = function_of(module, "spin");
    fill = function_of(module, "fill");
    empty = function_of(module, "empty");
    OK(cuMemAlloc_v2(&flag, 8));
    OK(cuCtxGetStreamPriorityRange(&least, &greatest));
    EXPECT(least, 0);
    EXPECT(greatest, -5);
    order();
    legacy();
    events();
    host_functions();
    threads(context);
    endings();
    contexts(context);
    return verdict("emu_streams");
}
