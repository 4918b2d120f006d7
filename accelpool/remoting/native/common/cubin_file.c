/* SPDX-License-Identifier: Apache-2.0 */
#include "cubin_file.h"

#include <string.h>

const void *cubin_piece(const struct cubin_file *file, uint64_t offset, uint64_t length)
{
    return offset <= file->length && length <= file->length - offset ? file->bytes + offset : NULL;
}

Elf64_Shdr cubin_section(const struct cubin_file *file, uint64_t index)
{
    Elf64_Shdr section;

    memcpy(&section, file->bytes + file->table + index * sizeof section, sizeof section);
    return section;
}

const char *cubin_string(const struct cubin_file *file, const Elf64_Shdr *table, uint64_t offset)
{
    const char *strings = cubin_piece(file, table->sh_offset, table->sh_size);

    if (!strings || offset >= table->sh_size)
        return NULL;
    const uint64_t left = table->sh_size - offset;
    return memchr(strings + offset, 0, left < CUBIN_STRING_MAX ? left : CUBIN_STRING_MAX) ? strings + offset : NULL;
}

int cubin_open(struct cubin_file *file, const void *image, size_t length)
{
    Elf64_Ehdr header;
    uint64_t names;

    *file = (struct cubin_file){.bytes = image, .length = length};
    if (length < sizeof header)
        return -1;
    memcpy(&header, image, sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_shentsize != sizeof(Elf64_Shdr) ||
        !cubin_piece(file, header.e_shoff, sizeof(Elf64_Shdr)))
        return -1;
    file->table = header.e_shoff;
    /* Numbers that 16 bits do not hold stand in the first section's header. */
    const Elf64_Shdr first = cubin_section(file, 0);
    file->count = header.e_shnum ? header.e_shnum : first.sh_size;
    names = header.e_shstrndx == SHN_XINDEX ? first.sh_link : header.e_shstrndx;
    if (names >= file->count || file->count > (length - file->table) / sizeof(Elf64_Shdr))
        return -1;
    file->names = cubin_section(file, names);
    return cubin_piece(file, file->names.sh_offset, file->names.sh_size) ? 0 : -1;
}
