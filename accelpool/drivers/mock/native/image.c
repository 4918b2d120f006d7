/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program hands in as a module: PTX text, a fat binary (with or without its wrapper) or an ELF cubin.
 *
 * Only PTX can be executed. Layout of a fat binary: header {u32 magic, u16 version, u16 header bytes, u64 size}, then
 * entries {u16 kind, u16, u32 header bytes, u64 size, ..., +28 u32 architecture, ..., +40 u64 flags}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu.h"

#define WRAPPER_MAGIC 0x466243b1u
#define FATBIN_MAGIC 0xba55ed50u
#define ELF_MAGIC 0x464c457fu
#define ENTRY_HEADER 64u
#define KIND_PTX 1u
#define COMPRESSED 0xa000u /* LZ4 0x2000, zstd 0x8000 */
#define LARGEST ((uint64_t)256 << 20)

CUresult jit_options(unsigned count, const int *options, void **values, struct jit_log *log) {
    *log = (struct jit_log){0};
    if (count && (!options || !values))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++) {
        switch (options[i]) {
        case CU_JIT_ERROR_LOG_BUFFER:
            log->error = values[i];
            break;
        case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
            log->error_size = (uint32_t)(uintptr_t)values[i];
            log->error_used = &values[i];
            break;
        case CU_JIT_INFO_LOG_BUFFER:
            log->info = values[i];
            break;
        case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
            log->info_size = (uint32_t)(uintptr_t)values[i];
            log->info_used = &values[i];
            break;
        default:
            if (options[i] < 0 || options[i] > CU_JIT_NUM_OPTIONS)
                return CUDA_ERROR_INVALID_VALUE;
        }
    }
    if (log->error_used)
        *log->error_used = NULL;
    if (log->info_used)
        *log->info_used = NULL;
    if (log->error && log->error_size)
        log->error[0] = '\0';
    if (log->info && log->info_size)
        log->info[0] = '\0';
    return CUDA_SUCCESS;
}

void jit_log_write(const struct jit_log *log, const char *text) {
    if (!log->error || !log->error_size)
        return;
    size_t length = strlen(text);
    if (length > log->error_size - 1)
        length = log->error_size - 1;
    memcpy(log->error, text, length);
    log->error[length] = '\0';
    if (log->error_used)
        *log->error_used = (void *)length;
}

static uint64_t read_number(const uint8_t *at, unsigned bytes) {
    uint64_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}

static CUresult from_fatbin(const uint8_t *data, uint64_t available, char **ptx, const struct jit_log *log) {
    uint64_t header = read_number(data + 6, 2), size = read_number(data + 8, 8);
    if (header < 16 || size > LARGEST || (available && header + size > available))
        return CUDA_ERROR_INVALID_IMAGE;
    const uint8_t *at = data + header, *end = at + size, *best = NULL;
    uint64_t best_size = 0, best_arch = 0, device = (uint64_t)(emu_device.major * 10 + emu_device.minor);
    bool compressed = false;
    while ((uint64_t)(end - at) >= ENTRY_HEADER) {
        uint64_t kind = read_number(at, 2), entry_header = read_number(at + 4, 4), entry_size = read_number(at + 8, 8);
        uint64_t arch = read_number(at + 28, 4), flags = read_number(at + 40, 8);
        if (entry_header < ENTRY_HEADER || entry_header > (uint64_t)(end - at) ||
            entry_size > (uint64_t)(end - at) - entry_header)
            return CUDA_ERROR_INVALID_IMAGE;
        bool usable = kind == KIND_PTX && arch <= device;
        if (usable && flags & COMPRESSED)
            compressed = true;
        else if (usable && (!best || arch > best_arch))
            best = at + entry_header, best_size = entry_size, best_arch = arch;
        at += entry_header + entry_size;
    }
    if (!best) {
        jit_log_write(log, compressed ? "the fat binary's PTX is compressed; build with -no-compress"
                                      : "the fat binary has no PTX that this device can use");
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    *ptx = strndup((const char *)best, best_size);
    return *ptx ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* The first thing behind blanks and comments of PTX text is its .version. */
static bool looks_like_ptx(const char *text, size_t length) {
    const char *end = text + length;
    while (text < end) {
        if (*text == ' ' || (*text >= '\t' && *text <= '\r')) {
            text++;
        } else if (end - text > 1 && text[0] == '/' && text[1] == '/') {
            while (text < end && *text != '\n')
                text++;
        } else if (end - text > 3 && text[0] == '/' && text[1] == '*') {
            for (text += 2; text < end && !(text[-1] == '*' && text[0] == '/' ); text++)
                ;
            text += text < end;
        } else {
            return end - text > 8 && !memcmp(text, ".version", 8);
        }
    }
    return false;
}

CUresult image_text(const void *image, size_t size, char **ptx, const struct jit_log *log) {
    if (!image || (size && size < 16))
        return image ? CUDA_ERROR_INVALID_IMAGE : CUDA_ERROR_INVALID_VALUE;
    uint32_t magic = 0;
    size_t visible = size ? strnlen(image, size) : strnlen(image, 4);
    if (visible >= 4 || size >= 16)
        memcpy(&magic, image, 4);
    else if (visible > 0) /* a NUL within four bytes: only a magic number could be meant */
        memcpy(&magic, image, visible + 1);
    if (magic == WRAPPER_MAGIC) {
        const void *data = (const void *)read_number((const uint8_t *)image + 8, 8);
        if (!data || read_number(data, 4) != FATBIN_MAGIC)
            return CUDA_ERROR_INVALID_IMAGE;
        return from_fatbin(data, 0, ptx, log);
    }
    if (magic == FATBIN_MAGIC)
        return from_fatbin(image, size, ptx, log);
    if (magic == ELF_MAGIC) {
        jit_log_write(log, "a cubin holds machine code; an emulated device executes PTX only");
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    size_t length = size ? visible : strnlen(image, LARGEST);
    if (length >= LARGEST || !looks_like_ptx(image, length))
        return CUDA_ERROR_INVALID_IMAGE;
    *ptx = strndup(image, length);
    return *ptx ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
