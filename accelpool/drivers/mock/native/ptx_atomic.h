/* SPDX-License-Identifier: Apache-2.0 */
/* Atomic operations on checked pointers: atomic against the host and against other devices too. */
#ifndef ACCELPOOL_MOCK_PTX_ATOMIC_H
#define ACCELPOOL_MOCK_PTX_ATOMIC_H

#include "ptx_half.h"

#define ATOMIC_INTEGER(name, T)                                                                                 \
    INLINE T atomic_add_##name(uint8_t *p, T v) { return __atomic_fetch_add((T *)p, v, __ATOMIC_SEQ_CST); }
ATOMIC_INTEGER(u32, uint32_t) ATOMIC_INTEGER(s32, int32_t) ATOMIC_INTEGER(u64, uint64_t) ATOMIC_INTEGER(s64, int64_t)

#define ATOMIC_BITS(bits)                                                                                       \
    INLINE uint##bits##_t atomic_exch_b##bits(uint8_t *p, uint##bits##_t v)                                     \
    {                                                                                                           \
        return __atomic_exchange_n((uint##bits##_t *)p, v, __ATOMIC_SEQ_CST);                                   \
    }                                                                                                           \
    INLINE uint##bits##_t atomic_cas_b##bits(uint8_t *p, uint##bits##_t old, uint##bits##_t v)                  \
    {                                                                                                           \
        __atomic_compare_exchange_n((uint##bits##_t *)p, &old, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);       \
        return old;                                                                                             \
    }                                                                                                           \
    INLINE uint##bits##_t atomic_and_b##bits(uint8_t *p, uint##bits##_t v)                                      \
    {                                                                                                           \
        return __atomic_fetch_and((uint##bits##_t *)p, v, __ATOMIC_SEQ_CST);                                    \
    }                                                                                                           \
    INLINE uint##bits##_t atomic_or_b##bits(uint8_t *p, uint##bits##_t v)                                       \
    {                                                                                                           \
        return __atomic_fetch_or((uint##bits##_t *)p, v, __ATOMIC_SEQ_CST);                                     \
    }                                                                                                           \
    INLINE uint##bits##_t atomic_xor_b##bits(uint8_t *p, uint##bits##_t v)                                      \
    {                                                                                                           \
        return __atomic_fetch_xor((uint##bits##_t *)p, v, __ATOMIC_SEQ_CST);                                    \
    }
ATOMIC_BITS(16) ATOMIC_BITS(32) ATOMIC_BITS(64)

/* What no instruction of the host does in one go. `old` is the value in memory, `v` the operand; both of type T, whose
 * bits are those of U. */
#define ATOMIC_LOOP(name, T, U, from, to, expression)                                                           \
    COLD T name(uint8_t *p, T v)                                                                                \
    {                                                                                                           \
        U bits = __atomic_load_n((U *)p, __ATOMIC_SEQ_CST);                                                     \
        for (;;) {                                                                                              \
            T old = from(bits);                                                                                 \
            U next = to(expression);                                                                            \
            if (__atomic_compare_exchange_n((U *)p, &bits, next, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))        \
                return old;                                                                                     \
        }                                                                                                       \
    }
#define ATOMIC_EXTREMA(name, T, U)                                                                              \
    ATOMIC_LOOP(atomic_min_##name, T, U, (T), (U), v < old ? v : old)                                           \
    ATOMIC_LOOP(atomic_max_##name, T, U, (T), (U), v > old ? v : old)
ATOMIC_EXTREMA(u32, uint32_t, uint32_t)
ATOMIC_EXTREMA(s32, int32_t, uint32_t)
ATOMIC_EXTREMA(u64, uint64_t, uint64_t)
ATOMIC_EXTREMA(s64, int64_t, uint64_t)
ATOMIC_LOOP(atomic_inc_u32, uint32_t, uint32_t, , , old >= v ? 0 : old + 1)
ATOMIC_LOOP(atomic_dec_u32, uint32_t, uint32_t, , , old == 0 || old > v ? v : old - 1)
ATOMIC_LOOP(atomic_add_f32, float, uint32_t, f32_of, f32_bits, f32_add_rn(old, v))
ATOMIC_LOOP(atomic_add_f32_ftz, float, uint32_t, f32_of, f32_bits, f32_ftz(f32_add_rn(f32_ftz(old), f32_ftz(v))))
ATOMIC_LOOP(atomic_add_f64, double, uint64_t, f64_of, f64_bits, old + v)
#define ATOMIC_HALF(t)                                                                                          \
    ATOMIC_LOOP(atomic_add_##t, uint16_t, uint16_t, , , t##_add(old, v))                                        \
    ATOMIC_LOOP(atomic_min_##t, uint16_t, uint16_t, , , t##_min(old, v))                                        \
    ATOMIC_LOOP(atomic_max_##t, uint16_t, uint16_t, , , t##_max(old, v))                                        \
    ATOMIC_LOOP(atomic_add_##t##x2, uint32_t, uint32_t, , , add_##t##x2(old, v))                                \
    ATOMIC_LOOP(atomic_min_##t##x2, uint32_t, uint32_t, , , min_##t##x2(old, v))                                \
    ATOMIC_LOOP(atomic_max_##t##x2, uint32_t, uint32_t, , , max_##t##x2(old, v))
ATOMIC_HALF(f16)
ATOMIC_HALF(bf16)

#endif
