/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles are numbers {kind, generation, index} into one table, so that a handle that was destroyed, or never
 * existed, is an error code and not a crash. Look-ups take no lock.
 */
#include <stdlib.h>

#include "emu.h"

#define CHUNK 4096u
#define CHUNKS 1024u

struct slot {
    _Atomic uint64_t handle; /* 0: free */
    void *_Atomic object;
    uint32_t generation;
    uint32_t next_free;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot *_Atomic chunks[CHUNKS];
static uint32_t used, first_free = UINT32_MAX;

static struct slot *slot_at(uint32_t index) {
    struct slot *chunk = index < CHUNK * CHUNKS ? atomic_load_explicit(&chunks[index / CHUNK], memory_order_acquire) : NULL;
    return chunk ? &chunk[index % CHUNK] : NULL;
}

static struct slot *slot_take(uint32_t *index) {
    if (first_free != UINT32_MAX) {
        *index = first_free;
        struct slot *slot = slot_at(first_free);
        first_free = slot->next_free;
        return slot;
    }
    if (used == CHUNK * CHUNKS)
        return NULL;
    if (used % CHUNK == 0) {
        struct slot *chunk = calloc(CHUNK, sizeof *chunk);
        if (!chunk)
            return NULL;
        atomic_store_explicit(&chunks[used / CHUNK], chunk, memory_order_release);
    }
    *index = used++;
    return slot_at(*index);
}

uint64_t handle_new(enum handle_kind kind, void *object) {
    uint64_t handle = 0;
    uint32_t index = 0;
    pthread_mutex_lock(&lock);
    struct slot *slot = slot_take(&index);
    if (slot) {
        slot->generation = (slot->generation + 1) & 0xffffff;
        handle = (uint64_t)kind << 56 | (uint64_t)slot->generation << 32 | index;
        atomic_store_explicit(&slot->object, object, memory_order_relaxed);
        atomic_store_explicit(&slot->handle, handle, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return handle;
}

void *handle_object(enum handle_kind kind, uint64_t handle) {
    struct slot *slot = slot_at((uint32_t)handle);
    if (!slot || handle >> 56 != (uint64_t)kind)
        return NULL;
    if (atomic_load_explicit(&slot->handle, memory_order_acquire) != handle)
        return NULL;
    return atomic_load_explicit(&slot->object, memory_order_relaxed);
}

void handle_drop(uint64_t handle) {
    uint32_t index = (uint32_t)handle;
    pthread_mutex_lock(&lock);
    struct slot *slot = slot_at(index);
    if (slot && atomic_load_explicit(&slot->handle, memory_order_relaxed) == handle) {
        atomic_store_explicit(&slot->handle, 0, memory_order_release);
        atomic_store_explicit(&slot->object, NULL, memory_order_relaxed);
        slot->next_free = first_free;
        first_free = index;
    }
    pthread_mutex_unlock(&lock);
}
