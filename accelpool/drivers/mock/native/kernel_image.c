/* SPDX-License-Identifier: Apache-2.0 */
/* What a loader asks of a translated module. The module comes from our own translator; the checks catch a stale one. */
#include "kernel.h"

#include <string.h>

int kernel_module_check(const struct kernel_module *module)
{
    if (module->abi != KERNEL_ABI)
        return -1;
    for (uint32_t i = 0; i < module->global_count; i++) {
        const struct kernel_global *global = &module->globals[i];
        if (global->init_size > global->size || !global->align || (global->align & (global->align - 1u)))
            return -1;
    }
    for (uint32_t i = 0; i < module->relocation_count; i++) {
        const struct kernel_relocation *relocation = &module->relocations[i];
        if (relocation->global >= module->global_count || relocation->target >= module->global_count)
            return -1;
        uint64_t size = module->globals[relocation->global].size;
        if (size < 8 || relocation->offset > size - 8)
            return -1;
    }
    return 0;
}

void kernel_global_image(const struct kernel_module *module, uint32_t index, const uint64_t *bases, uint8_t *image)
{
    const struct kernel_global *global = &module->globals[index];
    if (global->init_size)
        memcpy(image, global->init, global->init_size);
    memset(image + global->init_size, 0, global->size - global->init_size);
    for (uint32_t i = 0; i < module->relocation_count; i++) {
        const struct kernel_relocation *relocation = &module->relocations[i];
        if (relocation->global != index)
            continue;
        uint64_t value = bases[relocation->target] + (uint64_t)relocation->addend;
        memcpy(image + relocation->offset, &value, sizeof value);
    }
}
