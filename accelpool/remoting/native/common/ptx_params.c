/* SPDX-License-Identifier: Apache-2.0 */
#include "ptx_params.h"

#include <stdlib.h>
#include <string.h>

struct scanner {
    const char *at, *end;
};

struct token {
    const char *text;
    size_t length;
};

static int is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || c == '%' ||
           c == '.';
}

static void skip_comment(struct scanner *s, char second)
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

/* A word (with the dots in it), a quoted string, or one character; length 0 at the end. */
static struct token next(struct scanner *s)
{
    while (s->at < s->end) {
        if (*s->at == '/' && s->end - s->at > 1 && (s->at[1] == '/' || s->at[1] == '*'))
            skip_comment(s, s->at[1]);
        else if ((unsigned char)*s->at <= ' ')
            s->at++;
        else
            break;
    }
    struct token token = {s->at, 0};
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

static int is(struct token token, const char *text)
{
    return token.length == strlen(text) && !memcmp(token.text, text, token.length);
}

/* Decimal or 0x; UINT32_MAX when it is no number or too large to be a size. */
static uint32_t number(struct token token)
{
    char digits[16];
    char *end;

    if (!token.length || token.length >= sizeof digits)
        return UINT32_MAX;
    memcpy(digits, token.text, token.length);
    digits[token.length] = 0;
    unsigned long value = strtoul(digits, &end, 0);
    return *end && *end != 'U' ? UINT32_MAX : value < (1u << 20) ? (uint32_t)value : UINT32_MAX;
}

/* Bytes of ".u32", ".b64" ...; 0 when the word is no scalar type. */
static uint32_t type_size(struct token token)
{
    static const struct {
        const char *name;
        uint32_t size;
    } types[] = {{".b8", 1},   {".u8", 1},   {".s8", 1},   {".pred", 1}, {".b16", 2},     {".u16", 2},     {".s16", 2},
                 {".f16", 2},  {".b32", 4},  {".u32", 4},  {".s32", 4},  {".f32", 4},     {".f16x2", 4},   {".b64", 8},
                 {".u64", 8},  {".s64", 8},  {".f64", 8},  {".bf16", 2}, {".bf16x2", 4},  {".b128", 16},   {".texref", 8},
                 {".samplerref", 8}, {".surfref", 8}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (is(token, types[i].name))
            return types[i].size;
    return 0;
}

struct declaration {
    uint32_t element, vector, elements, alignment;
    int pointer; /* behind .ptr an .align is that of what it points to */
};

/* One word of a declaration. 0, or -1 when it cannot be. */
static int declare(struct declaration *d, struct scanner *s, struct token token)
{
    uint32_t value = type_size(token);

    if (value) {
        d->element = value;
    } else if (is(token, ".ptr")) {
        d->pointer = 1;
    } else if (is(token, ".align")) {
        value = number(next(s));
        if (!value || value > 4096 || value & (value - 1))
            return -1;
        if (!d->pointer)
            d->alignment = value;
    } else if (is(token, ".v2") || is(token, ".v4") || is(token, ".v8")) {
        d->vector = number((struct token){token.text + 2, 1});
    } else if (is(token, "[")) {
        value = number(next(s));
        if (value == UINT32_MAX || __builtin_mul_overflow(d->elements, value, &d->elements) || !is(next(s), "]"))
            return -1;
    }
    return 0; /* .param, .global, the name ... */
}

static int add(struct ptx_kernel *kernel, const struct declaration *d, uint32_t *end)
{
    uint32_t size, alignment = d->alignment ? d->alignment : d->element * d->vector;

    if (!d->element || __builtin_mul_overflow(d->element * d->vector, d->elements, &size) || size > (1u << 20) ||
        kernel->count == PTX_PARAMETERS_MAX)
        return -1;
    if (!(kernel->count & (kernel->count - 1))) { /* grows at 0, 1, 2, 4, 8 ... */
        void *larger = realloc(kernel->parameters, (kernel->count ? 2 * kernel->count : 1) * sizeof *kernel->parameters);

        if (!larger)
            return -1;
        kernel->parameters = larger;
    }
    uint32_t offset = (*end + alignment - 1) & ~(alignment - 1);
    kernel->parameters[kernel->count++] = (struct ptx_parameter){offset, size};
    *end = offset + size;
    return *end > (1u << 20) ? -1 : 0;
}

/* Behind the opening parenthesis. */
static int read_parameters(struct scanner *s, struct ptx_kernel *kernel)
{
    struct declaration d = {.vector = 1, .elements = 1};
    uint32_t end = 0;
    int empty = 1;

    for (struct token token = next(s); token.length; token = next(s)) {
        int last = is(token, ")");

        if (last && empty)
            return 0;
        empty = 0;
        if (last || is(token, ",")) {
            if (add(kernel, &d, &end))
                return -1;
            if (last)
                return 0;
            d = (struct declaration){.vector = 1, .elements = 1};
        } else if (declare(&d, s, token)) {
            return -1;
        }
    }
    return -1;
}

int ptx_kernels(const char *text, size_t length, struct ptx_kernel **kernels)
{
    struct scanner s = {text, text + length};
    int count = 0;

    *kernels = NULL;
    for (struct token token = next(&s); token.length; token = next(&s)) {
        if (!is(token, ".entry"))
            continue;
        struct token name = next(&s);
        struct ptx_kernel *larger = realloc(*kernels, ((size_t)count + 1) * sizeof *larger);
        if (larger) {
            *kernels = larger;
            larger[count++] = (struct ptx_kernel){.name = name.text, .name_length = name.length};
        }
        struct scanner before = s;
        if (!larger || !name.length || (is(next(&s), "(") && read_parameters(&s, &larger[count - 1]))) {
            ptx_free(*kernels, count);
            *kernels = NULL;
            return -1;
        }
        if (!larger[count - 1].count)
            s = before; /* no list: what was read belongs to the body */
    }
    return count;
}

void ptx_free(struct ptx_kernel *kernels, int count)
{
    for (int i = 0; i < count; i++)
        free(kernels[i].parameters);
    free(kernels);
}
