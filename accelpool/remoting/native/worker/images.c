/* SPDX-License-Identifier: Apache-2.0 */
/* Module images: named by the SHA-256 that the worker computes itself, kept so that the same content loads again. */
#include <stdlib.h>
#include <string.h>

#include "modules.h"
#include "sha256.h"

#define IMAGES_LENGTH_MAX (UINT64_C(1) << 29)   /* bytes of one image */
#define IMAGES_CACHE_MAX (UINT64_C(128) << 20) /* bytes of images kept */

static void image_free(struct image *image)
{
    free(image->bytes);
    free(image);
}

void image_release(struct session *s, struct image *image)
{
    pthread_mutex_lock(&s->modules->lock);
    unsigned left = --image->references;
    pthread_mutex_unlock(&s->modules->lock);
    if (left == 0)
        image_free(image);
}

struct image *image_find(struct session *s, const struct wire_module_call *wire)
{
    struct image *image;

    pthread_mutex_lock(&s->modules->lock);
    for (image = s->modules->images; image; image = image->next)
        if (image->length == wire->length && image->kind == wire->image &&
            memcmp(image->sha256, wire->sha256, sizeof image->sha256) == 0)
            break;
    if (image)
        image->references++;
    pthread_mutex_unlock(&s->modules->lock);
    return image;
}

void image_keep(struct session *s, struct image *image)
{
    struct modules *modules = s->modules;
    struct image *old, **at;

    if (image->length > IMAGES_CACHE_MAX / 4)
        return;
    pthread_mutex_lock(&modules->lock);
    image->references++;
    image->next = modules->images;
    modules->images = image;
    modules->image_bytes += image->length;
    while (modules->image_bytes > IMAGES_CACHE_MAX) {
        for (at = &modules->images; (*at)->next; at = &(*at)->next)
            ;
        old = *at;
        *at = NULL;
        modules->image_bytes -= old->length;
        if (--old->references == 0)
            image_free(old);
    }
    pthread_mutex_unlock(&modules->lock);
}

struct image *image_receive(struct session *s, uint64_t length, int *status)
{
    struct image *image = calloc(1, sizeof *image);
    struct bytes bytes = {0};
    struct sha256 hash;
    struct call data;

    *status = CU_SUCCESS;
    if (!image || length > IMAGES_LENGTH_MAX) {
        free(image);
        *status = CU_OUT_OF_MEMORY;
        if (data_discard(s, length))
            *status = -1;
        return NULL;
    }
    image->references = 1;
    image->length = length;
    sha256_start(&hash);
    for (uint64_t left = length; left; left -= data.length) {
        if (data_header(s, &data, left) || reader_payload(s, &data)) {
            free(bytes.data);
            free(image);
            *status = -1;
            return NULL;
        }
        sha256_add(&hash, data.payload, data.length);
        bytes_add(&bytes, data.payload, data.length); /* grows with what has come, not with what was announced */
    }
    sha256_end(&hash, image->sha256);
    bytes_add(&bytes, "", 1);
    if (bytes.failed) {
        free(image);
        *status = CU_OUT_OF_MEMORY;
        return NULL;
    }
    image->bytes = bytes.data;
    return image;
}

void images_close(struct modules *modules)
{
    for (struct image *image; (image = modules->images);) {
        modules->images = image->next;
        image_free(image);
    }
}
