/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker sees through the hooks: the gate, accounting by CPU time, the cap on touched memory. */
#include <pthread.h>
#include <unistd.h>

#include "backend.h"
#include "emu_test.h"

#define MIB ((uint64_t)1 << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int open_gate = 1, inside, entered, idles, translations;
static uint64_t used, touched, cap = 8 * MIB, longest;

static uint64_t gate_enter(void *opaque) {
    (void)opaque;
    pthread_mutex_lock(&lock);
    while (!open_gate)
        pthread_cond_wait(&changed, &lock);
    inside = 1;
    entered++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return 2000000;
}

static int gate_charge(void *opaque, uint64_t used_ns) {
    (void)opaque;
    pthread_mutex_lock(&lock);
    EXPECT(inside, 1);
    used += used_ns;
    if (used_ns > longest)
        longest = used_ns;
    int keep = open_gate;
    inside = keep;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return keep;
}

static void gate_idle(void *opaque) {
    (void)opaque;
    pthread_mutex_lock(&lock);
    inside = 0;
    idles++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static int translate(void *opaque, const char *ptx, size_t length, int *fd, char *log, size_t log_size) {
    (void)opaque, (void)ptx, (void)length;
    FILE *file = fopen(getenv("EMU_MODULE"), "rb");
    translations++;
    snprintf(log, log_size, "no module");
    if (!file)
        return CUDA_ERROR_INVALID_PTX;
    *fd = dup(fileno(file));
    fclose(file);
    return CUDA_SUCCESS;
}

static int touch(void *opaque, uint64_t bytes) {
    (void)opaque;
    pthread_mutex_lock(&lock);
    int refused = touched + bytes > cap;
    touched += refused ? 0 : bytes;
    pthread_mutex_unlock(&lock);
    return refused ? -1 : 0;
}

static void untouch(void *opaque, uint64_t bytes) {
    (void)opaque;
    pthread_mutex_lock(&lock);
    EXPECT(bytes <= touched, 1);
    touched -= bytes;
    pthread_mutex_unlock(&lock);
}

static uint64_t read_locked(const uint64_t *value) {
    pthread_mutex_lock(&lock);
    uint64_t seen = *value;
    pthread_mutex_unlock(&lock);
    return seen;
}

static void set_gate(int open) {
    pthread_mutex_lock(&lock);
    open_gate = open;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_inside(int want) {
    pthread_mutex_lock(&lock);
    while (inside != want)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* A kernel that never ends is preempted when the grant goes, and goes on when it comes back. */
static void preemption(CUmodule module) {
    CUdeviceptr flag = 0;
    uint32_t one = 1, count = 1;
    CUstream stream = NULL;
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cuMemAlloc_v2(&flag, 8));
    OK(cuMemsetD32_v2(flag, 0, 2));
    void *spin[] = {&flag}, *fill[] = {&flag, &one, &count};
    OK(launch1(function_of(module, "spin"), 1, 1, NULL, spin));
    wait_inside(1);
    set_gate(0);
    wait_inside(0);
    uint64_t before = read_locked(&used);
    OK(launch1(function_of(module, "fill"), 1, 1, stream, fill));
    EXPECT(read_locked(&used), before); /* nothing runs without the grant */
    EXPECT(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
    set_gate(1);
    OK(cuCtxSynchronize());
    wait_inside(0); /* idle gives it back by itself */
    EXPECT(read_locked(&used) > before, 1);
    EXPECT(longest < 200000000, 1);
    EXPECT(idles > 0, 1);
    OK(cuStreamDestroy_v2(stream));
    OK(cuMemFree_v2(flag));
}

/* Copies and fills inside the device need the grant as kernels do. */
static void device_copies(void) {
    CUdeviceptr a = 0, b = 0;
    unsigned char last = 0;
    OK(cuMemAlloc_v2(&a, MIB));
    OK(cuMemAlloc_v2(&b, MIB));
    OK(cuCtxSynchronize());
    wait_inside(0);
    set_gate(0);
    OK(cuMemsetD8_v2(a, 9, MIB));
    OK(cuMemcpyDtoD_v2(b, a, MIB));
    EXPECT(cuStreamQuery(NULL), CUDA_ERROR_NOT_READY);
    EXPECT(accelpool_backend_idle(), 0);
    set_gate(1);
    OK(cuMemcpyDtoH_v2(&last, b + MIB - 1, 1));
    EXPECT(last, 9);
    OK(cuMemFree_v2(a));
    OK(cuMemFree_v2(b));
}

static void cap_on_touched(CUmodule module) {
    CUdeviceptr big = 0, other = 0;
    char byte = 1;
    OK(cuCtxSynchronize());
    uint64_t before = read_locked(&touched);
    OK(cuMemAlloc_v2(&big, 64 * MIB));
    OK(cuMemsetD8_v2(big, 0, 64 * MIB)); /* zero already: costs nothing */
    OK(cuMemcpyDtoH_v2(&byte, big + 12345, 1));
    EXPECT(byte, 0);
    EXPECT(read_locked(&touched), before);
    OK(cuMemsetD8_v2(big, 1, 4 * MIB));
    EXPECT(read_locked(&touched) - before, 4 * MIB);
    EXPECT(cuMemsetD8_v2(big, 1, 16 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
    OK(cuMemAlloc_v2(&other, MIB)); /* the context is still good */
    EXPECT(accelpool_backend_access(big + 8 * MIB, 32 * MIB, 1) == NULL, 1);
    EXPECT(accelpool_backend_access(big + 8 * MIB, 32 * MIB, 0) != NULL, 1);
    EXPECT(accelpool_backend_access(big, 65 * MIB, 0) == NULL, 1);
    OK(cuCtxSynchronize());
    EXPECT(accelpool_backend_idle(), 1);
    OK(cuMemFree_v2(big));
    EXPECT(read_locked(&touched), before);
    /* a kernel that writes past the cap fails with out of memory */
    CUcontext context = NULL;
    OK(cuCtxCreate_v2(&context, 0, 0));
    module = load_kernels();
    OK(cuMemAlloc_v2(&big, 64 * MIB));
    uint32_t value = 1, count = 16 << 20;
    void *fill[] = {&big, &value, &count};
    OK(launch1(function_of(module, "fill"), (16 << 20) / 1024, 1024, NULL, fill));
    EXPECT(cuCtxSynchronize(), CUDA_ERROR_OUT_OF_MEMORY);
    OK(cuCtxDestroy_v2(context));
}

int main(void) {
    struct accelpool_backend_host host = {ACCELPOOL_BACKEND_VERSION, NULL, gate_enter, gate_charge, gate_idle,
                                          translate, touch, untouch};
    setenv("ACCELPOOL_EMU_DEVICE", "memory_mib=512", 1);
    host.version = 99;
    EXPECT(accelpool_backend_attach(&host), -1);
    host.version = ACCELPOOL_BACKEND_VERSION;
    EXPECT(accelpool_backend_attach(&host), 0);
    open_device();
    CUmodule module = load_kernels();
    EXPECT(translations, 1);
    preemption(module);
    device_copies();
    cap_on_touched(module);
    EXPECT(translations, 1); /* the same text is translated once */
    OK(cuModuleUnload(module));
    OK(cuDevicePrimaryCtxRelease_v2(0));
    return verdict("emu_backend");
}
