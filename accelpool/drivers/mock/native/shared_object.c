/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translated modules, opened once each. The same PTX text gives the same object, and the last few that nobody uses
 * stay open, so that linking and then loading, or loading twice, translates once.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emu.h"
#include "kernel.h"

#define KEPT 8u
#define LOG_BYTES 16384u

static struct image *images; /* api lock */
static unsigned long long clock_now;

static uint64_t hash_of(const char *text) {
    uint64_t hash = 14695981039346656037ull; /* FNV-1a */
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 1099511628211ull;
    return hash;
}

/* Api lock held. */
static struct image *find_text(uint64_t hash, const char *ptx) {
    for (struct image *image = images; image; image = image->next)
        if (image->hash == hash && !strcmp(image->ptx, ptx))
            return image;
    return NULL;
}

static void destroy(struct image *image) {
    if (image->library)
        dlclose(image->library);
    if (image->fd >= 0)
        close(image->fd);
    free(image->ptx);
    free(image);
}

/* Api lock held: beyond the last few, unused images go. */
static void trim(void) {
    for (;;) {
        unsigned unused = 0;
        struct image **oldest = NULL;
        for (struct image **link = &images; *link; link = &(*link)->next) {
            if ((*link)->references)
                continue;
            unused++;
            if (!oldest || (*link)->stamp < (*oldest)->stamp)
                oldest = link;
        }
        if (unused <= KEPT)
            return;
        struct image *image = *oldest;
        *oldest = image->next;
        destroy(image);
    }
}

/*
 * The loader knows objects by the name they were opened with. This spelling is nobody else's, and the descriptor stays
 * open as long as the object, so the name is never that of another one.
 */
static void *open_object(int fd) {
    char path[48];
    snprintf(path, sizeof path, "/proc/self/fd//%d", fd);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static CUresult attach(struct image *image, char *log) {
    image->library = open_object(image->fd);
    image->module = image->library ? dlsym(image->library, KERNEL_MODULE_SYMBOL) : NULL;
    if (image->module && !kernel_module_check(image->module))
        return CUDA_SUCCESS;
    const char *reason = image->library ? "the translated module does not fit this library" : dlerror();
    snprintf(log, LOG_BYTES, "%s", reason ? reason : "dlopen failed");
    return CUDA_ERROR_SHARED_OBJECT_INIT_FAILED;
}

static CUresult make(const char *ptx, const struct jit_log *jit, struct image **result) {
    struct image *image = calloc(1, sizeof *image);
    char *log = malloc(LOG_BYTES);
    CUresult status = CUDA_ERROR_OUT_OF_MEMORY;
    if (image && log) {
        image->fd = -1;
        image->hash = hash_of(ptx);
        image->ptx = strdup(ptx);
        status = image->ptx ? translate(ptx, strlen(ptx), &image->fd, log, LOG_BYTES) : CUDA_ERROR_OUT_OF_MEMORY;
    }
    api_lock();
    struct image *twin = status == CUDA_SUCCESS ? find_text(image->hash, ptx) : NULL; /* another thread was faster */
    if (twin) {
        destroy(image);
        image = twin;
    } else if (status == CUDA_SUCCESS) {
        status = attach(image, log);
    }
    if (status == CUDA_SUCCESS && !twin) {
        image->next = images;
        images = image;
    }
    if (status == CUDA_SUCCESS)
        image->references++;
    api_unlock();
    if (status != CUDA_SUCCESS) {
        if (log)
            jit_log_write(jit, log);
        if (image)
            destroy(image);
        image = NULL;
    }
    free(log);
    *result = image;
    return status;
}

CUresult image_open(const char *ptx, const struct jit_log *log, struct image **result) {
    api_lock();
    struct image *image = find_text(hash_of(ptx), ptx);
    if (image)
        image->references++;
    api_unlock();
    *result = image;
    return image ? CUDA_SUCCESS : make(ptx, log, result);
}

/* Api lock held. */
void image_close(struct image *image) {
    image->references--;
    image->stamp = ++clock_now;
    trim();
}
