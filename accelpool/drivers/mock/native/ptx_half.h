/* SPDX-License-Identifier: Apache-2.0 */
/* f16, bf16 and tf32 on bit patterns, and pairs of 16-bit integers. The canonical NaN is 0x7fff. */
#ifndef ACCELPOOL_MOCK_PTX_HALF_H
#define ACCELPOOL_MOCK_PTX_HALF_H

#include "ptx_float.h"

enum half_mode { HALF_RN, HALF_RZ, HALF_RM, HALF_RP, HALF_RNA };

/* Rounds to `mantissa` bits behind the point with exponents from `least` on and as many as fit below `infinity`. */
COLD uint16_t half_round(double x, enum half_mode mode, int mantissa, int least, uint32_t infinity)
{
    uint64_t bits = f64_bits(x), fraction = bits & ((1ull << 52) - 1);
    uint32_t sign = (uint32_t)(bits >> 63) << 15;
    int exponent = (int)(bits >> 52 & 0x7ff);
    if (exponent == 0x7ff)
        return fraction ? 0x7fff : (uint16_t)(sign | infinity);
    if (!exponent && !fraction)
        return (uint16_t)sign;
    fraction |= exponent ? 1ull << 52 : 0;
    exponent = exponent ? exponent - 1023 : -1022;
    int normal = exponent >= least, shift = 52 - mantissa + (normal ? 0 : least - exponent);
    if (shift > 60)
        shift = 60;
    uint64_t kept = fraction >> shift, rest = fraction & ((1ull << shift) - 1), middle = 1ull << (shift - 1);
    int up = 0;
    switch (mode) {
    case HALF_RN:
        up = rest > middle || (rest == middle && (kept & 1));
        break;
    case HALF_RNA:
        up = rest >= middle;
        break;
    case HALF_RM:
        up = sign && rest;
        break;
    case HALF_RP:
        up = !sign && rest;
        break;
    default:
        break;
    }
    kept += (uint64_t)up;
    uint64_t result = normal ? ((uint64_t)(exponent - least + 1) << mantissa) + (kept - (1ull << mantissa)) : kept;
    if (result >= infinity) {
        int away = mode == HALF_RN || mode == HALF_RNA || (mode == HALF_RM && sign) || (mode == HALF_RP && !sign);
        result = away ? infinity : infinity - 1;
    }
    return (uint16_t)(sign | (uint32_t)result);
}

COLD uint16_t f16_from(double x, enum half_mode mode) { return half_round(x, mode, 10, -14, 0x7c00); }
COLD uint16_t bf16_from(double x, enum half_mode mode) { return half_round(x, mode, 7, -126, 0x7f80); }

COLD double f16_value(uint16_t a)
{
    uint32_t exponent = a >> 10 & 31, fraction = a & 0x3ff;
    double magnitude;
    if (exponent == 31)
        magnitude = fraction ? f64_of(0x7fffffffe0000000ull) : __builtin_inf();
    else if (exponent)
        magnitude = f64_of((uint64_t)(exponent - 15 + 1023) << 52 | (uint64_t)fraction << 42);
    else
        magnitude = fraction * 0x1p-24;
    return a & 0x8000 ? -magnitude : magnitude;
}
INLINE double bf16_value(uint16_t a) { return (double)f32_of((uint32_t)a << 16); }

/* a + b with every lost bit remembered in the last place: rounding it once more equals rounding the exact sum. */
COLD double odd_sum(double a, double b)
{
    double sum = a + b, part = sum - a, lost = (a - (sum - part)) + (b - part);
    uint64_t bits = f64_bits(sum);
    if (sum - sum != 0 || lost == 0 || (bits & 1))
        return sum;
    return f64_of((lost > 0) == (sum > 0) ? bits + 1 : bits - 1);
}
COLD double odd_u64(uint64_t a)
{
    return a >> 53 ? (double)(a >> 11 | ((a & 2047) != 0)) * 2048.0 : (double)a;
}
COLD double odd_s64(int64_t a) { return a < 0 ? -odd_u64(0 - (uint64_t)a) : odd_u64((uint64_t)a); }

#define HALF(t, exponents, one)                                                                                  \
    INLINE uint16_t t##_flush(uint16_t a) { return a & (exponents) ? a : a & 0x8000; }                           \
    INLINE int t##_isnan(uint16_t a) { return (a & 0x7fff) > (exponents); }                                      \
    INLINE uint16_t t##_canon(uint16_t a) { return t##_isnan(a) ? 0x7fff : a; }                                  \
    COLD uint16_t t##_add(uint16_t a, uint16_t b) { return t##_from(t##_value(a) + t##_value(b), HALF_RN); }     \
    COLD uint16_t t##_sub(uint16_t a, uint16_t b) { return t##_from(t##_value(a) - t##_value(b), HALF_RN); }     \
    COLD uint16_t t##_mul(uint16_t a, uint16_t b) { return t##_from(t##_value(a) * t##_value(b), HALF_RN); }     \
    COLD uint16_t t##_fma(uint16_t a, uint16_t b, uint16_t c)                                                    \
    {                                                                                                            \
        return t##_from(odd_sum(t##_value(a) * t##_value(b), t##_value(c)), HALF_RN);                            \
    }                                                                                                            \
    INLINE uint16_t t##_abs(uint16_t a) { return a & 0x7fff; }                                                   \
    INLINE uint16_t t##_neg(uint16_t a) { return a ^ 0x8000; }                                                   \
    COLD uint16_t t##_min(uint16_t a, uint16_t b)                                                                \
    {                                                                                                            \
        if (t##_isnan(a) || t##_isnan(b))                                                                        \
            return t##_isnan(a) ? t##_canon(b) : a;                                                              \
        double x = t##_value(a), y = t##_value(b);                                                               \
        return x < y ? a : y < x ? b : a | b;                                                                    \
    }                                                                                                            \
    COLD uint16_t t##_max(uint16_t a, uint16_t b)                                                                \
    {                                                                                                            \
        if (t##_isnan(a) || t##_isnan(b))                                                                        \
            return t##_isnan(a) ? t##_canon(b) : a;                                                              \
        double x = t##_value(a), y = t##_value(b);                                                               \
        return x > y ? a : y > x ? b : a & b;                                                                    \
    }                                                                                                            \
    INLINE uint16_t t##_min_nan(uint16_t a, uint16_t b) { return t##_isnan(a) || t##_isnan(b) ? 0x7fff : t##_min(a, b); } \
    INLINE uint16_t t##_max_nan(uint16_t a, uint16_t b) { return t##_isnan(a) || t##_isnan(b) ? 0x7fff : t##_max(a, b); } \
    INLINE uint16_t t##_relu(uint16_t a) { return t##_isnan(a) ? 0x7fff : a & 0x8000 ? 0 : a; }                  \
    INLINE uint16_t t##_sat(uint16_t a) { return t##_isnan(a) || (a & 0x8000) ? 0 : a > (one) ? (one) : a; }
HALF(f16, 0x7c00, 0x3c00)
HALF(bf16, 0x7f80, 0x3f80)

COLD uint32_t tf32_from(float x, enum half_mode mode, int relu)
{
    uint32_t bits = f32_bits(x);
    if (x != x)
        return 0x7fffffffu;
    if (relu && bits >> 31)
        return 0;
    uint32_t rest = bits & 0x1fff, kept = bits & ~0x1fffu;
    if ((bits & 0x7f800000u) == 0x7f800000u || mode == HALF_RZ)
        return kept;
    int up = mode == HALF_RNA ? rest >= 0x1000 : rest > 0x1000 || (rest == 0x1000 && (kept & 0x2000));
    return up ? kept + 0x2000 : kept;
}

/* --- pairs of 16-bit integers -------------------------------------------------------------------------------- */

#define LANES(name, T, expression)                                                              \
    COLD uint32_t name(uint32_t x, uint32_t y)                                                  \
    {                                                                                           \
        uint32_t result = 0;                                                                    \
        for (int shift = 0; shift < 32; shift += 16) {                                          \
            T a = (T)(x >> shift), b = (T)(y >> shift);                                         \
            result |= (uint32_t)(uint16_t)(expression) << shift;                                \
        }                                                                                       \
        return result;                                                                          \
    }
LANES(add16x2, uint16_t, a + b)
LANES(sub16x2, uint16_t, a - b)
LANES(min_u16x2, uint16_t, a < b ? a : b)
LANES(max_u16x2, uint16_t, a > b ? a : b)
LANES(min_s16x2, int16_t, a < b ? a : b)
LANES(max_s16x2, int16_t, a > b ? a : b)
LANES(add_f16x2, uint16_t, f16_add(a, b))
LANES(min_f16x2, uint16_t, f16_min(a, b))
LANES(max_f16x2, uint16_t, f16_max(a, b))
LANES(add_bf16x2, uint16_t, bf16_add(a, b))
LANES(min_bf16x2, uint16_t, bf16_min(a, b))
LANES(max_bf16x2, uint16_t, bf16_max(a, b))

#endif
