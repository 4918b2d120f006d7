/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Page-locked" host memory: ordinary memory of the program that is remembered, because the copies that profit from real
 * page locking happen at the worker.
 */
#ifndef ACCELPOOL_CLIENT_PINNED_H
#define ACCELPOOL_CLIENT_PINNED_H

#include <stddef.h>

enum pinned_status { PINNED_OK, PINNED_NO_MEMORY, PINNED_OVERLAPS, PINNED_UNKNOWN };

/* Page-aligned memory of its own. */
enum pinned_status pinned_allocate(void **memory, size_t bytes, unsigned flags);
/* PINNED_UNKNOWN unless pinned_allocate() returned it. */
enum pinned_status pinned_free(void *memory);
/* The program's memory. */
enum pinned_status pinned_register(void *memory, size_t bytes, unsigned flags);
enum pinned_status pinned_unregister(void *memory);
struct pinned_range {
    void *start;
    size_t bytes;
    unsigned flags;
    int registered;
};
/* 1 and the range that holds the address, or 0. */
int pinned_find(const void *address, struct pinned_range *range);

#endif
