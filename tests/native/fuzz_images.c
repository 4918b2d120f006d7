/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: the input is an image that a program loads, as the worker and the client read it; its first byte says which. */
#include <stdlib.h>

#include "cubin_params.h"
#include "variables.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct variables found = {0};
    struct ptx_kernel *kernels = NULL;
    int count = 0;

    if (!size)
        return -1;
    const uint8_t kind = *data++;
    size--;
    if (kind == 'p') {
        ptx_variables((const char *)data, size, &found);
        count = ptx_kernels((const char *)data, size, &kernels);
    } else if (kind == 'c') {
        cubin_variables(data, size, &found);
        count = cubin_kernels(data, size, &kernels);
    } else if (kind == 'f') {
        fatbin_variables(data, size, 90, &found);
        count = fatbin_kernels(data, size, &kernels);
    }
    free(found.names.data);
    if (count >= 0)
        ptx_free(kernels, count);
    return 0;
}
