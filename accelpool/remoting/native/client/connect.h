/* SPDX-License-Identifier: Apache-2.0 */
/* From an attachment's device to a connected, mutually authenticated stream. */
#ifndef ACCELPOOL_CLIENT_CONNECT_H
#define ACCELPOOL_CLIENT_CONNECT_H

#include <stddef.h>

#include "attachment.h"
#include "stream.h"
#include "wire.h"

/*
 * Tries the device's ways in order. Fills `stream`, whose socket and TLS are the caller's then. 0, or -1 with a sentence for
 * the user in `why`.
 */
int connect_session(const struct attachment_device *device, struct stream *stream, struct wire_welcome *welcome,
                    struct wire_snapshot *snapshot, char *why, size_t why_size);

#endif
