/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries: modules that belong to no context. One is loaded on the device that was current, and on others when asked. */
#include <stdlib.h>
#include <string.h>

#include "module.h"

enum { LIBRARY_HOST_TABLE = 0, LIBRARY_BINARY_IS_PRESERVED = 1 }; /* CUlibraryOption */

struct library {
    uint64_t id;
    struct module *module;
};

static CUresult load(CUlibrary *library, const void *code, const struct jit *jit)
{
    struct context *context = context_current();
    struct library *loaded = calloc(1, sizeof *loaded);
    CUresult status = loaded ? 0 : CLIENT_OUT_OF_MEMORY;

    if (!status)
        status = module_load(context ? context->device : client_device(0), code, jit, WIRE_MODULE_LIBRARY, &loaded->module);
    if (!status) {
        loaded->id = handle_new(HANDLE_LIBRARY, NULL, loaded);
        status = loaded->id ? 0 : CLIENT_OUT_OF_MEMORY;
        if (status)
            module_unload(loaded->module);
    }
    if (status) {
        free(loaded);
        return status;
    }
    *library = loaded->module->library = handle_value(HANDLE_LIBRARY, loaded->id);
    return 0;
}

CUresult cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *jitOptions, void **jitOptionsValues,
                           unsigned int numJitOptions, CUlibraryOption *libraryOptions, void **libraryOptionValues,
                           unsigned int numLibraryOptions)
{
    struct jit jit;
    CUresult status = client_ready();

    if (status)
        return status;
    if (!library || !code || (numLibraryOptions && (!libraryOptions || !libraryOptionValues)))
        return CLIENT_INVALID_VALUE;
    for (unsigned i = 0; i < numLibraryOptions; i++)
        if (libraryOptions[i] != LIBRARY_BINARY_IS_PRESERVED)
            return libraryOptions[i] == LIBRARY_HOST_TABLE ? CLIENT_NOT_SUPPORTED : CLIENT_INVALID_VALUE;
    status = jit_read(&jit, numJitOptions, jitOptions, jitOptionsValues);
    return status ? status : load(library, code, &jit);
}

CUresult cuLibraryLoadFromFile(CUlibrary *library, const char *fileName, CUjit_option *jitOptions, void **jitOptionsValues,
                               unsigned int numJitOptions, CUlibraryOption *libraryOptions, void **libraryOptionValues,
                               unsigned int numLibraryOptions)
{
    size_t length;
    char *image = module_read_file(fileName, &length);
    CUresult status = image ? cuLibraryLoadData(library, image, jitOptions, jitOptionsValues, numJitOptions, libraryOptions,
                                                libraryOptionValues, numLibraryOptions)
                      : client_ready() ? CLIENT_NOT_INITIALIZED
                      : fileName       ? CLIENT_FILE_NOT_FOUND
                                       : CLIENT_INVALID_VALUE;

    free(image);
    return status;
}

static CUresult look_up(CUlibrary value, struct library **library)
{
    CUresult status = client_ready();

    if (status)
        return status;
    *library = handle_object(HANDLE_LIBRARY, value);
    return *library ? 0 : CLIENT_INVALID_HANDLE;
}

CUresult cuLibraryUnload(CUlibrary library)
{
    struct library *loaded;
    CUresult status = look_up(library, &loaded);

    if (status)
        return status;
    module_unload(loaded->module);
    handle_free(HANDLE_LIBRARY, loaded->id);
    free(loaded);
    return 0;
}

CUresult cuLibraryGetKernel(CUkernel *pKernel, CUlibrary library, const char *name)
{
    struct library *loaded;
    CUresult status = look_up(library, &loaded);

    if (status)
        return status;
    if (!pKernel || !name)
        return CLIENT_INVALID_VALUE;
    const struct kernel *kernel = module_kernel(loaded->module, name);
    if (!kernel)
        return CLIENT_NOT_FOUND;
    *pKernel = kernel_value(kernel);
    return 0;
}

CUresult cuLibraryGetModule(CUmodule *pMod, CUlibrary library)
{
    struct library *loaded;
    CUresult status = look_up(library, &loaded);

    if (!status && !pMod)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *pMod = handle_value(HANDLE_MODULE, loaded->module->id);
    return status;
}

CUresult cuLibraryGetGlobal(CUdeviceptr *dptr, size_t *bytes, CUlibrary library, const char *name)
{
    struct library *loaded;
    CUresult status = look_up(library, &loaded);

    if (!status && !name)
        status = CLIENT_INVALID_VALUE;
    return status ? status : module_give_global(loaded->module, name, dptr, bytes);
}

CUresult cuLibraryGetKernelCount(unsigned int *count, CUlibrary lib)
{
    struct library *loaded;
    CUresult status = look_up(lib, &loaded);

    if (!status && !count)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *count = loaded->module->kernel_count;
    return status;
}

CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned int numKernels, CUlibrary lib)
{
    struct library *loaded;
    CUresult status = look_up(lib, &loaded);

    if (!status && !kernels)
        status = CLIENT_INVALID_VALUE;
    for (uint32_t i = 0; !status && i < numKernels && i < loaded->module->kernel_count; i++)
        kernels[i] = kernel_value(&loaded->module->kernels[i]);
    return status;
}

CUresult cuKernelGetLibrary(CUlibrary *pLib, CUkernel kernel)
{
    const struct kernel *known = kernel_of(kernel);

    if (!pLib)
        return CLIENT_INVALID_VALUE;
    if (!known || !known->module->library)
        return CLIENT_INVALID_HANDLE;
    *pLib = known->module->library;
    return 0;
}
