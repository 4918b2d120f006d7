/* SPDX-License-Identifier: Apache-2.0 */
/*
 * variables_test ptx|cubin|fatbin CAPABILITY FILE: prints bytes of variables and of code, then each variable's name, and reads
 * the image again, cut off anywhere and with wrong bytes. Exit status 2: the image is broken.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "variables.h"

static int capability;

static int measure(const char *kind, const uint8_t *image, size_t length, struct variables *found)
{
    *found = (struct variables){0};
    if (!strcmp(kind, "fatbin"))
        return fatbin_variables(image, length, capability, found);
    if (!strcmp(kind, "cubin"))
        return cubin_variables(image, length, found);
    ptx_variables((const char *)image, length, found);
    return 0;
}

/* A copy of exactly this size, so that a sanitizer sees whoever reads beyond it. */
static void read_copy(const char *kind, const uint8_t *image, size_t length, size_t wrong, uint8_t value)
{
    struct variables found;
    uint8_t *copy = malloc(length + !length);

    memcpy(copy, image, length);
    if (wrong < length)
        copy[wrong] ^= value;
    measure(kind, copy, length, &found);
    free(found.names.data);
    free(copy);
}

int main(int argc, char **argv)
{
    FILE *file = argc == 4 ? fopen(argv[3], "rb") : NULL;
    static uint8_t image[4 << 20];
    struct variables found;

    if (!file)
        return 1;
    const size_t length = fread(image, 1, sizeof image, file);
    fclose(file);
    capability = atoi(argv[2]);
    const int broken = measure(argv[1], image, length, &found);
    printf("%" PRIu64 " %" PRIu64 "\n", found.size, found.code);
    for (size_t at = 0; at < found.names.length; at += strlen((char *)found.names.data + at) + 1)
        puts((char *)found.names.data + at);
    free(found.names.data);
    for (size_t part = 0; part < length; part += 1 + part / 50)
        read_copy(argv[1], image, part, length, 0);
    for (size_t at = 0; at < length; at += 1 + at / 400) {
        read_copy(argv[1], image, length, at, 0xff);
        read_copy(argv[1], image, length, at, 0x10);
    }
    return broken ? 2 : 0;
}
