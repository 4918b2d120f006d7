/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session without agent and fork server: worker_harness LIBRARY MEMORY_LIMIT WINDOW CLIENT AGENT [TOUCH], the last
 * three being descriptors: the client's connection, the agent's, the touch page. WORKER_INTERFACE: another than cuda.
 */
#include <stdio.h>
#include <stdlib.h>

#include "session.h"

int sandbox_enter(int device_nodes)
{
    (void)device_nodes;
    return 0;
}

int main(int argc, char **argv)
{
    static struct worker_params params = {.interface = "cuda", .slice = "harness", .project = "test", .compute = 100};

    const char *interface = getenv("WORKER_INTERFACE");

    if (argc != 6)
        return 2;
    if (interface)
        snprintf(params.interface, sizeof params.interface, "%s", interface);
    snprintf(params.library, sizeof params.library, "%s", argv[1]);
    params.memory_limit = strtoull(argv[2], NULL, 10);
    params.window_bytes = strtoull(argv[3], NULL, 10);
    return worker_session(&params, atoi(argv[4]), atoi(argv[5]));
}
