/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate to the device: work runs only while the session's slice holds the grant, and is charged by the engine
 * thread's CPU time. Without a backend host (stand-alone) the gate is open. Only the engine thread calls this.
 */
#include <time.h>

#include "engine.h"

#define CHARGE_LONGEST_NS 500000u /* between two charges while work runs */
#define CHARGE_SHORTEST_NS 20000u

static bool granted;
static uint64_t budget, charged_at_cpu, charge_next;

static uint64_t cpu_time_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t interval(void) {
    return budget > CHARGE_LONGEST_NS ? CHARGE_LONGEST_NS : budget < CHARGE_SHORTEST_NS ? CHARGE_SHORTEST_NS : budget;
}

void meter_enter(void) {
    if (!emu_host || granted)
        return;
    budget = emu_host->gate_enter(emu_host->opaque);
    granted = true;
    charged_at_cpu = cpu_time_ns();
    charge_next = device_time_ns() + interval();
}

uint64_t meter_budget(uint64_t slice_ns) {
    return emu_host && interval() < slice_ns ? interval() : slice_ns;
}

static void charge(uint64_t now) {
    uint64_t cpu = cpu_time_ns(), used = cpu - charged_at_cpu;
    charged_at_cpu = cpu;
    charge_next = now + interval();
    granted = emu_host->gate_charge(emu_host->opaque, used) != 0;
}

void meter_tick(void) {
    if (!emu_host || !granted)
        return;
    uint64_t now = device_time_ns();
    if (now >= charge_next)
        charge(now);
}

void meter_idle(void) {
    if (!emu_host || !granted)
        return;
    charge(device_time_ns());
    granted = false;
    emu_host->gate_idle(emu_host->opaque);
}
