/* SPDX-License-Identifier: Apache-2.0 */
/* What the client gets to know about a module in one answer: kernels, parameters, attributes, addresses of variables. */
#include <stdlib.h>
#include <string.h>

#include "modules.h"

#define TABLE_PARAMETERS_MAX 4096u

static int kernel_parameter(const struct module *module, const struct module_kernel *kernel, size_t index,
                            size_t *offset, size_t *size)
{
    return module->is_library ? vendor.kernel_param(kernel->vendor, index, offset, size)
                              : vendor.function_param(kernel->vendor, index, offset, size);
}

static void table_kernel(struct module *module, struct module_kernel *kernel, struct bytes *table)
{
    const int known = module->is_library ? vendor.kernel_param != NULL : vendor.function_param != NULL;
    struct wire_kernel wire = {.parameter_count = known ? 0 : UINT32_MAX};
    const char *name = NULL;
    const size_t start = table->length;
    size_t offset, size;
    int status = module->is_library ? vendor.kernel_name(&name, kernel->vendor)
                                    : vendor.function_name(&name, kernel->vendor);

    if (status || !name)
        name = "";
    wire.name_length = (uint32_t)strlen(name) + 1;
    for (int i = 0; i < WIRE_FUNCTION_ATTRIBUTES; i++) {
        int value = 0;

        status = module->is_library
                     ? vendor.kernel_attribute ? vendor.kernel_attribute(&value, i, kernel->vendor, vendor.device) : -1
                     : vendor.function_attribute ? vendor.function_attribute(&value, i, kernel->vendor) : -1;
        wire.attributes[i] = status ? WIRE_ATTRIBUTE_NONE : value;
    }
    bytes_add(table, &wire, sizeof wire);
    kernel->parameter_bytes = known ? 0 : UINT32_MAX;
    while (known && wire.parameter_count < TABLE_PARAMETERS_MAX &&
           !kernel_parameter(module, kernel, wire.parameter_count, &offset, &size)) {
        const struct wire_parameter parameter = {(uint32_t)offset, (uint32_t)size};

        bytes_add(table, &parameter, sizeof parameter);
        if (offset + size > kernel->parameter_bytes)
            kernel->parameter_bytes = (uint32_t)(offset + size);
        wire.parameter_count++;
    }
    if (!table->failed)
        memcpy(table->data + start, &wire, sizeof wire);
    bytes_add(table, name, wire.name_length);
}

int table_kernels(struct module *module, struct bytes *table)
{
    unsigned count = 0;
    void **vendors;
    int status;

    if (module->is_library ? !vendor.library_kernel_count || !vendor.library_kernels || !vendor.kernel_name ||
                                 !vendor.kernel_function
                           : !vendor.module_function_count || !vendor.module_functions || !vendor.function_name)
        return CU_NOT_SUPPORTED;
    status = module->is_library ? vendor.library_kernel_count(&count, module->vendor)
                                : vendor.module_function_count(&count, module->vendor);
    if (status || count == 0)
        return status;
    vendors = calloc(count, sizeof *vendors);
    module->kernels = calloc(count, sizeof *module->kernels);
    if (!vendors || !module->kernels)
        status = CU_OUT_OF_MEMORY;
    else
        status = module->is_library ? vendor.library_kernels(vendors, count, module->vendor)
                                    : vendor.module_functions(vendors, count, module->vendor);
    for (unsigned i = 0; i < count && !status; i++) {
        struct module_kernel *kernel = &module->kernels[i];

        kernel->vendor = kernel->function = vendors[i];
        if (module->is_library)
            status = vendor.kernel_function(&kernel->function, kernel->vendor);
        table_kernel(module, kernel, table);
    }
    module->kernel_count = count;
    free(vendors);
    return status;
}

struct global_search {
    struct module *module;
    struct bytes *table, globals;
};

static void global_found(void *opaque, const char *name, size_t length)
{
    struct global_search *search = opaque;
    struct module *module = search->module;
    struct wire_global global = {.name_length = (uint32_t)length + 1};
    char text[1024];
    uint64_t address = 0;
    size_t size = 0;

    if (length >= sizeof text)
        return;
    memcpy(text, name, length);
    text[length] = 0;
    if (module->is_library ? !vendor.library_global || vendor.library_global(&address, &size, module->vendor, text)
                           : !vendor.module_global || vendor.module_global(&address, &size, module->vendor, text))
        return; /* declared here, defined elsewhere, or not used and left out */
    global.address = address;
    global.size = size;
    bytes_add(search->table, &global, sizeof global);
    bytes_add(search->table, text, length + 1);
    bytes_add(&search->globals, &global, sizeof global);
    module->charged += (size + 255) / 256 * 256;
}

int table_globals(struct module *module, const struct image *image, struct bytes *table)
{
    struct global_search search = {.module = module, .table = table};

    if (image->kind == WIRE_IMAGE_PTX)
        ptx_variables((const char *)image->bytes, image->length, global_found, &search);
    else if (image->kind == WIRE_IMAGE_FATBIN)
        fatbin_variables(image->bytes, image->length, global_found, &search);
    module->globals = (struct wire_global *)search.globals.data;
    module->global_count = (uint32_t)(search.globals.length / sizeof *module->globals);
    return search.globals.failed || table->failed ? CU_OUT_OF_MEMORY : CU_SUCCESS;
}
