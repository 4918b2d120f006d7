/* SPDX-License-Identifier: Apache-2.0 */
/* Machine code (cubin) as the ELF file that it is: sections, with every offset checked. */
#ifndef ACCELPOOL_CUBIN_FILE_H
#define ACCELPOOL_CUBIN_FILE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#define CUBIN_STRING_MAX (UINT64_C(64) << 10)

struct cubin_file {
    const uint8_t *bytes;
    size_t length;
    uint64_t table, count; /* offset of the section headers, and how many there are */
    Elf64_Shdr names;
};

/* 0, or -1: it is none, or its section headers do not lie in it. */
int cubin_open(struct cubin_file *file, const void *image, size_t length);
/* NULL: not inside. */
const void *cubin_piece(const struct cubin_file *file, uint64_t offset, uint64_t length);
/* index < file->count */
Elf64_Shdr cubin_section(const struct cubin_file *file, uint64_t index);
/* The NUL-terminated string at an offset in a string table; NULL: there is none, or it is too long for a name. */
const char *cubin_string(const struct cubin_file *file, const Elf64_Shdr *table, uint64_t offset);

#endif
