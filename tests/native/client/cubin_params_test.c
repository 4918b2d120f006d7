/* SPDX-License-Identifier: Apache-2.0 */
/* Parameter tables of machine code, whole, cut off anywhere, and with wrong bytes. cubin_params_test CUBIN... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cubin_params.h"

#define EXPECT(condition)                                                   \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

static const struct {
    const char *name;
    uint32_t count;
    struct ptx_parameter parameters[5];
} EXPECTED[] = {
    {"one", 5, {{0, 8}, {8, 1}, {10, 2}, {16, 8}, {24, 4}}},
    {"two", 3, {{0, 40}, {40, 8}, {48, 1}}},
    {"none", 0, {{0, 0}}},
};

static void expect_whole(const struct ptx_kernel *kernels, int count)
{
    EXPECT(count == 3);
    for (unsigned i = 0; i < 3; i++) {
        int k = 0;
        while (k < count && (strlen(EXPECTED[i].name) != kernels[k].name_length ||
                             memcmp(kernels[k].name, EXPECTED[i].name, kernels[k].name_length)))
            k++;
        EXPECT(k < count && kernels[k].count == EXPECTED[i].count);
        EXPECT(!EXPECTED[i].count || !memcmp(kernels[k].parameters, EXPECTED[i].parameters,
                                             EXPECTED[i].count * sizeof *kernels[k].parameters));
    }
}

/* A copy of exactly this size, so that a sanitizer sees whoever reads beyond it. */
static void read_copy(const uint8_t *image, size_t length, size_t wrong, uint8_t value)
{
    struct ptx_kernel *kernels;
    uint8_t *copy = malloc(length + !length);

    memcpy(copy, image, length);
    if (wrong < length)
        copy[wrong] ^= value;
    int count = cubin_kernels(copy, length, &kernels);
    if (count >= 0)
        ptx_free(kernels, count);
    free(copy);
}

static size_t make_fatbin(uint8_t *fatbin, const uint8_t *image, size_t length, uint64_t flags)
{
    const uint32_t magic = 0xba55ed50u, entry_header = 64;
    const uint64_t body = 2 * entry_header + 16 + length;

    memset(fatbin, 0, 16 + body);
    memcpy(fatbin, &magic, 4);
    fatbin[4] = 1;
    fatbin[6] = 16;
    memcpy(fatbin + 8, &body, 8);
    uint8_t *ptx = fatbin + 16, *code = ptx + entry_header + 16;
    const uint64_t text = 16;
    ptx[0] = 1; /* PTX, which is no business of ours */
    memcpy(ptx + 4, &entry_header, 4);
    memcpy(ptx + 8, &text, 8);
    code[0] = 2;
    memcpy(code + 4, &entry_header, 4);
    memcpy(code + 8, &(uint64_t){length}, 8);
    memcpy(code + 40, &flags, 8);
    memcpy(code + entry_header, image, length);
    return 16 + body;
}

static void test_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    static uint8_t image[1 << 20], fatbin[2 << 20];
    struct ptx_kernel *kernels;
    int count;

    EXPECT(file);
    const size_t length = fread(image, 1, sizeof image, file);
    fclose(file);
    count = cubin_kernels(image, length, &kernels);
    expect_whole(kernels, count);
    ptx_free(kernels, count);

    size_t whole = make_fatbin(fatbin, image, length, 0);
    count = fatbin_kernels(fatbin, whole, &kernels);
    expect_whole(kernels, count);
    ptx_free(kernels, count);
    EXPECT(fatbin_kernels(fatbin, whole - 1, &kernels) == -1);
    whole = make_fatbin(fatbin, image, length, 0x8000);
    EXPECT(fatbin_kernels(fatbin, whole, &kernels) == 0);

    for (size_t part = 0; part < length; part += 1 + part / 50)
        read_copy(image, part, length, 0);
    for (size_t at = 0; at < length; at += 1 + at / 400) {
        read_copy(image, length, at, 0xff);
        read_copy(image, length, at, 0x10);
    }
}

int main(int argc, char **argv)
{
    EXPECT(argc > 1);
    for (int i = 1; i < argc; i++)
        test_file(argv[i]);
    return 0;
}
