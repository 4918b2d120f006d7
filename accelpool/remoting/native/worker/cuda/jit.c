/* SPDX-License-Identifier: Apache-2.0 */
#include "jit.h"

#include <stdlib.h>
#include <string.h>

/* CUjit_option */
enum {
    JIT_MAX_REGISTERS = 0,
    JIT_THREADS_PER_BLOCK = 1,
    JIT_INFO_LOG_BUFFER = 3,
    JIT_INFO_LOG_BUFFER_SIZE = 4,
    JIT_ERROR_LOG_BUFFER = 5,
    JIT_ERROR_LOG_BUFFER_SIZE = 6,
    JIT_OPTIMIZATION_LEVEL = 7,
    JIT_TARGET_FROM_CONTEXT = 8,
    JIT_TARGET = 9,
    JIT_FALLBACK_STRATEGY = 10,
    JIT_GENERATE_DEBUG_INFO = 11,
    JIT_LOG_VERBOSE = 12,
    JIT_GENERATE_LINE_INFO = 13,
    JIT_CACHE_MODE = 14,
};

static int option_is_number(uint32_t option)
{
    return option == JIT_MAX_REGISTERS || option == JIT_THREADS_PER_BLOCK ||
           (option >= JIT_OPTIMIZATION_LEVEL && option <= JIT_CACHE_MODE);
}

static void jit_add(struct jit *jit, int option, uintptr_t value)
{
    jit->options[jit->count] = option;
    jit->values[jit->count++] = (void *)value;
}

void jit_start(struct jit *jit, const struct wire_jit_option *options, unsigned count)
{
    jit->count = 0;
    jit->info[0] = jit->error[0] = 0;
    for (unsigned i = 0; i < count && i < WIRE_JIT_OPTIONS; i++)
        if (option_is_number(options[i].option))
            jit_add(jit, (int)options[i].option, options[i].value);
    jit_add(jit, JIT_INFO_LOG_BUFFER, (uintptr_t)jit->info);
    jit_add(jit, JIT_INFO_LOG_BUFFER_SIZE, sizeof jit->info);
    jit_add(jit, JIT_ERROR_LOG_BUFFER, (uintptr_t)jit->error);
    jit_add(jit, JIT_ERROR_LOG_BUFFER_SIZE, sizeof jit->error);
}

const char *jit_log(const struct jit *jit, size_t *length)
{
    const char *log = jit->error[0] ? jit->error : jit->info;

    *length = strnlen(log, JIT_LOG);
    return log;
}

void bytes_add(struct bytes *bytes, const void *data, size_t length)
{
    if (bytes->failed || length == 0)
        return;
    if (length > bytes->capacity - bytes->length) {
        size_t capacity = bytes->capacity ? bytes->capacity : 4096;
        uint8_t *grown;

        while (capacity - bytes->length < length)
            capacity *= 2;
        grown = realloc(bytes->data, capacity);
        if (!grown) {
            free(bytes->data);
            *bytes = (struct bytes){.failed = 1};
            return;
        }
        bytes->data = grown;
        bytes->capacity = capacity;
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}
