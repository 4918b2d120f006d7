/* SPDX-License-Identifier: Apache-2.0 */
#include "segments.h"

#include <stdlib.h>

static uint64_t largest(const struct segment *segment)
{
    return segment ? segment->largest : 0;
}

static struct segment *renewed(struct segment *s)
{
    uint64_t size = s->used ? 0 : s->size;

    if (largest(s->left) > size)
        size = largest(s->left);
    if (largest(s->right) > size)
        size = largest(s->right);
    s->largest = size;
    return s;
}

/* Splits into what starts below `address` and the rest. */
static void split(struct segment *tree, uint64_t address, struct segment **below, struct segment **rest)
{
    if (!tree) {
        *below = *rest = NULL;
    } else if (tree->start < address) {
        split(tree->right, address, &tree->right, rest);
        *below = renewed(tree);
    } else {
        split(tree->left, address, below, &tree->left);
        *rest = renewed(tree);
    }
}

static struct segment *join(struct segment *below, struct segment *rest)
{
    if (!below || !rest)
        return below ? below : rest;
    if (below->priority > rest->priority) {
        below->right = join(below->right, rest);
        return renewed(below);
    }
    rest->left = join(below, rest->left);
    return renewed(rest);
}

static void insert(struct segments *segments, struct segment *s)
{
    struct segment *below, *rest;

    s->left = s->right = NULL;
    renewed(s);
    split(segments->root, s->start, &below, &rest);
    segments->root = join(join(below, s), rest);
}

/* Takes the one segment that starts at `start` out of the tree. */
static struct segment *extract(struct segments *segments, uint64_t start)
{
    struct segment *below, *middle, *rest;

    split(segments->root, start, &below, &rest);
    split(rest, start + 1, &middle, &rest);
    segments->root = join(below, rest);
    return middle;
}

static struct segment *create(struct segments *segments, uint64_t start, uint64_t size, uint64_t epoch)
{
    struct segment *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    segments->random = segments->random * 1664525u + 1013904223u; /* Numerical Recipes' quick generator */
    s->start = start;
    s->size = size;
    s->epoch = epoch;
    s->priority = segments->random;
    return s;
}

int segments_open(struct segments *segments, uint64_t start, uint64_t size)
{
    segments->root = NULL;
    segments->random = 1;
    struct segment *s = create(segments, start, size, 0);
    if (!s)
        return -1;
    insert(segments, s);
    return 0;
}

static void destroy(struct segment *tree)
{
    if (!tree)
        return;
    destroy(tree->left);
    destroy(tree->right);
    free(tree);
}

void segments_close(struct segments *segments)
{
    destroy(segments->root);
    segments->root = NULL;
}

struct segment *segments_find(const struct segments *segments, uint64_t address)
{
    struct segment *s = segments->root;

    while (s && !(s->start <= address && address - s->start < s->size))
        s = address < s->start ? s->left : s->right;
    return s;
}

struct segment *segments_take(struct segments *segments, uint64_t size)
{
    struct segment *s = segments->root;

    if (largest(s) < size)
        return NULL;
    for (;;) { /* the lowest address first */
        if (largest(s->left) >= size)
            s = s->left;
        else if (!s->used && s->size >= size)
            break;
        else
            s = s->right;
    }
    if (s->size > size) {
        struct segment *rest = create(segments, s->start + size, s->size - size, s->epoch);
        if (!rest)
            return NULL;
        extract(segments, s->start);
        s->size = size;
        insert(segments, rest);
    } else {
        extract(segments, s->start);
    }
    s->used = 1;
    insert(segments, s);
    return s;
}

/* Cuts [start, start + size) off a used segment, and frees it. */
static void cut_off(struct segments *segments, struct segment *piece, uint64_t start, uint64_t size)
{
    piece->start = start;
    piece->size = size;
    piece->used = 1;
    insert(segments, piece);
    segments_give(segments, piece, piece->epoch);
}

struct segment *segments_take_aligned(struct segments *segments, uint64_t size, uint64_t alignment)
{
    struct segment *before = create(segments, 0, 0, 0), *after = create(segments, 0, 0, 0);
    struct segment *s = before && after && size + alignment > size ? segments_take(segments, size + alignment) : NULL;

    if (!s) {
        free(before);
        free(after);
        return NULL;
    }
    const uint64_t start = s->start, end = s->start + s->size;
    before->epoch = after->epoch = s->epoch;
    extract(segments, start);
    s->start = (start + alignment - 1) & ~(alignment - 1);
    s->size = size;
    insert(segments, s);
    if (s->start > start)
        cut_off(segments, before, start, s->start - start);
    else
        free(before);
    cut_off(segments, after, s->start + size, end - s->start - size); /* at least a byte: one alignment is more than needed */
    return s;
}

struct segment *segments_give(struct segments *segments, struct segment *segment, uint64_t epoch)
{
    struct segment *before = segments_find(segments, segment->start - 1);
    struct segment *after = segments_find(segments, segment->start + segment->size);

    extract(segments, segment->start);
    segment->used = 0;
    segment->epoch = epoch;
    if (before && !before->used) {
        extract(segments, before->start);
        segment->epoch = before->epoch > segment->epoch ? before->epoch : segment->epoch;
        segment->start = before->start;
        segment->size += before->size;
        free(before);
    }
    if (after && !after->used) {
        extract(segments, after->start);
        segment->epoch = after->epoch > segment->epoch ? after->epoch : segment->epoch;
        segment->size += after->size;
        free(after);
    }
    insert(segments, segment);
    return segment;
}
