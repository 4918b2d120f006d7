/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors, scalars and lists, as operators take them. */
#include <stdlib.h>
#include <string.h>

#include "opapi.h"

enum { FLOAT = 0, HALF = 1, INT8 = 2, INT32 = 3, UINT8 = 4, INT16 = 6, INT64 = 9, DOUBLE = 11, BOOL = 12, BFLOAT = 27 };

EXPORT aclTensor *aclCreateTensor(const int64_t *sizes, uint64_t rank, int type, const int64_t *strides, int64_t offset,
                                  int format, const int64_t *storage, uint64_t storage_rank, void *data);
EXPORT aclTensor *aclCreateTensor(const int64_t *sizes, uint64_t rank, int type, const int64_t *strides, int64_t offset,
                                  int format, const int64_t *storage, uint64_t storage_rank, void *data) {
    aclTensor *tensor = rank <= NPU_RANK ? calloc(1, sizeof *tensor) : NULL;
    int64_t stride = 1;
    (void)format, (void)storage, (void)storage_rank; /* plain layouts only */
    if (!tensor)
        return NULL;
    tensor->shape = (struct npu_shape){.type = type, .rank = (int)rank, .offset = offset};
    tensor->data = data;
    for (int i = (int)rank - 1; i >= 0; i--) {
        tensor->shape.sizes[i] = sizes[i];
        tensor->shape.strides[i] = strides ? strides[i] : stride;
        stride *= sizes[i];
    }
    return tensor;
}

EXPORT int aclDestroyTensor(const aclTensor *tensor);
EXPORT int aclDestroyTensor(const aclTensor *tensor) {
    free((void *)tensor);
    return ACLNN_OK;
}

EXPORT aclScalar *aclCreateScalar(void *value, int type);
EXPORT aclScalar *aclCreateScalar(void *value, int type) {
    aclScalar *scalar = value ? calloc(1, sizeof *scalar) : NULL;
    if (!scalar)
        return NULL;
    scalar->type = type;
    scalar->whole = type != FLOAT && type != HALF && type != DOUBLE && type != BFLOAT;
    switch (type) {
    case FLOAT: {
        float number;
        memcpy(&number, value, sizeof number);
        scalar->number = number;
        break;
    }
    case HALF: {
        _Float16 number;
        memcpy(&number, value, sizeof number);
        scalar->number = (double)number;
        break;
    }
    case BFLOAT: {
        uint16_t bits;
        memcpy(&bits, value, sizeof bits);
        const uint32_t wide = (uint32_t)bits << 16;
        float number;
        memcpy(&number, &wide, sizeof number);
        scalar->number = number;
        break;
    }
    case DOUBLE:
        memcpy(&scalar->number, value, sizeof scalar->number);
        break;
    case INT8:
        scalar->integer = *(const int8_t *)value;
        break;
    case UINT8:
    case BOOL:
        scalar->integer = *(const uint8_t *)value;
        break;
    case INT16: {
        int16_t number;
        memcpy(&number, value, sizeof number);
        scalar->integer = number;
        break;
    }
    case INT32: {
        int32_t number;
        memcpy(&number, value, sizeof number);
        scalar->integer = number;
        break;
    }
    case INT64:
        memcpy(&scalar->integer, value, sizeof scalar->integer);
        break;
    default:
        free(scalar);
        return NULL;
    }
    if (scalar->whole)
        scalar->number = (double)scalar->integer;
    else if (scalar->number > -9e18 && scalar->number < 9e18)
        scalar->integer = (int64_t)scalar->number;
    return scalar;
}

EXPORT int aclDestroyScalar(const aclScalar *scalar);
EXPORT int aclDestroyScalar(const aclScalar *scalar) {
    free((void *)scalar);
    return ACLNN_OK;
}

EXPORT aclIntArray *aclCreateIntArray(const int64_t *values, uint64_t size);
EXPORT aclIntArray *aclCreateIntArray(const int64_t *values, uint64_t size) {
    aclIntArray *array = size < 1 << 20 ? calloc(1, sizeof *array + size * sizeof *values) : NULL;
    if (array) {
        array->size = size;
        if (size)
            memcpy(array->values, values, size * sizeof *values);
    }
    return array;
}

EXPORT int aclDestroyIntArray(const aclIntArray *array);
EXPORT int aclDestroyIntArray(const aclIntArray *array) {
    free((void *)array);
    return ACLNN_OK;
}

/* A list owns its tensors. */
EXPORT aclTensorList *aclCreateTensorList(const aclTensor *const *tensors, uint64_t size);
EXPORT aclTensorList *aclCreateTensorList(const aclTensor *const *tensors, uint64_t size) {
    aclTensorList *list = size < 1 << 20 ? calloc(1, sizeof *list + size * sizeof *tensors) : NULL;
    if (list) {
        list->size = size;
        if (size)
            memcpy(list->tensors, tensors, size * sizeof *tensors);
    }
    return list;
}

EXPORT int aclDestroyTensorList(const aclTensorList *list);
EXPORT int aclDestroyTensorList(const aclTensorList *list) {
    for (uint64_t i = 0; list && i < list->size; i++)
        aclDestroyTensor(list->tensors[i]);
    free((void *)list);
    return ACLNN_OK;
}
