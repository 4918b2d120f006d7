/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACCELPOOL_WORKER_CONFINE_H
#define ACCELPOOL_WORKER_CONFINE_H

#include <stdint.h>
#include <sys/types.h>

#define CONFINE_KEEP_ID UINT32_MAX
#define CONFINE_NO_GROUP UINT32_MAX

/*
 * Takes from the calling (child) process what a session must not have: privileges, groups, the ways to get them back,
 * other processes' view of its memory. The process dies when server does. uid, gid: CONFINE_KEEP_ID leaves them.
 * group: the only supplementary one, where there is a uid; CONFINE_NO_GROUP: none.
 * Returns 0, or -1 with errno; the process must exit then.
 */
int confine(uint32_t uid, uint32_t gid, uint32_t group, pid_t server);

#endif
