/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries and kernels: the context-independent form of modules and functions. A context's module is made on first use. */
#include <stdlib.h>
#include <string.h>

#include "emu.h"
#include "kernel.h"

struct library_kernel {
    CUkernel handle;
    struct library *library;
    uint32_t index;
    struct settings settings;
};

struct library {
    CUlibrary handle;
    struct image *image;
    struct library_kernel *kernels;
    struct module *modules; /* api lock: at most one per context */
};

static void library_destroy(struct library *library) {
    handle_drop((uint64_t)library->handle);
    for (uint32_t i = 0; library->kernels && i < library->image->module->function_count; i++)
        handle_drop((uint64_t)library->kernels[i].handle);
    image_close(library->image);
    free(library->kernels);
    free(library);
}

static CUresult library_new(struct image *image, CUlibrary *handle) {
    struct library *library = calloc(1, sizeof *library);
    if (!library) {
        image_close(image);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    uint32_t count = image->module->function_count;
    library->image = image;
    library->handle = (CUlibrary)handle_new(HANDLE_LIBRARY, library);
    library->kernels = calloc(count + 1u, sizeof *library->kernels);
    bool complete = library->handle && library->kernels;
    for (uint32_t i = 0; complete && i < count; i++) {
        struct library_kernel *kernel = &library->kernels[i];
        *kernel = (struct library_kernel){.library = library, .index = i, .settings = {.max_dynamic_shared = -1, .carveout = -1}};
        kernel->handle = (CUkernel)handle_new(HANDLE_KERNEL, kernel);
        complete = kernel->handle != NULL;
    }
    if (!complete) {
        library_destroy(library);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *handle = library->handle;
    return CUDA_SUCCESS;
}

/* Api lock held. */
static CUresult library_module(struct library *library, struct context *context, struct module **module) {
    for (*module = library->modules; *module; *module = (*module)->next_of_library)
        if ((*module)->context == context)
            return CUDA_SUCCESS;
    library->image->references++;
    TRY(module_new(context, library->image, module));
    (*module)->library = library;
    (*module)->next_of_library = library->modules;
    library->modules = *module;
    for (uint32_t i = 0; i < library->image->module->function_count; i++)
        (*module)->functions[i].settings = library->kernels[i].settings;
    return CUDA_SUCCESS;
}

void library_forget(struct module *module) {
    struct module **link = &module->library->modules;
    while (*link && *link != module)
        link = &(*link)->next_of_library;
    if (*link)
        *link = module->next_of_library;
}

static CUresult library_find(CUlibrary handle, struct library **library) {
    TRY(initialised());
    *library = handle_object(HANDLE_LIBRARY, (uint64_t)handle);
    return *library ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUresult kernel_find(CUkernel handle, struct library_kernel **kernel) {
    TRY(initialised());
    *kernel = handle_object(HANDLE_KERNEL, (uint64_t)handle);
    return *kernel ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult library_function(uint64_t handle, struct context *context, struct function **function) {
    struct module *module;
    struct library_kernel *kernel = handle_object(HANDLE_KERNEL, handle);
    if (!kernel)
        return CUDA_ERROR_INVALID_HANDLE;
    api_lock();
    CUresult status = library_module(kernel->library, context, &module);
    if (status == CUDA_SUCCESS)
        *function = &module->functions[kernel->index];
    api_unlock();
    return status;
}

API CUresult cuLibraryLoadData(CUlibrary *handle, const void *code, int *options, void **values, unsigned count,
                               int *library_options, void **library_values, unsigned library_count) {
    struct image *image;
    TRY(initialised());
    if (!handle || (library_count && !library_options))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < library_count; i++)
        if (library_options[i] < 0 || library_options[i] > CU_LIBRARY_BINARY_IS_PRESERVED)
            return CUDA_ERROR_INVALID_VALUE;
    (void)library_values; /* the code is copied in any case */
    TRY(image_load(code, count, options, values, &image));
    api_lock();
    CUresult status = library_new(image, handle);
    api_unlock();
    return status;
}

API CUresult cuLibraryLoadFromFile(CUlibrary *handle, const char *name, int *options, void **values, unsigned count,
                                   int *library_options, void **library_values, unsigned library_count) {
    void *data;
    size_t size;
    TRY(initialised());
    if (!handle || !name)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(file_read(name, &data, &size));
    CUresult status = size < 16 ? CUDA_ERROR_INVALID_IMAGE
                                : cuLibraryLoadData(handle, data, options, values, count, library_options,
                                                    library_values, library_count);
    free(data);
    return status;
}

API CUresult cuLibraryUnload(CUlibrary handle) {
    struct library *library;
    TRY(library_find(handle, &library));
    device_drain();
    api_lock();
    while (library->modules)
        module_free(library->modules);
    library_destroy(library);
    api_unlock();
    return CUDA_SUCCESS;
}

API CUresult cuLibraryGetKernel(CUkernel *kernel, CUlibrary handle, const char *name) {
    struct library *library;
    TRY(library_find(handle, &library));
    if (!kernel || !name || !*name)
        return CUDA_ERROR_INVALID_VALUE;
    const struct kernel_module *image = library->image->module;
    for (uint32_t i = 0; i < image->function_count; i++) {
        if (!strcmp(image->functions[i].name, name)) {
            *kernel = library->kernels[i].handle;
            return CUDA_SUCCESS;
        }
    }
    return CUDA_ERROR_NOT_FOUND;
}

API CUresult cuLibraryGetKernelCount(unsigned *count, CUlibrary handle) {
    struct library *library;
    TRY(library_find(handle, &library));
    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    *count = library->image->module->function_count;
    return CUDA_SUCCESS;
}

API CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned count, CUlibrary handle) {
    struct library *library;
    TRY(library_find(handle, &library));
    if (!kernels)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count && i < library->image->module->function_count; i++)
        kernels[i] = library->kernels[i].handle;
    return CUDA_SUCCESS;
}

API CUresult cuLibraryGetModule(CUmodule *handle, CUlibrary library_handle) {
    struct library *library;
    struct context *context;
    struct module *module;
    TRY(library_find(library_handle, &library));
    TRY(context_enter(&context));
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    api_lock();
    CUresult status = library_module(library, context, &module);
    api_unlock();
    if (status == CUDA_SUCCESS)
        *handle = module->handle;
    return status;
}

API CUresult cuLibraryGetGlobal(CUdeviceptr *address, size_t *size, CUlibrary handle, const char *name) {
    struct library *library;
    struct context *context;
    struct module *module;
    TRY(library_find(handle, &library));
    TRY(context_enter(&context));
    if (!name)
        return CUDA_ERROR_INVALID_VALUE;
    api_lock();
    CUresult status = library_module(library, context, &module);
    api_unlock();
    return status == CUDA_SUCCESS ? module_global(module, name, address, size) : status;
}

API CUresult cuLibraryGetManaged(CUdeviceptr *address, size_t *size, CUlibrary handle, const char *name) {
    struct library *library;
    (void)address, (void)size;
    TRY(library_find(handle, &library));
    return name ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_VALUE; /* no managed memory on this device */
}

API CUresult cuKernelGetFunction(CUfunction *handle, CUkernel kernel) {
    struct context *context;
    struct function *function;
    TRY(context_enter(&context));
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(library_function((uint64_t)kernel, context, &function));
    *handle = function->handle;
    return CUDA_SUCCESS;
}

API CUresult cuKernelGetLibrary(CUlibrary *library, CUkernel handle) {
    struct library_kernel *kernel;
    TRY(kernel_find(handle, &kernel));
    if (!library)
        return CUDA_ERROR_INVALID_VALUE;
    *library = kernel->library->handle;
    return CUDA_SUCCESS;
}

static const struct kernel_function *entry_of(const struct library_kernel *kernel) {
    return &kernel->library->image->module->functions[kernel->index];
}

API CUresult cuKernelGetName(const char **name, CUkernel handle) {
    struct library_kernel *kernel;
    TRY(kernel_find(handle, &kernel));
    if (!name)
        return CUDA_ERROR_INVALID_VALUE;
    *name = entry_of(kernel)->name;
    return CUDA_SUCCESS;
}

API CUresult cuKernelGetParamInfo(CUkernel handle, size_t index, size_t *offset, size_t *size) {
    struct library_kernel *kernel;
    TRY(kernel_find(handle, &kernel));
    if (!offset || index >= entry_of(kernel)->param_count)
        return CUDA_ERROR_INVALID_VALUE;
    *offset = entry_of(kernel)->params[index].offset;
    if (size)
        *size = entry_of(kernel)->params[index].size;
    return CUDA_SUCCESS;
}

API CUresult cuKernelGetAttribute(int *value, int attribute, CUkernel handle, CUdevice device) {
    struct library_kernel *kernel;
    TRY(device_check(device));
    TRY(kernel_find(handle, &kernel));
    if (!value)
        return CUDA_ERROR_INVALID_VALUE;
    return function_attribute(entry_of(kernel), &kernel->settings, attribute, value);
}

static void settings_spread(const struct library_kernel *kernel) {
    api_lock();
    for (struct module *module = kernel->library->modules; module; module = module->next_of_library)
        module->functions[kernel->index].settings = kernel->settings;
    api_unlock();
}

API CUresult cuKernelSetAttribute(int attribute, int value, CUkernel handle, CUdevice device) {
    struct library_kernel *kernel;
    TRY(device_check(device));
    TRY(kernel_find(handle, &kernel));
    TRY(function_set(entry_of(kernel), &kernel->settings, attribute, value));
    settings_spread(kernel);
    return CUDA_SUCCESS;
}

API CUresult cuKernelSetCacheConfig(CUkernel handle, int config, CUdevice device) {
    struct library_kernel *kernel;
    TRY(device_check(device));
    TRY(kernel_find(handle, &kernel));
    if (config < 0 || config > 3)
        return CUDA_ERROR_INVALID_VALUE;
    kernel->settings.cache_config = config;
    settings_spread(kernel);
    return CUDA_SUCCESS;
}
