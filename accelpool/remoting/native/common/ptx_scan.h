/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a PTX text. */
#ifndef ACCELPOOL_PTX_SCAN_H
#define ACCELPOOL_PTX_SCAN_H

#include <stddef.h>
#include <stdint.h>

struct ptx_scanner {
    const char *at, *end;
};

struct ptx_token {
    const char *text;
    size_t length;
};

/* A word (with the dots in it), a quoted string, or one character; length 0 at the end. */
struct ptx_token ptx_next(struct ptx_scanner *s);
int ptx_is(struct ptx_token token, const char *text);
/* A whole number in any of PTX's forms; UINT64_MAX: it is none, or does not fit. */
uint64_t ptx_number(struct ptx_token token);
/* Bytes of ".u32", ".b64" ...; 0 when the word is no scalar type. */
uint32_t ptx_type_size(struct ptx_token token);

#endif
