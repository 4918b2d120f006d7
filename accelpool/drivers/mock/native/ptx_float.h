/* SPDX-License-Identifier: Apache-2.0 */
/*
 * f32 and f64. Operations round once, as the instruction says. An f32 result that is not a number is 0x7fffffff, the
 * ISA's canonical NaN; f64 keeps the payload of an operand that is not a number.
 */
#ifndef ACCELPOOL_MOCK_PTX_FLOAT_H
#define ACCELPOOL_MOCK_PTX_FLOAT_H

#include "ptx_runtime.h"

INLINE uint32_t f32_bits(float x) { uint32_t r; __builtin_memcpy(&r, &x, 4); return r; }
INLINE uint64_t f64_bits(double x) { uint64_t r; __builtin_memcpy(&r, &x, 8); return r; }
INLINE float f32_of(uint32_t x) { float r; __builtin_memcpy(&r, &x, 4); return r; }
INLINE double f64_of(uint64_t x) { double r; __builtin_memcpy(&r, &x, 8); return r; }

INLINE float f32_canon(float x) { return LIKELY(x == x) ? x : f32_of(0x7fffffffu); }
INLINE double f64_canon(double x) { return x; }
INLINE float f32_ftz(float x) { return f32_bits(x) & 0x7f800000u ? x : f32_of(f32_bits(x) & 0x80000000u); }
INLINE float f32_sat(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }
INLINE double f64_sat(double x) { return x > 0 ? (x < 1 ? x : 1.0) : 0.0; }

/* --- rounding modes ------------------------------------------------------------------------------------------ */

#if defined(__x86_64__)
#define ROUND_RM 0x2000u
#define ROUND_RP 0x4000u
#define ROUND_RZ 0x6000u
#define OPAQUE(x) __asm__ volatile("" : "+x"(x))
INLINE uint64_t round_enter(uint32_t mode)
{
    uint32_t saved = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr((saved & ~0x6000u) | mode);
    return saved;
}
INLINE void round_leave(uint64_t saved) { __builtin_ia32_ldmxcsr((uint32_t)saved); }
#elif defined(__aarch64__)
#define ROUND_RP 0x400000u
#define ROUND_RM 0x800000u
#define ROUND_RZ 0xc00000u
#define OPAQUE(x) __asm__ volatile("" : "+w"(x))
INLINE uint64_t round_enter(uint32_t mode)
{
    uint64_t saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"((saved & ~0xc00000ull) | mode));
    return saved;
}
INLINE void round_leave(uint64_t saved) { __asm__ volatile("msr fpcr, %0" : : "r"(saved)); }
#endif
#define OPAQUE_INTEGER(x) __asm__ volatile("" : "+r"(x))

/* The operation lies between two fences that the compiler cannot see through, so it runs in the mode that was set. */
#define ROUNDED1(name, mode, T, canon, expression)        \
    COLD T name(T a)                                      \
    {                                                     \
        uint64_t saved = round_enter(mode);               \
        OPAQUE(a);                                        \
        T r = (expression);                               \
        OPAQUE(r);                                        \
        round_leave(saved);                               \
        return canon(r);                                  \
    }
#define ROUNDED2(name, mode, T, canon, expression)        \
    COLD T name(T a, T b)                                 \
    {                                                     \
        uint64_t saved = round_enter(mode);               \
        OPAQUE(a);                                        \
        OPAQUE(b);                                        \
        T r = (expression);                               \
        OPAQUE(r);                                        \
        round_leave(saved);                               \
        return canon(r);                                  \
    }
#define ROUNDED3(name, mode, T, canon, expression)        \
    COLD T name(T a, T b, T c)                            \
    {                                                     \
        uint64_t saved = round_enter(mode);               \
        OPAQUE(a);                                        \
        OPAQUE(b);                                        \
        OPAQUE(c);                                        \
        T r = (expression);                               \
        OPAQUE(r);                                        \
        round_leave(saved);                               \
        return canon(r);                                  \
    }
#define ROUNDED_FROM(name, mode, T, From, fence, canon)   \
    COLD T name(From a)                                   \
    {                                                     \
        uint64_t saved = round_enter(mode);               \
        fence(a);                                         \
        T r = (T)a;                                       \
        OPAQUE(r);                                        \
        round_leave(saved);                               \
        return canon(r);                                  \
    }

#define ARITHMETIC(t, T, s)                                                       \
    INLINE T t##_add_rn(T a, T b) { return t##_canon(a + b); }                    \
    INLINE T t##_sub_rn(T a, T b) { return t##_canon(a - b); }                    \
    INLINE T t##_mul_rn(T a, T b) { return t##_canon(a * b); }                    \
    INLINE T t##_div_rn(T a, T b) { return t##_canon(a / b); }                    \
    INLINE T t##_fma_rn(T a, T b, T c) { return t##_canon(__builtin_fma##s(a, b, c)); } \
    INLINE T t##_sqrt_rn(T a) { return t##_canon(__builtin_sqrt##s(a)); }         \
    INLINE T t##_rcp_rn(T a) { return t##_canon(1 / a); }                         \
    ARITHMETIC_MODE(t, T, s, rz, ROUND_RZ)                                        \
    ARITHMETIC_MODE(t, T, s, rm, ROUND_RM)                                        \
    ARITHMETIC_MODE(t, T, s, rp, ROUND_RP)
#define ARITHMETIC_MODE(t, T, s, m, mode)                                         \
    ROUNDED2(t##_add_##m, mode, T, t##_canon, a + b)                              \
    ROUNDED2(t##_sub_##m, mode, T, t##_canon, a - b)                              \
    ROUNDED2(t##_mul_##m, mode, T, t##_canon, a *b)                               \
    ROUNDED2(t##_div_##m, mode, T, t##_canon, a / b)                              \
    ROUNDED3(t##_fma_##m, mode, T, t##_canon, __builtin_fma##s(a, b, c))          \
    ROUNDED1(t##_sqrt_##m, mode, T, t##_canon, __builtin_sqrt##s(a))              \
    ROUNDED1(t##_rcp_##m, mode, T, t##_canon, 1 / a)                              \
    ROUNDED_FROM(t##_from_s64_##m, mode, T, int64_t, OPAQUE_INTEGER, )            \
    ROUNDED_FROM(t##_from_u64_##m, mode, T, uint64_t, OPAQUE_INTEGER, )
ARITHMETIC(f32, float, f)
ARITHMETIC(f64, double, )

INLINE float f32_from_f64_rn(double a) { return f32_canon((float)a); }
ROUNDED_FROM(f32_from_f64_rz, ROUND_RZ, float, double, OPAQUE, f32_canon)
ROUNDED_FROM(f32_from_f64_rm, ROUND_RM, float, double, OPAQUE, f32_canon)
ROUNDED_FROM(f32_from_f64_rp, ROUND_RP, float, double, OPAQUE, f32_canon)

/* --- minimum, maximum, sign ---------------------------------------------------------------------------------- */

/* One operand that is not a number loses; -0 is less than +0. With `nan`, one that is not a number wins. */
#define EXTREMA(t, T)                                                                             \
    INLINE T t##_min(T a, T b)                                                                    \
    {                                                                                             \
        return a < b ? a : b < a ? b : a != a ? t##_canon(b) : b != b ? a : t##_of(t##_bits(a) | t##_bits(b)); \
    }                                                                                             \
    INLINE T t##_max(T a, T b)                                                                    \
    {                                                                                             \
        return a > b ? a : b > a ? b : a != a ? t##_canon(b) : b != b ? a : t##_of(t##_bits(a) & t##_bits(b)); \
    }                                                                                             \
    INLINE T t##_min_nan(T a, T b) { return a != a || b != b ? t##_canon(a + b) : t##_min(a, b); } \
    INLINE T t##_max_nan(T a, T b) { return a != a || b != b ? t##_canon(a + b) : t##_max(a, b); }
EXTREMA(f32, float)
EXTREMA(f64, double)

INLINE float f32_neg(float a) { return f32_of(f32_bits(a) ^ 0x80000000u); }
INLINE float f32_abs(float a) { return f32_of(f32_bits(a) & 0x7fffffffu); }
INLINE double f64_neg(double a) { return f64_of(f64_bits(a) ^ (1ull << 63)); }
INLINE double f64_abs(double a) { return f64_of(f64_bits(a) & ~(1ull << 63)); }
INLINE float f32_copysign(float sign, float a) { return f32_of((f32_bits(a) & 0x7fffffffu) | (f32_bits(sign) & 0x80000000u)); }
INLINE double f64_copysign(double sign, double a)
{
    return f64_of((f64_bits(a) & ~(1ull << 63)) | (f64_bits(sign) & (1ull << 63)));
}
/* The smaller or larger magnitude with the product's sign. */
INLINE float f32_xorsign(float r, float a, float b) { return f32_of(f32_bits(r) ^ ((f32_bits(a) ^ f32_bits(b)) & 0x80000000u)); }

#define CLASSES(t, T, exponent)                                                                                \
    INLINE int t##_finite(T a) { return (t##_bits(a) & (exponent)) != (exponent); }                            \
    INLINE int t##_infinite(T a) { return a == a && !t##_finite(a); }                                          \
    INLINE int t##_number(T a) { return a == a; }                                                              \
    INLINE int t##_notanumber(T a) { return a != a; }                                                          \
    INLINE int t##_normal(T a) { return t##_finite(a) && (t##_bits(a) & (exponent)); }                         \
    INLINE int t##_subnormal(T a) { return !(t##_bits(a) & (exponent)) && a != 0; }
CLASSES(f32, float, 0x7f800000u)
CLASSES(f64, double, 0x7ff0000000000000ull)

/* --- approximations ------------------------------------------------------------------------------------------ */

/* b beyond 2^126 has a reciprocal of zero. */
INLINE float f32_div_approx(float a, float b)
{
    float magnitude = f32_abs(b);
    if (magnitude > 0x1p126f && magnitude <= 0x1.fffffep127f)
        return f32_canon(a * f32_copysign(b, 0.0f));
    return f32_canon(a / b);
}
INLINE float f32_rsqrt(float a) { return f32_canon(a == 0 ? 1 / a : (float)(1 / __builtin_sqrt((double)a))); }
INLINE double f64_rsqrt(double a) { return a == 0 ? 1 / a : 1 / __builtin_sqrt(a); }
/* The upper 32 bits of the operand count and of the result exist. */
COLD double f64_rough(double r) { return r == r ? f64_of(f64_bits(r) & ~0xffffffffull) : r; }
COLD double f64_ftz(double a) { return f64_bits(a) & 0x7ff0000000000000ull ? a : f64_of(f64_bits(a) & (1ull << 63)); }
COLD double f64_rcp_approx(double a) { return f64_ftz(f64_rough(1 / f64_rough(f64_ftz(a)))); }
COLD double f64_rsqrt_approx(double a) { return f64_ftz(f64_rough(f64_rsqrt(f64_rough(f64_ftz(a))))); }
INLINE float f32_ex2(float a) { return f32_canon(__builtin_exp2f(a)); }
INLINE float f32_lg2(float a) { return f32_canon(__builtin_log2f(a)); }
INLINE float f32_sin(float a) { return f32_canon(__builtin_sinf(a)); }
INLINE float f32_cos(float a) { return f32_canon(__builtin_cosf(a)); }
INLINE float f32_tanh(float a) { return f32_canon(__builtin_tanhf(a)); }

/* --- conversions --------------------------------------------------------------------------------------------- */

#define INTEGRAL(t, T, s)                                             \
    INLINE T t##_rni(T a) { return t##_canon(__builtin_rint##s(a)); } \
    INLINE T t##_rzi(T a) { return t##_canon(__builtin_trunc##s(a)); } \
    INLINE T t##_rmi(T a) { return t##_canon(__builtin_floor##s(a)); } \
    INLINE T t##_rpi(T a) { return t##_canon(__builtin_ceil##s(a)); }
INTEGRAL(f32, float, f)
INTEGRAL(f64, double, )

/* From a value that is integral already; what does not fit becomes the nearest end, NaN becomes 0. */
#define TO_INTEGER(name, T, low, high, least, most) \
    INLINE T to_##name(double a) { return a != a ? 0 : a < (low) ? (least) : a >= (high) ? (most) : (T)a; }
TO_INTEGER(s8, int8_t, -0x1p7, 0x1p7, INT8_MIN, INT8_MAX)
TO_INTEGER(s16, int16_t, -0x1p15, 0x1p15, INT16_MIN, INT16_MAX)
TO_INTEGER(s32, int32_t, -0x1p31, 0x1p31, INT32_MIN, INT32_MAX)
TO_INTEGER(s64, int64_t, -0x1p63, 0x1p63, INT64_MIN, INT64_MAX)
TO_INTEGER(u8, uint8_t, 0, 0x1p8, 0, UINT8_MAX)
TO_INTEGER(u16, uint16_t, 0, 0x1p16, 0, UINT16_MAX)
TO_INTEGER(u32, uint32_t, 0, 0x1p32, 0, UINT32_MAX)
TO_INTEGER(u64, uint64_t, 0, 0x1p64, 0, UINT64_MAX)

#endif
