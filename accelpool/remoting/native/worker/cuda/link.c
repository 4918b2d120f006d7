/* SPDX-License-Identifier: Apache-2.0 */
/* Link states. Inputs and the linked image may take a compiler's time, so both are worked on beside the stream. */
#include <stdlib.h>
#include <string.h>

#include "modules.h"

#define LINK_NAME_MAX 1024u
#define LINK_BYTES_MAX (UINT64_C(1) << 29) /* inputs of one link state */

struct link {
    pthread_mutex_t lock; /* one call at a time */
    atomic_uint references;
    void *vendor;
    int status;        /* of its creation: the next call that answers reports it */
    uint64_t length;   /* of all inputs */
    struct jit jit;    /* the vendor writes logs here as long as the state lives */
    struct image *inputs;
};

struct link_job {
    struct link *link;
    struct image *image;
    uint32_t input;
    char name[LINK_NAME_MAX];
};

static void link_release(struct link *link)
{
    if (atomic_fetch_sub(&link->references, 1) != 1)
        return;
    if (link->vendor)
        vendor.link_destroy(link->vendor);
    for (struct image *image; (image = link->inputs);) {
        link->inputs = image->next;
        free(image->bytes);
        free(image);
    }
    pthread_mutex_destroy(&link->lock);
    free(link);
}

static void link_drop_handle(void *link)
{
    link_release(link);
}

void links_close(struct session *s)
{
    handle_drain(s, HANDLE_LINK, link_drop_handle);
}

/* With a reference for a job. Only the main thread destroys, and this runs there too. */
static struct link *link_use(struct session *s, uint32_t id)
{
    struct link *link = handle_get(s, HANDLE_LINK, id);

    if (link)
        atomic_fetch_add(&link->references, 1);
    return link;
}

void link_create(struct session *s, const struct call *call)
{
    struct wire_jit_option options[WIRE_JIT_OPTIONS];
    struct decoder d = decoder_of(call);
    const uint32_t id = dec_u32(&d), count = dec_u32(&d);
    const void *values = count <= WIRE_JIT_OPTIONS ? dec_bytes(&d, count * sizeof *options) : NULL;
    struct link *link;

    if (!values || dec_done(&d)) {
        session_end(s, "LINK_CREATE: malformed");
        return;
    }
    link = calloc(1, sizeof *link);
    if (!link || pthread_mutex_init(&link->lock, NULL)) {
        free(link);
        call_status(s, call, CU_OUT_OF_MEMORY);
        return;
    }
    memcpy(options, values, count * sizeof *options);
    atomic_store(&link->references, 1);
    jit_start(&link->jit, options, count);
    link->status = vendor.link_create && vendor.link_add && vendor.link_complete && vendor.link_destroy
                       ? vendor.link_create(link->jit.count, link->jit.options, link->jit.values, &link->vendor)
                       : CU_NOT_SUPPORTED;
    if (handle_put(s, HANDLE_LINK, id, link)) {
        link_release(link);
        session_end(s, "LINK_CREATE: a handle that is in use or out of bounds");
        return;
    }
    call_status(s, call, CU_SUCCESS);
}

static void link_answer(struct session *s, const struct call *call, struct link *link, int status, const void *image,
                        size_t image_length)
{
    struct bytes body = {0};
    struct wire_link_reply reply = {0};
    size_t log_length;
    const char *log = jit_log(&link->jit, &log_length);

    bytes_add(&body, log, log_length);
    bytes_add(&body, image, status ? 0 : image_length);
    if (body.failed) {
        status = CU_OUT_OF_MEMORY;
        log_length = 0;
    }
    reply.log_length = (uint32_t)log_length;
    reply.body_length = body.length;
    send_joined(s, call, status, (uint8_t *)&reply + sizeof reply.reply, sizeof reply - sizeof reply.reply, &body);
    free(body.data);
}

static void link_drop(struct session *s, const struct call *call)
{
    struct link_job job;

    memcpy(&job, call->payload, sizeof job);
    if (job.image)
        image_release(s, job.image);
    link_release(job.link);
}

static void add_job(struct session *s, const struct call *call)
{
    struct link_job job;
    int status;

    memcpy(&job, call->payload, sizeof job);
    pthread_mutex_lock(&job.link->lock);
    status = job.link->status;
    job.image->next = job.link->inputs; /* until the state is destroyed: the vendor may keep a pointer */
    job.link->inputs = job.image;
    if (!status)
        status = vendor.link_add(job.link->vendor, (int)job.input, job.image->bytes, job.image->length, job.name, 0, NULL,
                                 NULL);
    link_answer(s, call, job.link, status, NULL, 0);
    pthread_mutex_unlock(&job.link->lock);
    link_release(job.link);
}

void link_add(struct session *s, const struct call *call)
{
    struct decoder d = decoder_of(call);
    const void *fixed = dec_bytes(&d, sizeof(struct wire_link_add));
    struct wire_link_add wire = {0};
    struct call copy = *call;
    struct link_job job = {0};
    const char *name;
    int status;

    if (fixed)
        memcpy(&wire, fixed, sizeof wire);
    name = wire.name_length <= LINK_NAME_MAX ? dec_string(&d, wire.name_length) : NULL;
    if (!fixed || !name || dec_done(&d) || !(call->flags & WIRE_WANT_REPLY) || wire.length == 0 ||
        wire.length > WIRE_MODULE_MAX) {
        session_end(s, "LINK_ADD: malformed");
        return;
    }
    memcpy(job.name, name, wire.name_length);
    job.input = wire.input;
    job.link = link_use(s, wire.link);
    if (!job.link || (job.link->length += wire.length) > LINK_BYTES_MAX) {
        if (data_discard(s, wire.length) == 0)
            call_status(s, &copy, job.link ? CU_OUT_OF_MEMORY : CU_INVALID_HANDLE);
        if (job.link)
            link_release(job.link);
        return;
    }
    job.image = image_receive(s, wire.length, &status);
    if (!job.image) {
        link_release(job.link);
        if (status >= 0)
            call_status(s, &copy, status);
        return;
    }
    copy.payload = (const uint8_t *)&job;
    copy.length = sizeof job;
    side_submit_owner(s, &copy, add_job, link_drop);
}

static void complete_job(struct session *s, const struct call *call)
{
    struct link_job job;
    void *image = NULL;
    size_t length = 0;
    int status;

    memcpy(&job, call->payload, sizeof job);
    pthread_mutex_lock(&job.link->lock);
    status = job.link->status;
    if (!status)
        status = vendor.link_complete(job.link->vendor, &image, &length);
    link_answer(s, call, job.link, status, image, length);
    pthread_mutex_unlock(&job.link->lock);
    link_release(job.link);
}

static int link_decode(struct session *s, const struct call *call, struct wire_link_handle *wire)
{
    if (call->length != sizeof *wire) {
        session_end(s, "LINK: malformed");
        return -1;
    }
    memcpy(wire, call->payload, sizeof *wire);
    return 0;
}

void link_complete(struct session *s, const struct call *call)
{
    struct wire_link_handle wire;
    struct call copy = *call;
    struct link_job job = {0};

    if (link_decode(s, call, &wire))
        return;
    job.link = link_use(s, wire.link);
    if (!job.link || !(call->flags & WIRE_WANT_REPLY)) {
        if (job.link)
            link_release(job.link);
        call_status(s, call, CU_INVALID_HANDLE);
        return;
    }
    copy.payload = (const uint8_t *)&job;
    copy.length = sizeof job;
    side_submit_owner(s, &copy, complete_job, link_drop);
}

void link_destroy(struct session *s, const struct call *call)
{
    struct wire_link_handle wire;
    struct link *link;

    if (link_decode(s, call, &wire))
        return;
    link = handle_take(s, HANDLE_LINK, wire.link);
    if (link)
        link_release(link);
    call_status(s, call, link ? CU_SUCCESS : CU_INVALID_HANDLE);
}
