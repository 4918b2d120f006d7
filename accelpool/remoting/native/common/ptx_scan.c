/* SPDX-License-Identifier: Apache-2.0 */
#include "ptx_scan.h"

#include <string.h>

static int is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || c == '%' ||
           c == '.';
}

static void skip_comment(struct ptx_scanner *s, char second)
{
    for (s->at += 2; s->at < s->end; s->at++) {
        if (second == '/' && *s->at == '\n')
            return;
        if (second == '*' && *s->at == '*' && s->end - s->at > 1 && s->at[1] == '/') {
            s->at += 2;
            return;
        }
    }
}

struct ptx_token ptx_next(struct ptx_scanner *s)
{
    while (s->at < s->end) {
        if (*s->at == '/' && s->end - s->at > 1 && (s->at[1] == '/' || s->at[1] == '*'))
            skip_comment(s, s->at[1]);
        else if ((unsigned char)*s->at <= ' ')
            s->at++;
        else
            break;
    }
    struct ptx_token token = {s->at, 0};
    if (s->at == s->end)
        return token;
    if (*s->at == '"') {
        do
            s->at++;
        while (s->at < s->end && *s->at != '"');
        s->at += s->at < s->end;
    } else if (is_word(*s->at)) {
        while (s->at < s->end && is_word(*s->at))
            s->at++;
    } else {
        s->at++;
    }
    token.length = (size_t)(s->at - token.text);
    return token;
}

int ptx_is(struct ptx_token token, const char *text)
{
    return token.length == strlen(text) && !memcmp(token.text, text, token.length);
}

static unsigned digit(char c)
{
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
           : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

uint64_t ptx_number(struct ptx_token token)
{
    const char *at = token.text, *end = token.text + token.length;
    unsigned base = 10;
    uint64_t value = 0;

    if (end - at > 1 && end[-1] == 'U')
        end--;
    if (end - at > 1 && *at == '0') {
        base = at[1] == 'x' || at[1] == 'X' ? 16 : at[1] == 'b' || at[1] == 'B' ? 2 : 8;
        at += base == 8 ? 1 : 2;
    }
    if (at == end)
        return UINT64_MAX;
    for (; at < end; at++)
        if (digit(*at) >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit(*at), &value))
            return UINT64_MAX;
    return value;
}

uint32_t ptx_type_size(struct ptx_token token)
{
    static const struct {
        const char *name;
        uint32_t size;
    } types[] = {{".b8", 1},   {".u8", 1},   {".s8", 1},   {".pred", 1}, {".b16", 2},     {".u16", 2},     {".s16", 2},
                 {".f16", 2},  {".b32", 4},  {".u32", 4},  {".s32", 4},  {".f32", 4},     {".f16x2", 4},   {".b64", 8},
                 {".u64", 8},  {".s64", 8},  {".f64", 8},  {".bf16", 2}, {".bf16x2", 4},  {".b128", 16},   {".texref", 8},
                 {".samplerref", 8}, {".surfref", 8}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (ptx_is(token, types[i].name))
            return types[i].size;
    return 0;
}
