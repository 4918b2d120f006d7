/* SPDX-License-Identifier: Apache-2.0 */
/* Parameter tables of .entry declarations, and what is no declaration. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ptx_params.h"

#define EXPECT(condition)                                                   \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

/* kernels are written "name offset:size offset:size; name ..." */
static void expect(const char *ptx, const char *table)
{
    struct ptx_kernel *kernels;
    char text[1024] = "";
    int count = ptx_kernels(ptx, strlen(ptx), &kernels);

    EXPECT(count >= 0);
    for (int i = 0; i < count; i++) {
        size_t at = strlen(text);

        at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s", i ? "; " : "", (int)kernels[i].name_length,
                               kernels[i].name);
        for (uint32_t p = 0; p < kernels[i].count; p++)
            at += (size_t)snprintf(text + at, sizeof text - at, " %u:%u", kernels[i].parameters[p].offset,
                                   kernels[i].parameters[p].size);
    }
    ptx_free(kernels, count);
    if (strcmp(text, table)) {
        fprintf(stderr, "expected \"%s\", found \"%s\"\n", table, text);
        exit(1);
    }
}

static void refused(const char *ptx)
{
    struct ptx_kernel *kernels;

    EXPECT(ptx_kernels(ptx, strlen(ptx), &kernels) == -1 && !kernels);
}

int main(void)
{
    expect("", "");
    expect(".version 7.0\n.func f(.param .u32 a) { ret; }", "");
    expect(".visible .entry k(.param .u64 a, .param .u32 b, .param .u64 c) {}", "k 0:8 8:4 16:8");
    expect(".entry k() { }", "k");
    expect(".entry k { ld.param.u32 (a, b); }", "k");
    expect(".entry a(.param .u8 x,.param .f16 y,.param .b16 z) {}\n.weak .entry b(.param .f64 d)", "a 0:1 2:2 4:2; b 0:8");
    expect(".entry k(.param .align 8 .b8 s[20], .param .u32 n)", "k 0:20 20:4");
    expect(".entry k(.param .u32 n, .param .align 16 .b8 s[3][5])", "k 0:4 16:15");
    expect(".entry k(.param .u64 .ptr .global .align 1 p, .param .u8 b, .param .u64 .ptr .align 256 q)", "k 0:8 8:1 16:8");
    expect(".entry k(.param .v4 .f32 v, .param .u8 c, .param .v2 .u64 w)", "k 0:16 16:1 32:16");
    expect(".entry /* .entry no(.param .u32 x) */ k( // .param .u64 z,\n .param .s16 y)", "k 0:2");
    expect(".file 1 \".entry k(.param .u32 x)\"\n.entry $real_$(.param .b32 %p)", "$real_$ 0:4");
    expect(".entry _Z1kPfi(\n\t.param .u64 _Z1kPfi_param_0,\n\t.param .u32 _Z1kPfi_param_1\n)\n.maxntid 32, 1, 1\n{",
           "_Z1kPfi 0:8 8:4");
    refused(".entry");
    refused(".entry k(.param .u32 a");
    refused(".entry k(.param a)");
    refused(".entry k(.param .u32 a,)");
    refused(".entry k(.param .align 3 .b8 s[4])");
    refused(".entry k(.param .b8 s[99999999])");
    refused(".entry k(.param .b8 s[65536][65536])");
    refused(".entry k(.param .b8 s[4)");
    return 0;
}
