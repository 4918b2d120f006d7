# SPDX-License-Identifier: Apache-2.0
"""Branches, calls, block barriers, and threads that wait for each other or never end."""

import unittest

import numpy as np

from tests.functional.ptx.harness import HEADER, Buffer, Module, library, printed

YIELDED, ILLEGAL_INSTRUCTION, ASSERT, STACK_ERROR, INVALID_PC, LAUNCH_FAILED = -1, 715, 710, 714, 718, 719
INVALID_VALUE = 1

INDEX = """
    .reg .b64 %o, %k; .reg .b32 %i, %t, %n; ld.param.u64 %o, [po];
    mov.u32 %t, %tid.x; mov.u32 %i, %ctaid.x; mov.u32 %n, %ntid.x; mad.lo.u32 %i, %i, %n, %t;
    mul.wide.u32 %k, %i, 4; add.u64 %o, %o, %k;
"""

KERNELS = HEADER + r"""
.func (.param .b32 r) square (.param .b32 a);
.func (.reg .u32 r) triple (.reg .u32 a);
.visible .func (.param .b32 r) factorial (.param .b32 a);
.func (.param .b32 r) fibonacci (.param .b32 a);
.global .align 8 .u64 table[3] = {triple, square, factorial};
.global .align 1 .b8 format[28] = {37, 100, 32, 37, 115, 32, 37, 46, 50, 102, 32, 37, 108, 108, 120, 32, 37, 37, 32, 37, 99, 32, 37, 117, 10, 0};
.global .align 1 .b8 word[4] = {97, 98, 99, 0};
.extern .func (.param .b32 r) vprintf (.param .b64 f, .param .b64 a);
.extern .func __assertfail (.param .b64 m, .param .b64 f, .param .b32 l, .param .b64 n, .param .b64 w);

.func (.param .b32 r) square (.param .b32 a)
{ .reg .b32 %x; ld.param.b32 %x, [a]; mul.lo.u32 %x, %x, %x; st.param.b32 [r], %x; ret; }

.func (.reg .u32 r) triple (.reg .u32 a)
{ mul.lo.u32 r, a, 3; ret; }

.visible .func (.param .b32 r) factorial (.param .b32 a)
{
    .reg .b32 %x<4>; .reg .pred %p;
    .local .align 4 .b8 depot[16];
    ld.param.b32 %x0, [a]; st.local.b32 [depot+4], %x0; mov.b32 %x1, 1;
    setp.lt.u32 %p, %x0, 2; @%p bra OUT;
    { .param .b32 p; .param .b32 q; sub.u32 %x2, %x0, 1; st.param.b32 [p], %x2; call.uni (q), factorial, (p); ld.param.b32 %x1, [q]; }
    ld.local.b32 %x0, [depot+4];
    mul.lo.u32 %x1, %x1, %x0;
OUT: st.param.b32 [r], %x1; ret;
}
.func leave (.param .b32 a)
{ .reg .b32 %x; .reg .pred %p; ld.param.b32 %x, [a]; setp.gt.u32 %p, %x, 3; @%p exit; ret; }

.func (.param .align 8 .b8 r[16]) swap (.param .align 8 .b8 a[16])
{ .reg .b64 %x<2>; ld.param.v2.b64 {%x0, %x1}, [a]; st.param.b64 [r], %x1; st.param.b64 [r+8], %x0; ret; }

.func (.param .b32 r) collect (.param .b32 a)
{
    .reg .b32 %x, %y; ld.param.b32 %x, [a]; bar.sync 0; shfl.sync.bfly.b32 %y, %x, 1, 31, -1; bar.sync 0;
    st.param.b32 [r], %y; ret;
}
.visible .entry calls(.param .u64 po)
{
""" + INDEX + r"""
    .reg .b32 %r<6>; .reg .b64 %d<4>; .reg .pred %p;
    call (%r0), square, (%t); call (%r1), triple, (%t);
    { .param .b32 p; .param .b32 q; st.param.b32 [p], 6; call.uni (q), factorial, (p); ld.param.b32 %r2, [q]; }
    { .param .align 8 .b8 p[16]; .param .align 8 .b8 q[16];
      st.param.v2.b64 [p], {3, 5}; call (q), swap, (p); ld.param.b64 %d0, [q]; cvt.u32.u64 %r3, %d0; }
    { .param .b32 p; .param .b32 q; st.param.b32 [p], %t; call.uni (q), collect, (p); ld.param.b32 %r4, [q]; }
    add.u32 %r0, %r0, %r1; add.u32 %r0, %r0, %r2; mad.lo.u32 %r0, %r3, 10000, %r0; mad.lo.u32 %r0, %r4, 1000000, %r0;
    st.global.u32 [%o], %r0;
    call leave, (%t);
    st.global.u32 [%o], 0;
    ret;
}
.visible .entry indirect(.param .u64 po, .param .u32 pw)
{
""" + INDEX + r"""
    .reg .b32 %r<6>; .reg .b64 %f, %q;
    ld.param.u32 %r0, [pw]; mul.wide.u32 %q, %r0, 8; mov.u64 %f, table; add.u64 %f, %f, %q; ld.global.u64 %f, [%f];
    shape: .callprototype (.param .b32 _) _ (.param .b32 _);
    call (%r1), %f, (5), shape;
    st.global.u32 [%o], %r1;
    ret;
}
.visible .entry wild(.param .u64 po, .param .u64 pf)
{
    .reg .b64 %f; .reg .b32 %r; ld.param.u64 %f, [pf];
    shape: .callprototype (.param .b32 _) _ (.param .b32 _);
    call (%r), %f, (5), shape; ret;
}
.visible .entry wrong_shape(.param .u64 po)
{
    .reg .b64 %f; .reg .b64 %r; mov.u64 %f, square;
    shape: .callprototype (.param .b64 _) _ (.param .b64 _);
    call (%r), %f, (5), shape; ret;
}
.visible .entry deep(.param .u64 po, .param .u32 pn)
{
    .reg .b32 %r, %n; .reg .b64 %o; ld.param.u64 %o, [po]; ld.param.u32 %n, [pn];
    call (%r), factorial, (%n); st.global.u32 [%o], %r; ret;
}
.visible .entry switch(.param .u64 po)
{
""" + INDEX + r"""
    .reg .b32 %r<3>; mov.u32 %r0, 0;
    targets: .branchtargets A, B, C;
AGAIN:
    brx.idx %t, targets;
A:  add.u32 %r0, %r0, 1; bra OUT;
B:  add.u32 %r0, %r0, 10; mov.u32 %t, 0; bra AGAIN;
C:  add.u32 %r0, %r0, 100; sub.u32 %t, %t, 1; bra.uni AGAIN;
OUT: st.global.u32 [%o], %r0; ret;
}
.visible .entry print(.param .u64 po)
{
    .local .align 8 .b8 depot[48]; .reg .b64 %p<3>; .reg .b32 %r;
    mov.u64 %p0, depot; cvta.local.u64 %p1, %p0;
    st.local.u32 [%p0], -7; mov.u64 %p2, word; st.local.u64 [%p0+8], %p2; st.local.f64 [%p0+16], 0d3FFC000000000000;
    st.local.u64 [%p0+24], 0x123456789a; st.local.u32 [%p0+32], 90; st.local.u32 [%p0+36], 4000000000;
    mov.u64 %p2, format;
    call (%r), vprintf, (%p2, %p1); ret;
}
.visible .entry check(.param .u64 po)
{
    .reg .b64 %p; mov.u64 %p, word;
    call __assertfail, (%p, %p, 3, %p, 1); ret;
}
.visible .entry never(.param .u64 po)
{ .reg .b32 %r; L: add.u32 %r, %r, 1; bra L; }
.visible .entry explode(.param .u64 po)
{ .reg .b32 %r; call (%r), fibonacci, (60); ret; }
.func (.param .b32 r) fibonacci (.param .b32 a)
{
    .reg .b32 %x<4>; .reg .pred %p; ld.param.b32 %x0, [a]; mov.u32 %x1, %x0; setp.lt.u32 %p, %x0, 2; @%p bra OUT;
    sub.u32 %x0, %x0, 1; call (%x1), fibonacci, (%x0); sub.u32 %x0, %x0, 1; call (%x2), fibonacci, (%x0); add.u32 %x1, %x1, %x2;
OUT: st.param.b32 [r], %x1; ret;
}
.visible .entry stop(.param .u64 po) { trap; }
.visible .entry small(.param .u64 po) .maxntid 64, 1, 1 { ret; }
.visible .entry shaped(.param .u64 po) .reqntid 8, 4 .minnctapersm 2 { ret; }
.visible .entry barriers(.param .u64 po)
{
    .shared .align 4 .b8 slots[4096];
""" + INDEX + r"""
    .reg .b32 %r<8>; .reg .pred %p<4>;
    mov.u32 %r0, slots; mad.lo.u32 %r1, %t, 4, %r0; mov.u32 %r5, 0; mov.u32 %r6, %t;
LOOP:
    st.shared.u32 [%r1], %r6; bar.sync 0;
    add.u32 %r2, %t, 1; setp.ge.u32 %p0, %r2, %n; @%p0 mov.u32 %r2, 0;
    mad.lo.u32 %r2, %r2, 4, %r0; ld.shared.u32 %r6, [%r2]; barrier.sync.aligned 0;
    add.u32 %r5, %r5, 1; setp.lt.u32 %p1, %r5, 20; @%p1 bra LOOP;
    st.global.u32 [%o], %r6; ret;
}
.visible .entry reductions(.param .u64 po)
{
""" + INDEX + r"""
    .reg .b32 %r<4>; .reg .pred %p<4>;
    setp.lt.u32 %p0, %t, 10; bar.red.popc.u32 %r0, 1, %p0; bar.red.and.pred %p1, 0, %p0; bar.red.or.pred %p2, 0, %p0;
    @%p1 add.u32 %r0, %r0, 1000; @%p2 add.u32 %r0, %r0, 2000; st.global.u32 [%o], %r0; ret;
}
.visible .entry producer(.param .u64 po)
{
    .shared .align 4 .b8 box[256];
""" + INDEX + r"""
    .reg .b32 %r<4>, %s; .reg .pred %p;
    and.b32 %r0, %t, 31; mov.u32 %s, box; mad.lo.u32 %s, %r0, 4, %s; setp.lt.u32 %p, %t, 32; @%p bra CONSUME;
    mul.lo.u32 %r1, %r0, %r0; st.shared.u32 [%s], %r1; bar.arrive 2, 64; ret;
CONSUME: bar.sync 2, 64; ld.shared.u32 %r1, [%s]; st.global.u32 [%o], %r1; ret;
}
.visible .entry early(.param .u64 po)
{
""" + INDEX + r"""
    .reg .pred %p; setp.lt.u32 %p, %t, 40; @%p exit; bar.sync 0; st.global.u32 [%o], 1; ret;
}
.visible .entry lock(.param .u64 po, .param .u64 pl)
{
    .reg .b64 %o, %l; .reg .b32 %r<4>; .reg .pred %p;
    ld.param.u64 %o, [po]; ld.param.u64 %l, [pl];
TAKE: atom.global.cas.b32 %r0, [%l], 0, 1; setp.ne.u32 %p, %r0, 0; @%p bra TAKE;
    membar.gl; ld.volatile.global.u32 %r1, [%o]; add.u32 %r1, %r1, 1;
    st.volatile.global.u32 [%o], %r1; membar.gl; atom.global.exch.b32 %r0, [%l], 0; ret;
}
.visible .entry hand_over(.param .u64 po)
{
    .reg .b64 %o; .reg .b32 %r<4>; .reg .pred %p;
    ld.param.u64 %o, [po]; mov.u32 %r0, %tid.x;
WAIT: ld.acquire.gpu.global.u32 %r1, [%o]; setp.ne.u32 %p, %r1, %r0; @%p bra WAIT;
    add.u32 %r1, %r1, 1; st.release.gpu.global.u32 [%o], %r1; ret;
}
.visible .entry backwards(.param .u64 po)
{
    .reg .b64 %o; .reg .b32 %r<4>; .reg .pred %p;
    ld.param.u64 %o, [po]; mov.u32 %r0, %ctaid.x; mov.u32 %r2, %nctaid.x; sub.u32 %r2, %r2, %r0; sub.u32 %r2, %r2, 1;
WAIT: nanosleep.u32 20; ld.relaxed.gpu.global.u32 %r1, [%o]; setp.ne.u32 %p, %r1, %r2; @%p bra WAIT;
    add.u32 %r1, %r1, 1; st.global.u32 [%o], %r1; ret;
}
.visible .entry grid_barrier(.param .u64 po)
{
    .reg .b64 %o, %w; .reg .b32 %r<8>; .reg .pred %p<4>;
    ld.param.u64 %o, [po]; mov.u32 %r6, %envreg1; mov.u32 %r7, %envreg2; mov.b64 %w, {%r7, %r6}; mov.u32 %r0, %tid.x; mov.u32 %r1, %nctaid.x; mov.u32 %r2, 0; mov.u32 %r5, %r1;
ROUND:
    bar.sync 0; setp.ne.u32 %p0, %r0, 0; @%p0 bra MEET;
    atom.global.add.u32 %r3, [%w], 1;
WAIT: ld.volatile.global.u32 %r3, [%w]; setp.lt.u32 %p1, %r3, %r5; @%p1 bra WAIT;
MEET: bar.sync 0; add.u32 %r5, %r5, %r1; add.u32 %r2, %r2, 1; setp.lt.u32 %p2, %r2, 10; @%p2 bra ROUND;
    atom.global.add.u32 %r3, [%o], 1; ret;
}
"""


class ControlTest(unittest.TestCase):
    module: Module

    @classmethod
    def setUpClass(cls) -> None:
        cls.module = Module(KERNELS)

    def _out(self, count: int = 1) -> Buffer:
        return Buffer(np.zeros(count, np.uint32))

    def test_calls_with_values_structures_and_recursion(self) -> None:
        out = self._out(32)
        self.module.run('calls', 1, 32, out)
        self.assertEqual([0 if n <= 3 else n * n + 3 * n + 720 + 5 * 10000 + (n ^ 1) * 1000000 for n in range(32)],
                         list(out.array))

    def test_calls_through_registers(self) -> None:
        out = self._out()
        for which, expected in ((0, 15), (1, 25), (2, 120)):
            self.module.run('indirect', 1, 1, out, np.uint32(which))
            self.assertEqual(expected, out.array[0])

    def test_a_wild_call_is_an_invalid_program_counter(self) -> None:
        for address in (0, 0x4000001, 0x4100000, 2**64 - 16, id(self)):
            self.assertEqual(INVALID_PC, self.module.launch('wild', 1, 1, self._out(), address))
        self.assertEqual(INVALID_PC, self.module.launch('wrong_shape', 1, 1, self._out()))

    def test_recursion_has_an_end(self) -> None:
        out = self._out()
        self.module.run('deep', 1, 1, out, np.uint32(100))
        self.assertEqual(STACK_ERROR, self.module.launch('deep', 1, 1, out, np.uint32(1 << 30)))
        self.module.run('deep', 1, 1, out, np.uint32(5))
        self.assertEqual(120, out.array[0])

    def test_indexed_branch(self) -> None:
        out = self._out(3)
        self.module.run('switch', 1, 3, out)
        self.assertEqual([1, 11, 111], list(out.array))
        self.assertEqual(INVALID_PC, self.module.launch('switch', 1, 4, self._out(4)))

    def test_print_and_assert(self) -> None:
        self.module.run('print', 1, 1, self._out())
        self.assertEqual(b'-7 abc 1.75 123456789a % Z 4000000000\n', printed())
        self.assertEqual(ASSERT, self.module.launch('check', 1, 1, self._out()))
        self.assertIn(b'abc', printed())

    def test_what_never_ends_can_be_left(self) -> None:
        for name in ('never', 'explode'):
            self.assertEqual(YIELDED, self.module.launch(name, 4, 64, self._out(), budget_ns=10**6, steps=5))
        self.module.run('deep', 1, 1, self._out(), np.uint32(3))
        self.assertEqual(0, library().harness_charged())

    def test_trap(self) -> None:
        self.assertEqual(LAUNCH_FAILED, self.module.launch('stop', 1, 1, self._out()))

    def test_launch_shapes(self) -> None:
        out = self._out()
        self.module.run('small', 1, 64, out)
        self.assertEqual(INVALID_VALUE, self.module.launch('small', 1, 65, out))
        self.module.run('shaped', 1, (8, 4), out)
        self.assertEqual(INVALID_VALUE, self.module.launch('shaped', 1, (4, 8), out))
        self.assertEqual(INVALID_VALUE, self.module.launch('stop', 0, 1, out))
        self.assertEqual(INVALID_VALUE, self.module.launch('stop', 1, (33, 32), out))
        self.assertEqual(INVALID_VALUE, self.module.launch('stop', 1, 1, out, shared=1 << 20))

    def test_barriers_in_loops(self) -> None:
        for threads in (1, 33, 256, 1000):
            out = self._out(threads * 3)
            self.module.run('barriers', 3, threads, out)
            self.assertEqual([(n % threads + 20) % threads for n in range(3 * threads)], list(out.array))

    def test_barriers_survive_preemption(self) -> None:
        out = self._out(512)
        self.assertEqual(0, self.module.launch('barriers', 2, 256, out, budget_ns=1))
        self.assertEqual([(n % 256 + 20) % 256 for n in range(512)], list(out.array))

    def test_reducing_barriers(self) -> None:
        for threads, expected in ((8, 3008), (100, 2010)):
            out = self._out(threads)
            self.module.run('reductions', 1, threads, out)
            self.assertEqual([expected] * threads, list(out.array))

    def test_arriving_without_waiting(self) -> None:
        out = self._out(64)
        self.module.run('producer', 1, 64, out)
        self.assertEqual([n * n for n in range(32)], list(out.array[:32]))

    def test_a_barrier_counts_only_threads_that_are_still_there(self) -> None:
        out = self._out(100)
        self.module.run('early', 1, 100, out)
        self.assertEqual([0] * 40 + [1] * 60, list(out.array))

    def test_spin_lock(self) -> None:
        out, lock = self._out(), self._out()
        self.module.run('lock', 20, 256, out, lock)
        self.assertEqual(20 * 256, out.array[0])

    def test_threads_that_wait_for_a_later_one(self) -> None:
        out = self._out()
        self.module.run('hand_over', 1, 64, out)
        self.assertEqual(64, out.array[0])

    def test_blocks_that_wait_for_a_later_one(self) -> None:
        out = self._out()
        self.module.run('backwards', 20, 1, out)
        self.assertEqual(20, out.array[0])

    def test_a_barrier_of_all_blocks(self) -> None:
        out = self._out()
        self.module.run('grid_barrier', 16, 64, out)
        self.assertEqual(16 * 64, out.array[0])
