/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device-side printf. The caller packed the arguments as C varargs promote them, each at its natural alignment. The
 * format is the tenant's: every conversion is rebuilt from checked parts, and %n writes nothing.
 */
#include "kernel_exec.h"

#include <stdio.h>
#include <string.h>

#define FORMAT_LIMIT 4096u
#define TEXT_LIMIT 8192u
#define WIDTH_LIMIT 1024

struct text {
    char bytes[TEXT_LIMIT];
    size_t length;
};

struct arguments {
    struct kernel_thread *thread;
    uint64_t address;
};

static uint64_t argument(struct arguments *arguments, uint32_t size)
{
    arguments->address = (arguments->address + size - 1u) & ~(uint64_t)(size - 1u);
    const uint8_t *bytes = kernel_access_service(arguments->thread, arguments->address, size, 0);
    uint64_t value = 0;
    memcpy(&value, bytes, size);
    arguments->address += size;
    return value;
}

static void put(struct text *text, const char *bytes, size_t length)
{
    size_t room = sizeof text->bytes - text->length;
    length = length < room ? length : room;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

static size_t device_string(struct kernel_thread *thread, uint64_t address, char *out, size_t limit)
{
    size_t length = 0;
    while (length + 1 < limit) {
        char byte = (char)*kernel_access_service(thread, address + length, 1, 0);
        if (!byte)
            break;
        out[length++] = byte;
    }
    out[length] = 0;
    return length;
}

static int number(const char **cursor, struct arguments *arguments)
{
    int value = 0;
    if (**cursor == '*') {
        ++*cursor;
        value = (int)(int32_t)argument(arguments, 4);
    }
    while (**cursor >= '0' && **cursor <= '9') {
        value = value < WIDTH_LIMIT ? value * 10 + (**cursor - '0') : value;
        ++*cursor;
    }
    return value > WIDTH_LIMIT ? WIDTH_LIMIT : value < -WIDTH_LIMIT ? -WIDTH_LIMIT : value;
}

/* One conversion; `cursor` stands behind the '%'. */
static void convert(struct text *text, const char **cursor, struct arguments *arguments)
{
    char spec[32] = "%", out[WIDTH_LIMIT + 512];
    size_t used = 1;
    while (**cursor && strchr("-+ #0", **cursor)) {
        if (used < 8)
            spec[used++] = **cursor;
        ++*cursor;
    }
    int width = number(cursor, arguments), precision = -1, wide = 0, length = 0;
    if (**cursor == '.') {
        ++*cursor;
        precision = number(cursor, arguments);
    }
    while (**cursor && strchr("hlLjzt", **cursor)) {
        wide |= **cursor != 'h';
        ++*cursor;
    }
    char kind = **cursor;
    if (!kind)
        return;
    ++*cursor;
    memcpy(spec + used, "*.*", 3);
    used += 3;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (kind == '%') {
        put(text, "%", 1);
    } else if (strchr("dic", kind)) {
        int64_t value = wide && kind != 'c' ? (int64_t)argument(arguments, 8) : (int32_t)argument(arguments, 4);
        if (kind == 'c') {
            memcpy(spec + used, "c", 2);
            length = snprintf(out, sizeof out, spec, width, precision, (int)value);
        } else {
            memcpy(spec + used, "lld", 4);
            length = snprintf(out, sizeof out, spec, width, precision, (long long)value);
        }
    } else if (strchr("uxXo", kind)) {
        uint64_t value = argument(arguments, wide ? 8 : 4);
        memcpy(spec + used, "ll", 2);
        spec[used + 2] = kind;
        length = snprintf(out, sizeof out, spec, width, precision, (unsigned long long)value);
    } else if (strchr("aAeEfFgG", kind)) {
        uint64_t bits = argument(arguments, 8);
        double value;
        memcpy(&value, &bits, sizeof value);
        spec[used] = kind;
        length = snprintf(out, sizeof out, spec, width, precision, value);
    } else if (kind == 'p') {
        length = snprintf(out, sizeof out, "0x%llx", (unsigned long long)argument(arguments, 8));
    } else if (kind == 's') {
        char value[512];
        device_string(arguments->thread, argument(arguments, 8), value, sizeof value);
        spec[used] = 's';
        length = snprintf(out, sizeof out, spec, width, precision, value);
    } else if (kind == 'n') {
        (void)argument(arguments, 8);
    }
#pragma GCC diagnostic pop
    if (length > 0)
        put(text, out, (size_t)length < sizeof out ? (size_t)length : sizeof out - 1);
}

uint32_t kernel_print_service(struct kernel_thread *thread, uint64_t format, uint64_t arguments)
{
    struct kernel_run *run = kernel_fiber(thread)->block->run;
    char pattern[FORMAT_LIMIT];
    struct text text;
    text.length = 0;
    struct arguments reader = {thread, arguments};
    device_string(thread, format, pattern, sizeof pattern);
    const char *cursor = pattern;
    uint32_t conversions = 0;
    while (*cursor) {
        const char *percent = strchr(cursor, '%');
        if (!percent) {
            put(&text, cursor, strlen(cursor));
            break;
        }
        put(&text, cursor, (size_t)(percent - cursor));
        cursor = percent + 1;
        convert(&text, &cursor, &reader);
        conversions++;
    }
    if (run->launch.print)
        run->launch.print(run->launch.opaque, text.bytes, text.length);
    return conversions;
}
