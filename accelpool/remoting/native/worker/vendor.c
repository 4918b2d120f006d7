/* SPDX-License-Identifier: Apache-2.0 */
#include "vendor.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "api.h"

struct vendor vendor;

const struct worker_api *api_find(const char *interface)
{
    static const struct worker_api *const apis[] = {&cuda_api, &acl_api};

    for (size_t i = 0; i < sizeof apis / sizeof *apis; i++)
        if (strcmp(apis[i]->interface, interface) == 0)
            return apis[i];
    return NULL;
}

/* ISO C has no conversion from an object pointer to a function pointer; POSIX promises that this one works. */
#define BACKEND_SYMBOL(member, symbol) *(void **)&vendor.member = dlsym(vendor.library, symbol)

int vendor_open(const struct worker_api *api, const char *path, char *why, size_t size)
{
    const char *missing;

    vendor.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!vendor.library) {
        snprintf(why, size, "%s", dlerror());
        return -1;
    }
    missing = api->load(vendor.library);
    if (missing) {
        snprintf(why, size, "%s is missing", missing);
        return -1;
    }
    api->load_calls(vendor.library);
    BACKEND_SYMBOL(attach, "accelpool_backend_attach");
    BACKEND_SYMBOL(idle, "accelpool_backend_idle");
    BACKEND_SYMBOL(share, "accelpool_backend_share");
    BACKEND_SYMBOL(adopt, "accelpool_backend_adopt");
    BACKEND_SYMBOL(access, "accelpool_backend_access");
    return 0;
}
