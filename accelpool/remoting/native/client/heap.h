/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device memory of one session, managed where the program is: addresses are chosen here, in a range that client and
 * worker have both reserved, so that an allocation inside the present lease needs no round trip (DESIGN section 6).
 *
 * Every function that returns int returns a CUresult unless it says otherwise.
 */
#ifndef ACCELPOOL_CLIENT_HEAP_H
#define ACCELPOOL_CLIENT_HEAP_H

#include <stdint.h>

#include "channel.h"

#define HEAP_ALIGNMENT 256u /* bytes: unit of allocation and of the slice's account */

struct heap;

/* Agrees with the worker on a range for device `ordinal`. NULL with *error set. */
struct heap *heap_open(struct channel *channel, unsigned ordinal, uint64_t range_size, uint64_t granule, int *error);
void heap_close(struct heap *heap);

int heap_allocate(struct heap *heap, uint64_t bytes, uint64_t *address);
/* CUDA_ERROR_INVALID_VALUE unless `address` starts an allocation. */
int heap_free(struct heap *heap, uint64_t address);
/* A place of whole granules where nothing is mapped, for memory that the worker maps otherwise. */
int heap_place(struct heap *heap, uint64_t length, uint64_t *address);
/* Nothing is mapped there any more. */
void heap_unplace(struct heap *heap, uint64_t address);
/* Frees everything. */
void heap_clear(struct heap *heap);
/* Not a CUresult: 1 and the allocation that holds `address`, or 0. */
int heap_find(struct heap *heap, uint64_t address, uint64_t *start, uint64_t *bytes);
/* Not a CUresult: 1 when [address, address + bytes) lies inside one allocation. */
int heap_holds(struct heap *heap, uint64_t address, uint64_t bytes);
/* Not a CUresult: 1 when `address` lies in the agreed range, allocated or not. */
int heap_covers(const struct heap *heap, uint64_t address);
/* The device was seen idle: memory freed before may be used again without a barrier. */
void heap_synchronized(struct heap *heap);
/* Leased and not allocated, in bytes. */
uint64_t heap_unused(struct heap *heap);

#endif
