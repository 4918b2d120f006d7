# SPDX-License-Identifier: Apache-2.0
"""State spaces, vectors, initial values, bounds: what a kernel may touch, and what happens when it touches the rest."""

import unittest

import numpy as np

from tests.functional.ptx.harness import HEADER, Buffer, Module, library

ILLEGAL_ADDRESS, STACK_ERROR, MISALIGNED = 700, 714, 716

KERNELS = HEADER + r"""
.global .align 4 .u32 plain = 5;
.global .align 4 .b32 words[4] = {1, 2, 3, 4};
.global .align 8 .u64 pointer = generic(plain);
.global .align 8 .u64 behind = generic(words)+8;
.global .align 4 .f32 reals[3] = {0f3F800000, 2.5, 3.0};
.global .align 8 .u8 packed[16] = {0xFF(generic(words)+4), 0xFF00(generic(words)+4), 0xFF0000(generic(words)+4),
    0xFF000000(generic(words)+4), 0xFF00000000(generic(words)+4), 0xFF0000000000(generic(words)+4),
    0xFF000000000000(generic(words)+4), 0xFF00000000000000(generic(words)+4), 9};
.const .align 8 .b64 constants[2] = {-1, 0x8000000000000000};
.shared .align 16 .b8 buffer[256];
.shared .align 4 .b32 counter;
.extern .shared .align 16 .b8 dynamic[];

.visible .entry vectors(.param .u64 po, .param .u64 pi)
{
    .reg .b64 %o, %i; .reg .b32 %r<8>; .reg .f64 %d<2>; .reg .b16 %h<4>; .reg .f32 %f<4>;
    ld.param.u64 %o, [po]; ld.param.u64 %i, [pi];
    ld.global.v4.u32 {%r0, %r1, %r2, %r3}, [%i];
    st.global.v4.u32 [%o], {%r3, %r2, %r1, %r0};
    ld.global.nc.v2.f64 {%d0, %d1}, [%i+16];
    st.global.v2.f64 [%o+16], {%d1, %d0};
    ld.global.v4.u16 {%h0, %h1, %h2, %h3}, [%i+32];
    st.global.v2.u16 [%o+32], {%h2, %h3};
    ld.global.v2.f32 {%f0, _}, [%i+40];
    st.global.f32 [%o+40], %f0;
    ld.global.u8 %r4, [%i+48]; ld.global.s8 %r5, [%i+48]; ld.global.s16 %r6, [%i+48];
    st.global.u32 [%o+48], %r4; st.global.u32 [%o+52], %r5; st.global.u32 [%o+56], %r6;
    st.global.u8 [%o+60], %r4;
    ret;
}
.visible .entry initial(.param .u64 po)
{
    .reg .b64 %o, %p, %q; .reg .b32 %r<4>; .reg .f32 %f;
    ld.param.u64 %o, [po];
    ld.global.u64 %p, [pointer]; ld.u32 %r0, [%p]; st.global.u32 [%o], %r0;
    ld.global.u64 %p, [behind]; ld.global.u32 %r0, [%p+4]; st.global.u32 [%o+4], %r0;
    ld.global.f32 %f, [reals+4]; st.global.f32 [%o+8], %f;
    ld.global.u64 %p, [packed]; ld.global.u32 %r0, [%p]; st.global.u32 [%o+12], %r0;
    ld.const.u64 %q, [constants+8]; st.global.u64 [%o+16], %q;
    mov.u64 %p, constants; ld.const.u64 %q, [%p]; st.global.u64 [%o+24], %q;
    cvta.const.u64 %p, %p; ld.u64 %q, [%p]; st.global.u64 [%o+32], %q;
    ld.global.u8 %r1, [packed+8]; st.global.u32 [%o+40], %r1;
    ld.global.u32 %r1, [plain]; add.u32 %r1, %r1, 1; st.global.u32 [plain], %r1;
    ret;
}
.visible .entry spaces(.param .u64 po)
{
    .local .align 16 .b8 depot[32];
    .reg .b64 %o, %p, %g, %l; .reg .b32 %r<8>, %s; .reg .pred %q<4>;
    ld.param.u64 %o, [po];
    mov.u32 %r0, %tid.x;
    mov.u32 %s, buffer; mad.lo.u32 %s, %r0, 4, %s; st.shared.u32 [%s], %r0;
    bar.sync 0;
    xor.b32 %r1, %r0, 1; mov.u32 %s, buffer; mad.lo.u32 %s, %r1, 4, %s;
    cvt.u64.u32 %p, %s; cvta.shared.u64 %g, %p; ld.u32 %r2, [%g];
    isspacep.shared %q0, %g; isspacep.global %q1, %g; isspacep.local %q2, %g;
    selp.u32 %r3, 1, 0, %q0; @%q1 add.u32 %r3, %r3, 2; @%q2 add.u32 %r3, %r3, 4;
    cvta.to.shared.u64 %p, %g; ld.shared.u32 %r4, [%p]; add.u32 %r2, %r2, %r4;
    mov.u64 %l, depot; st.local.u32 [%l+8], %r2; cvta.local.u64 %g, %l; ld.u32 %r4, [%g+8]; st.u32 [%g+12], %r4;
    ld.local.u32 %r4, [depot+12];
    isspacep.local %q2, %g; @%q2 add.u32 %r3, %r3, 8;
    isspacep.global %q1, %o; @%q1 add.u32 %r3, %r3, 16;
    mul.wide.u32 %p, %r0, 8; add.u64 %o, %o, %p;
    st.global.v2.u32 [%o], {%r4, %r3};
    ret;
}
.visible .entry use_dynamic(.param .u64 po, .param .u32 pn)
{
    .reg .b64 %o, %k; .reg .b32 %r<6>; .reg .pred %p;
    ld.param.u64 %o, [po]; ld.param.u32 %r5, [pn];
    mov.u32 %r0, %tid.x; mov.u32 %r1, dynamic; mad.lo.u32 %r1, %r0, 4, %r1;
    st.shared.u32 [counter], 77;
    mul.lo.u32 %r2, %r0, %r0; st.shared.u32 [%r1], %r2; bar.sync 0;
    mov.u32 %r3, %ntid.x; sub.u32 %r3, %r3, %r0; sub.u32 %r3, %r3, 1; shl.b32 %r3, %r3, 2;
    mov.u32 %r1, dynamic; add.u32 %r1, %r1, %r3; ld.shared.u32 %r2, [%r1];
    mul.wide.u32 %k, %r0, 4; add.u64 %o, %o, %k; st.global.u32 [%o], %r2;
    setp.eq.u32 %p, %r0, 0;
    @%p mov.u32 %r4, %dynamic_smem_size; @%p add.u32 %r4, %r4, %r5; @%p st.global.u32 [%o], %r4;
    ret;
}
.visible .entry peek(.param .u64 pa, .param .u64 po)
{
    .reg .b64 %a, %o; .reg .b32 %r;
    ld.param.u64 %a, [pa]; ld.param.u64 %o, [po]; ld.global.u32 %r, [%a]; st.global.u32 [%o], %r; ret;
}
.visible .entry poke(.param .u64 pa)
{
    .reg .b64 %a; ld.param.u64 %a, [pa]; st.u32 [%a], 1; ret;
}
.visible .entry add_at(.param .u64 pa)
{
    .reg .b64 %a; .reg .b32 %r; ld.param.u64 %a, [pa]; atom.add.u32 %r, [%a], 1; ret;
}
.visible .entry shared_peek(.param .u32 pa)
{
    .reg .b32 %a, %r; ld.param.u32 %a, [pa]; ld.shared.u32 %r, [%a]; st.shared.u32 [buffer], %r; ret;
}
.visible .entry local_poke(.param .u64 pa)
{
    .local .align 4 .b8 depot[16];
    .reg .b64 %a; ld.param.u64 %a, [pa]; st.local.u32 [%a], 1; ret;
}
.visible .entry structure(.param .u64 po, .param .align 8 .b8 ps[24])
{
    .reg .b64 %o, %p; .reg .b32 %r<2>; .reg .f64 %d;
    ld.param.u64 %o, [po];
    mov.b64 %p, ps;
    ld.param.u32 %r0, [%p+4]; ld.param.f64 %d, [ps+8];
    cvta.param.u64 %p, %p; ld.u32 %r1, [%p+16];
    st.global.u32 [%o], %r0; st.global.u32 [%o+4], %r1; st.global.f64 [%o+8], %d;
    ret;
}
.visible .entry param_peek(.param .u64 po, .param .u64 pa)
{
    .reg .b64 %o, %p; .reg .b32 %r;
    ld.param.u64 %o, [po]; ld.param.u64 %p, [pa]; ld.param.u32 %r, [%p]; st.global.u32 [%o], %r; ret;
}
.visible .entry copy_async(.param .u64 po, .param .u64 pi)
{
    .reg .b64 %o, %i; .reg .b32 %s, %r;
    ld.param.u64 %o, [po]; ld.param.u64 %i, [pi];
    mov.u32 %s, buffer; cp.async.cg.shared.global [%s], [%i], 16; cp.async.ca.shared.global [%s+16], [%i+16], 8, 4;
    cp.async.commit_group; cp.async.wait_group 0;
    ld.shared.u32 %r, [%s+12]; st.global.u32 [%o], %r;
    ld.shared.u32 %r, [%s+16]; st.global.u32 [%o+4], %r; ld.shared.u32 %r, [%s+20]; st.global.u32 [%o+8], %r;
    ret;
}
"""


class MemoryTest(unittest.TestCase):
    module: Module

    @classmethod
    def setUpClass(cls) -> None:
        cls.module = Module(KERNELS)

    def test_vectors_and_narrow_types(self) -> None:
        data = np.arange(64, dtype=np.uint8)
        data[48] = 0x85
        given, out = Buffer(data), Buffer(np.zeros(64, np.uint8))
        self.module.run('vectors', 1, 1, out, given)
        got, words = out.array, data.view(np.uint32)
        self.assertEqual(list(words[3::-1]), list(got.view(np.uint32)[:4]))
        self.assertEqual(data[24:32].tobytes() + data[16:24].tobytes(), got[16:32].tobytes())
        self.assertEqual(data[36:40].tobytes(), got[32:36].tobytes())
        self.assertEqual(data[40:44].tobytes(), got[40:44].tobytes())
        self.assertEqual([0x85, 0xffffff85, 0x3185], list(got.view(np.uint32)[12:15]))
        self.assertEqual([0x85, 0, 0, 0], list(got[60:64]))

    def test_initial_values(self) -> None:
        out = Buffer(np.zeros(12, np.uint32))
        self.module.run('initial', 1, 1, out)
        self.assertEqual([5, 4, np.float32(2.5).view(np.uint32), 2, 0, 0x80000000], list(out.array[:6]))
        self.assertEqual([0xffffffff] * 4, list(out.array[6:10]))
        self.assertEqual(9, out.array[10])
        self.module.run('initial', 1, 1, out)
        self.assertEqual(6, out.array[0], 'a global keeps what the last kernel wrote')

    def test_spaces_and_generic_addresses(self) -> None:
        out = Buffer(np.zeros((64, 2), np.uint32))
        self.module.run('spaces', 1, 64, out)
        self.assertEqual([2 * (n ^ 1) for n in range(64)], list(out.array[:, 0]))
        self.assertEqual([1 + 8 + 16] * 64, list(out.array[:, 1]))

    def test_dynamic_shared_memory_follows_static(self) -> None:
        out = Buffer(np.zeros(64, np.uint32))
        self.module.run('use_dynamic', 1, 64, out, np.uint32(1000), shared=256)
        self.assertEqual([1256] + [(63 - n) ** 2 for n in range(1, 64)], list(out.array))
        self.assertEqual(ILLEGAL_ADDRESS, self.module.launch('use_dynamic', 1, 64, out, np.uint32(0), shared=252))

    def test_bounds_of_global_memory(self) -> None:
        out = Buffer(np.zeros(1, np.uint32))
        inside = Buffer(np.full(16384, 7, np.uint32))
        self.module.run('peek', 1, 1, inside.address + 65532, out)
        self.assertEqual(7, out.array[0])
        for address in (0, 4, inside.address + 65536, inside.address - 4, 1 << 47, 1 << 63, 0xffff800000000000, -4, 0x5000000,
                        id(self) & ~3):
            with self.subTest(address=hex(address)):
                self.assertEqual(ILLEGAL_ADDRESS, self.module.launch('peek', 1, 1, address, out))
                self.assertEqual(ILLEGAL_ADDRESS, self.module.launch('poke', 1, 1, address))
                self.assertEqual(ILLEGAL_ADDRESS, self.module.launch('add_at', 1, 1, address))
                self.assertEqual(address % 2**64, library().harness_fault_address())
        self.assertEqual(MISALIGNED, self.module.launch('peek', 1, 1, inside.address + 2, out))
        self.assertEqual(MISALIGNED, self.module.launch('poke', 1, 1, inside.address + 1))

    def test_a_failed_launch_harms_no_other(self) -> None:
        out = Buffer(np.zeros(1, np.uint32))
        for _ in range(20):
            self.assertEqual(ILLEGAL_ADDRESS, self.module.launch('peek', 3, 64, 0, out))
        inside = Buffer(np.array([9], np.uint32))
        self.module.run('peek', 1, 1, inside, out)
        self.assertEqual(9, out.array[0])
        self.assertEqual(0, library().harness_charged())

    def test_bounds_of_windows(self) -> None:
        size = self.module.attribute('shared_peek', 0)
        self.assertGreaterEqual(size, 256)
        for offset, result in ((0, 0), (size - 4, 0), (size, ILLEGAL_ADDRESS), (0xfffffffc, ILLEGAL_ADDRESS), (2, MISALIGNED)):
            self.assertEqual(result, self.module.launch('shared_peek', 1, 1, np.uint32(offset)), offset)
        for offset, result in ((12, 0), (16, ILLEGAL_ADDRESS), (-4, ILLEGAL_ADDRESS), (3, MISALIGNED)):
            self.assertEqual(result, self.module.launch('local_poke', 1, 1, offset), offset)
        out = Buffer(np.zeros(1, np.uint32))
        for offset, result in ((0, 0), (12, 0), (16, ILLEGAL_ADDRESS), (2**64 - 4, ILLEGAL_ADDRESS)):
            self.assertEqual(result, self.module.launch('param_peek', 1, 1, out, offset), offset)

    def test_the_first_store_to_a_page_commits_it(self) -> None:
        fresh = Buffer(np.zeros(0, np.uint32))
        before = library().harness_committed()
        for _ in range(3):
            self.module.run('poke', 1, 1, fresh.address)
        self.assertEqual(1, library().harness_committed() - before)

    def test_structure_parameters(self) -> None:
        out = Buffer(np.zeros(4, np.uint32))
        packed = np.array([1, 2], np.uint32).tobytes() + np.array([2.5]).tobytes() + np.array([3, 4], np.uint32).tobytes()
        self.module.run('structure', 1, 1, out, packed)
        self.assertEqual([2, 3], list(out.array[:2]))
        self.assertEqual(2.5, out.array[2:].view(np.float64)[0])

    def test_asynchronous_copy(self) -> None:
        given, out = Buffer(np.arange(1, 9, dtype=np.uint32)), Buffer(np.full(3, 9, np.uint32))
        self.module.run('copy_async', 1, 1, out, given)
        self.assertEqual([4, 5, 0], list(out.array))
