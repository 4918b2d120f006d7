/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linker: collects PTX and gives back PTX. Several inputs are put one behind the other, each with its own .version
 * line, which the translator takes as separate units to be linked.
 */
#include <stdlib.h>
#include <string.h>

#include "emu.h"

struct link {
    pthread_mutex_t lock;
    char *text;
    size_t length;
    unsigned inputs;
    struct jit_log log;
    struct image *image; /* keeps the translation for the load that follows */
};

static CUresult link_find(CUlinkState handle, struct link **link) {
    TRY(initialised());
    *link = handle_object(HANDLE_LINK, (uint64_t)handle);
    return *link ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

API CUresult cuLinkCreate_v2(unsigned count, int *options, void **values, CUlinkState *handle) {
    struct context *context;
    struct jit_log log;
    TRY(context_enter(&context));
    if (!handle)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(jit_options(count, options, values, &log));
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        return CUDA_ERROR_OUT_OF_MEMORY;
    link->log = log;
    pthread_mutex_init(&link->lock, NULL);
    *handle = (CUlinkState)handle_new(HANDLE_LINK, link);
    if (*handle)
        return CUDA_SUCCESS;
    free(link);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult append(struct link *link, const char *ptx) {
    size_t length = strlen(ptx);
    pthread_mutex_lock(&link->lock);
    char *text = realloc(link->text, link->length + length + 2);
    if (text) {
        link->text = text;
        memcpy(text + link->length, ptx, length);
        link->length += length;
        text[link->length++] = '\n';
        text[link->length] = '\0';
        link->inputs++;
    }
    pthread_mutex_unlock(&link->lock);
    return text ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

API CUresult cuLinkAddData_v2(CUlinkState handle, int type, void *data, size_t size, const char *name, unsigned count,
                              int *options, void **values) {
    struct link *link;
    struct jit_log log;
    char *ptx = NULL;
    (void)name;
    TRY(link_find(handle, &link));
    if (!data || !size || type < CU_JIT_INPUT_CUBIN || type > CU_JIT_INPUT_NVVM)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(jit_options(count, options, values, &log));
    if (type != CU_JIT_INPUT_PTX && type != CU_JIT_INPUT_FATBINARY) {
        jit_log_write(&link->log, "an emulated device links PTX only");
        return type == CU_JIT_INPUT_NVVM ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    CUresult status = image_text(data, size, &ptx, &link->log);
    if (status == CUDA_ERROR_INVALID_IMAGE && type == CU_JIT_INPUT_PTX) {
        jit_log_write(&link->log, "PTX must begin with .version");
        status = CUDA_ERROR_INVALID_PTX;
    }
    if (status == CUDA_SUCCESS)
        status = append(link, ptx);
    free(ptx);
    return status;
}

API CUresult cuLinkAddFile_v2(CUlinkState handle, int type, const char *path, unsigned count, int *options,
                              void **values) {
    struct link *link;
    void *data;
    size_t size;
    TRY(link_find(handle, &link));
    if (!path)
        return CUDA_ERROR_INVALID_VALUE;
    TRY(file_read(path, &data, &size));
    CUresult status = cuLinkAddData_v2(handle, type, data, size, path, count, options, values);
    free(data);
    return status;
}

API CUresult cuLinkComplete(CUlinkState handle, void **image, size_t *size) {
    struct link *link;
    TRY(link_find(handle, &link));
    if (!image)
        return CUDA_ERROR_INVALID_VALUE;
    if (!link->inputs)
        return CUDA_ERROR_INVALID_IMAGE;
    if (!link->image) /* translated now, because now is when a program expects to hear of mistakes */
        TRY(image_open(link->text, &link->log, &link->image));
    *image = link->text;
    if (size)
        *size = link->length + 1;
    return CUDA_SUCCESS;
}

API CUresult cuLinkDestroy(CUlinkState handle) {
    struct link *link;
    TRY(link_find(handle, &link));
    handle_drop((uint64_t)handle);
    if (link->image) {
        api_lock();
        image_close(link->image);
        api_unlock();
    }
    pthread_mutex_destroy(&link->lock);
    free(link->text);
    free(link);
    return CUDA_SUCCESS;
}
