/* SPDX-License-Identifier: Apache-2.0 */
/* Granules of device memory and events that other processes may have, too. */
#ifndef ACCELPOOL_EMU_SHARED_MEMORY_H
#define ACCELPOOL_EMU_SHARED_MEMORY_H

#include "emu.h"

/* --- memory: the memory lock is held for all of it --- */
struct shared_file;
struct shared_granule {
    struct shared_file *file; /* NULL: not shared */
    uint32_t slot;
};
/* A granule of this process's file with that content. */
CUresult shared_new(struct shared_granule *granule, const void *content);
/* What it is called on this host. */
uint64_t shared_number(const struct shared_granule *granule);
/* The granule of that name, in a file of ours or one that was adopted; one reference more. */
CUresult shared_find(uint64_t number, struct shared_granule *granule);
void shared_drop(struct shared_granule *granule);
/* At a place of address space that is ours; nobody may touch it yet. */
bool shared_map(const struct shared_granule *granule, uint64_t address);

/* --- events: a cell counts recordings; the process that made it records, the others follow --- */
struct shared_event {
    struct shared_file *file;
    struct shared_cell *cell;
};
CUresult shared_event_new(struct shared_event *event);
uint64_t shared_event_number(const struct shared_event *event);
CUresult shared_event_find(uint64_t number, struct shared_event *event);
void shared_event_drop(struct shared_event *event);
/* Finishes the record when its number has been reached, or when the process that would is gone. 0 or -1. */
int shared_event_follow(const struct shared_event *event, struct record *record);
uint64_t cell_record(struct shared_cell *cell);         /* one recording more: its number */
uint64_t cell_recorded(const struct shared_cell *cell); /* the latest one's; 0: none */
void cell_reach(struct shared_cell *cell, uint64_t number);

#endif
