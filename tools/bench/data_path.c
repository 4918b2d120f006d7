/* SPDX-License-Identifier: Apache-2.0 */
/* Measures, in one run: a call that must reach the worker against a TCP ping-pong of the same bytes,
 * asynchronous launches of an empty kernel, and bulk copies against a raw TCP stream.
 * Prints one JSON object.  data_path SCALE (1 = quick) */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long long CUdeviceptr;
extern int cuInit(unsigned), cuDevicePrimaryCtxRetain(void **, int), cuCtxSetCurrent(void *), cuCtxSynchronize(void);
extern int cuMemAlloc_v2(CUdeviceptr *, size_t), cuMemFree_v2(CUdeviceptr);
extern int cuMemcpyHtoD_v2(CUdeviceptr, const void *, size_t), cuMemcpyDtoH_v2(void *, CUdeviceptr, size_t);
extern int cuModuleLoadData(void **, const void *), cuModuleGetFunction(void **, void *, const char *);
extern int cuLaunchKernel(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *,
                          void **, void **);

/* One frame header and the smallest request / reply that a synchronous call takes. */
enum { CALL_BYTES = 16, REPLY_BYTES = 24, CHUNK = 1 << 20 };
static const size_t BULK = 64u << 20;

static const char PTX[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                          ".visible .entry nothing(.param .u64 a)\n{\n    ret;\n}\n";

static void check(int code, const char *what) {
    if (code) {
        fprintf(stderr, "%s: error %d\n", what, code);
        exit(1);
    }
}
#define DO(call) check((call), #call)

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

static void all(ssize_t (*move)(int, void *, size_t, int), int fd, void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t n = move(fd, (char *)data + done, size - done, MSG_NOSIGNAL);
        if (n <= 0)
            _exit(0);
        done += (size_t)n;
    }
}
static ssize_t put(int fd, void *data, size_t size, int flags) { return send(fd, data, size, flags); }
static ssize_t get(int fd, void *data, size_t size, int flags) { return recv(fd, data, size, flags & 0); }

/* A connected loopback pair with a child process on the other side running `serve`. */
static int peer(void (*serve)(int), pid_t *child) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(listener, (struct sockaddr *)&at, size) || listen(listener, 1), "listen");
    getsockname(listener, (struct sockaddr *)&at, &size);
    *child = fork();
    if (!*child) {
        int other = accept(listener, NULL, NULL);
        setsockopt(other, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        close(fd);
        serve(other);
        _exit(0);
    }
    check(connect(fd, (struct sockaddr *)&at, size), "connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    close(listener);
    return fd;
}

static void echo(int fd) {
    char buffer[64] = {0};
    for (;;) {
        all(get, fd, buffer, CALL_BYTES);
        all(put, fd, buffer, REPLY_BYTES);
    }
}

static void sink(int fd) {
    char *buffer = malloc(CHUNK);
    for (;;) {
        for (size_t done = 0; done < BULK; done += CHUNK)
            all(get, fd, buffer, CHUNK);
        all(put, fd, buffer, 1);
    }
}

int main(int argc, char **argv) {
    int scale = argc > 1 ? atoi(argv[1]) : 1, rounds = 2000 * scale, copies = 4 * scale;
    double *times = malloc(sizeof *times * (size_t)rounds);
    char *bulk = malloc(BULK), small[64] = {0};
    memset(bulk, 7, BULK);
    pid_t child;
    /* The peers are forked before CUDA starts: a context does not survive fork(). */
    int echo_fd = peer(echo, &child);
    pid_t sink_child;
    int sink_fd = peer(sink, &sink_child);

    void *context, *module, *kernel;
    DO(cuInit(0));
    DO(cuDevicePrimaryCtxRetain(&context, 0));
    DO(cuCtxSetCurrent(context));
    DO(cuModuleLoadData(&module, PTX));
    DO(cuModuleGetFunction(&kernel, module, "nothing"));
    CUdeviceptr memory;
    DO(cuMemAlloc_v2(&memory, BULK));
    DO(cuCtxSynchronize());

    /* Alternating, so that both see the same machine. */
    double ping_pong = 0, call = 0;
    for (int half = 0; half < 4; half++) {
        for (int i = 0; i < rounds; i++) {
            double start = now();
            all(put, echo_fd, small, CALL_BYTES);
            all(get, echo_fd, small, REPLY_BYTES);
            times[i] = now() - start;
        }
        ping_pong += median(times, rounds) / 4;
        for (int i = 0; i < rounds; i++) {
            double start = now();
            DO(cuCtxSynchronize());
            times[i] = now() - start;
        }
        call += median(times, rounds) / 4;
    }

    void *arguments[] = {&memory};
    int launches = 50000 * scale;
    double start = now();
    for (int i = 0; i < launches; i++)
        DO(cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, NULL, arguments, NULL));
    DO(cuCtxSynchronize());
    double launch_rate = launches / (now() - start);

    double raw = 0, h2d = 0, d2h = 0;
    DO(cuMemcpyHtoD_v2(memory, bulk, BULK)); /* touches every page once */
    DO(cuCtxSynchronize());
    for (int i = 0; i < copies; i++) {
        start = now();
        for (size_t done = 0; done < BULK; done += CHUNK)
            all(put, sink_fd, bulk + done, CHUNK);
        all(get, sink_fd, small, 1);
        raw += now() - start;
        start = now();
        DO(cuMemcpyHtoD_v2(memory, bulk, BULK));
        DO(cuCtxSynchronize());
        h2d += now() - start;
        start = now();
        DO(cuMemcpyDtoH_v2(bulk, memory, BULK));
        d2h += now() - start;
    }
    kill(child, 9);
    kill(sink_child, 9);
    double bytes = (double)BULK * copies / 1e9;
    printf("{\"ping_pong_us\": %.2f, \"call_us\": %.2f, \"launches_per_second\": %.0f, "
           "\"raw_gbs\": %.3f, \"h2d_gbs\": %.3f, \"d2h_gbs\": %.3f}\n",
           ping_pong * 1e6, call * 1e6, launch_rate, bytes / raw, bytes / h2d, bytes / d2h);
    return 0;
}
