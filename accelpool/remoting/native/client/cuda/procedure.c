/* SPDX-License-Identifier: Apache-2.0 */
/* How programs find the other functions, and what they get for those that are not carried. */
#include <stdlib.h>
#include <string.h>

#include "client.h"

enum { SEARCH_LEGACY_STREAM = 1, SEARCH_PER_THREAD_STREAM = 2 };               /* CUdriverProcAddress_flags */
enum { FOUND = 0, SYMBOL_NOT_FOUND = 1, VERSION_NOT_SUFFICIENT = 2 };          /* CUdriverProcAddressQueryResult */

static int compare(const void *key, const void *element)
{
    return strcmp(key, ((const struct client_symbol *)element)->base);
}

/* The newest variant that the asked-for version knows; per-thread variants go first when they are asked for. */
static int search(const char *name, int version, cuuint64_t flags, client_function *function)
{
    const struct client_symbol *any = bsearch(name, client_symbols, client_symbol_count, sizeof *any, compare);
    const struct client_symbol *best = NULL, *end = client_symbols + client_symbol_count;

    if (!any)
        return SYMBOL_NOT_FOUND;
    while (any > client_symbols && !strcmp(any[-1].base, name))
        any--;
    for (; any < end && !strcmp(any->base, name); any++)
        if (any->version <= version && (!any->per_thread || flags & SEARCH_PER_THREAD_STREAM) &&
            (!best || any->per_thread > best->per_thread ||
             (any->per_thread == best->per_thread && any->version >= best->version)))
            best = any;
    if (!best)
        return VERSION_NOT_SUFFICIENT;
    *function = best->function;
    return FOUND;
}

CUresult cuGetProcAddress_v2(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *symbolStatus)
{
    client_function function = NULL;

    if (!symbol || !pfn || flags & ~(cuuint64_t)(SEARCH_LEGACY_STREAM | SEARCH_PER_THREAD_STREAM))
        return CLIENT_INVALID_VALUE;
    int found = search(symbol, cudaVersion, flags, &function);
    memcpy(pfn, &function, sizeof *pfn);
    if (symbolStatus)
        *symbolStatus = found;
    return found == FOUND || symbolStatus ? 0 : CLIENT_NOT_FOUND;
}

CUresult cuGetProcAddress(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags)
{
    return cuGetProcAddress_v2(symbol, pfn, cudaVersion, flags, NULL);
}

CUresult cuGetExportTable(const void **ppExportTable, const CUuuid *pExportTableId)
{
    /* CUDART_INTERFACE: what the CUDA runtime asks for first, before it tests the driver. */
    static const unsigned char runtime[16] = {0x6b, 0xd5, 0xfb, 0x6c, 0x5b, 0xf4, 0xe7, 0x4a,
                                              0x89, 0x87, 0xd9, 0x39, 0x12, 0xfd, 0x9d, 0xf9};
    static const unsigned char usage[16] = USAGE_TABLE_ID;
    static atomic_int said;

    if (!ppExportTable || !pExportTableId)
        return CLIENT_INVALID_VALUE;
    if (!memcmp(pExportTableId->bytes, usage, sizeof usage)) {
        *ppExportTable = &client_usage;
        return 0;
    }
    *ppExportTable = NULL;
    if (!memcmp(pExportTableId->bytes, runtime, sizeof runtime) && !atomic_exchange(&said, 1))
        client_say("this program embeds the CUDA runtime: link it with `-cudart shared`, or use the application monitor");
    return CLIENT_NOT_SUPPORTED;
}

CUresult client_unsupported(const char *name, atomic_int *said)
{
    if (!atomic_exchange(said, 1))
        client_say("%s is not carried yet: the program gets CUDA_ERROR_NOT_SUPPORTED", name);
    return CLIENT_NOT_SUPPORTED;
}
