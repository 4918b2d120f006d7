/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "state.h"

static _Atomic(void *) *handle_slot(struct session *s, enum handle_kind kind, uint64_t id, int create)
{
    struct handle_table *table = &s->handles[kind];
    _Atomic(void *) *chunk;

    if (id == 0 || id >= HANDLE_LIMIT)
        return NULL;
    chunk = atomic_load_explicit(&table->chunks[id / HANDLE_CHUNK], memory_order_acquire);
    if (!chunk && create) {
        _Atomic(void *) *fresh = calloc(HANDLE_CHUNK, sizeof *fresh);

        if (!fresh)
            return NULL;
        if (atomic_compare_exchange_strong(&table->chunks[id / HANDLE_CHUNK], &chunk, fresh))
            chunk = fresh;
        else
            free((void *)fresh); /* another thread was first; chunk is its */
    }
    return chunk ? &chunk[id % HANDLE_CHUNK] : NULL;
}

void *handle_get(struct session *s, enum handle_kind kind, uint64_t id)
{
    _Atomic(void *) *slot = handle_slot(s, kind, id, 0);

    return slot ? atomic_load_explicit(slot, memory_order_acquire) : NULL;
}

int handle_put(struct session *s, enum handle_kind kind, uint64_t id, void *handle)
{
    _Atomic(void *) *slot = handle ? handle_slot(s, kind, id, 1) : NULL;
    void *free_slot = NULL;

    return slot && atomic_compare_exchange_strong(slot, &free_slot, handle) ? 0 : -1;
}

void *handle_take(struct session *s, enum handle_kind kind, uint64_t id)
{
    _Atomic(void *) *slot = handle_slot(s, kind, id, 0);

    return slot ? atomic_exchange(slot, NULL) : NULL;
}

void handle_drain(struct session *s, enum handle_kind kind, void (*drop)(void *handle))
{
    for (unsigned i = 0; i < HANDLE_LIMIT / HANDLE_CHUNK; i++) {
        _Atomic(void *) *chunk = atomic_exchange(&s->handles[kind].chunks[i], NULL);

        for (unsigned j = 0; chunk && drop && j < HANDLE_CHUNK; j++)
            if (chunk[j])
                drop(chunk[j]);
        free((void *)chunk);
    }
}
