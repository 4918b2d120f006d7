/* SPDX-License-Identifier: Apache-2.0 */
/* Inside view of the session's device memory: memory.c has what is leased, foreign.c what other sessions share. */
#ifndef ACCELPOOL_WORKER_GRANULES_H
#define ACCELPOOL_WORKER_GRANULES_H

#include "state.h"

int bit_is_set(const _Atomic uint64_t *bits, uint64_t index);
void bits_set(_Atomic uint64_t *bits, uint64_t first, uint64_t end, int value);
/* First granule from `at` on, below end, whose state is not `mapped`; whole words at a time. */
uint64_t granules_run(const struct memory *m, uint64_t at, uint64_t end, int mapped);
/* 1 when the range lies inside the reserved one; length 0 does at any address. */
int range_inside(const struct memory *m, uint64_t address, uint64_t length);
/* The same, and it is made of whole granules. */
int range_aligned(const struct memory *m, uint64_t address, uint64_t length);
/* Waits for the LEASE_RETURN frames before this one; then the lock is held. */
void returns_wait(struct memory *m, uint64_t ticket);

#endif
