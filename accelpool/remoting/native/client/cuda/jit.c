/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "module.h"

enum { /* CUjit_option */
    JIT_WALL_TIME = 2,
    JIT_INFO_LOG_BUFFER = 3,
    JIT_INFO_LOG_BUFFER_SIZE = 4,
    JIT_ERROR_LOG_BUFFER = 5,
    JIT_ERROR_LOG_BUFFER_SIZE = 6,
    JIT_GLOBAL_SYMBOL_NAMES = 17,
    JIT_GLOBAL_SYMBOL_COUNT = 19,
    JIT_REFERENCED_KERNEL_NAMES = 25,
    JIT_REFERENCED_VARIABLE_COUNT = 28,
    JIT_OPTIONS = 36,
};

CUresult jit_read(struct jit *jit, unsigned count, const CUjit_option *options, void **values)
{
    *jit = (struct jit){0};
    if (count && (!options || !values))
        return CLIENT_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++) {
        size_t value = (size_t)values[i];
        int option = options[i];

        if (option < 0 || option >= JIT_OPTIONS)
            return CLIENT_INVALID_VALUE;
        if (option == JIT_INFO_LOG_BUFFER)
            jit->info = values[i];
        else if (option == JIT_ERROR_LOG_BUFFER)
            jit->error = values[i];
        else if (option == JIT_INFO_LOG_BUFFER_SIZE)
            jit->info_size = (unsigned)value, jit->info_size_out = &values[i];
        else if (option == JIT_ERROR_LOG_BUFFER_SIZE)
            jit->error_size = (unsigned)value, jit->error_size_out = &values[i];
        else if (option == JIT_WALL_TIME || (option >= JIT_GLOBAL_SYMBOL_NAMES && option <= JIT_GLOBAL_SYMBOL_COUNT) ||
                 (option >= JIT_REFERENCED_KERNEL_NAMES && option <= JIT_REFERENCED_VARIABLE_COUNT))
            continue; /* these point into the program */
        else if (jit->count < WIRE_JIT_OPTIONS)
            jit->options[jit->count++] = (struct wire_jit_option){(uint32_t)option, (uint32_t)value};
    }
    return 0;
}

static void fill(char *buffer, size_t size, void **size_out, const char *text, size_t length)
{
    if (length >= size)
        length = size ? size - 1 : 0;
    if (buffer && size) {
        memcpy(buffer, text, length);
        buffer[length] = 0;
    }
    if (size_out)
        *size_out = (void *)length;
}

void jit_report(const struct jit *jit, CUresult status, const char *log, size_t length)
{
    fill(jit->info, jit->info_size, jit->info_size_out, log ? log : "", status ? 0 : length);
    fill(jit->error, jit->error_size, jit->error_size_out, log ? log : "", status ? length : 0);
}
