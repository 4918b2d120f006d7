/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <string.h>

#include "module.h"

#define WRAPPER_MAGIC 0x466243b1u
#define FATBIN_MAGIC 0xba55ed50u

/* What nvcc puts into a program: points to the fat binary itself. */
struct wrapper {
    uint32_t magic, version;
    const void *data;
    void *unused;
};

struct fatbin {
    uint32_t magic;
    uint16_t version, header_size;
    uint64_t size; /* of what follows the header */
};

/* The end of whatever lies last in the file: headers, sections or segments. */
static size_t elf_length(const unsigned char *image)
{
    Elf64_Ehdr header;
    size_t end = sizeof header;

    memcpy(&header, image, sizeof header);
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shoff > WIRE_MODULE_MAX)
        return 0;
    for (unsigned i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr section;

        memcpy(&section, image + header.e_shoff + i * sizeof section, sizeof section);
        if (section.sh_type != SHT_NOBITS && section.sh_offset + section.sh_size > end)
            end = section.sh_offset + section.sh_size;
    }
    if (header.e_shoff + header.e_shnum * sizeof(Elf64_Shdr) > end)
        end = header.e_shoff + header.e_shnum * sizeof(Elf64_Shdr);
    if (header.e_phoff + (size_t)header.e_phnum * header.e_phentsize > end)
        end = header.e_phoff + (size_t)header.e_phnum * header.e_phentsize;
    return end;
}

CUresult image_measure(const void **image, enum wire_image *kind, size_t *length)
{
    uint32_t magic = 0;

    if (!*image)
        return CLIENT_INVALID_VALUE;
    for (unsigned i = 0; i < sizeof magic && (!i || ((const char *)*image)[i - 1]); i++)
        magic |= (uint32_t)((const unsigned char *)*image)[i] << (8 * i);
    if (magic == WRAPPER_MAGIC) {
        struct wrapper wrapper;

        memcpy(&wrapper, *image, sizeof wrapper);
        *image = wrapper.data;
        magic = FATBIN_MAGIC;
    }
    if (magic == FATBIN_MAGIC) {
        struct fatbin header;

        memcpy(&header, *image, sizeof header);
        *kind = WIRE_IMAGE_FATBIN;
        *length = header.magic == FATBIN_MAGIC && header.size < WIRE_MODULE_MAX ? header.header_size + header.size : 0;
    } else if (!memcmp(&magic, ELFMAG, SELFMAG)) {
        *kind = WIRE_IMAGE_CUBIN;
        *length = elf_length(*image);
    } else {
        unsigned char first = *(const unsigned char *)*image;

        *kind = WIRE_IMAGE_PTX;
        *length = (first >= ' ' && first < 0x7f) || (first >= '\t' && first <= '\r') ? strlen(*image) + 1 : 0;
    }
    return *length && *length <= WIRE_MODULE_MAX ? 0 : CLIENT_INVALID_IMAGE;
}
