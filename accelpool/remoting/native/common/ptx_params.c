/* SPDX-License-Identifier: Apache-2.0 */
#include "ptx_params.h"

#include <stdlib.h>

#include "ptx_scan.h"

/* UINT32_MAX when it is no number or too large to be a size. */
static uint32_t number(struct ptx_token token)
{
    uint64_t value = ptx_number(token);

    return value < (1u << 20) ? (uint32_t)value : UINT32_MAX;
}

struct declaration {
    uint32_t element, vector, elements, alignment;
    int pointer; /* behind .ptr an .align is that of what it points to */
};

/* One word of a declaration. 0, or -1 when it cannot be. */
static int declare(struct declaration *d, struct ptx_scanner *s, struct ptx_token token)
{
    uint32_t value = ptx_type_size(token);

    if (value) {
        d->element = value;
    } else if (ptx_is(token, ".ptr")) {
        d->pointer = 1;
    } else if (ptx_is(token, ".align")) {
        value = number(ptx_next(s));
        if (!value || value > 4096 || value & (value - 1))
            return -1;
        if (!d->pointer)
            d->alignment = value;
    } else if (ptx_is(token, ".v2") || ptx_is(token, ".v4") || ptx_is(token, ".v8")) {
        d->vector = number((struct ptx_token){token.text + 2, 1});
    } else if (ptx_is(token, "[")) {
        value = number(ptx_next(s));
        if (value == UINT32_MAX || __builtin_mul_overflow(d->elements, value, &d->elements) || !ptx_is(ptx_next(s), "]"))
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
static int read_parameters(struct ptx_scanner *s, struct ptx_kernel *kernel)
{
    struct declaration d = {.vector = 1, .elements = 1};
    uint32_t end = 0;
    int empty = 1;

    for (struct ptx_token token = ptx_next(s); token.length; token = ptx_next(s)) {
        int last = ptx_is(token, ")");

        if (last && empty)
            return 0;
        empty = 0;
        if (last || ptx_is(token, ",")) {
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
    struct ptx_scanner s = {text, text + length};
    int count = 0;

    *kernels = NULL;
    for (struct ptx_token token = ptx_next(&s); token.length; token = ptx_next(&s)) {
        if (!ptx_is(token, ".entry"))
            continue;
        struct ptx_token name = ptx_next(&s);
        struct ptx_kernel *larger = realloc(*kernels, ((size_t)count + 1) * sizeof *larger);
        if (larger) {
            *kernels = larger;
            larger[count++] = (struct ptx_kernel){.name = name.text, .name_length = name.length};
        }
        struct ptx_scanner before = s;
        if (!larger || !name.length || (ptx_is(ptx_next(&s), "(") && read_parameters(&s, &larger[count - 1]))) {
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
