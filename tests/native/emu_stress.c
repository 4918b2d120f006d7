/* SPDX-License-Identifier: Apache-2.0 */
/* Random work on several streams and threads, compared with what host memory says it should be. EMU_SEED repeats a run. */
#include <pthread.h>
#include <time.h>

#include "emu_test.h"

#define GRANULE ((size_t)2 << 20)
#define LARGEST (GRANULE + 70000)

struct buffer {
    CUdeviceptr at;
    size_t size, mapped; /* mapped: bytes when it comes from virtual memory management */
    unsigned char *want;
};

struct worker {
    CUcontext context;
    CUfunction fill;
    unsigned state;
    CUstream stream;
    struct buffer buffers[6];
};

static const CUmemAllocationProp property = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                             .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
static const CUmemAccessDesc writable = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
                                         .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

static unsigned next(struct worker *worker, unsigned below) {
    worker->state = worker->state * 1103515245u + 12345u;
    return (worker->state >> 8) % below;
}

static void make(struct worker *worker, struct buffer *buffer) {
    CUmemGenericAllocationHandle handle;
    buffer->size = 4 * (1 + next(worker, next(worker, 3) ? 2000 : LARGEST / 4 - 1));
    buffer->want = calloc(1, buffer->size);
    buffer->mapped = 0;
    if (next(worker, 2)) {
        OK(cuMemAlloc_v2(&buffer->at, buffer->size));
        OK(cuMemsetD8_v2(buffer->at, 0, buffer->size));
        OK(cuStreamSynchronize(NULL));
        return;
    }
    buffer->mapped = (buffer->size + GRANULE - 1) / GRANULE * GRANULE; /* comes zeroed */
    OK(cuMemAddressReserve(&buffer->at, buffer->mapped, 0, 0, 0));
    OK(cuMemCreate(&handle, buffer->mapped, &property, 0));
    OK(cuMemMap(buffer->at, buffer->mapped, 0, handle, 0));
    OK(cuMemRelease(handle));
    OK(cuMemSetAccess(buffer->at, buffer->mapped, &writable, 1));
}

static void unmake(struct worker *worker, struct buffer *buffer) {
    OK(cuStreamSynchronize(worker->stream));
    if (buffer->mapped) {
        OK(cuMemUnmap(buffer->at, buffer->mapped));
        OK(cuMemAddressFree(buffer->at, buffer->mapped));
    } else {
        OK(cuMemFree_v2(buffer->at));
    }
    free(buffer->want);
}

static void act(struct worker *worker) {
    struct buffer *buffer = &worker->buffers[next(worker, 6)], *other = &worker->buffers[next(worker, 6)];
    size_t words = buffer->size / 4, from = next(worker, (unsigned)words), count = 1 + next(worker, (unsigned)(words - from));
    unsigned value = next(worker, 1u << 24);
    uint32_t *want = (uint32_t *)(void *)buffer->want + from, length = (uint32_t)count;
    CUdeviceptr at = buffer->at + 4 * from;
    void *parameters[] = {&at, &value, &length};
    switch (next(worker, 6)) {
    case 0:
        OK(cuMemsetD32Async(at, value, count, worker->stream));
        for (size_t i = 0; i < count; i++)
            want[i] = value;
        break;
    case 1: {
        uint32_t *source = malloc(4 * count);
        for (size_t i = 0; i < count; i++)
            want[i] = source[i] = value + (uint32_t)i;
        OK(cuMemcpyHtoDAsync_v2(at, source, 4 * count, worker->stream));
        free(source);
        break;
    }
    case 2:
        if (other == buffer || other->size < 4 * count)
            break;
        OK(cuMemcpyDtoDAsync_v2(at, other->at, 4 * count, worker->stream));
        memcpy(want, other->want, 4 * count);
        break;
    case 3:
        if (count > 20000)
            break;
        OK(launch1(worker->fill, (unsigned)(count + 63) / 64, 64, worker->stream, parameters));
        for (size_t i = 0; i < count; i++)
            want[i] = value;
        break;
    case 4: {
        uint32_t *seen = malloc(4 * count);
        OK(cuMemcpyDtoHAsync_v2(seen, at, 4 * count, worker->stream));
        OK(cuStreamSynchronize(worker->stream));
        EXPECT(memcmp(seen, want, 4 * count), 0);
        free(seen);
        break;
    }
    default:
        if (next(worker, 4))
            break;
        unmake(worker, buffer);
        make(worker, buffer);
    }
}

static void *work(void *data) {
    struct worker *worker = data;
    OK(cuCtxSetCurrent(worker->context));
    OK(cuStreamCreate(&worker->stream, CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < 6; i++)
        make(worker, &worker->buffers[i]);
    for (int i = 0; i < 600 && failures == 0; i++)
        act(worker);
    for (int i = 0; i < 6; i++)
        unmake(worker, &worker->buffers[i]);
    OK(cuStreamDestroy_v2(worker->stream));
    return NULL;
}

int main(void) {
    struct worker workers[3] = {0};
    pthread_t threads[3];
    size_t before = 0, after = 0;
    setenv("ACCELPOOL_EMU_DEVICE", "memory_mib=256", 1);
    const char *seed = getenv("EMU_SEED");
    unsigned start = seed ? (unsigned)strtoul(seed, NULL, 10) : (unsigned)time(NULL);
    CUcontext context = open_device();
    CUmodule module = load_kernels();
    OK(cuMemGetInfo_v2(&before, NULL));
    for (unsigned i = 0; i < 3; i++) {
        workers[i].context = context;
        workers[i].fill = function_of(module, "fill");
        workers[i].state = start + i * 7919u;
        pthread_create(&threads[i], NULL, work, &workers[i]);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    OK(cuMemGetInfo_v2(&after, NULL));
    EXPECT(after, before);
    if (failures)
        fprintf(stderr, "EMU_SEED=%u\n", start);
    return verdict("emu_stress");
}
