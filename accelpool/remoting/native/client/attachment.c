/* SPDX-License-Identifier: Apache-2.0 */
#include "attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

#define FILE_MAX (256u << 10)
#define TOKENS 2048

struct document {
    const char *text;
    jsmntok_t tokens[TOKENS];
    int count;
};

/* Index of the token after `index` and everything inside it. */
static int skip(const struct document *doc, int index)
{
    int end = doc->tokens[index].end, next = index + 1;

    while (next < doc->count && doc->tokens[next].start < end)
        next++;
    return next;
}

/* Index of the value of `key` in the object at `object`, or -1. */
static int member(const struct document *doc, int object, const char *key)
{
    if (doc->tokens[object].type != JSMN_OBJECT)
        return -1;
    int index = object + 1;
    for (int i = 0; i < doc->tokens[object].size; i++) {
        const jsmntok_t *name = &doc->tokens[index];
        size_t length = (size_t)(name->end - name->start);
        if (strlen(key) == length && !memcmp(doc->text + name->start, key, length))
            return index + 1;
        index = skip(doc, index + 1);
    }
    return -1;
}

/* Copies a string without escapes (none of our values needs one); 0, or -1 when it is none or does not fit. */
static int string(const struct document *doc, int index, char *out, size_t size)
{
    if (index < 0 || doc->tokens[index].type != JSMN_STRING)
        return -1;
    size_t length = (size_t)(doc->tokens[index].end - doc->tokens[index].start);
    const char *text = doc->text + doc->tokens[index].start;
    if (length >= size || memchr(text, '\\', length))
        return -1;
    memcpy(out, text, length);
    out[length] = 0;
    return 0;
}

static long number(const struct document *doc, int index)
{
    if (index < 0 || doc->tokens[index].type != JSMN_PRIMITIVE)
        return -1;
    char *end;
    long value = strtol(doc->text + doc->tokens[index].start, &end, 10);
    return end == doc->text + doc->tokens[index].end ? value : -1;
}

static int read_way(const struct document *doc, int index, struct attachment_way *way)
{
    int via = member(doc, index, "via");

    if (string(doc, member(doc, index, "url"), way->url, sizeof way->url))
        return -1;
    if (via < 0)
        return 0;
    return string(doc, via, way->via, sizeof way->via) ||
           string(doc, member(doc, index, "ticket"), way->ticket, sizeof way->ticket) ? -1 : 0;
}

static int read_device(const struct document *doc, int index, struct attachment *attachment)
{
    long ordinal = number(doc, member(doc, index, "ordinal"));
    int urls = member(doc, index, "urls");

    if (ordinal < 0 || ordinal >= ATTACHMENT_DEVICES || urls < 0 || doc->tokens[urls].type != JSMN_ARRAY)
        return -1;
    struct attachment_device *device = &attachment->devices[ordinal];
    if (string(doc, member(doc, index, "interface"), device->interface, sizeof device->interface) ||
        string(doc, member(doc, index, "credential"), device->credential, sizeof device->credential))
        return -1;
    int item = urls + 1;
    for (int i = 0; i < doc->tokens[urls].size && device->way_count < ATTACHMENT_URLS; i++) {
        if (read_way(doc, item, &device->ways[device->way_count++]))
            return -1;
        item = skip(doc, item);
    }
    if ((unsigned)ordinal >= attachment->device_count)
        attachment->device_count = (unsigned)ordinal + 1;
    return device->way_count ? 0 : -1;
}

static int parse(struct document *doc, size_t length, struct attachment *attachment)
{
    jsmn_parser parser;

    jsmn_init(&parser);
    doc->count = jsmn_parse(&parser, doc->text, length, doc->tokens, TOKENS);
    if (doc->count < 1 || number(doc, member(doc, 0, "version")) != ATTACHMENT_VERSION)
        return -1;
    int devices = member(doc, 0, "devices");
    if (devices < 0 || doc->tokens[devices].type != JSMN_ARRAY)
        return -1;
    int item = devices + 1;
    for (int i = 0; i < doc->tokens[devices].size; i++) {
        if (read_device(doc, item, attachment))
            return -1;
        item = skip(doc, item);
    }
    for (unsigned i = 0; i < attachment->device_count; i++) /* ordinals without gaps */
        if (!attachment->devices[i].way_count)
            return -1;
    return 0;
}

/* The whole file, NUL-terminated and to be freed; NULL with a reason. */
static char *slurp(const char *path, size_t *length, char *why, size_t why_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    char *text = NULL;

    if (fd < 0 || fstat(fd, &status)) {
        snprintf(why, why_size, "cannot read the attachment %s: %s", path, strerror(errno));
    } else if (!S_ISREG(status.st_mode) || status.st_size > (off_t)FILE_MAX) {
        snprintf(why, why_size, "%s is not an attachment", path);
    } else if (status.st_mode & 077) {
        snprintf(why, why_size, "the attachment %s holds a secret: make it readable by its owner only (chmod 600)", path);
    } else if ((text = malloc((size_t)status.st_size + 1))) {
        ssize_t got = read(fd, text, (size_t)status.st_size);
        *length = got > 0 ? (size_t)got : 0;
        text[*length] = 0;
    }
    if (fd >= 0)
        close(fd);
    return text;
}

int attachment_load(const char *path, struct attachment *attachment, char *why, size_t why_size)
{
    size_t length = 0;
    char *text = slurp(path, &length, why, why_size);

    memset(attachment, 0, sizeof *attachment);
    if (!text)
        return -1;
    struct document *doc = malloc(sizeof *doc);
    int result = -1;
    if (doc) {
        doc->text = text;
        result = parse(doc, length, attachment);
    }
    if (result)
        snprintf(why, why_size, "%s is not an attachment of version %d", path, ATTACHMENT_VERSION);
    free(doc);
    explicit_bzero(text, length);
    free(text);
    return result;
}
