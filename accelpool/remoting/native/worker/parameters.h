/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACCELPOOL_WORKER_PARAMETERS_H
#define ACCELPOOL_WORKER_PARAMETERS_H

#include <stddef.h>
#include <stdint.h>

#include "session.h"

struct spawn_parameters {
    struct worker_params session;
    int forward; /* no session: pass bytes on between the two sockets */
    uint32_t uid, gid; /* CONFINE_KEEP_ID when absent */
    uint32_t group;    /* of the device's nodes; CONFINE_NO_GROUP when absent */
};

/* Reads SPAWN's text (forkserver.h); strings of env and secure point into text. Returns 0, or -1: something does not fit. */
int parameters_read(struct spawn_parameters *parameters, char *text, size_t length);

#endif
