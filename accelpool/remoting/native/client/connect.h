/* SPDX-License-Identifier: Apache-2.0 */
/* From an attachment's device to a connected, mutually authenticated socket. */
#ifndef ACCELPOOL_CLIENT_CONNECT_H
#define ACCELPOOL_CLIENT_CONNECT_H

#include <stddef.h>

#include "attachment.h"
#include "wire.h"

/* Tries the device's URLs in order. Returns the socket, or -1 with a sentence for the user in `why`. */
int connect_session(const struct attachment_device *device, struct wire_welcome *welcome,
                    struct wire_snapshot *snapshot, char *why, size_t why_size);

#endif
