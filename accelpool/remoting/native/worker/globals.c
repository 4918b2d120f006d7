/* SPDX-License-Identifier: Apache-2.0 */
/* Variables of loaded modules: paid for, and the session's to copy from and to. */
#include <stdlib.h>

#include "modules.h"

int module_pay(struct session *s, struct module *module, uint64_t size)
{
    const uint64_t due = size > s->params->memory_limit ? UINT64_MAX : (size + 255) / 256 * 256;
    int status;

    if (due <= module->charged)
        return CU_SUCCESS;
    status = memory_charge(s, due - module->charged);
    if (!status)
        module->charged = due;
    return status;
}

int module_contains(struct session *s, uint64_t address, uint64_t length)
{
    int inside = 0;

    pthread_mutex_lock(&s->modules->lock);
    for (const struct module *module = s->modules->loaded; module && !inside; module = module->next)
        for (uint32_t i = 0; i < module->global_count && !inside; i++) {
            const struct wire_global *global = &module->globals[i];

            inside = address >= global->address && length <= global->size &&
                     address - global->address <= global->size - length;
        }
    pthread_mutex_unlock(&s->modules->lock);
    return inside;
}

/* Whether one of the known variables begins there. */
static int module_has(const struct module *module, uint64_t address)
{
    uint32_t i = 0;

    while (i < module->global_count && module->globals[i].address != address)
        i++;
    return i < module->global_count;
}

/* A variable that is paid for and found by name belongs to the session. */
static int module_add(struct session *s, struct module *module, const struct wire_global *variable)
{
    uint64_t told = module->told;
    struct wire_global *grown;
    int status;

    if (module_has(module, variable->address)) /* only this thread adds */
        return CU_SUCCESS;
    variables_add(&told, variable->size);
    status = module_pay(s, module, told);
    if (status)
        return status;
    module->told = told;
    pthread_mutex_lock(&s->modules->lock);
    grown = realloc(module->globals, (module->global_count + 1) * sizeof *grown);
    if (grown) {
        module->globals = grown;
        grown[module->global_count++] = *variable;
    }
    pthread_mutex_unlock(&s->modules->lock);
    return grown ? CU_SUCCESS : CU_OUT_OF_MEMORY;
}

void module_global(struct session *s, const struct call *call)
{
    struct decoder d = decoder_of(call);
    const uint32_t id = dec_u32(&d), length = dec_u32(&d);
    const char *name = dec_string(&d, length);
    struct wire_global variable = {0};
    struct module *module;
    int status;

    if (dec_done(&d) || !(call->flags & WIRE_WANT_REPLY)) {
        session_end(s, "GLOBAL: malformed");
        return;
    }
    module = handle_get(s, HANDLE_MODULE, id);
    status = module ? module_variable(module, name, &variable) : CU_INVALID_HANDLE;
    if (!status)
        status = module_add(s, module, &variable);
    const uint64_t body[2] = {variable.address, variable.size};
    call_reply(s, call, status, body, status ? 0 : sizeof body);
}
