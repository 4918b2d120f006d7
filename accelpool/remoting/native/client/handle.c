/* SPDX-License-Identifier: Apache-2.0 */
#include "handle.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { INVALID_HANDLE = 400 }; /* as the worker says it */

#define CHUNK 1024u

/* A value is MARK | kind | generation | id | 0000. No pointer looks like it: bits 55 and 53 make it non-canonical. */
#define MARK 0x00a0000000000000u
#define KIND_SHIFT 40
#define GENERATION_SHIFT 24
#define ID_SHIFT 4

struct slot {
    _Atomic uint32_t state; /* generation << 1 | live */
    struct device *device;
    void *object;
};

static struct table {
    pthread_mutex_t lock;
    _Atomic(struct slot *) chunks[HANDLE_LIMIT / CHUNK];
    uint32_t last; /* id given out last: the search goes on behind it */
    uint32_t live;
} tables[HANDLE_KINDS] = {[0 ... HANDLE_KINDS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER, .last = HANDLE_FIRST - 1}};

static struct slot *slot_at(struct table *table, uint64_t id)
{
    struct slot *chunk = id < HANDLE_LIMIT ? atomic_load_explicit(&table->chunks[id / CHUNK], memory_order_acquire) : NULL;

    return chunk ? &chunk[id % CHUNK] : NULL;
}

/* With the lock held. Fresh ids first, up to the end of a chunk that is half empty; then the table grows. */
static struct slot *slot_free(struct table *table, uint32_t *id)
{
    uint32_t limit = HANDLE_FIRST + 2 * table->live + CHUNK;

    if (limit > HANDLE_LIMIT)
        limit = HANDLE_LIMIT;
    for (uint32_t step = 0, at = table->last; step < HANDLE_LIMIT; step++) {
        at = at + 1 < limit ? at + 1 : HANDLE_FIRST;
        if (!atomic_load_explicit(&table->chunks[at / CHUNK], memory_order_relaxed)) {
            struct slot *chunk = calloc(CHUNK, sizeof *chunk);

            if (!chunk)
                return NULL;
            atomic_store_explicit(&table->chunks[at / CHUNK], chunk, memory_order_release);
        }
        struct slot *slot = slot_at(table, at);
        if (!(atomic_load_explicit(&slot->state, memory_order_relaxed) & 1)) {
            *id = at;
            return slot;
        }
    }
    return NULL;
}

uint64_t handle_new(enum handle_kind kind, struct device *device, void *object)
{
    struct table *table = &tables[kind];
    uint32_t id = 0;

    pthread_mutex_lock(&table->lock);
    struct slot *slot = slot_free(table, &id);
    if (slot) {
        uint32_t generation = (atomic_load_explicit(&slot->state, memory_order_relaxed) >> 1) + 1;

        slot->device = device;
        slot->object = object;
        atomic_store_explicit(&slot->state, (generation & 0xffff) << 1 | 1, memory_order_release);
        table->last = id;
        table->live++;
    }
    pthread_mutex_unlock(&table->lock);
    return id;
}

void *handle_value(enum handle_kind kind, uint64_t id)
{
    uint32_t state = atomic_load_explicit(&slot_at(&tables[kind], id)->state, memory_order_relaxed);

    return (void *)(uintptr_t)(MARK | (uint64_t)kind << KIND_SHIFT | (uint64_t)(state >> 1) << GENERATION_SHIFT |
                               id << ID_SHIFT);
}

static struct slot *find(enum handle_kind kind, const void *value, uint64_t *id)
{
    uint64_t bits = (uintptr_t)value;
    uint64_t generation = bits >> GENERATION_SHIFT & 0xffff;

    *id = bits >> ID_SHIFT & (HANDLE_LIMIT - 1);
    if (bits >> KIND_SHIFT != (MARK >> KIND_SHIFT | kind) || bits & ((1u << ID_SHIFT) - 1))
        return NULL;
    struct slot *slot = slot_at(&tables[kind], *id);
    if (!slot || atomic_load_explicit(&slot->state, memory_order_acquire) != (generation << 1 | 1))
        return NULL;
    return slot;
}

int handle_id(enum handle_kind kind, const struct device *device, const void *value, uint64_t *id)
{
    struct slot *slot = find(kind, value, id);

    return slot && (!device || slot->device == device) ? 0 : INVALID_HANDLE;
}

void *handle_object(enum handle_kind kind, const void *value)
{
    uint64_t id;
    struct slot *slot = find(kind, value, &id);

    return slot ? slot->object : NULL;
}

struct device *handle_device(enum handle_kind kind, const void *value)
{
    uint64_t id;
    struct slot *slot = find(kind, value, &id);

    return slot ? slot->device : NULL;
}

void handle_free(enum handle_kind kind, uint64_t id)
{
    struct table *table = &tables[kind];

    pthread_mutex_lock(&table->lock);
    struct slot *slot = slot_at(table, id);
    uint32_t state = slot ? atomic_load_explicit(&slot->state, memory_order_relaxed) : 0;
    if (state & 1) {
        atomic_store_explicit(&slot->state, state & ~1u, memory_order_release);
        slot->object = NULL;
        table->live--;
    }
    pthread_mutex_unlock(&table->lock);
}

void handle_each(enum handle_kind kind, struct device *device, const void *object,
                 void (*visit)(struct device *device, uint64_t id))
{
    for (uint64_t id = HANDLE_FIRST; id < HANDLE_LIMIT; id++) {
        struct slot *slot = slot_at(&tables[kind], id);

        if (!slot)
            id |= CHUNK - 1; /* nothing in this chunk */
        else if (atomic_load_explicit(&slot->state, memory_order_acquire) & 1 && slot->device == device &&
                 (!object || slot->object == object))
            visit(device, id);
    }
}
