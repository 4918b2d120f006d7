/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session without agent and fork server: worker_harness LIBRARY MEMORY_LIMIT WINDOW, with the client's connection as
 * descriptor 3, the agent's as 4 and, when ACCELPOOL_TOUCH_SLOT is set, the touch page as 5.
 */
#include <stdio.h>
#include <stdlib.h>

#include "session.h"

int sandbox_enter(void)
{
    return 0;
}

int main(int argc, char **argv)
{
    static struct worker_params params = {.interface = "cuda", .slice = "harness", .project = "test", .compute = 100};

    if (argc != 4)
        return 2;
    snprintf(params.library, sizeof params.library, "%s", argv[1]);
    params.memory_limit = strtoull(argv[2], NULL, 10);
    params.window_bytes = strtoull(argv[3], NULL, 10);
    return worker_session(&params, 3, 4, getenv("ACCELPOOL_TOUCH_SLOT") ? 5 : -1);
}
