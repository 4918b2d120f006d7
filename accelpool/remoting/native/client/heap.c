/* SPDX-License-Identifier: Apache-2.0 */
#include "heap.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "segments.h"

enum { UNANSWERED = -1, SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2 };

/* Device ranges lie at RANGE_BASE + slot * RANGE_STRIDE, TRIES slots for every ordinal: disjoint between the devices of one
 * attachment, far from where Linux puts programs, heaps and libraries, and inside what sanitizers leave to the program. */
#define RANGE_BASE 0x200000000000ull
#define RANGE_STRIDE (1ull << 40)
#define TRIES 6u

/* Leased beyond what was asked for, so that the next allocations need no reply. */
#define EXTRA_MIN (1ull << 20)
#define EXTRA_MAX (16ull << 20)
/* Unused lease bytes that are kept; more than KEEP_MAX goes back, down to KEEP. */
#define KEEP (4ull << 20)
#define KEEP_MAX (16ull << 20)
/* Mapped in holes; more goes back as far as a granule is wholly free: from 64 MiB on the slice pays for it. */
#define HOLES_MAX (32ull << 20)

struct heap {
    struct channel *channel;
    uint64_t base, size, granule;
    pthread_mutex_t lock;
    pthread_cond_t leased;
    struct segments segments;
    uint8_t *mapped;     /* a bit for every granule */
    uint64_t mapped_end; /* no granule from here on has ever been mapped */
    uint64_t mapped_bytes;
    uint64_t unused;     /* leased bytes that no allocation has */
    uint64_t allocated;
    uint64_t epoch;      /* raised whenever the device was seen idle; starts at 1 */
    int leasing;         /* a LEASE is under way: others wait, the lock is free */
};

static int is_mapped(const struct heap *h, uint64_t granule)
{
    return h->mapped[granule / 8] >> (granule % 8) & 1;
}

static void set_mapped(struct heap *h, uint64_t address, uint64_t length, int on)
{
    if (address < h->base || address - h->base > h->size || length > h->size - (address - h->base))
        return; /* not a place that we asked for */
    uint64_t g = (address - h->base) / h->granule, n = length / h->granule;
    if (on && g + n > h->mapped_end)
        h->mapped_end = g + n;
    for (; n--; g++) {
        if (is_mapped(h, g) == on)
            continue;
        h->mapped[g / 8] ^= (uint8_t)(1u << g % 8);
        h->mapped_bytes += on ? h->granule : -h->granule;
    }
}

/* Tells the worker to unmap and to take bytes back; nobody waits. */
static void give_back(struct heap *h, uint64_t address, uint64_t length, uint64_t bytes, uint64_t recall_number)
{
    struct wire_lease_return back = {.address = address, .length = length, .bytes = bytes, .recall = recall_number};
    struct iovec part = {&back, sizeof back};

    channel_tell(h->channel, WIRE_LEASE_RETURN, &part, 1);
}

/* Gives every mapped granule back that lies wholly in a free segment of this subtree. Returns how many runs there were. */
static unsigned unmap_free(struct heap *h, const struct segment *segment)
{
    unsigned runs = 0;

    if (!segment || segment->largest < h->granule)
        return 0;
    runs += unmap_free(h, segment->left);
    if (!segment->used) {
        uint64_t at = (segment->start - h->base + h->granule - 1) / h->granule;
        uint64_t end = (segment->start - h->base + segment->size) / h->granule;

        end = end < h->mapped_end ? end : h->mapped_end;
        while (at < end) {
            uint64_t first = at;

            while (at < end && is_mapped(h, at))
                at++;
            if (at > first) {
                uint64_t address = h->base + first * h->granule, length = (at - first) * h->granule;

                set_mapped(h, address, length, 0);
                give_back(h, address, length, 0, 0);
                runs++;
            } else {
                at++;
            }
        }
    }
    return runs + unmap_free(h, segment->right);
}

/* Whatever is unused is of more use to those who wait. */
static void recall(void *opaque, uint64_t number)
{
    struct heap *h = opaque;

    pthread_mutex_lock(&h->lock);
    uint64_t unused = h->unused;
    h->unused = 0;
    give_back(h, 0, 0, unused, number); /* first and by itself: this is what the other session waits for */
    unmap_free(h, h->segments.root);
    pthread_mutex_unlock(&h->lock);
}

static int reserve(uint64_t base, uint64_t size)
{
    void *here = mmap((void *)(uintptr_t)base, size, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    if (here == MAP_FAILED)
        return -1;
    if ((uintptr_t)here == base)
        return 0;
    munmap(here, size); /* an old kernel takes the flag for a hint */
    return -1;
}

/* The worker's range, where its vendor's library likes when base is 0: here it is reserved only at base. 0 or a CUresult. */
static int ask(struct heap *h, uint64_t base)
{
    struct wire_range range = {base, h->size};
    struct iovec part = {&range, sizeof range};
    struct wire_range_reply answer = {.base = base};
    struct channel_reply reply = {.head = &answer, .head_size = sizeof answer};
    int error = channel_call(h->channel, WIRE_RANGE, &part, 1, &reply);

    if (!error)
        h->base = answer.base;
    return error;
}

/* The worker has a range at h->base, where this process may have something else. */
static int follow(struct heap *h)
{
    if (h->base && !(h->base % h->granule) && !reserve(h->base, h->size))
        return SUCCESS;
    h->base = 0;
    return OUT_OF_MEMORY;
}

/* Reserves the range here and at the worker; 0 or a CUresult. A smaller one, when the worker refuses a second place. */
static int agree(struct heap *h, unsigned ordinal)
{
    const uint64_t least = h->size / 4 > WIRE_RANGE_MIN ? h->size / 4 : WIRE_RANGE_MIN;
    int error = OUT_OF_MEMORY, refused = 0;

    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t base = RANGE_BASE + (ordinal * TRIES + i) * RANGE_STRIDE;

        if (reserve(base, h->size))
            continue;
        error = ask(h, base);
        if (!error && h->base == base)
            return SUCCESS;
        munmap((void *)(uintptr_t)base, h->size);
        if (!error)
            return follow(h);
        if (error == CHANNEL_LOST)
            return error;
        if (error == OUT_OF_MEMORY && refused++ && h->size / 2 >= least)
            h->size /= 2;
    }
    error = ask(h, 0);
    return error ? error : follow(h);
}

struct heap *heap_open(struct channel *channel, unsigned ordinal, uint64_t range_size, uint64_t granule, int *error)
{
    struct heap *h = calloc(1, sizeof *h);

    *error = OUT_OF_MEMORY;
    if (!h)
        return NULL;
    h->channel = channel;
    h->granule = granule;
    h->size = (range_size < RANGE_STRIDE ? range_size : RANGE_STRIDE) & ~(granule - 1);
    h->epoch = 1;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->leased, NULL);
    h->mapped = calloc(h->size / granule / 8 + 1, 1);
    if (h->mapped)
        *error = agree(h, ordinal);
    if (!*error && segments_open(&h->segments, h->base, h->size))
        *error = OUT_OF_MEMORY;
    if (*error) {
        heap_close(h);
        return NULL;
    }
    channel_on_recall(channel, recall, h);
    return h;
}

void heap_close(struct heap *h)
{
    if (h->base)
        munmap((void *)(uintptr_t)h->base, h->size);
    segments_close(&h->segments);
    free(h->mapped);
    free(h);
}

/* What must be mapped for [start, start + bytes): from the first to the last granule that is not. */
static void find_unmapped(const struct heap *h, uint64_t start, uint64_t bytes, uint64_t *address, uint64_t *length)
{
    uint64_t first = (start - h->base) / h->granule, last = (start - h->base + bytes - 1) / h->granule;

    while (first <= last && is_mapped(h, first))
        first++;
    while (last > first && is_mapped(h, last))
        last--;
    *address = h->base + first * h->granule;
    *length = first <= last ? (last - first + 1) * h->granule : 0;
}

static uint64_t extra_for(const struct heap *h)
{
    uint64_t extra = h->allocated / 4;

    if (extra < EXTRA_MIN)
        extra = EXTRA_MIN;
    return extra < EXTRA_MAX ? extra : EXTRA_MAX;
}

/*
 * Asks for `need` bytes and the mapping, with the lock given up meanwhile. What is granted is unused then, also when an older
 * error came along with it; an older error may have come instead, too.
 */
static int lease(struct heap *h, uint64_t address, uint64_t length, uint64_t need, int *older)
{
    struct wire_lease ask = {.address = address, .length = length, .need = need, .extra = need ? extra_for(h) : 0};
    struct wire_lease_reply answer = {.reply = {.status = UNANSWERED}};
    struct iovec part = {&ask, sizeof ask};
    struct channel_reply reply = {.head = &answer, .head_size = sizeof answer};

    h->leasing = 1;
    pthread_mutex_unlock(&h->lock);
    int error = channel_call(h->channel, WIRE_LEASE, &part, 1, &reply);
    pthread_mutex_lock(&h->lock);
    h->leasing = 0;
    pthread_cond_broadcast(&h->leased);
    *older = error;
    if (answer.reply.status == UNANSWERED) /* an older error came first, and nothing was asked */
        return SUCCESS;
    if (answer.reply.status != SUCCESS || answer.granted < need)
        return error ? error : OUT_OF_MEMORY;
    set_mapped(h, answer.address, answer.length, 1);
    h->unused += answer.granted;
    return SUCCESS;
}

/* Gives unused lease and the granules that lie wholly in a free segment back, if there is much of it. */
static void trim(struct heap *h, const struct segment *hole)
{
    if (h->unused <= KEEP_MAX)
        return;
    uint64_t first = (hole->start - h->base + h->granule - 1) / h->granule;
    uint64_t end = (hole->start - h->base + hole->size) / h->granule;
    while (first < end && !is_mapped(h, first))
        first++;
    while (end > first && !is_mapped(h, end - 1))
        end--;
    uint64_t address = h->base + first * h->granule;
    uint64_t length = first < end ? (end - first) * h->granule : 0;
    set_mapped(h, address, length, 0);
    give_back(h, length ? address : 0, length, h->unused - KEEP, 0);
    h->unused = KEEP;
    if (h->mapped_bytes > h->allocated + h->unused + HOLES_MAX)
        unmap_free(h, h->segments.root);
}

static int settle(struct heap *h, struct segment *segment)
{
    segment->used = 1;
    h->unused -= segment->size;
    h->allocated += segment->size;
    return SUCCESS;
}

static int allocate(struct heap *h, uint64_t bytes, uint64_t *start)
{
    struct segment *segment = segments_take(&h->segments, bytes);
    uint64_t address, length;

    if (!segment)
        return OUT_OF_MEMORY;
    *start = segment->start;
    segment->used = 2; /* nobody frees it meanwhile */
    if (segment->epoch == h->epoch) { /* freed since the device was last idle: it may still be in use */
        channel_tell(h->channel, WIRE_BARRIER, NULL, 0);
        h->epoch++;
    }
    for (;;) {
        find_unmapped(h, *start, bytes, &address, &length);
        if (!length && h->unused >= bytes)
            return settle(h, segment);
        if (!h->leasing)
            break;
        pthread_cond_wait(&h->leased, &h->lock);
    }
    const uint64_t have = h->unused < bytes ? h->unused : bytes;
    int older = SUCCESS;
    h->unused -= have;
    int error = lease(h, address, length, bytes - have, &older);
    if (error == OUT_OF_MEMORY && unmap_free(h, h->segments.root)) {
        /* Holes too small for this allocation were mapped; what may be mapped at once is bounded. */
        find_unmapped(h, *start, bytes, &address, &length);
        error = lease(h, address, length, bytes - have, &older);
    }
    h->unused += have;
    if (error || older) {
        trim(h, segments_give(&h->segments, segment, 0));
        return error ? error : older;
    }
    return settle(h, segment);
}

int heap_allocate(struct heap *h, uint64_t bytes, uint64_t *address)
{
    if (!bytes)
        return INVALID_VALUE;
    if (bytes > h->size)
        return OUT_OF_MEMORY;
    pthread_mutex_lock(&h->lock);
    int error = allocate(h, (bytes + HEAP_ALIGNMENT - 1) & ~(uint64_t)(HEAP_ALIGNMENT - 1), address);
    pthread_mutex_unlock(&h->lock);
    return error;
}

int heap_free(struct heap *h, uint64_t address)
{
    int error = INVALID_VALUE;

    pthread_mutex_lock(&h->lock);
    struct segment *segment = segments_find(&h->segments, address);
    if (segment && segment->used == 1 && segment->start == address) {
        h->unused += segment->size;
        h->allocated -= segment->size;
        trim(h, segments_give(&h->segments, segment, h->epoch));
        error = SUCCESS;
    }
    pthread_mutex_unlock(&h->lock);
    return error;
}

int heap_place(struct heap *h, uint64_t length, uint64_t *address)
{
    uint64_t at, end;

    if (!length || length % h->granule || length > h->size)
        return INVALID_VALUE;
    pthread_mutex_lock(&h->lock);
    struct segment *segment = segments_take_aligned(&h->segments, length, h->granule);
    if (!segment) {
        pthread_mutex_unlock(&h->lock);
        return OUT_OF_MEMORY;
    }
    segment->used = 2;
    *address = segment->start;
    at = (segment->start - h->base) / h->granule;
    end = at + length / h->granule;
    while (at < end) { /* what was mapped for allocations that are gone */
        const uint64_t first = at;

        while (at < end && is_mapped(h, at))
            at++;
        if (at > first) {
            set_mapped(h, h->base + first * h->granule, (at - first) * h->granule, 0);
            give_back(h, h->base + first * h->granule, (at - first) * h->granule, 0, 0);
        } else {
            at++;
        }
    }
    pthread_mutex_unlock(&h->lock);
    return SUCCESS;
}

void heap_unplace(struct heap *h, uint64_t address)
{
    pthread_mutex_lock(&h->lock);
    struct segment *segment = segments_find(&h->segments, address);
    if (segment && segment->used == 2 && segment->start == address)
        segments_give(&h->segments, segment, h->epoch);
    pthread_mutex_unlock(&h->lock);
}

void heap_clear(struct heap *h)
{
    for (uint64_t at = h->base; at < h->base + h->size;) {
        uint64_t start, bytes;

        if (heap_find(h, at, &start, &bytes))
            heap_free(h, start);
        pthread_mutex_lock(&h->lock);
        const struct segment *segment = segments_find(&h->segments, at); /* the hole, with what it was merged with */
        at = segment->start + segment->size;
        pthread_mutex_unlock(&h->lock);
    }
}

int heap_find(struct heap *h, uint64_t address, uint64_t *start, uint64_t *bytes)
{
    pthread_mutex_lock(&h->lock);
    const struct segment *segment = segments_find(&h->segments, address);
    int found = segment && segment->used;
    if (found) {
        *start = segment->start;
        *bytes = segment->size;
    }
    pthread_mutex_unlock(&h->lock);
    return found;
}

int heap_holds(struct heap *h, uint64_t address, uint64_t bytes)
{
    uint64_t start, size;

    return heap_find(h, address, &start, &size) && bytes <= size - (address - start);
}

int heap_covers(const struct heap *h, uint64_t address)
{
    return address >= h->base && address - h->base < h->size;
}

void heap_synchronized(struct heap *h)
{
    pthread_mutex_lock(&h->lock);
    h->epoch++;
    pthread_mutex_unlock(&h->lock);
}

uint64_t heap_unused(struct heap *h)
{
    pthread_mutex_lock(&h->lock);
    uint64_t unused = h->unused;
    pthread_mutex_unlock(&h->lock);
    return unused;
}
