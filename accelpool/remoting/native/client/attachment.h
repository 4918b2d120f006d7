/* SPDX-License-Identifier: Apache-2.0 */
/* The file that ACCELPOOL_ATTACHMENT names: which slices this program may use, where, and with which credential. */
#ifndef ACCELPOOL_CLIENT_ATTACHMENT_H
#define ACCELPOOL_CLIENT_ATTACHMENT_H

#include <stddef.h>

#define ATTACHMENT_VERSION 1
#define ATTACHMENT_DEVICES 16
#define ATTACHMENT_URLS 8

/* A way to the agent that has the device. */
struct attachment_way {
    char url[256];    /* of that agent: decides whether plaintext may go there */
    char via[256];    /* of the consumer's own agent, which connects onwards; or empty: direct */
    char ticket[512]; /* for that */
};

struct attachment_device {
    char interface[16];
    struct attachment_way ways[ATTACHMENT_URLS];
    unsigned way_count;
    char credential[512];
};

/* Devices by ordinal. */
struct attachment {
    unsigned device_count;
    struct attachment_device devices[ATTACHMENT_DEVICES];
};

/* Reads `path`, which only its owner may read. 0, or -1 with a sentence for the user in `why`. */
int attachment_load(const char *path, struct attachment *attachment, char *why, size_t why_size);

#endif
