/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What generated code is made of: memory access and integer operations. The translator puts kernel.h, this file,
 * ptx_float.h, ptx_half.h and ptx_atomic.h in front of every module. Only fixed-width types, no library but libm.
 *
 * Every address is used exactly as it was checked: device memory is read and written through volatile lvalues, so the
 * compiler can neither read a value twice nor move an access before its check.
 */
#ifndef ACCELPOOL_MOCK_PTX_RUNTIME_H
#define ACCELPOOL_MOCK_PTX_RUNTIME_H

#include "kernel.h"

#define INLINE static inline __attribute__((always_inline, unused))
#define COLD static __attribute__((noinline, unused))
#define LIKELY(x) __builtin_expect(!!(x), 1)

#define LOAD(T, p) (*(volatile T *)(p))
#define STORE(T, p, v) (*(volatile T *)(p) = (v))
/* Parameters are private to the executor. */
#define PEEK(T, p) (*(const T *)(p))
#define POKE(T, p, v) (*(T *)(p) = (v))

/* In a function with a local `fuel`: what a backward branch or a call costs. */
#define FUEL                                 \
    do {                                     \
        if (__builtin_expect(--fuel < 0, 0)) \
            fuel = refuel(t);                \
    } while (0)

COLD int32_t refuel(struct kernel_thread *t)
{
    t->services->yield(t, 0);
    return t->fuel;
}

/* --- addresses ----------------------------------------------------------------------------------------------- */

#define OUTSIDE (~0ull << KERNEL_ADDRESS_BITS)
#define PAGE_OF(a) (((a) >> KERNEL_PAGE_SHIFT) & ((1ull << (KERNEL_ADDRESS_BITS - KERNEL_PAGE_SHIFT)) - 1))

INLINE uint8_t *load_at(struct kernel_thread *t, const uint8_t *pages, uint64_t a, uint32_t size)
{
    if (LIKELY(!(a & (OUTSIDE | (size - 1u))) && pages[PAGE_OF(a)] != KERNEL_PAGE_NONE))
        return (uint8_t *)a;
    return t->services->access(t, a, size, 0);
}

INLINE uint8_t *store_at(struct kernel_thread *t, const uint8_t *pages, uint64_t a, uint32_t size)
{
    if (LIKELY(!(a & (OUTSIDE | (size - 1u))) && pages[PAGE_OF(a)] == KERNEL_PAGE_COMMITTED))
        return (uint8_t *)a;
    return t->services->access(t, a, size, 1);
}

#define WINDOW_AT(name, base, limit, window)                                                  \
    INLINE uint8_t *name(struct kernel_thread *t, uint64_t offset, uint32_t size)             \
    {                                                                                         \
        if (LIKELY(offset < KERNEL_WINDOW && offset + size <= (limit) && !(offset & (size - 1u)))) \
            return (uint8_t *)(base) + offset;                                                \
        t->services->fault(t, offset & (size - 1u) ? KERNEL_MISALIGNED_ADDRESS : KERNEL_ILLEGAL_ADDRESS, \
                           (window) + (offset & (KERNEL_WINDOW - 1)));                        \
    }
WINDOW_AT(shared_at, t->shared, t->shared_bytes, KERNEL_SHARED)
WINDOW_AT(local_at, t->local, t->local_bytes, KERNEL_LOCAL)
WINDOW_AT(param_at, t->params, t->param_bytes, KERNEL_PARAM)

/* A device function's share of local memory: returns where it starts. */
INLINE uint32_t local_enter(struct kernel_thread *t, uint32_t bytes)
{
    uint32_t base = t->local_top;
    if (!LIKELY(base + bytes <= t->local_bytes))
        t->services->fault(t, KERNEL_STACK_ERROR, 0);
    t->local_top = base + bytes;
    return base;
}

INLINE void stack_check(struct kernel_thread *t)
{
    if (!LIKELY((uintptr_t)__builtin_frame_address(0) > t->stack_limit))
        t->services->fault(t, KERNEL_STACK_ERROR, 0);
}

/* --- services ------------------------------------------------------------------------------------------------ */

INLINE uint64_t ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    uint64_t value;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
    return value;
#endif
}

INLINE struct kernel_warp_io warp_op(struct kernel_thread *t, enum kernel_warp op, uint64_t value, uint32_t b, uint32_t c,
                                     uint32_t mask, uint32_t site)
{
    struct kernel_warp_io io = {value, b, c, mask, site, 0};
    t->services->warp(t, op, &io);
    return io;
}

COLD void builtin_vprintf(struct kernel_thread *t, uint8_t *result, uint8_t *format, uint8_t *arguments)
{
    POKE(uint32_t, result, t->services->print(t, PEEK(uint64_t, format), PEEK(uint64_t, arguments)));
}

COLD void builtin_assertfail(struct kernel_thread *t, uint8_t *message, uint8_t *file, uint8_t *line, uint8_t *function,
                             uint8_t *width)
{
    (void)file, (void)line, (void)function, (void)width;
    t->services->print(t, PEEK(uint64_t, message), KERNEL_LOCAL);
    t->services->fault(t, KERNEL_ASSERT, 0);
}

/* --- integers ------------------------------------------------------------------------------------------------ */

#define EACH_INTEGER(M) M(u16, uint16_t) M(u32, uint32_t) M(u64, uint64_t) M(s16, int16_t) M(s32, int32_t) M(s64, int64_t)

#define MINMAX(name, T)                                      \
    INLINE T name##_min(T a, T b) { return a < b ? a : b; } \
    INLINE T name##_max(T a, T b) { return a > b ? a : b; }
EACH_INTEGER(MINMAX)

/* Division by zero gives all ones, as the hardware does; the remainder is then the dividend. */
#define DIVIDE_U(name, T)                                                \
    INLINE T name##_div(T a, T b) { return b ? (T)(a / b) : (T)-1; } \
    INLINE T name##_rem(T a, T b) { return b ? (T)(a % b) : a; }
#define DIVIDE_S(name, T)                                                                           \
    INLINE T name##_div(T a, T b) { return !b ? (T)-1 : b == -1 ? (T)(0 - (uint64_t)a) : (T)(a / b); } \
    INLINE T name##_rem(T a, T b) { return !b ? a : b == -1 ? (T)0 : (T)(a % b); }
DIVIDE_U(u16, uint16_t) DIVIDE_U(u32, uint32_t) DIVIDE_U(u64, uint64_t)
DIVIDE_S(s16, int16_t) DIVIDE_S(s32, int32_t) DIVIDE_S(s64, int64_t)

INLINE uint16_t u16_hi(uint16_t a, uint16_t b) { return (uint16_t)((uint32_t)a * b >> 16); }
INLINE int16_t s16_hi(int16_t a, int16_t b) { return (int16_t)((int32_t)a * b >> 16); }
INLINE uint32_t u32_hi(uint32_t a, uint32_t b) { return (uint32_t)((uint64_t)a * b >> 32); }
INLINE int32_t s32_hi(int32_t a, int32_t b) { return (int32_t)((int64_t)a * b >> 32); }
INLINE uint64_t u64_hi(uint64_t a, uint64_t b) { return (uint64_t)((unsigned __int128)a * b >> 64); }
INLINE int64_t s64_hi(int64_t a, int64_t b) { return (int64_t)((__int128)a * b >> 64); }

INLINE int32_t s32_clamp(int64_t x) { return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x; }

#define SHIFTS(bits)                                                                                              \
    INLINE uint##bits##_t shl##bits(uint##bits##_t a, uint32_t n) { return n < bits ? (uint##bits##_t)(a << n) : 0; } \
    INLINE uint##bits##_t shru##bits(uint##bits##_t a, uint32_t n) { return n < bits ? (uint##bits##_t)(a >> n) : 0; } \
    INLINE int##bits##_t shrs##bits(int##bits##_t a, uint32_t n) { return (int##bits##_t)(a >> (n < bits ? n : bits - 1)); }
SHIFTS(16) SHIFTS(32) SHIFTS(64)

INLINE uint32_t shf_left(uint32_t low, uint32_t high, uint32_t n)
{
    return n >= 32 ? low : n ? high << n | low >> (32 - n) : high;
}
INLINE uint32_t shf_right(uint32_t low, uint32_t high, uint32_t n)
{
    return n >= 32 ? high : n ? high << (32 - n) | low >> n : low;
}

INLINE uint32_t clz32(uint32_t a) { return a ? (uint32_t)__builtin_clz(a) : 32; }
INLINE uint32_t clz64(uint64_t a) { return a ? (uint32_t)__builtin_clzll(a) : 64; }
INLINE uint32_t bfind32(uint32_t a, uint32_t shift) { return !a ? ~0u : shift ? clz32(a) : 31 - clz32(a); }
INLINE uint32_t bfind64(uint64_t a, uint32_t shift) { return !a ? ~0u : shift ? clz64(a) : 63 - clz64(a); }

INLINE uint64_t brev64(uint64_t a)
{
    a = (a >> 1 & 0x5555555555555555ull) | (a & 0x5555555555555555ull) << 1;
    a = (a >> 2 & 0x3333333333333333ull) | (a & 0x3333333333333333ull) << 2;
    a = (a >> 4 & 0x0f0f0f0f0f0f0f0full) | (a & 0x0f0f0f0f0f0f0f0full) << 4;
    return __builtin_bswap64(a);
}
INLINE uint32_t brev32(uint32_t a) { return (uint32_t)(brev64(a) >> 32); }

/* Position and length are taken modulo 256. A signed field that reaches beyond the top repeats the sign bit. */
INLINE uint64_t bfe(uint64_t a, uint32_t position, uint32_t length, uint32_t bits, int sign)
{
    position &= 255;
    length &= 255;
    if (!length)
        return 0;
    uint32_t top = position + length - 1 < bits - 1 ? position + length - 1 : bits - 1;
    uint64_t field = position < bits ? a >> position : 0;
    uint32_t kept = position < bits ? (length < bits - position ? length : bits - position) : 0;
    uint64_t mask = kept >= 64 ? ~0ull : (1ull << kept) - 1;
    return (field & mask) | (sign && (a >> top & 1) ? ~mask : 0);
}

INLINE uint64_t bfi(uint64_t field, uint64_t base, uint32_t position, uint32_t length, uint32_t bits)
{
    position &= 255;
    length &= 255;
    if (!length || position >= bits)
        return base;
    uint64_t mask = (length >= 64 ? ~0ull : (1ull << length) - 1) << position;
    return (base & ~mask) | (field << position & mask);
}

COLD uint32_t bmsk(uint32_t position, uint32_t length, int wrap)
{
    if (wrap) {
        position &= 31;
        length &= 31;
    }
    if (position >= 32 || !length)
        return 0;
    uint32_t mask = length >= 32 ? ~0u : (1u << length) - 1;
    return mask << position;
}

COLD uint32_t szext(uint32_t a, uint32_t n, int wrap, int sign)
{
    n = wrap ? n & 31 : n < 32 ? n : 32;
    if (n == 32)
        return a;
    if (!n)
        return 0;
    return sign ? (uint32_t)((int32_t)(a << (32 - n)) >> (32 - n)) : a & ((1u << n) - 1);
}

COLD uint32_t fns(uint32_t mask, uint32_t base, int32_t offset)
{
    base &= 31;
    if (!offset)
        return mask >> base & 1 ? base : ~0u;
    int32_t step = offset > 0 ? 1 : -1, left = offset > 0 ? offset : offset == INT32_MIN ? INT32_MAX : -offset;
    for (int32_t i = (int32_t)base; i >= 0 && i < 32; i += step)
        if ((mask >> i & 1) && --left == 0)
            return (uint32_t)i;
    return ~0u;
}

INLINE uint32_t prmt(uint32_t a, uint32_t b, uint32_t selector)
{
    uint64_t bytes = (uint64_t)b << 32 | a;
    uint32_t result = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t pick = selector >> (4 * i) & 15, byte = (uint32_t)(bytes >> (8 * (pick & 7))) & 255;
        result |= (pick & 8 ? (byte & 128 ? 255u : 0u) : byte) << (8 * i);
    }
    return result;
}

INLINE uint32_t lop3(uint32_t a, uint32_t b, uint32_t c, uint32_t table)
{
    return (table & 1 ? ~a & ~b & ~c : 0) | (table & 2 ? ~a & ~b & c : 0) | (table & 4 ? ~a & b & ~c : 0) |
           (table & 8 ? ~a & b & c : 0) | (table & 16 ? a & ~b & ~c : 0) | (table & 32 ? a & ~b & c : 0) |
           (table & 64 ? a & b & ~c : 0) | (table & 128 ? a & b & c : 0);
}

COLD uint32_t dot4(uint32_t a, uint32_t b, uint32_t c, int a_signed, int b_signed)
{
    for (int i = 0; i < 32; i += 8) {
        int32_t x = a_signed ? (int8_t)(a >> i) : (int32_t)(a >> i & 255);
        int32_t y = b_signed ? (int8_t)(b >> i) : (int32_t)(b >> i & 255);
        c += (uint32_t)(x * y);
    }
    return c;
}

COLD uint32_t dot2(uint32_t a, uint32_t b, uint32_t c, int a_signed, int b_signed, int high)
{
    for (int i = 0; i < 2; i++) {
        int32_t x = a_signed ? (int16_t)(a >> (16 * i)) : (int32_t)(a >> (16 * i) & 0xffff);
        uint32_t byte = b >> (8 * i + (high ? 16 : 0));
        int32_t y = b_signed ? (int8_t)byte : (int32_t)(byte & 255);
        c += (uint32_t)(x * y);
    }
    return c;
}

enum video { VIDEO_ADD, VIDEO_SUB, VIDEO_AVRG, VIDEO_ABSDIFF, VIDEO_MIN, VIDEO_MAX };

/* Lanes of 8 or 16 bits; with `sum` the lanes' results are added to c. */
COLD uint32_t video(enum video op, uint32_t a, uint32_t b, uint32_t c, uint32_t bits, int d_signed, int a_signed, int b_signed,
                    int saturate, int sum)
{
    int32_t span = 1 << bits, low = d_signed ? -span / 2 : 0, high = d_signed ? span / 2 - 1 : span - 1;
    uint32_t result = sum ? c : 0;
    for (uint32_t shift = 0; shift < 32; shift += bits) {
        int32_t x = (int32_t)(a >> shift & (uint32_t)(span - 1)), y = (int32_t)(b >> shift & (uint32_t)(span - 1)), r;
        x -= a_signed && x >= span / 2 ? span : 0;
        y -= b_signed && y >= span / 2 ? span : 0;
        switch (op) {
        case VIDEO_ADD:
            r = x + y;
            break;
        case VIDEO_SUB:
            r = x - y;
            break;
        case VIDEO_AVRG:
            r = (x + y + (x + y >= 0)) >> 1;
            break;
        case VIDEO_ABSDIFF:
            r = x > y ? x - y : y - x;
            break;
        case VIDEO_MIN:
            r = x < y ? x : y;
            break;
        default:
            r = x > y ? x : y;
            break;
        }
        if (saturate)
            r = r < low ? low : r > high ? high : r;
        if (sum)
            result += (uint32_t)r;
        else
            result |= ((uint32_t)r & (uint32_t)(span - 1)) << shift;
    }
    return result;
}

/* a + b + *carry of 32 or 64 bits; *carry becomes the carry out. */
#define CARRY(bits)                                                                                           \
    INLINE uint##bits##_t add_carry##bits(uint##bits##_t a, uint##bits##_t b, uint32_t in, uint32_t *out)     \
    {                                                                                                         \
        unsigned __int128 sum = (unsigned __int128)a + b + in;                                                \
        *out = (uint32_t)(sum >> bits) & 1;                                                                   \
        return (uint##bits##_t)sum;                                                                           \
    }                                                                                                         \
    /* The carry of a subtraction is its borrow. */                                                           \
    INLINE uint##bits##_t sub_borrow##bits(uint##bits##_t a, uint##bits##_t b, uint32_t in, uint32_t *out)    \
    {                                                                                                         \
        unsigned __int128 difference = (unsigned __int128)a - b - in;                                         \
        *out = (uint32_t)(difference >> bits) & 1;                                                            \
        return (uint##bits##_t)difference;                                                                    \
    }
CARRY(32) CARRY(64)

#endif
