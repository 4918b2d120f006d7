/* SPDX-License-Identifier: Apache-2.0 */
/* The vendor APIs that a session may speak: one of them, named by the agent, for its whole life. */
#ifndef ACCELPOOL_WORKER_API_H
#define ACCELPOOL_WORKER_API_H

#include "dispatch.h"
#include "wire.h"

#define WORKER_WITHOUT_MPS (-1) /* MPS should limit the session, and does not */
#define WORKER_EXPOSED (-2)     /* kernels would reach the memory of this process */

struct worker_api {
    const char *interface;    /* as in interfaces/<interface>.yaml */
    uint64_t stream_literals; /* streams 0 to this number are the same on both sides */
    /* Fills `vendor` from its open library. NULL, or the name of a required symbol that it lacks. */
    const char *(*load)(void *library);
    /* The table of the generated calls. */
    void (*load_calls)(void *library);
    /* Starts the device: vendor.device, .context and .granule are set. 0, the vendor's code, or WORKER_.... */
    int (*start)(void);
    void (*snapshot)(struct wire_snapshot *snapshot);
    const struct generated_call *(*find)(uint16_t opcode);
};

extern const struct worker_api cuda_api, acl_api;

/* NULL: there is none of that name. */
const struct worker_api *api_find(const char *interface);

#endif
