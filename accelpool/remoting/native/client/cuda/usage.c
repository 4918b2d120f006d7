/* SPDX-License-Identifier: Apache-2.0 */
/* What NVML tells of a slice beyond what the driver API does. */
#include "client.h"

static int usage_percent(unsigned *percent)
{
    struct device *device;
    struct wire_usage_reply reply;
    CUresult status = client_enter(&device);

    if (!status)
        status = session_wait(device, WIRE_USAGE, NULL, 0, &reply.reply, sizeof reply, 0);
    if (!status)
        *percent = reply.percent < 100 ? (unsigned)reply.percent : 100;
    return status;
}

const struct usage_table client_usage = {sizeof client_usage, usage_percent};
