/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's heap against a worker that is played here: random allocations and frees, checked after every step for what
 * a program or a ledger would notice. heap_test SEED STEPS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"

#define LIMIT (64ull << 20)
#define GRANULE (2ull << 20)
#define RANGE (4ull << 30)
#define MAPPED_BOUND (LIMIT / 8 + (16ull << 20)) /* beyond what is leased */
#define TOGETHER (24ull << 20) /* bytes of a lease from which on the worker maps what lies inside together */
#define MOST 4096

#define EXPECT(condition)                                                              \
    do {                                                                               \
        if (!(condition)) {                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
            exit(1);                                                                   \
        }                                                                              \
    } while (0)

/* The worker and its ledger. */
static struct {
    uint64_t base, leased, mapped_count;
    unsigned char mapped[RANGE / GRANULE];
    unsigned char joined[RANGE / GRANULE + 1]; /* in one mapping with the granule before */
    int older; /* an error that the next answer brings along ... */
    int at_once; /* ... or that is told instead of asking */
    struct heap *heap; /* which frees `meanwhile`, if that is not 0, before the next answer: as another thread does */
    uint64_t meanwhile;
    channel_recall recall;
    unsigned answered; /* returns that say which recall they answer */
    void *opaque;
    unsigned barriers, frames;
} worker;

static struct {
    uint64_t address, bytes;
} live[MOST];
static unsigned live_count;

static int answer_lease(const struct wire_lease *ask, struct wire_lease_reply *answer)
{
    uint64_t room = LIMIT - worker.leased, missing = 0;
    uint64_t first = (ask->address - worker.base) / GRANULE, count = ask->length / GRANULE;

    EXPECT(ask->length == 0 || (ask->address >= worker.base && ask->address % GRANULE == 0 && ask->length % GRANULE == 0));
    if (ask->need > room)
        return 2;
    uint64_t granted = ask->need + ask->extra < room ? ask->need + ask->extra : room;
    for (uint64_t i = 0; i < count; i++)
        missing += !worker.mapped[first + i];
    if ((worker.mapped_count + missing) * GRANULE > worker.leased + granted + MAPPED_BOUND)
        return 2;
    memset(worker.mapped + first, 1, count);
    if (missing == count && ask->length >= TOGETHER)
        memset(worker.joined + first + 2, 1, count - 3);
    worker.mapped_count += missing;
    worker.leased += granted;
    answer->granted = granted;
    answer->address = ask->address;
    answer->length = ask->length;
    return 0;
}

int channel_call(struct channel *channel, uint16_t opcode, const struct iovec *parts, int count, struct channel_reply *reply)
{
    int status = 0;

    (void)channel, (void)count;
    if (worker.older && worker.at_once) {
        const int older = worker.older;

        worker.older = 0;
        return older;
    }
    worker.frames++;
    if (worker.meanwhile)
        EXPECT(heap_free(worker.heap, worker.meanwhile) == 0);
    worker.meanwhile = 0;
    if (opcode == WIRE_RANGE)
        worker.base = ((const struct wire_range *)parts->iov_base)->base;
    else if (opcode == WIRE_LEASE)
        status = answer_lease(parts->iov_base, reply->head);
    else
        EXPECT(!"an unexpected call");
    ((struct wire_reply *)reply->head)->status = status;
    if (status)
        return status;
    const int older = worker.older;
    worker.older = 0;
    return older;
}

int channel_tell(struct channel *channel, uint16_t opcode, const struct iovec *parts, int count)
{
    (void)channel, (void)count;
    worker.frames++;
    if (opcode == WIRE_BARRIER) {
        worker.barriers++;
        return 0;
    }
    EXPECT(opcode == WIRE_LEASE_RETURN);
    const struct wire_lease_return *back = parts->iov_base;
    EXPECT(back->bytes <= worker.leased);
    worker.answered += back->recall == 7 && back->length == 0;
    worker.leased -= back->bytes;
    const uint64_t end = (back->address - worker.base + back->length) / GRANULE;
    EXPECT(!back->length || (!worker.joined[(back->address - worker.base) / GRANULE] && !worker.joined[end]));
    for (uint64_t at = back->address; at < back->address + back->length; at += GRANULE) {
        worker.mapped_count -= worker.mapped[(at - worker.base) / GRANULE];
        worker.mapped[(at - worker.base) / GRANULE] = worker.joined[(at - worker.base) / GRANULE] = 0;
    }
    return 0;
}

void channel_on_recall(struct channel *channel, channel_recall recall, void *opaque)
{
    (void)channel;
    worker.recall = recall;
    worker.opaque = opaque;
}

static uint64_t rounded(uint64_t bytes)
{
    return (bytes + HEAP_ALIGNMENT - 1) / HEAP_ALIGNMENT * HEAP_ALIGNMENT;
}

static uint64_t allocated(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < live_count; i++)
        sum += rounded(live[i].bytes);
    return sum;
}

static void check(struct heap *heap)
{
    EXPECT(allocated() + heap_unused(heap) == worker.leased);
    EXPECT(worker.leased <= LIMIT);
    for (unsigned i = 0; i < live_count; i++) {
        uint64_t first = (live[i].address - worker.base) / GRANULE;
        uint64_t last = (live[i].address - worker.base + live[i].bytes - 1) / GRANULE;

        EXPECT(live[i].address % HEAP_ALIGNMENT == 0);
        for (uint64_t g = first; g <= last; g++)
            EXPECT(worker.mapped[g]);
        EXPECT(heap_holds(heap, live[i].address, live[i].bytes));
        EXPECT(!heap_holds(heap, live[i].address, rounded(live[i].bytes) + 1));
        for (unsigned k = 0; k < i; k++)
            EXPECT(live[k].address + live[k].bytes <= live[i].address || live[i].address + live[i].bytes <= live[k].address);
    }
}

static uint64_t pick(uint64_t below)
{
    return ((uint64_t)(unsigned)rand() << 16 ^ (unsigned)rand()) % below;
}

static void step(struct heap *heap)
{
    static const uint64_t sizes[] = {256, 4096, 100000, 1 << 20, 3 << 20, 20 << 20, 50 << 20};
    uint64_t bytes = 1 + pick(sizes[pick(sizeof sizes / sizeof *sizes)]), address, room = LIMIT - allocated();
    int error, older;

    switch (pick(9)) {
    case 0:
        worker.answered = 0;
        worker.recall(worker.opaque, 7);
        EXPECT(heap_unused(heap) == 0 && worker.answered == 1);
        break;
    case 1:
        heap_synchronized(heap);
        break;
    case 2:
        worker.older = pick(2) ? 701 : 2; /* of a launch before */
        worker.at_once = (int)pick(2);
        break;
    case 3:
    case 4:
    case 5:
        if (live_count) {
            unsigned i = (unsigned)pick(live_count);

            EXPECT(heap_free(heap, live[i].address + 1) == 1);
            EXPECT(heap_free(heap, live[i].address) == 0);
            EXPECT(heap_free(heap, live[i].address) == 1);
            live[i] = live[--live_count];
        }
        break;
    default:
        if (live_count == MOST)
            break;
        older = worker.older;
        error = heap_allocate(heap, bytes, &address);
        if (older && !worker.older && (worker.at_once || rounded(bytes) <= room))
            EXPECT(error == older); /* and nothing was allocated */
        else
            EXPECT(error == (rounded(bytes) <= room ? 0 : 2)); /* memory is there to its last byte */
        if (!error) {
            live[live_count].address = address;
            live[live_count++].bytes = bytes;
        }
    }
}

/* Freed memory is used again behind a barrier only while the device may still be at it. */
static void test_barriers(struct heap *heap)
{
    uint64_t first, second;

    EXPECT(heap_allocate(heap, 4096, &first) == 0);
    EXPECT(heap_free(heap, first) == 0);
    unsigned before = worker.barriers;
    EXPECT(heap_allocate(heap, 4096, &second) == 0 && first == second && worker.barriers == before + 1);
    EXPECT(heap_free(heap, second) == 0);
    heap_synchronized(heap);
    EXPECT(heap_allocate(heap, 4096, &second) == 0 && first == second && worker.barriers == before + 1);
    worker.heap = heap;
    worker.meanwhile = second; /* beside an allocation that fails */
    EXPECT(heap_allocate(heap, LIMIT + 1, &second) == 2 && !worker.meanwhile);
    EXPECT(heap_allocate(heap, 4096, &second) == 0 && first == second && worker.barriers == before + 2);
    EXPECT(heap_free(heap, second) == 0);
}

/* Places for another session's memory: whole granules, nothing mapped, no allocation, and found again by nobody. */
static void test_places(struct heap *heap)
{
    uint64_t before, places[8], after, start, bytes;

    EXPECT(heap_allocate(heap, 4096, &before) == 0);
    EXPECT(heap_place(heap, 0, &after) == 1 && heap_place(heap, GRANULE + 256, &after) == 1);
    EXPECT(heap_place(heap, RANGE, &after) == 2);
    for (unsigned i = 0; i < 8; i++) {
        const uint64_t length = (i + 1) * GRANULE;

        EXPECT(heap_place(heap, length, &places[i]) == 0 && places[i] % GRANULE == 0);
        for (uint64_t g = 0; g <= i; g++)
            EXPECT(!worker.mapped[(places[i] - worker.base) / GRANULE + g]);
        EXPECT(heap_find(heap, places[i] + length - 1, &start, &bytes) && start == places[i] && bytes == length);
        EXPECT(heap_free(heap, places[i]) == 1);
    }
    EXPECT(heap_allocate(heap, LIMIT / 4, &after) == 0);
    for (unsigned i = 0; i < 8; i++)
        EXPECT(after + LIMIT / 4 <= places[i] || after >= places[i] + (i + 1) * GRANULE);
    for (unsigned i = 0; i < 8; i++) {
        heap_unplace(heap, places[i]);
        EXPECT(!heap_find(heap, places[i], &start, &bytes));
    }
    heap_unplace(heap, before); /* an allocation is no place */
    EXPECT(heap_free(heap, before) == 0 && heap_free(heap, after) == 0);
}

int main(int argc, char **argv)
{
    int error = 0;
    struct heap *heap = heap_open(NULL, 0, RANGE, GRANULE, &error);

    EXPECT(argc == 3 && heap && !error);
    srand((unsigned)atoi(argv[1]));
    EXPECT(heap_allocate(heap, 0, &(uint64_t){0}) == 1);
    test_barriers(heap);
    test_places(heap);
    for (int i = 0; i < atoi(argv[2]); i++) {
        step(heap);
        check(heap);
    }
    worker.older = 0;
    while (live_count)
        EXPECT(heap_free(heap, live[--live_count].address) == 0);
    uint64_t address;
    EXPECT(heap_allocate(heap, LIMIT, &address) == 0);
    unsigned frames = worker.frames;
    EXPECT(heap_free(heap, address) == 0 && worker.frames == frames + 1);
    EXPECT(heap_allocate(heap, 256, &address) == 0);
    frames = worker.frames;
    for (int i = 0; i < 1000; i++) {
        EXPECT(heap_allocate(heap, 256, &address) == 0); /* inside the lease: nobody is asked */
    }
    EXPECT(worker.frames <= frames + 1);
    heap_close(heap);
    return 0;
}
