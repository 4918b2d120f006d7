/* SPDX-License-Identifier: Apache-2.0 */
#include "pinned.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#define ALIGNMENT 4096u

struct node {
    struct node *next;
    struct pinned_range range;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *nodes;

/* With the lock held: the link to the range that overlaps [start, start + bytes), or NULL. */
static struct node **overlapping(const char *start, size_t bytes)
{
    for (struct node **link = &nodes; *link; link = &(*link)->next) {
        const char *other = (*link)->range.start;

        if (start < other + (*link)->range.bytes && other < start + bytes)
            return link;
    }
    return NULL;
}

static enum pinned_status remember(struct pinned_range range)
{
    struct node *node = malloc(sizeof *node);
    int overlaps;

    if (!node)
        return PINNED_NO_MEMORY;
    node->range = range;
    pthread_mutex_lock(&lock);
    overlaps = overlapping(range.start, range.bytes) != NULL;
    if (!overlaps) {
        node->next = nodes;
        nodes = node;
    }
    pthread_mutex_unlock(&lock);
    if (overlaps)
        free(node);
    return overlaps ? PINNED_OVERLAPS : PINNED_OK;
}

static enum pinned_status forget(void *start, int registered)
{
    struct node *node = NULL;

    pthread_mutex_lock(&lock);
    struct node **link = overlapping(start, 1);
    if (link && (*link)->range.start == start && (*link)->range.registered == registered) {
        node = *link;
        *link = node->next;
    }
    pthread_mutex_unlock(&lock);
    free(node);
    return node ? PINNED_OK : PINNED_UNKNOWN;
}

enum pinned_status pinned_allocate(void **memory, size_t bytes, unsigned flags)
{
    if (bytes > SIZE_MAX - ALIGNMENT)
        return PINNED_NO_MEMORY;
    *memory = aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    if (!*memory)
        return PINNED_NO_MEMORY;
    enum pinned_status status = remember((struct pinned_range){.start = *memory, .bytes = bytes, .flags = flags});
    if (status)
        free(*memory);
    return status;
}

enum pinned_status pinned_free(void *memory)
{
    enum pinned_status status = forget(memory, 0);

    if (!status)
        free(memory);
    return status;
}

enum pinned_status pinned_register(void *memory, size_t bytes, unsigned flags)
{
    return remember((struct pinned_range){.start = memory, .bytes = bytes, .flags = flags, .registered = 1});
}

enum pinned_status pinned_unregister(void *memory)
{
    return forget(memory, 1);
}

int pinned_find(const void *address, struct pinned_range *range)
{
    pthread_mutex_lock(&lock);
    struct node **link = overlapping(address, 1);
    if (link)
        *range = (*link)->range;
    pthread_mutex_unlock(&lock);
    return link != NULL;
}
