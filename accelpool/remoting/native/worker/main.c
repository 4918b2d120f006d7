/* SPDX-License-Identifier: Apache-2.0 */
/* accelpool-worker: the process image of the sessions. The agent starts it once; each session is a fork of it. */
#include <stdio.h>
#include <string.h>

#include "forkserver.h"

#define FORK_SERVER_SOCKET 3

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--fork-server") == 0)
        return forkserver_run(FORK_SERVER_SOCKET);
    fprintf(stderr, "usage: %s --fork-server   (started by accelpool-agent, which gives it descriptor %d)\n", argv[0],
            FORK_SERVER_SOCKET);
    return 2;
}
