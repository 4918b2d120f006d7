/* SPDX-License-Identifier: Apache-2.0 */
#include "vendor.h"

#include <dlfcn.h>

struct vendor vendor;

/* ISO C has no conversion from an object pointer to a function pointer; POSIX promises that this one works. */
#define VENDOR_SYMBOL(member, symbol) *(void **)&vendor.member = dlsym(vendor.library, symbol)

int vendor_open(const char *path, const char **why)
{
    vendor.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!vendor.library) {
        *why = dlerror();
        return -1;
    }
#define REQUIRE(member, symbol, arguments)     \
    VENDOR_SYMBOL(member, symbol);             \
    if (!vendor.member) {                      \
        *why = symbol " is missing";           \
        return -1;                             \
    }
#define ACCEPT(member, symbol, arguments) VENDOR_SYMBOL(member, symbol);
    VENDOR_REQUIRED(REQUIRE)
    VENDOR_OPTIONAL(ACCEPT)
#undef REQUIRE
#undef ACCEPT
    VENDOR_SYMBOL(access, "accelpool_backend_access");
    return 0;
}

int vendor_start(void)
{
    const struct vendor_allocation_prop prop = {.type = 1, .location = {.type = 1}};
    size_t granule = 0;
    int status = vendor.init(0);

    if (!status)
        status = vendor.device_get(&vendor.device, 0);
    if (!status)
        status = vendor.primary_retain(&vendor.context, vendor.device);
    if (!status)
        status = vendor.context_set(vendor.context);
    if (!status)
        status = vendor.granularity(&granule, &prop, 0);
    if (!status && (granule < 4096 || (granule & (granule - 1))))
        status = CU_SYSTEM_FAILURE;
    vendor.granule = granule;
    return status;
}
