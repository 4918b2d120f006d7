/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACCELPOOL_WORKER_FORWARD_H
#define ACCELPOOL_WORKER_FORWARD_H

/*
 * Passes bytes on between two connected sockets, both ways, until both have ended or one is broken; the end of one direction
 * is passed on as well. The process does nothing else. Returns the process's exit status.
 */
int forward_run(int consumer, int onwards);

#endif
