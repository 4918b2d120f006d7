/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel binaries: a magic line, then the names of this device's kernels that the binary may be asked for. */
#include <stdlib.h>
#include <string.h>

#include "emu_acl.h"

#define BINARY_MAX (1u << 20)
#define MAGIC_BYTES (sizeof NPU_BINARY_MAGIC - 1)

struct npu_binary {
    struct npu_function *functions;
    size_t length;
    char text[];
};

const struct npu_kernel *kernel_find(const char *name, size_t length) {
    static const struct npu_kernel *const tables[] = {kernels_element, kernels_reduce, kernels_matrix, kernels_index,
                                                      kernels_loss};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (const struct npu_kernel *kernel = tables[i]; kernel->name; kernel++)
            if (strlen(kernel->name) == length && !memcmp(kernel->name, name, length))
                return kernel;
    return NULL;
}

API aclError aclrtBinaryLoadFromData(const void *data, size_t length, const aclrtBinaryLoadOptions *options,
                                     aclrtBinHandle *handle) {
    ACL_TRY(initialised());
    (void)options;
    if (!data || !handle || length < MAGIC_BYTES || length > BINARY_MAX || memcmp(data, NPU_BINARY_MAGIC, MAGIC_BYTES))
        return ACL_ERROR_RT_PARAM_INVALID;
    struct npu_binary *binary = malloc(sizeof *binary + length);
    if (!binary)
        return ACL_ERROR_RT_MEMORY_ALLOCATION;
    *binary = (struct npu_binary){.length = length};
    memcpy(binary->text, data, length);
    const uint64_t number = handle_new(HANDLE_MODULE, binary);
    if (!number) {
        free(binary);
        return ACL_ERROR_RT_MEMORY_ALLOCATION;
    }
    *handle = (void *)number;
    return ACL_SUCCESS;
}

/* Launches that are queued keep the kernel, not the function. */
API aclError aclrtBinaryUnLoad(aclrtBinHandle handle) {
    struct npu_binary *binary = handle_object(HANDLE_MODULE, (uint64_t)handle);
    if (!binary)
        return ACL_ERROR_RT_INVALID_HANDLE;
    api_lock();
    handle_drop((uint64_t)handle);
    while (binary->functions) {
        struct npu_function *function = binary->functions;
        binary->functions = function->next;
        handle_drop(function->handle);
        free(function);
    }
    api_unlock();
    free(binary);
    return ACL_SUCCESS;
}

/* The line that is the name, when there is one; otherwise the index-th. Its length, or 0. */
static size_t line_of(const struct npu_binary *binary, const char *name, uint64_t index, const char **found) {
    const char *line = binary->text + MAGIC_BYTES, *end = binary->text + binary->length;
    for (uint64_t at = 0; line < end; at++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const size_t size = (size_t)((stop ? stop : end) - line);
        *found = line;
        if (name ? size == strlen(name) && !memcmp(line, name, size) : at == index)
            return size;
        line += size + 1;
    }
    return 0;
}

static aclError get_function(aclrtBinHandle handle, const char *name, uint64_t index, aclrtFuncHandle *result) {
    const struct npu_kernel *kernel = NULL;
    struct npu_function *function = NULL;
    const char *line;
    aclError status = ACL_SUCCESS;
    api_lock();
    struct npu_binary *binary = handle_object(HANDLE_MODULE, (uint64_t)handle);
    if (binary) {
        const size_t length = line_of(binary, name, index, &line);
        kernel = length ? kernel_find(line, length) : NULL;
    }
    if (!kernel)
        status = binary ? ACL_ERROR_RT_PARAM_INVALID : ACL_ERROR_RT_INVALID_HANDLE;
    for (function = kernel ? binary->functions : NULL; function; function = function->next)
        if (function->kernel == kernel)
            break;
    if (!status && !function) {
        function = calloc(1, sizeof *function);
        if (function)
            function->handle = handle_new(HANDLE_FUNCTION, function);
        if (!function || !function->handle) {
            free(function);
            status = ACL_ERROR_RT_MEMORY_ALLOCATION;
        } else {
            function->kernel = kernel;
            function->next = binary->functions;
            binary->functions = function;
        }
    }
    if (!status)
        *result = (void *)function->handle;
    api_unlock();
    return status;
}

API aclError aclrtBinaryGetFunction(const aclrtBinHandle handle, const char *name, aclrtFuncHandle *result) {
    return name && result ? get_function(handle, name, 0, result) : ACL_ERROR_RT_PARAM_INVALID;
}

/* The number is the place of the name in the binary, from 0. */
API aclError aclrtBinaryGetFunctionByEntry(const aclrtBinHandle handle, uint64_t entry, aclrtFuncHandle *result) {
    return result ? get_function(handle, NULL, entry, result) : ACL_ERROR_RT_PARAM_INVALID;
}

const struct npu_kernel *function_kernel(aclrtFuncHandle handle) {
    api_lock();
    struct npu_function *function = handle_object(HANDLE_FUNCTION, (uint64_t)handle);
    const struct npu_kernel *kernel = function ? function->kernel : NULL;
    api_unlock();
    return kernel;
}
