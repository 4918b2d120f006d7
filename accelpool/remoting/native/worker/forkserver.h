/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACCELPOOL_WORKER_FORKSERVER_H
#define ACCELPOOL_WORKER_FORKSERVER_H

/*
 * Serves the agent on a SEQPACKET socket (control.h) until it closes: forks one process per SPAWN and reports each
 * one's end. Returns the exit status. Whatever ends this process ends all sessions (PDEATHSIG).
 *
 * SPAWN parameters (key NUL value NUL ...): interface, library, slice, allocation, project, memory_limit (bytes),
 * compute, strict, window_bytes, uid and gid (absent: the session keeps the server's), env:NAME (any number up to
 * ACCELPOOL_WORKER_ENV_MAX). Unknown keys and values that do not fit fail the SPAWN with EINVAL.
 */
int forkserver_run(int socket);

#endif
