/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACCELPOOL_CLIENT_SECURE_H
#define ACCELPOOL_CLIENT_SECURE_H

#include <stddef.h>
#include <stdint.h>

#include "stream.h"
#include "wire.h"

/* Where certificates are; the operator's choice may be another place. */
#define SECURE_DIRECTORY "/etc/accelpool/tls"
#define SECURE_DIRECTORY_VARIABLE "ACCELPOOL_TLS_DIRECTORY"

/* Goes on inside TLS as the agent at `url` wants it. 0, or -1 with a reason. */
int secure_stream(struct stream *stream, const char *url, uint32_t transport, const uint8_t key[WIRE_KEY], char *why,
                  size_t why_size);

#endif
