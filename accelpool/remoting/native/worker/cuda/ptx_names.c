/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a module's variables. The driver API finds a variable by name only, and the client's table needs them all. */
#include <stdlib.h>
#include <string.h>

#include "jit.h"

static int is_word(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           c == '%' || c == '.';
}

static int word_is(const char *word, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(word, text, length) == 0;
}

/* Behind a comment or a quoted string that starts at `at`; at itself when none does. */
static const char *skip_quoted(const char *at, const char *end)
{
    const char *close;

    if (*at == '"') {
        close = memchr(at + 1, '"', (size_t)(end - at - 1));
        return close ? close + 1 : end;
    }
    if (*at == '/' && end - at > 1 && at[1] == '/') {
        close = memchr(at, '\n', (size_t)(end - at));
        return close ? close + 1 : end;
    }
    if (*at == '/' && end - at > 1 && at[1] == '*') {
        close = memmem(at + 2, (size_t)(end - at - 2), "*/", 2);
        return close ? close + 2 : end;
    }
    return at;
}

void ptx_variables(const char *text, size_t length, void (*found)(void *opaque, const char *name, size_t length),
                   void *opaque)
{
    const char *at = text, *end = text + length, *next;
    size_t depth = 0; /* of braces and parentheses: 0 is module scope */
    int variable = 0; /* between .global or .const and the name */

    while (at < end && *at) {
        if ((next = skip_quoted(at, end)) != at) {
            at = next;
            continue;
        }
        if (*at == '{' || *at == '(')
            depth++;
        else if ((*at == '}' || *at == ')') && depth > 0)
            depth--;
        else if (*at == ';')
            variable = 0;
        if (!is_word((unsigned char)*at)) {
            at++;
            continue;
        }
        for (next = at; next < end && is_word((unsigned char)*next); next++)
            ;
        size_t size = (size_t)(next - at);
        if (depth == 0 && (word_is(at, size, ".global") || word_is(at, size, ".const"))) {
            variable = 1;
        } else if (depth == 0 && variable && *at != '.' && !(*at >= '0' && *at <= '9')) {
            found(opaque, at, size);
            variable = 0;
        }
        at = next;
    }
}

struct fatbin_header {
    uint32_t magic;
    uint16_t version, header_size;
    uint64_t size; /* of the entries behind the header */
};

struct fatbin_entry {
    uint16_t kind, version;
    uint32_t header_size;
    uint64_t size; /* of the data behind the header */
};

#define FATBIN_MAGIC 0xba55ed50u
#define FATBIN_PTX 1u

int fatbin_variables(const uint8_t *image, size_t length,
                     void (*found)(void *opaque, const char *name, size_t length), void *opaque)
{
    struct fatbin_header header;
    struct fatbin_entry entry;
    size_t at;

    if (length < sizeof header)
        return -1;
    memcpy(&header, image, sizeof header);
    if (header.magic != FATBIN_MAGIC || header.header_size < sizeof header || header.header_size > length ||
        header.size > length - header.header_size)
        return -1;
    length = header.header_size + header.size;
    for (at = header.header_size; length - at >= sizeof entry; at += entry.header_size + entry.size) {
        memcpy(&entry, image + at, sizeof entry);
        if (entry.header_size < sizeof entry || entry.header_size > length - at ||
            entry.size > length - at - entry.header_size)
            return -1;
        if (entry.kind == FATBIN_PTX) /* a compressed one has no word that looks like a directive */
            ptx_variables((const char *)image + at + entry.header_size, entry.size, found, opaque);
    }
    return 0;
}
