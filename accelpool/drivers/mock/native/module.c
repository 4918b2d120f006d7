/* SPDX-License-Identifier: Apache-2.0 */
/* Modules: a translated image in one context, with its globals in device memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu.h"
#include "kernel.h"

static CUresult globals_fill(struct module *module) {
    const struct kernel_module *image = module->image->module;
    for (uint32_t i = 0; i < image->global_count; i++) {
        uint64_t size = image->globals[i].size;
        uint8_t *bytes = size ? calloc(1, size) : NULL;
        if (!size)
            continue;
        if (!bytes)
            return CUDA_ERROR_OUT_OF_MEMORY;
        kernel_global_image(image, i, (const uint64_t *)module->globals, bytes);
        bool zero = bytes[0] == 0 && !memcmp(bytes, bytes + 1, size - 1);
        CUresult status = zero ? memory_fill(module->globals[i], 0, 1, size) : memory_write(module->globals[i], bytes, size);
        free(bytes);
        TRY(status);
    }
    return CUDA_SUCCESS;
}

static CUresult globals_make(struct module *module) {
    const struct kernel_module *image = module->image->module;
    for (uint32_t i = 0; i < image->global_count; i++)
        TRY(allocation_new(module->context, image->globals[i].size ? image->globals[i].size : 1, &module->globals[i]));
    return globals_fill(module);
}

static CUresult functions_make(struct module *module) {
    const struct kernel_module *image = module->image->module;
    for (uint32_t i = 0; i < image->function_count; i++) {
        struct function *function = &module->functions[i];
        function->entry = &image->functions[i];
        function->module = module;
        function->settings = (struct settings){.max_dynamic_shared = -1, .carveout = -1};
        function->handle = (CUfunction)handle_new(HANDLE_FUNCTION, function);
        if (!function->handle)
            return CUDA_ERROR_OUT_OF_MEMORY;
    }
    return CUDA_SUCCESS;
}

static void module_destroy(struct module *module) {
    const struct kernel_module *image = module->image->module;
    handle_drop((uint64_t)module->handle);
    for (uint32_t i = 0; module->functions && i < image->function_count; i++)
        handle_drop((uint64_t)module->functions[i].handle);
    for (uint32_t i = 0; module->globals && i < image->global_count; i++)
        if (module->globals[i])
            allocation_free(module->globals[i]);
    image_close(module->image);
    free(module->functions);
    free(module->globals);
    free(module);
}

CUresult module_new(struct context *context, struct image *image, struct module **result) {
    struct module *module = calloc(1, sizeof *module);
    if (!module) {
        image_close(image);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    module->context = context;
    module->image = image;
    module->globals = calloc(image->module->global_count + 1u, sizeof *module->globals);
    module->functions = calloc(image->module->function_count + 1u, sizeof *module->functions);
    module->handle = (CUmodule)handle_new(HANDLE_MODULE, module);
    CUresult status = module->globals && module->functions && module->handle ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    if (status == CUDA_SUCCESS)
        status = globals_make(module);
    if (status == CUDA_SUCCESS)
        status = functions_make(module);
    if (status != CUDA_SUCCESS) {
        module_destroy(module);
        return status;
    }
    module->next = context->modules;
    context->modules = module;
    *result = module;
    return CUDA_SUCCESS;
}

void module_free(struct module *module) {
    struct module **link = &module->context->modules;
    while (*link && *link != module)
        link = &(*link)->next;
    if (*link)
        *link = module->next;
    if (module->library)
        library_forget(module);
    module_destroy(module);
}

CUresult module_global(const struct module *module, const char *name, CUdeviceptr *address, size_t *size) {
    const struct kernel_module *image = module->image->module;
    for (uint32_t i = 0; i < image->global_count; i++) {
        const struct kernel_global *global = &image->globals[i];
        if (!global->visible || strcmp(global->name, name))
            continue;
        if (address)
            *address = module->globals[i];
        if (size)
            *size = global->size;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_NOT_FOUND;
}

CUresult file_read(const char *name, void **data, size_t *size) {
    FILE *file = fopen(name, "re");
    long length = -1;
    if (!file)
        return CUDA_ERROR_FILE_NOT_FOUND;
    if (!fseek(file, 0, SEEK_END))
        length = ftell(file);
    rewind(file);
    char *bytes = length >= 0 ? malloc((size_t)length + 1) : NULL;
    bool complete = bytes && fread(bytes, 1, (size_t)length, file) == (size_t)length;
    fclose(file);
    if (!complete) {
        free(bytes);
        return CUDA_ERROR_FILE_NOT_FOUND;
    }
    bytes[length] = '\0';
    *data = bytes;
    *size = (size_t)length;
    return CUDA_SUCCESS;
}

CUresult image_load(const void *image, unsigned count, const int *options, void **values, struct image **result) {
    struct jit_log log;
    char *ptx = NULL;
    TRY(jit_options(count, options, values, &log));
    TRY(image_text(image, 0, &ptx, &log));
    CUresult status = image_open(ptx, &log, result);
    free(ptx);
    return status;
}

API CUresult cuModuleLoadDataEx(CUmodule *handle, const void *data, unsigned count, int *options, void **values) {
    struct context *context;
    struct image *image;
    struct module *module;
    TRY(context_enter(&context));
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(image_load(data, count, options, values, &image));
    api_lock();
    CUresult status = module_new(context, image, &module);
    api_unlock();
    if (status == CUDA_SUCCESS)
        *handle = module->handle;
    return status;
}

API CUresult cuModuleLoadData(CUmodule *handle, const void *image) {
    return cuModuleLoadDataEx(handle, image, 0, NULL, NULL);
}

API CUresult cuModuleLoadFatBinary(CUmodule *handle, const void *image) {
    return cuModuleLoadDataEx(handle, image, 0, NULL, NULL);
}

API CUresult cuModuleLoad(CUmodule *handle, const char *name) {
    struct context *context;
    void *data;
    size_t size;
    TRY(context_enter(&context));
    if (!handle || !name)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(file_read(name, &data, &size));
    CUresult status = size < 16 ? CUDA_ERROR_INVALID_IMAGE : cuModuleLoadDataEx(handle, data, 0, NULL, NULL);
    free(data);
    return status;
}

static CUresult module_find(CUmodule handle, struct module **module) {
    TRY(initialised());
    *module = handle_object(HANDLE_MODULE, (uint64_t)handle);
    return *module ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

API CUresult cuModuleUnload(CUmodule handle) {
    struct module *module;
    TRY(module_find(handle, &module));
    if (module->library) /* it goes with its library */
        return CUDA_ERROR_INVALID_HANDLE;
    context_drain(module->context);
    api_lock();
    module_free(module);
    api_unlock();
    return CUDA_SUCCESS;
}

API CUresult cuModuleGetFunction(CUfunction *function, CUmodule handle, const char *name) {
    struct module *module;
    TRY(module_find(handle, &module));
    TRY(atomic_load(&module->context->error));
    if (!function || !name || !*name)
        return CUDA_ERROR_INVALID_VALUE;
    for (uint32_t i = 0; i < module->image->module->function_count; i++) {
        if (!strcmp(module->functions[i].entry->name, name)) {
            *function = module->functions[i].handle;
            return CUDA_SUCCESS;
        }
    }
    return CUDA_ERROR_NOT_FOUND;
}

API CUresult cuModuleGetFunctionCount(unsigned *count, CUmodule handle) {
    struct module *module;
    TRY(module_find(handle, &module));
    if (!count)
        return CUDA_ERROR_INVALID_VALUE;
    *count = module->image->module->function_count;
    return CUDA_SUCCESS;
}

API CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned count, CUmodule handle) {
    struct module *module;
    TRY(module_find(handle, &module));
    if (!functions)
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count && i < module->image->module->function_count; i++)
        functions[i] = module->functions[i].handle;
    return CUDA_SUCCESS;
}

API CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *size, CUmodule handle, const char *name) {
    struct module *module;
    TRY(module_find(handle, &module));
    TRY(atomic_load(&module->context->error));
    return name ? module_global(module, name, address, size) : CUDA_ERROR_INVALID_VALUE;
}

API CUresult cuModuleGetLoadingMode(int *mode) {
    TRY(initialised());
    if (!mode)
        return CUDA_ERROR_INVALID_VALUE;
    *mode = CU_MODULE_LAZY_LOADING;
    return CUDA_SUCCESS;
}
