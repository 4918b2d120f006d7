// SPDX-License-Identifier: Apache-2.0
// An ordinary program on the CUDA driver API; it takes libcuda.so.1 from the loader's path, so the same binary runs
// natively and on a slice.
//
//     program KERNELS gemm SECONDS [N]            one line of JSON: work done, seconds, whether the numbers are right
//     program KERNELS triad SECONDS [COUNT]       N rows and columns, COUNT numbers: small ones unless they are given
//     program KERNELS step SECONDS
//     program KERNELS copy BYTES                  GB/s to the device and back, pinned memory
//     program KERNELS traffic SECONDS             copy to the device and back all the time
//     program KERNELS quota CHUNK                 bytes that could be allocated in chunks before out-of-memory
//     program KERNELS reserve BYTES               seconds in which they are allocated, and in which they are freed
//     program KERNELS talk                        a kernel prints the line
//     program KERNELS stray                       the CUDA error of a write to nowhere
//     program KERNELS fill|remains BYTES          write a pattern and leave; count words that are not zero
//     program KERNELS device                      name and memory
//     program KERNELS idle BYTES                  allocate, say so, and rest until the input ends
//
// With `wait` at the end gemm, triad, step and stray say when they are ready, and begin with the next line of input.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int result;
typedef unsigned long long pointer;

static void *library;

#define CALL(name, types, ...)                                                        \
    do {                                                                              \
        result (*entry_) types = (result (*) types)dlsym(library, #name);             \
        result code_ = entry_ ? entry_(__VA_ARGS__) : 500;                            \
        if (code_) {                                                                  \
            printf("{\"error\": %d, \"call\": \"%s\"}\n", code_, #name);              \
            exit(3);                                                                  \
        }                                                                             \
    } while (0)

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void *load(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) {
        perror(path);
        exit(2);
    }
    size_t size = (size_t)ftell(file);
    char *text = calloc(size + 1, 1);
    rewind(file);
    if (!text || fread(text, 1, size, file) != size)
        exit(2);
    fclose(file);
    return text;
}

static void *module;

static void *kernel(const char *name) {
    void *function;
    CALL(cuModuleGetFunction, (void **, void *, const char *), &function, module, name);
    return function;
}

static pointer allocate(size_t bytes) {
    pointer address;
    CALL(cuMemAlloc_v2, (pointer *, size_t), &address, bytes);
    return address;
}

static void launch(void *function, unsigned x, unsigned y, unsigned bx, unsigned by, void **arguments) {
    CALL(cuLaunchKernel,
         (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **),
         function, x, y, 1, bx, by, 1, 0, NULL, arguments, NULL);
}

static void synchronize(void) {
    CALL(cuCtxSynchronize, (void), );
}

static void to_device(pointer to, const void *from, size_t bytes) {
    CALL(cuMemcpyHtoD_v2, (pointer, const void *, size_t), to, from, bytes);
}

static void to_host(void *to, pointer from, size_t bytes) {
    CALL(cuMemcpyDtoH_v2, (void *, pointer, size_t), to, from, bytes);
}

static int waiting;

static void begin_together(void) {
    if (!waiting)
        return;
    printf("{\"ready\": true}\n");
    fflush(stdout);
    for (int letter = 0; letter != '\n' && letter != EOF;)
        letter = getchar();
}

static void gemm(double seconds, int size) {
    int n = size ? size : 256;
    size_t bytes = (size_t)n * n * sizeof(float);
    float *host = malloc(bytes);
    for (int i = 0; i < n * n; i++)
        host[i] = (float)(i % 7);
    pointer a = allocate(bytes), b = allocate(bytes), c = allocate(bytes);
    to_device(a, host, bytes);
    to_device(b, host, bytes);
    void *function = kernel("gemm"), *arguments[] = {&a, &b, &c, &n};
    launch(function, (unsigned)n / 16, (unsigned)n / 16, 16, 16, arguments);  // loads, and compiles PTX
    synchronize();
    begin_together();
    long done = 0;
    double begin = now();
    do {
        launch(function, (unsigned)n / 16, (unsigned)n / 16, 16, 16, arguments);
        synchronize();
        done++;
    } while (now() - begin < seconds);
    double took = now() - begin;
    float *got = malloc(bytes), wanted = 0;
    to_host(got, c, bytes);
    for (int i = 0; i < n; i++)
        wanted += host[3 * n + i] * host[i * n + 5];
    printf("{\"work\": %ld, \"seconds\": %f, \"right\": %s}\n", done, took, got[3 * n + 5] == wanted ? "true" : "false");
}

static void triad(double seconds, int size) {
    int n = size ? size : 1 << 20;
    float factor = 3, *host = malloc((size_t)n * sizeof(float));
    for (int i = 0; i < n; i++)
        host[i] = (float)(i % 5);
    pointer a = allocate((size_t)n * 4), b = allocate((size_t)n * 4), c = allocate((size_t)n * 4);
    to_device(b, host, (size_t)n * 4);
    to_device(c, host, (size_t)n * 4);
    void *function = kernel("triad"), *arguments[] = {&a, &b, &c, &factor, &n};
    launch(function, (unsigned)n / 256, 1, 256, 1, arguments);
    synchronize();
    begin_together();
    long done = 0;
    double begin = now();
    do {
        launch(function, (unsigned)n / 256, 1, 256, 1, arguments);
        if (++done % 16 == 0)
            synchronize();
    } while (now() - begin < seconds);
    synchronize();
    double took = now() - begin;
    to_host(host, a, (size_t)n * 4);
    int right = 1;
    for (int i = 0; i < n; i++)
        right &= host[i] == 4 * (float)(i % 5);
    printf("{\"work\": %ld, \"seconds\": %f, \"right\": %s}\n", done, took, right ? "true" : "false");
}

static void step(double seconds) {
    pointer counter = allocate(4);
    int zero = 0, got = 0;
    to_device(counter, &zero, 4);
    void *function = kernel("step"), *arguments[] = {&counter};
    begin_together();
    long done = 0;
    double begin = now();
    do {  // a step of 300 launches, then a wait
        for (int i = 0; i < 300; i++)
            launch(function, 1, 1, 32, 1, arguments);
        synchronize();
        done++;
    } while (now() - begin < seconds);
    double took = now() - begin;
    to_host(&got, counter, 4);
    printf("{\"work\": %ld, \"seconds\": %f, \"right\": %s}\n", done, took, got == 300 * done ? "true" : "false");
}

static void copy(size_t bytes) {
    void *host;
    CALL(cuMemAllocHost_v2, (void **, size_t), &host, bytes);
    memset(host, 7, bytes);
    pointer device = allocate(bytes);
    to_device(device, host, bytes);
    double begin = now();
    for (int i = 0; i < 4; i++)
        to_device(device, host, bytes);
    synchronize();
    double in = now() - begin;
    memset(host, 0, bytes);
    begin = now();
    for (int i = 0; i < 4; i++)
        to_host(host, device, bytes);
    double out = now() - begin;
    printf("{\"in_gbs\": %f, \"out_gbs\": %f, \"right\": %s}\n", 4e-9 * (double)bytes / in, 4e-9 * (double)bytes / out,
           ((char *)host)[bytes - 1] == 7 ? "true" : "false");
}

static void traffic(double seconds) {
    size_t bytes = 32 << 20;
    void *host;
    CALL(cuMemAllocHost_v2, (void **, size_t), &host, bytes);
    memset(host, 7, bytes);
    pointer device = allocate(bytes);
    long done = 0;
    double begin = now();
    do {
        to_device(device, host, bytes);
        to_host(host, device, bytes);
        done++;
    } while (now() - begin < seconds);
    printf("{\"work\": %ld, \"seconds\": %f, \"right\": %s}\n", done, now() - begin,
           ((char *)host)[bytes - 1] == 7 ? "true" : "false");
}

static void quota(size_t chunk) {
    result (*function)(pointer *, size_t) = (result (*)(pointer *, size_t))dlsym(library, "cuMemAlloc_v2");
    size_t got = 0;
    pointer address;
    result code;
    while ((code = function(&address, chunk)) == 0)
        got += chunk;
    printf("{\"bytes\": %zu, \"error\": %d}\n", got, code);
}

static void reserve(size_t bytes) {
    double took = 1e9, freed = 1e9;
    for (int i = 0; i < 5; i++) {
        double begin = now();
        pointer address = allocate(bytes);
        double middle = now();
        CALL(cuMemFree_v2, (pointer), address);
        synchronize();
        double end = now();
        took = middle - begin < took ? middle - begin : took;
        freed = end - middle < freed ? end - middle : freed;
    }
    printf("{\"bytes\": %zu, \"allocated\": %f, \"freed\": %f}\n", bytes, took, freed);
}

static void talk(void) {
    int threads = 64;
    void *arguments[] = {&threads};
    launch(kernel("talk"), 1, 1, (unsigned)threads, 1, arguments);
    synchronize();
}

static void stray(void) {
    pointer nowhere = allocate(4);
    void *arguments[] = {&nowhere}, *function = kernel("stray");
    begin_together();
    launch(function, 1, 1, 1, 1, arguments);
    result (*wait)(void) = (result (*)(void))dlsym(library, "cuCtxSynchronize");
    printf("{\"error\": %d}\n", wait());
}

static void fill(size_t bytes) {
    pointer address = allocate(bytes);
    CALL(cuMemsetD8_v2, (pointer, unsigned char, size_t), address, 0xa5, bytes);
    synchronize();
    printf("{\"bytes\": %zu}\n", bytes);
}

static void remains(size_t bytes) {
    pointer address = allocate(bytes), found = allocate(8);
    unsigned long long count = bytes / 4, got = 0;
    to_device(found, &got, 8);
    void *arguments[] = {&address, &count, &found};
    launch(kernel("remains"), 64, 1, 256, 1, arguments);
    to_host(&got, found, 8);
    printf("{\"words\": %llu}\n", got);
}

static void idle(size_t bytes) {
    allocate(bytes);
    printf("{\"bytes\": %zu}\n", bytes);
    fflush(stdout);
    while (getchar() != EOF)
        ;
}

static void device(int number) {
    char name[256];
    size_t bytes;
    CALL(cuDeviceGetName, (char *, int, int), name, sizeof name, number);
    CALL(cuDeviceTotalMem_v2, (size_t *, int), &bytes, number);
    printf("{\"name\": \"%s\", \"mib\": %zu}\n", name, bytes >> 20);
}

int main(int count, char **words) {
    int number;
    void *context;
    if (count < 3)
        return 2;
    library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    CALL(cuInit, (unsigned), 0);
    CALL(cuDeviceGet, (int *, int), &number, 0);
    CALL(cuDevicePrimaryCtxRetain, (void **, int), &context, number);
    CALL(cuCtxSetCurrent, (void *), context);
    if (!strcmp(words[2], "device")) {
        device(number);
        return 0;
    }
    if (!strcmp(words[2], "idle") && count > 3) {
        idle((size_t)strtod(words[3], NULL));
        return 0;
    }
    if (!strcmp(words[2], "quota") && count > 3) {  // before a module's variables take some of it
        quota((size_t)strtod(words[3], NULL));
        return 0;
    }
    CALL(cuModuleLoadData, (void **, const void *), &module, load(words[1]));
    waiting = !strcmp(words[count - 1], "wait");
    count -= waiting;
    double amount = count > 3 ? strtod(words[3], NULL) : 1;
    int size = count > 4 ? atoi(words[4]) : 0;
    if (!strcmp(words[2], "gemm"))
        gemm(amount, size);
    else if (!strcmp(words[2], "triad"))
        triad(amount, size);
    else if (!strcmp(words[2], "step"))
        step(amount);
    else if (!strcmp(words[2], "copy"))
        copy((size_t)amount);
    else if (!strcmp(words[2], "traffic"))
        traffic(amount);
    else if (!strcmp(words[2], "reserve"))
        reserve((size_t)amount);
    else if (!strcmp(words[2], "talk"))
        talk();
    else if (!strcmp(words[2], "stray"))
        stray();
    else if (!strcmp(words[2], "fill"))
        fill((size_t)amount);
    else if (!strcmp(words[2], "remains"))
        remains((size_t)amount);
    else
        return 2;
    return 0;
}
