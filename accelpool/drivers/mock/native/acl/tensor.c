/* SPDX-License-Identifier: Apache-2.0 */
/* Elements of tensors, whatever their type: numbers as double, integers as int64. Numbers of types are aclDataType. */
#include <string.h>

#include "emu_acl.h"

enum { FLOAT = 0, HALF = 1, INT8 = 2, INT32 = 3, UINT8 = 4, INT16 = 6, INT64 = 9, DOUBLE = 11, BOOL = 12, BFLOAT = 27 };

unsigned type_bytes(int type) {
    switch (type) {
    case INT8:
    case UINT8:
    case BOOL:
        return 1;
    case HALF:
    case INT16:
    case BFLOAT:
        return 2;
    case FLOAT:
    case INT32:
        return 4;
    case INT64:
    case DOUBLE:
        return 8;
    default:
        return 0;
    }
}

int type_is_integer(int type) {
    return type != FLOAT && type != HALF && type != DOUBLE && type != BFLOAT;
}

static double half_number(uint16_t bits) {
    _Float16 value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static double bfloat_number(uint16_t bits) {
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* To nearest, ties to even. */
static uint16_t bfloat_bits(double number) {
    const float value = (float)number;
    uint32_t wide;
    memcpy(&wide, &value, sizeof wide);
    if (value != value)
        return 0x7fc0;
    return (uint16_t)((wide + 0x7fffu + (wide >> 16 & 1)) >> 16);
}

#define GET(type)                                                                                                      \
    do {                                                                                                               \
        type element_value;                                                                                            \
        memcpy(&element_value, at, sizeof element_value);                                                              \
        return element_value;                                                                                          \
    } while (0)
#define SET(type, value)                                                                                               \
    do {                                                                                                               \
        const type element_value = (type)(value);                                                                      \
        memcpy(at, &element_value, sizeof element_value);                                                              \
    } while (0)

int64_t get_integer(const struct tensor *tensor, int64_t element) {
    const uint8_t *at = tensor->data + element * (int64_t)type_bytes(tensor->type);
    switch (tensor->type) {
    case INT8:
        GET(int8_t);
    case UINT8:
    case BOOL:
        GET(uint8_t);
    case INT16:
        GET(int16_t);
    case INT32:
        GET(int32_t);
    case INT64:
        GET(int64_t);
    default:
        return (int64_t)get_number(tensor, element);
    }
}

double get_number(const struct tensor *tensor, int64_t element) {
    const uint8_t *at = tensor->data + element * (int64_t)type_bytes(tensor->type);
    uint16_t bits;
    switch (tensor->type) {
    case FLOAT:
        GET(float);
    case DOUBLE:
        GET(double);
    case HALF:
        memcpy(&bits, at, sizeof bits);
        return half_number(bits);
    case BFLOAT:
        memcpy(&bits, at, sizeof bits);
        return bfloat_number(bits);
    default:
        return (double)get_integer(tensor, element);
    }
}

void set_integer(const struct tensor *tensor, int64_t element, int64_t value) {
    uint8_t *at = tensor->data + element * (int64_t)type_bytes(tensor->type);
    switch (tensor->type) {
    case INT8:
    case UINT8:
        SET(uint8_t, value);
        break;
    case BOOL:
        SET(uint8_t, value != 0);
        break;
    case INT16:
        SET(int16_t, value);
        break;
    case INT32:
        SET(int32_t, value);
        break;
    case INT64:
        SET(int64_t, value);
        break;
    default:
        set_number(tensor, element, (double)value);
    }
}

/* A conversion that C leaves undefined gives 0. */
static int64_t whole(double value) {
    return value > -9.2e18 && value < 9.2e18 ? (int64_t)value : 0;
}

void set_number(const struct tensor *tensor, int64_t element, double value) {
    uint8_t *at = tensor->data + element * (int64_t)type_bytes(tensor->type);
    uint16_t bits;
    switch (tensor->type) {
    case FLOAT:
        SET(float, value);
        break;
    case DOUBLE:
        SET(double, value);
        break;
    case HALF:
        SET(_Float16, value);
        break;
    case BFLOAT:
        bits = bfloat_bits(value);
        memcpy(at, &bits, sizeof bits);
        break;
    case BOOL:
        SET(uint8_t, value != 0);
        break;
    default:
        set_integer(tensor, element, whole(value));
    }
}

int64_t offset_of(const struct tensor *tensor, int64_t index) {
    int64_t offset = 0;
    for (int i = tensor->rank - 1; i >= 0 && index; i--) {
        offset += index % tensor->sizes[i] * tensor->strides[i];
        index /= tensor->sizes[i];
    }
    return offset;
}

int64_t offset_like(const struct tensor *tensor, const struct tensor *like, int64_t index) {
    const int missing = like->rank - tensor->rank;
    int64_t offset = 0;
    for (int i = like->rank - 1; i >= missing && index; i--) {
        if (tensor->sizes[i - missing] != 1)
            offset += index % like->sizes[i] * tensor->strides[i - missing];
        index /= like->sizes[i];
    }
    return offset;
}

int fits(const struct tensor *tensor, const struct tensor *like) {
    const int missing = like->rank - tensor->rank;
    if (missing < 0)
        return tensor->count == 1 && like->count == 1;
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->sizes[i] != 1 && tensor->sizes[i] != like->sizes[i + missing])
            return 0;
    return 1;
}
