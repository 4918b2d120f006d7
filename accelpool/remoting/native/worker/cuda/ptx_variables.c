/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ptx_scan.h"
#include "ranges.h"
#include "variables.h"

#define LARGEST_TYPE 16 /* bytes; for a type that is not known here */

struct declaration {
    uint64_t element, vector, alignment; /* bytes; how many; bytes */
    uint64_t elements;           /* of the variable that is being read */
    int open;                    /* it has a dimension that its values decide */
    struct ptx_token name;
};

static int is_name(struct ptx_token token)
{
    const char c = token.length ? *token.text : 0;

    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '%';
}

static void skip_parentheses(struct ptx_scanner *s)
{
    for (struct ptx_token token = ptx_next(s); token.length && !ptx_is(token, ")"); token = ptx_next(s))
        ;
}

/* Behind "=": returns the word behind the values, and counts at least as many as there are. */
static struct ptx_token skip_values(struct ptx_scanner *s, uint64_t *count)
{
    struct ptx_token token;
    uint64_t depth = 0;

    for (*count = 1; (token = ptx_next(s)).length && !ptx_is(token, ";");) {
        if (ptx_is(token, "{") || ptx_is(token, "("))
            depth++;
        else if (depth && (ptx_is(token, "}") || ptx_is(token, ")")))
            depth--;
        else if (ptx_is(token, ",")) {
            if (!depth)
                break;
            ++*count;
        }
    }
    return token;
}

/* One variable is complete; what the type says holds for the next one, too. */
static void finish(struct declaration *d, struct variables *found)
{
    const uint64_t element = d->element ? d->element : LARGEST_TYPE;
    const uint64_t size = span(d->elements, element * d->vector);

    if (d->name.length) {
        bytes_add(&found->names, d->name.text, d->name.length);
        bytes_add(&found->names, "", 1);
        variables_add(&found->size, span(size / d->alignment + (size % d->alignment != 0), d->alignment));
    }
    d->elements = 1;
    d->open = 0;
    d->name.length = 0;
}

static void dimension(struct declaration *d, struct ptx_scanner *s)
{
    struct ptx_token token = ptx_next(s);

    if (ptx_is(token, "]"))
        d->open = 1;
    else
        d->elements = span(d->elements, ptx_number(token));
}

/* Behind .global or .const, up to the semicolon. */
static void declaration(struct ptx_scanner *s, struct variables *found)
{
    struct declaration d = {.vector = 1, .alignment = 1, .elements = 1};
    struct ptx_token token;
    uint64_t count;

    while ((token = ptx_next(s)).length) {
        if (ptx_is(token, "=")) {
            token = skip_values(s, &count);
            if (d.open)
                d.elements = span(d.elements, count);
        }
        if (ptx_is(token, ";"))
            break;
        if (ptx_is(token, ","))
            finish(&d, found);
        else if (ptx_type_size(token))
            d.element = ptx_type_size(token);
        else if (ptx_is(token, ".v2") || ptx_is(token, ".v4") || ptx_is(token, ".v8"))
            d.vector = (uint64_t)(token.text[2] - '0');
        else if (ptx_is(token, ".align"))
            d.alignment = ptx_number(ptx_next(s));
        else if (ptx_is(token, "("))
            skip_parentheses(s);
        else if (ptx_is(token, "[") || ptx_is(token, "<"))
            dimension(&d, s);
        else if (!d.name.length && is_name(token))
            d.name = token;
        if (!d.alignment)
            d.alignment = 1;
    }
    finish(&d, found);
}

void ptx_variables(const char *text, size_t length, struct variables *found)
{
    struct ptx_scanner s = {text, text + strnlen(text, length)};
    struct ptx_token token;
    uint64_t depth = 0; /* of parentheses, where .global says what a parameter points to */

    variables_add(&found->code, (uint64_t)(s.end - s.at));
    while ((token = ptx_next(&s)).length) {
        if (ptx_is(token, "("))
            depth++;
        else if (ptx_is(token, ")"))
            depth -= depth > 0;
        else if (!depth && (ptx_is(token, ".global") || ptx_is(token, ".const")))
            declaration(&s, found);
    }
}
