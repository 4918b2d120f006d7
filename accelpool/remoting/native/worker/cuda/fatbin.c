/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fat binaries: a header, then parts that hold PTX or machine code for one architecture each, compressed or not. Variables
 * are counted for all parts that the device might choose.
 */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "variables.h"

#define FATBIN_MAGIC 0xba55ed50u
#define FATBIN_PTX 1u
#define FATBIN_CUBIN 2u
#define FATBIN_LZ4 0x2000u
#define FATBIN_ZSTD 0x8000u
#define UNPACKED_MAX (UINT64_C(1) << 29) /* bytes of all parts of one image */

struct fatbin_header {
    uint32_t magic;
    uint16_t version, header_size;
    uint64_t size; /* of the parts behind the header */
};

struct fatbin_part {
    uint16_t kind, version;
    uint32_t header_size;
    uint64_t size;        /* of the data behind the header */
    uint32_t packed_size; /* of them, when they are compressed; the rest is padding */
    uint32_t unused[2];
    uint32_t capability;
    uint64_t more_unused, flags, and_more;
    uint64_t unpacked_size;
};

#define PART_MIN 48u /* bytes of a header that ends behind the flags */

_Static_assert(sizeof(struct fatbin_part) == 64, "part of a fat binary");

/* One length: four bits, and as many bytes more as it takes. 0 or -1. */
static int lz4_length(const uint8_t **at, const uint8_t *end, size_t *length)
{
    if (*length < 15)
        return 0;
    do {
        if (*at == end)
            return -1;
        *length += **at;
    } while (*(*at)++ == 255);
    return 0;
}

/* A block of LZ4: literals and matches in turn, the last match is missing. It must give exactly `size` bytes: 0, or -1. */
static int lz4_unpack(uint8_t *to, size_t size, const uint8_t *at, size_t length)
{
    const uint8_t *const end = at + length;
    size_t done = 0;

    while (at < end) {
        const uint8_t token = *at++;
        size_t literals = token >> 4, match = token & 15;

        if (lz4_length(&at, end, &literals) || literals > (size_t)(end - at) || literals > size - done)
            return -1;
        memcpy(to + done, at, literals);
        done += literals;
        at += literals;
        if (at == end)
            break;
        if (end - at < 2)
            return -1;
        const size_t distance = at[0] | (size_t)at[1] << 8;
        at += 2;
        if (lz4_length(&at, end, &match) || !distance || distance > done || match + 4 > size - done)
            return -1;
        for (match += 4; match; match--, done++) /* it may overlap itself */
            to[done] = to[done - distance];
    }
    return done == size ? 0 : -1;
}

/* The part's content; *owned is to be freed. NULL: it cannot be unpacked. */
static const uint8_t *unpack(const struct fatbin_part *part, const uint8_t *data, size_t *length, uint8_t **owned)
{
    const size_t size = part->unpacked_size;

    *length = part->size;
    if (!(part->flags & (FATBIN_LZ4 | FATBIN_ZSTD)))
        return data;
    if (!size || !part->packed_size || part->packed_size > part->size || !(*owned = malloc(size)))
        return NULL;
    *length = size;
    if (part->flags & FATBIN_ZSTD)
        return ZSTD_decompress(*owned, size, data, part->packed_size) == size ? *owned : NULL;
    return lz4_unpack(*owned, size, data, part->packed_size) ? NULL : *owned;
}

/* Machine code runs on what has the same major number, PTX on everything from its own on. */
static int may_load(const struct fatbin_part *part, int capability)
{
    const uint32_t of_device = (uint32_t)capability;

    if (part->kind != FATBIN_PTX && part->kind != FATBIN_CUBIN)
        return 0;
    return !capability || (part->capability <= of_device &&
                           (part->kind == FATBIN_PTX || part->capability / 10 == of_device / 10));
}

static int add_part(const struct fatbin_part *part, const uint8_t *data, struct variables *found)
{
    struct variables one = {.names = found->names};
    uint8_t *owned = NULL;
    size_t length;
    const uint8_t *content = unpack(part, data, &length, &owned);
    int status = content ? 0 : -1;

    if (content && part->kind == FATBIN_PTX)
        ptx_variables((const char *)content, length, &one);
    else if (content)
        status = cubin_variables(content, length, &one);
    free(owned);
    found->names = one.names;
    found->size = one.size > found->size ? one.size : found->size;
    found->code = one.code > found->code ? one.code : found->code;
    return status;
}

int fatbin_variables(const uint8_t *image, size_t length, int capability, struct variables *found)
{
    struct fatbin_header header;
    struct fatbin_part part;
    uint64_t unpacked = 0;

    if (length < sizeof header)
        return -1;
    memcpy(&header, image, sizeof header);
    if (header.magic != FATBIN_MAGIC || header.header_size < sizeof header || header.header_size > length ||
        header.size > length - header.header_size)
        return -1;
    length = header.header_size + header.size;
    for (size_t at = header.header_size; length - at >= PART_MIN; at += part.header_size + part.size) {
        memset(&part, 0, sizeof part);
        memcpy(&part, image + at, length - at < sizeof part ? length - at : sizeof part);
        if (part.header_size < PART_MIN || part.header_size > length - at || part.size > length - at - part.header_size)
            return -1;
        if (!may_load(&part, capability))
            continue;
        if (part.header_size < sizeof part)
            part.unpacked_size = 0;
        variables_add(&unpacked, part.unpacked_size);
        if (unpacked > UNPACKED_MAX || add_part(&part, image + at + part.header_size, found))
            return -1;
    }
    return 0;
}
