/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules and libraries. Content is named by the SHA-256 that the worker computes itself; what it has seen in this session
 * need not be sent again. The answer to a load carries everything that the client would otherwise have to ask for: kernels,
 * their parameters and attributes, and the addresses of variables.
 */
#include <stdlib.h>
#include <string.h>

#include "modules.h"

struct load_job {
    struct wire_module_call wire;
    struct image *image; /* NULL: not known in this session, perhaps in the project */
    int fresh;           /* the agent has not got it */
};

int modules_open(struct session *s)
{
    s->modules = calloc(1, sizeof *s->modules);
    return s->modules && !pthread_mutex_init(&s->modules->lock, NULL) && !pthread_mutex_init(&s->modules->limits_lock, NULL)
               ? 0
               : -1;
}

/* --- load and unload --------------------------------------------------------------------------------------------- */

static void module_free(struct session *s, struct module *module)
{
    if (module->vendor) {
        if (module->is_library)
            vendor.library_unload(module->vendor);
        else
            vendor.module_unload(module->vendor);
    }
    if (module->charged)
        memory_discharge(s, module->charged);
    account_give(s, module->taken);
    free(module->kernels);
    free(module->globals);
    free(module);
}

static int module_start(struct module *module, const struct image *image, struct jit *jit)
{
    if (module->is_library)
        return vendor.library_load && vendor.library_unload
                   ? vendor.library_load(&module->vendor, image->bytes, jit->options, (void *)jit->values, jit->count,
                                         NULL, NULL, 0)
                   : CU_NOT_SUPPORTED;
    return vendor.module_load && vendor.module_unload
               ? vendor.module_load(&module->vendor, image->bytes, jit->count, jit->options, jit->values)
               : CU_NOT_SUPPORTED;
}

void module_release(struct session *s, struct module *module)
{
    if (atomic_fetch_sub(&module->references, 1) != 1)
        return;
    pthread_rwlock_wrlock(&s->memory.mapping); /* nobody copies from or to its variables */
    module_free(s, module);
    pthread_rwlock_unlock(&s->memory.mapping);
}

/* Paid for before it is loaded; what the image does not tell, as soon as the vendor does. */
static int module_load(struct session *s, struct module *module, const struct image *image, struct jit *jit, uint32_t later,
                       struct bytes *table)
{
    struct variables found = {0};
    int status = image_variables(image, &found);

    if (!status)
        status = module_pay(s, module, found.size);
    if (!status)
        status = account_take(s, found.code);
    if (!status) {
        module->taken = found.code;
        status = module_start(module, image, jit);
    }
    if (!status)
        status = table_kernels(module, later, table);
    if (!status)
        status = table_variables(module, &found.names, table, &module->told);
    if (!status)
        status = module_pay(s, module, module->told);
    free(found.names.data);
    return status;
}

void send_joined(struct session *s, const struct call *call, int32_t status, const void *head, size_t head_length,
                 const struct bytes *body)
{
    size_t at = 0, part = body->length < WIRE_CHUNK_MAX ? body->length : WIRE_CHUNK_MAX;
    struct bytes first = {0};

    bytes_add(&first, head, head_length);
    bytes_add(&first, body->data, part);
    if (first.failed) {
        session_end(s, "no memory for an answer");
        return;
    }
    send_chunk(s, call, status, first.data, first.length, part < body->length);
    free(first.data);
    while ((at += part) < body->length) {
        part = body->length - at < WIRE_CHUNK_MAX ? body->length - at : WIRE_CHUNK_MAX;
        send_chunk(s, call, status, body->data + at, part, at + part < body->length);
    }
}

/* reply has the table's counts; jit is NULL when the content is not known. */
static void module_answer(struct session *s, const struct call *call, int32_t status, struct wire_module_reply reply,
                          struct bytes *table, const struct jit *jit)
{
    size_t log_length = 0;
    const char *log = jit ? jit_log(jit, &log_length) : NULL;

    if (status)
        table->length = reply.kernel_count = reply.global_count = 0;
    bytes_add(table, log, log_length);
    reply.known = jit != NULL;
    reply.log_length = (uint32_t)log_length;
    reply.body_length = table->length;
    send_joined(s, call, status, (uint8_t *)&reply + sizeof reply.reply, sizeof reply - sizeof reply.reply, table);
}

static void load_job(struct session *s, const struct call *call)
{
    struct module *module = calloc(1, sizeof *module);
    struct jit *jit = calloc(1, sizeof *jit);
    struct wire_module_reply reply = {0};
    struct bytes table = {0};
    struct load_job job;
    int status = CU_OUT_OF_MEMORY;

    memcpy(&job, call->payload, sizeof job);
    if (!job.image && (job.image = content_find(s, &job.wire)))
        image_keep(s, job.image);
    if (!job.image) { /* MODULE_DATA comes next */
        module_answer(s, call, CU_SUCCESS, reply, &table, NULL);
        free(module);
        free(jit);
        return;
    }
    if (module && jit) {
        atomic_init(&module->references, 1);
        module->is_library = (job.wire.flags & WIRE_MODULE_LIBRARY) != 0;
        jit_start(jit, job.wire.options, job.wire.option_count);
        if ((job.image->kind == WIRE_IMAGE_BINARY) != (vendor.binary_load != NULL))
            status = CU_NOT_SUPPORTED; /* another vendor's */
        else if (vendor.binary_load) /* whose functions are asked for one by one */
            status = vendor.binary_load(&module->vendor, job.image->bytes, job.image->length, job.wire.options,
                                        job.wire.option_count);
        else
            status = module_load(s, module, job.image, jit, job.wire.flags & WIRE_MODULE_LATER, &table);
    }
    if (!status) {
        reply.kernel_count = module->kernel_count; /* once it is published, the main thread may unload it */
        reply.global_count = module->global_count;
        status = limits_loaded(s, module);
    }
    if (!status && handle_put(s, HANDLE_MODULE, job.wire.module, module))
        session_end(s, "MODULE: a handle that is in use or out of bounds");
    if (status && module) /* before the answer: what was paid for it is free again */
        module_free(s, module);
    module_answer(s, call, status, reply, &table, jit);
    if (!status && job.fresh)
        content_keep(s, job.image);
    image_release(s, job.image);
    free(table.data);
    free(jit);
}

static void load_drop(struct session *s, const struct call *call)
{
    struct load_job job;

    memcpy(&job, call->payload, sizeof job);
    if (job.image)
        image_release(s, job.image);
}

static void load_submit(struct session *s, const struct call *call, const struct wire_module_call *wire,
                        struct image *image, int fresh)
{
    const struct load_job job = {.wire = *wire, .image = image, .fresh = fresh};
    struct call copy = *call;

    copy.payload = (const uint8_t *)&job;
    copy.length = sizeof job;
    side_submit_owner(s, &copy, load_job, load_drop);
}

static int module_decode(struct session *s, const struct call *call, struct wire_module_call *wire)
{
    if (call->length == sizeof *wire && call->flags & WIRE_WANT_REPLY) {
        memcpy(wire, call->payload, sizeof *wire);
        if (wire->module && wire->module < HANDLE_LIMIT && wire->length <= WIRE_MODULE_MAX && wire->length > 0 &&
            wire->option_count <= WIRE_JIT_OPTIONS && wire->image >= WIRE_IMAGE_PTX && wire->image <= WIRE_IMAGE_BINARY)
            return 0;
    }
    session_end(s, "MODULE: malformed");
    return -1;
}

void module_offer(struct session *s, const struct call *call)
{
    struct wire_module_call wire;

    if (module_decode(s, call, &wire) == 0)
        load_submit(s, call, &wire, image_find(s, &wire), 0);
}

void module_data(struct session *s, const struct call *call)
{
    const struct call kept = *call;
    struct wire_module_call wire;
    struct image *image;
    int status;

    if (module_decode(s, call, &wire))
        return;
    image = image_receive(s, wire.length, &status);
    if (!image) {
        if (status >= 0)
            call_status(s, &kept, status);
        return;
    }
    if (memcmp(image->sha256, wire.sha256, sizeof image->sha256)) {
        image_release(s, image);
        session_end(s, "MODULE_DATA: not the content that was announced");
        return;
    }
    image->kind = wire.image;
    image_keep(s, image);
    load_submit(s, &kept, &wire, image, 1);
}

void module_unload(struct session *s, const struct call *call)
{
    struct wire_module_unload wire;
    struct module *module, **at;

    if (call->length != sizeof wire) {
        session_end(s, "MODULE_UNLOAD: malformed");
        return;
    }
    memcpy(&wire, call->payload, sizeof wire);
    module = handle_take(s, HANDLE_MODULE, wire.module);
    if (!module) {
        call_status(s, call, CU_INVALID_HANDLE);
        return;
    }
    pthread_mutex_lock(&s->modules->lock);
    for (at = &s->modules->loaded; *at != module; at = &(*at)->next)
        ;
    *at = module->next;
    pthread_mutex_unlock(&s->modules->lock);
    module_release(s, module);
    call_status(s, call, CU_SUCCESS);
}

/* --- what others ask --------------------------------------------------------------------------------------------- */

void *module_vendor(struct session *s, uint32_t id)
{
    const struct module *module = handle_get(s, HANDLE_MODULE, id);

    return module ? module->vendor : NULL;
}

void modules_close(struct session *s)
{
    struct modules *modules = s->modules;

    if (!modules)
        return;
    for (struct module *module; (module = modules->loaded);) {
        modules->loaded = module->next;
        module_free(s, module);
    }
    images_close(modules);
    pthread_mutex_destroy(&modules->limits_lock);
    pthread_mutex_destroy(&modules->lock);
    free(modules);
    s->modules = NULL;
}
