/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Module images of the project's earlier sessions. The agent keeps them, apart for each project, so that the second run of
 * a program uploads nothing; what it gets it hashes itself.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "modules.h"

static int read_all(int fd, uint8_t *bytes, uint64_t length)
{
    for (uint64_t at = 0; at < length;) {
        const ssize_t got = pread(fd, bytes + at, length - at, (off_t)at);

        if (got <= 0)
            return -1;
        at += (uint64_t)got;
    }
    return 0;
}

struct image *content_find(struct session *s, const struct wire_module_call *wire)
{
    const struct control_packet question = {.type = CONTROL_CONTENT_FIND};
    const struct agent_extra with = {.blob = (void *)wire->sha256, .length = sizeof wire->sha256, .fd = -1};
    struct agent_extra got = {.fd = -1};
    struct control_packet answer;
    struct image *image = NULL;

    if (wire->length > CONTENT_MAX || agent_ask(s, &question, &with, &answer, &got))
        return NULL;
    if (got.fd >= 0 && answer.a == wire->length && (image = calloc(1, sizeof *image))) {
        memcpy(image->sha256, wire->sha256, sizeof image->sha256);
        image->kind = wire->image;
        image->length = wire->length;
        image->references = 1;
        image->bytes = calloc(1, wire->length + 1);
        if (!image->bytes || read_all(got.fd, image->bytes, image->length)) {
            image_release(s, image);
            image = NULL;
        }
    }
    if (got.fd >= 0)
        close(got.fd);
    return image;
}

void content_keep(struct session *s, const struct image *image)
{
    const struct control_packet packet = {.type = CONTROL_CONTENT_KEEP, .a = image->length};
    struct agent_extra with = {.blob = (void *)image->sha256, .length = sizeof image->sha256, .fd = -1};

    if (image->length > CONTENT_MAX)
        return;
    with.fd = memory_file(image->bytes, image->length, 1);
    if (with.fd < 0)
        return; /* the next run uploads again */
    agent_send(s, &packet, &with);
    close(with.fd);
}
