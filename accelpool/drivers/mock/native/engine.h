/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine's files share: engine.c (turns), work.c (one piece of work), meter.c (the arbiter's gate), wait.c. */
#ifndef ACCELPOOL_EMU_ENGINE_H
#define ACCELPOOL_EMU_ENGINE_H

#include "emu.h"

struct engine {
    pthread_mutex_t lock;
    pthread_cond_t wake, done; /* for the engine; for those who wait for work */
    struct stream *streams, *cursor, *running;
    unsigned destroyed, watchers;
    unsigned long long next_id;
    _Atomic int sleeping;
    bool started;
};
extern struct engine engine;
void engine_wake(void);

CUresult work_start(void);
/* Runs the head of a stream for about slice_ns. */
enum turn { TURN_FINISHED, TURN_MORE, TURN_WAITS /* for a host function */ };
enum turn work_run(struct stream *stream, struct work *work, uint64_t slice_ns);

void meter_enter(void);                       /* blocks until the device's grant is held */
uint64_t meter_budget(uint64_t slice_ns);     /* how long to run before the next meter_tick */
void meter_tick(void);
void meter_idle(void);

#endif
