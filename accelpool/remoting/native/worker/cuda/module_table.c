/* SPDX-License-Identifier: Apache-2.0 */
/* What the client gets to know about a module in one answer: kernels, parameters, attributes, addresses of variables. */
#include <stdlib.h>
#include <string.h>

#include "modules.h"

#define TABLE_PARAMETERS_MAX 4096u
#define TABLE_KERNELS 32u /* of a module whose kernels the driver is asked about at once */
#define ATTRIBUTE_LOCAL_SIZE 3 /* CUfunction_attribute */

static int kernel_parameter(const struct module *module, const struct module_kernel *kernel, size_t index,
                            size_t *offset, size_t *size)
{
    return module->is_library ? vendor.kernel_param(kernel->vendor, index, offset, size)
                              : vendor.function_param(kernel->vendor, index, offset, size);
}

int kernel_describe(const struct module *module, const struct module_kernel *kernel, struct kernel_facts *facts,
                    struct bytes *table)
{
    const int known = module->is_library ? vendor.kernel_param != NULL : vendor.function_param != NULL;
    struct wire_kernel wire = {.parameter_count = known ? 0 : UINT32_MAX};
    const size_t start = table->length;
    size_t offset, size;
    int status;

    *facts = (struct kernel_facts){.function = kernel->vendor, .parameter_bytes = known ? 0 : UINT32_MAX};
    status = module->is_library ? vendor.kernel_function(&facts->function, kernel->vendor) : CU_SUCCESS;
    if (status)
        return status;
    for (int i = 0; i < WIRE_FUNCTION_ATTRIBUTES; i++) {
        int value = 0;

        status = module->is_library
                     ? vendor.kernel_attribute ? vendor.kernel_attribute(&value, i, kernel->vendor, vendor.device) : -1
                     : vendor.function_attribute ? vendor.function_attribute(&value, i, kernel->vendor) : -1;
        wire.attributes[i] = status ? WIRE_ATTRIBUTE_NONE : value;
    }
    if (wire.attributes[ATTRIBUTE_LOCAL_SIZE] > 0)
        facts->local = (uint32_t)wire.attributes[ATTRIBUTE_LOCAL_SIZE];
    bytes_add(table, &wire, sizeof wire);
    while (known && wire.parameter_count < TABLE_PARAMETERS_MAX &&
           !kernel_parameter(module, kernel, wire.parameter_count, &offset, &size)) {
        const struct wire_parameter parameter = {(uint32_t)offset, (uint32_t)size};

        bytes_add(table, &parameter, sizeof parameter);
        if (offset + size > facts->parameter_bytes)
            facts->parameter_bytes = (uint32_t)(offset + size);
        wire.parameter_count++;
    }
    if (table->failed)
        return CU_OUT_OF_MEMORY;
    memcpy(table->data + start, &wire, sizeof wire);
    return CU_SUCCESS;
}

void kernel_publish(struct module_kernel *kernel, const struct kernel_facts *facts)
{
    if (atomic_load_explicit(&kernel->function, memory_order_relaxed))
        return; /* the main thread may be reading */
    kernel->parameter_bytes = facts->parameter_bytes;
    atomic_store_explicit(&kernel->function, facts->function, memory_order_release);
}

static int table_kernel(struct module *module, struct module_kernel *kernel, uint32_t later, struct bytes *table)
{
    struct wire_kernel wire = {.parameter_count = WIRE_KERNEL_LATER};
    const char *name = NULL;
    const size_t start = table->length;
    struct kernel_facts facts = {0};
    int status = module->is_library ? vendor.kernel_name(&name, kernel->vendor)
                                    : vendor.function_name(&name, kernel->vendor);

    if (status || !name)
        name = "";
    if (later) {
        for (int i = 0; i < WIRE_FUNCTION_ATTRIBUTES; i++)
            wire.attributes[i] = WIRE_ATTRIBUTE_NONE;
        bytes_add(table, &wire, sizeof wire);
    } else {
        status = kernel_describe(module, kernel, &facts, table);
        if (status)
            return status;
        kernel_publish(kernel, &facts);
        module->local = facts.local > module->local ? facts.local : module->local;
    }
    wire.name_length = (uint32_t)strlen(name) + 1;
    bytes_add(table, name, wire.name_length);
    if (table->failed)
        return CU_OUT_OF_MEMORY;
    memcpy(table->data + start + offsetof(struct wire_kernel, name_length), &wire.name_length, sizeof wire.name_length);
    return CU_SUCCESS;
}

int table_kernels(struct module *module, uint32_t later, struct bytes *table)
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
        module->kernels[i].vendor = vendors[i];
        status = table_kernel(module, &module->kernels[i], later && count > TABLE_KERNELS, table);
    }
    module->kernel_count = count;
    free(vendors);
    return status;
}

/* --- variables --------------------------------------------------------------------------------------------------- */

#define ATTRIBUTE_CAPABILITY_MAJOR 75 /* CUdevice_attribute */
#define ATTRIBUTE_CAPABILITY_MINOR 76

static int capability(void)
{
    int major, minor;

    return vendor.device_attribute && !vendor.device_attribute(&major, ATTRIBUTE_CAPABILITY_MAJOR, vendor.device) &&
                   !vendor.device_attribute(&minor, ATTRIBUTE_CAPABILITY_MINOR, vendor.device)
               ? 10 * major + minor
               : 0;
}

int image_variables(const struct image *image, struct variables *found)
{
    int broken = 0;

    if (image->kind == WIRE_IMAGE_PTX)
        ptx_variables((const char *)image->bytes, image->length, found);
    else if (image->kind == WIRE_IMAGE_FATBIN)
        broken = fatbin_variables(image->bytes, image->length, capability(), found);
    else
        broken = cubin_variables(image->bytes, image->length, found);
    return found->names.failed ? CU_OUT_OF_MEMORY : broken ? CU_INVALID_IMAGE : CU_SUCCESS;
}

int module_variable(const struct module *module, const char *name, struct wire_global *variable)
{
    size_t size = 0;
    int status = CU_NOT_FOUND;

    *variable = (struct wire_global){.name_length = (uint32_t)strlen(name) + 1};
    if (module->is_library ? vendor.library_global != NULL : vendor.module_global != NULL) {
        uint64_t address = 0;

        status = module->is_library ? vendor.library_global(&address, &size, module->vendor, name)
                                    : vendor.module_global(&address, &size, module->vendor, name);
        variable->address = address;
    }
    variable->size = size;
    return status;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int table_variables(struct module *module, const struct bytes *names, struct bytes *table, uint64_t *told)
{
    struct bytes sorted = {0}, variables = {0};
    struct wire_global variable;

    for (size_t at = 0; at < names->length;) {
        const char *name = (const char *)names->data + at;

        bytes_add(&sorted, &name, sizeof name);
        at += strlen(name) + 1;
    }
    const char **each = (const char **)sorted.data;
    const size_t count = sorted.length / sizeof *each;
    if (count)
        qsort(each, count, sizeof *each, compare);
    for (size_t i = 0; i < count; i++) {
        if ((i && !strcmp(each[i], each[i - 1])) || module_variable(module, each[i], &variable))
            continue; /* declared here, defined elsewhere, or not used and left out */
        bytes_add(table, &variable, sizeof variable);
        bytes_add(table, each[i], variable.name_length);
        bytes_add(&variables, &variable, sizeof variable);
        variables_add(told, variable.size);
    }
    module->globals = (struct wire_global *)variables.data;
    module->global_count = (uint32_t)(variables.length / sizeof *module->globals);
    free(sorted.data);
    return sorted.failed || variables.failed || table->failed ? CU_OUT_OF_MEMORY : CU_SUCCESS;
}
