/* SPDX-License-Identifier: Apache-2.0 */
/* cuGetProcAddress: the newest form of a name that a program of the given CUDA version may use. */
#include <stdint.h>
#include <string.h>

#include "emu.h"
#include "symbols.h"

API CUresult cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *status);

/* ISO C has no conversion from function to object pointers; POSIX has, because dlsym needs it. */
static void *pointer_to(void (*function)(void)) {
    void *pointer;
    memcpy(&pointer, &function, sizeof pointer);
    return pointer;
}

static const struct symbol *newest(const char *name, int version, bool per_thread, bool *known) {
    const struct symbol *best = NULL;
    for (const struct symbol *symbol = symbols; symbol->name; symbol++) {
        if (strcmp(symbol->name, name))
            continue;
        *known = true;
        if (symbol->version > version || (symbol->per_thread && !per_thread))
            continue;
        if (!best || symbol->per_thread > best->per_thread ||
            (symbol->per_thread == best->per_thread && symbol->version > best->version))
            best = symbol;
    }
    return best;
}

API CUresult cuGetProcAddress(const char *name, void **function, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, function, version, flags, NULL);
}

API CUresult cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *status) {
    bool known = false;
    if (!name || !function || flags > CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)
        return CUDA_ERROR_INVALID_VALUE;
    bool per_thread = flags == CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    const struct symbol *found = newest(name, version, per_thread, &known);
    *function = found ? pointer_to(found->function) : NULL;
    if (!strcmp(name, "cuGetProcAddress")) {
        known = true;
        if (version >= 12000)
            *function = pointer_to((void (*)(void))cuGetProcAddress_v2);
        else if (version >= 11030)
            *function = pointer_to((void (*)(void))cuGetProcAddress);
    }
    if (status)
        *status = *function ? CU_GET_PROC_ADDRESS_SUCCESS
                  : known   ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                            : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return *function || status ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

/* The vendor's undocumented tables: none is here. */
API CUresult cuGetExportTable(const void **table, const CUuuid *id) {
    (void)id;
    if (!table)
        return CUDA_ERROR_INVALID_VALUE;
    *table = NULL;
    return CUDA_ERROR_NOT_FOUND;
}

API CUresult cuProfilerStart(void) {
    struct context *context;
    return context_enter(&context);
}

API CUresult cuProfilerStop(void) {
    struct context *context;
    return context_enter(&context);
}

API CUresult cuMemAllocManaged(CUdeviceptr *address, size_t size, unsigned flags) {
    struct context *context;
    (void)address, (void)size, (void)flags;
    TRY(context_enter(&context));
    return CUDA_ERROR_NOT_SUPPORTED; /* CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY is 0 */
}
