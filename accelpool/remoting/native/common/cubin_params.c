/* SPDX-License-Identifier: Apache-2.0 */
#include "cubin_params.h"

#include <stdlib.h>
#include <string.h>

#include "cubin_file.h"

#define INFO_PREFIX ".nv.info."
/* An attribute: format and number, a byte each, then two bytes that are the value, or the length of what follows. */
#define FORMAT_SIZED 4
#define ATTRIBUTE_KERNEL_PARAMETER 0x17

#define FATBIN_CUBIN 2
#define FATBIN_COMPRESSED 0xa000u /* zstd 0x8000, LZ4 0x2000 */

struct kernel_parameter {
    uint32_t index;
    uint16_t ordinal, offset;
    uint32_t kind_and_size; /* the size in the upper 14 bits */
};

_Static_assert(sizeof(struct kernel_parameter) == 12, "EIATTR_KPARAM_INFO");

struct fatbin_entry {
    uint16_t kind, version;
    uint32_t header_size;
    uint64_t size;
    uint8_t unused[24];
    uint64_t flags;
};

/* One attribute's number and payload (NULL: none of its own); 0 at the end or where the list is broken. */
static size_t next_attribute(const uint8_t *list, size_t length, unsigned *number, const uint8_t **payload, size_t *size)
{
    uint16_t value;

    if (length < 4)
        return 0;
    memcpy(&value, list + 2, sizeof value);
    *number = list[1];
    *size = list[0] == FORMAT_SIZED ? value : 0;
    *payload = *size ? list + 4 : NULL;
    return *size <= length - 4 ? 4 + *size : 0;
}

static int read_parameters(const uint8_t *list, size_t length, struct ptx_kernel *kernel)
{
    struct kernel_parameter parameter;
    unsigned number;
    const uint8_t *payload;
    size_t size, step;

    for (size_t at = 0; (step = next_attribute(list + at, length - at, &number, &payload, &size)); at += step) {
        if (number != ATTRIBUTE_KERNEL_PARAMETER || size != sizeof parameter)
            continue;
        memcpy(&parameter, payload, sizeof parameter);
        if (parameter.ordinal >= PTX_PARAMETERS_MAX)
            return -1;
        if (parameter.ordinal >= kernel->count) {
            struct ptx_parameter *more =
                realloc(kernel->parameters, (parameter.ordinal + 1u) * sizeof *kernel->parameters);
            if (!more)
                return -1;
            memset(more + kernel->count, 0, (parameter.ordinal + 1u - kernel->count) * sizeof *more);
            kernel->parameters = more;
            kernel->count = parameter.ordinal + 1u;
        }
        kernel->parameters[parameter.ordinal] =
            (struct ptx_parameter){.offset = parameter.offset, .size = parameter.kind_and_size >> 18};
    }
    for (uint32_t i = 0; i < kernel->count; i++)
        if (!kernel->parameters[i].size) /* one is missing */
            return -1;
    return 0;
}

/* The kernel that a section is about: 1; 0: about none; -1: broken. */
static int read_section(const struct cubin_file *file, const Elf64_Shdr *section, struct ptx_kernel *kernel)
{
    const char *name = cubin_string(file, &file->names, section->sh_name);
    const size_t skip = sizeof INFO_PREFIX - 1;

    if (!name || strncmp(name, INFO_PREFIX, skip))
        return 0;
    const uint8_t *list = cubin_piece(file, section->sh_offset, section->sh_size);
    if (!list)
        return -1;
    *kernel = (struct ptx_kernel){.name = name + skip, .name_length = strlen(name) - skip};
    if (!read_parameters(list, section->sh_size, kernel))
        return 1;
    free(kernel->parameters);
    return -1;
}

int cubin_kernels(const void *image, size_t length, struct ptx_kernel **kernels)
{
    struct cubin_file file;
    int count = 0;

    *kernels = NULL;
    if (cubin_open(&file, image, length))
        return -1;
    struct ptx_kernel *found = calloc(file.count, sizeof *found);
    for (uint64_t i = 0; found && i < file.count; i++) {
        const Elf64_Shdr section = cubin_section(&file, i);
        int about = read_section(&file, &section, &found[count]);
        if (about < 0) {
            ptx_free(found, count);
            return -1;
        }
        count += about;
    }
    *kernels = found;
    return found ? count : -1;
}

int fatbin_kernels(const void *image, size_t length, struct ptx_kernel **kernels)
{
    const struct cubin_file file = {.bytes = image, .length = length};
    const uint8_t *start = cubin_piece(&file, 0, 16);
    uint16_t header_size;

    *kernels = NULL;
    if (!start)
        return -1;
    memcpy(&header_size, start + 6, sizeof header_size);
    for (uint64_t at = header_size; at < length;) {
        struct fatbin_entry entry;
        const void *head = cubin_piece(&file, at, sizeof entry);

        if (!head)
            return -1;
        memcpy(&entry, head, sizeof entry);
        if (entry.header_size < sizeof entry || entry.size > length)
            return -1;
        const void *code = cubin_piece(&file, at + entry.header_size, entry.size);
        if (!code)
            return -1;
        if (entry.kind == FATBIN_CUBIN && !(entry.flags & FATBIN_COMPRESSED))
            return cubin_kernels(code, entry.size, kernels);
        at += entry.header_size + entry.size;
    }
    return 0;
}
