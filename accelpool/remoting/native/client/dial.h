/* SPDX-License-Identifier: Apache-2.0 */
/* From a URL to a connected socket, and the frames that go over it before a session begins. */
#ifndef ACCELPOOL_CLIENT_DIAL_H
#define ACCELPOOL_CLIENT_DIAL_H

#include <stddef.h>
#include <stdint.h>

#include "attachment.h"
#include "stream.h"
#include "wire.h"

/* The worker is started and opens its vendor library before WELCOME comes. */
#define DIAL_SECONDS 30

/*
 * Connects to the agent at the end of `way`; sends and receives on the socket give up after DIAL_SECONDS. Returns the socket,
 * or -1 with a reason.
 */
int dial(const struct attachment_way *way, char *why, size_t why_size);
/* Lets sends and receives wait for ever. */
void dial_done(int fd);
/* The host part of tcp://host:port. 0, or -1: it is no such URL. */
int dial_host(const char *url, char *host, size_t size);
/* Whether what goes to `url` stays on this machine, so that plaintext may go there. */
int dial_is_local(const char *url);

/* One frame without flags. 0 or -1. */
int frame_put(struct stream *stream, uint16_t opcode, const void *payload, uint32_t length);
/* Reads a frame of `wanted` with at most `size` bytes of payload. Returns its length, or -1 with a reason. */
ssize_t frame_get(struct stream *stream, uint16_t wanted, void *payload, size_t size, char *why, size_t why_size);

#endif
