/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address range cut into segments, used or free, without gaps: a treap by address in which every node knows the largest
 * free segment below it, so that first fit by lowest address, look-up and merging all take O(log n) (treap: Aragon and
 * Seidel 1989).
 */
#ifndef ACCELPOOL_CLIENT_SEGMENTS_H
#define ACCELPOOL_CLIENT_SEGMENTS_H

#include <stdint.h>

struct segment {
    uint64_t start, size;
    uint64_t largest; /* free segment in this subtree */
    uint64_t epoch;   /* of a free segment: when its newest part was freed */
    uint32_t priority;
    int used; /* 2: not an allocation, or not yet */
    struct segment *left, *right;
};

struct segments {
    struct segment *root;
    uint32_t random;
};

/* 0, or -1 when out of memory. */
int segments_open(struct segments *segments, uint64_t start, uint64_t size);
void segments_close(struct segments *segments);
/* The segment that holds `address`, or NULL. */
struct segment *segments_find(const struct segments *segments, uint64_t address);
/* Marks `size` bytes at the lowest address that fits as used. NULL: nothing fits. The segment's epoch says when the newest
 * part of it had been freed (0: never used). */
struct segment *segments_take(struct segments *segments, uint64_t size);
/* The same at a multiple of the alignment, a power of two. */
struct segment *segments_take_aligned(struct segments *segments, uint64_t size, uint64_t alignment);
/* Frees a used segment and merges it with free neighbours; returns the merged one. */
struct segment *segments_give(struct segments *segments, struct segment *segment, uint64_t epoch);

#endif
