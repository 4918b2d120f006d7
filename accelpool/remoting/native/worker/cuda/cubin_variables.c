/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cubin_file.h"
#include "variables.h"

static int starts(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

static void add_section(const struct cubin_file *file, const Elf64_Shdr *section, struct variables *found)
{
    const char *name = cubin_string(file, &file->names, section->sh_name);

    if (!(section->sh_flags & SHF_ALLOC))
        return;
    if (name && (starts(name, ".nv.global") || !strcmp(name, ".nv.constant3")))
        variables_add(&found->size, section->sh_size);
    else if (!name || (!starts(name, ".nv.shared") && !starts(name, ".nv.merc."))) /* a block's own; for the compiler */
        variables_add(&found->code, section->sh_size);
}

/* Objects; the compiler's own, as strings for printf(), have a dollar sign in front. -1: broken. */
static int add_symbols(const struct cubin_file *file, const Elf64_Shdr *section, struct variables *found)
{
    const uint8_t *table = cubin_piece(file, section->sh_offset, section->sh_size);
    const size_t before = found->names.length;
    Elf64_Sym symbol;

    if (!table || section->sh_link >= file->count)
        return -1;
    const Elf64_Shdr strings = cubin_section(file, section->sh_link);
    for (uint64_t at = 0; section->sh_size - at >= sizeof symbol; at += sizeof symbol) {
        memcpy(&symbol, table + at, sizeof symbol);
        if (ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT || symbol.st_shndx == SHN_UNDEF)
            continue;
        const char *name = cubin_string(file, &strings, symbol.st_name);
        if (!name || !*name || *name == '$')
            continue;
        bytes_add(&found->names, name, strlen(name) + 1);
        if (found->names.length - before > file->length) /* one text for many symbols */
            return -1;
    }
    return 0;
}

int cubin_variables(const uint8_t *image, size_t length, struct variables *found)
{
    struct cubin_file file;
    int symbols = 0;

    if (cubin_open(&file, image, length))
        return -1;
    for (uint64_t i = 0; i < file.count; i++) {
        const Elf64_Shdr section = cubin_section(&file, i);

        add_section(&file, &section, found);
        if (section.sh_type == SHT_SYMTAB && (symbols++ || add_symbols(&file, &section, found)))
            return -1; /* a file has one table of symbols */
    }
    return 0;
}
