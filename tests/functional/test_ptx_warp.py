# SPDX-License-Identifier: Apache-2.0
"""Warp-wide operations, also in divergent code and with lanes that have left."""

import unittest

import numpy as np
import numpy.typing as npt

from tests.functional.ptx.harness import HEADER, Buffer, Module

PROLOGUE = """
    .reg .b64 %o, %i, %k; .reg .b32 %r<12>; .reg .pred %p<6>;
    ld.param.u64 %o, [po]; ld.param.u64 %i, [pi];
    mov.u32 %r0, %tid.x; mul.wide.u32 %k, %r0, 4; add.u64 %o, %o, %k; add.u64 %i, %i, %k; ld.global.u32 %r1, [%i];
    mov.u32 %r11, 0;
"""
EPILOGUE = ' st.global.u32 [%o], %r2; ret; }\n'


def kernel(name: str, text: str) -> str:
    return f'.visible .entry {name}(.param .u64 po, .param .u64 pi) {{ {PROLOGUE} {text} {EPILOGUE}'


SHUFFLES = {
    f'{mode}_{b}_{c}': (mode, b, c) for mode in ('up', 'down', 'bfly', 'idx') for b in (0, 1, 5, 16, 31, 33)
    for c in ((0, 0x1800) if mode == 'up' else (31, 0x181f, 0x1c1f))
}

KERNELS = HEADER + ''.join(
    kernel(f'shfl_{name}', f'shfl.sync.{mode}.b32 %r2|%p0, %r1, {b}, {c}, -1; @!%p0 add.u32 %r2, %r2, 1000;')
    for name, (mode, b, c) in SHUFFLES.items()
) + ''.join(
    kernel(f'redux_{op}_{kind}', f'redux.sync.{op}.{kind} %r2, %r1, 0xffffffff;')
    for op, kind in (('add', 'u32'), ('min', 'u32'), ('max', 'u32'), ('min', 's32'), ('max', 's32'), ('and', 'b32'),
                     ('or', 'b32'), ('xor', 'b32'))
) + kernel('votes', """
    setp.gt.u32 %p0, %r1, 10;
    vote.sync.ballot.b32 %r2, %p0, -1; vote.sync.all.pred %p1, %p0, -1; vote.sync.any.pred %p2, %p0, -1;
    vote.sync.uni.pred %p3, %p0, -1;
    @%p1 xor.b32 %r2, %r2, 1; @%p2 xor.b32 %r2, %r2, 2; @%p3 xor.b32 %r2, %r2, 4;
""") + kernel('halves', """
    and.b32 %r3, %r0, 1; setp.eq.u32 %p0, %r3, 0;
    @%p0 bra EVEN;
    shfl.sync.idx.b32 %r2, %r1, 3, 31, 0xaaaaaaaa;
    bra JOIN;
EVEN:
    shfl.sync.idx.b32 %r2, %r1, 4, 31, 0x55555555;
JOIN:
    bar.warp.sync -1;
    shfl.sync.bfly.b32 %r4, %r2, 1, 31, -1; shl.b32 %r4, %r4, 16; or.b32 %r2, %r2, %r4;
""") + kernel('leavers', """
    setp.lt.u32 %p0, %r0, 7; @%p0 exit;
    setp.eq.u32 %p1, %r11, 0; vote.sync.ballot.b32 %r2, %p1, 0xffffffff;
""") + kernel('matches', """
    match.any.sync.b32 %r2, %r1, -1; cvt.u64.u32 %k, %r1; match.all.sync.b64 %r3|%p0, %k, -1;
    @%p0 xor.b32 %r2, %r2, %r3; elect.sync %r4|%p1, -1; @%p1 not.b32 %r2, %r2;
""") + kernel('wrong_mask', 'shfl.sync.idx.b32 %r2, %r1, 0, 31, 1;') + kernel('never', """
    setp.eq.u32 %p0, %r0, 0; @%p0 bra WAIT; bar.sync 1; bra OUT;
WAIT: bar.warp.sync -1;
OUT: mov.u32 %r2, 0;
""") + kernel('reduce', """
    mov.u32 %r2, %r1; mov.u32 %r3, 16;
LOOP:
    shfl.sync.down.b32 %r4, %r2, %r3, 31, -1; add.u32 %r2, %r2, %r4; shr.u32 %r3, %r3, 1;
    setp.ne.u32 %p0, %r3, 0; @%p0 bra LOOP;
    shfl.sync.idx.b32 %r2, %r2, 0, 31, -1;
""") + kernel('uneven', """
    mov.u32 %r2, 0; mov.u32 %r3, 0; setp.eq.u32 %p0, %r0, 5;
    mov.u32 %r5, 3; @%p0 mov.u32 %r5, 200000;
SPIN: add.u32 %r3, %r3, 1; setp.lt.u32 %p1, %r3, %r5; @%p1 bra SPIN;
    activemask.b32 %r2; vote.sync.all.pred %p2, %p1, -1; @%p2 not.b32 %r2, %r2;
""")

OLD_KERNELS = '.version 6.2\n.target sm_60\n.address_size 64\n' + kernel('old_forms', """
    and.b32 %r3, %r0, 3; setp.eq.u32 %p0, %r3, 0; mov.u32 %r2, 0;
    @%p0 bra SKIP;
    setp.gt.u32 %p1, %r1, 10; vote.ballot.b32 %r2, %p1; activemask.b32 %r4; xor.b32 %r2, %r2, %r4;
SKIP:
    shfl.down.b32 %r5, %r1, 1, 31; add.u32 %r2, %r2, %r5;
""")


def lanes_of(mode: str, b: int, c: int, values: npt.NDArray[np.uint32]) -> list[int]:
    result = []
    b &= 31
    clamp, segment = c & 31, c >> 8 & 31
    for lane in range(32):
        top = lane & segment | clamp & ~segment
        base = lane & segment
        source, inside = {
            'up': (lane - b, lane - b >= top), 'down': (lane + b, lane + b <= top), 'bfly': (lane ^ b, (lane ^ b) <= top),
            'idx': (base | b & ~segment, (base | b & ~segment) <= top),
        }[mode]
        result.append(int(values[source]) if inside else int(values[lane]) + 1000)
    return result


class WarpTest(unittest.TestCase):
    module: Module
    values: npt.NDArray[np.uint32]

    @classmethod
    def setUpClass(cls) -> None:
        cls.module = Module(KERNELS)
        cls.values = np.random.default_rng(3).integers(0, 2**31, 32, dtype=np.uint32)

    def _run(self, name: str, values: npt.NDArray[np.uint32] | None = None, block: int = 32,
             module: Module | None = None) -> list[int]:
        values = self.values if values is None else values
        out = Buffer(np.zeros(len(values), np.uint32))
        (module or self.module).run(name, 1, block, out, Buffer(values))
        return [int(value) for value in out.array]

    def test_shuffles(self) -> None:
        for name, (mode, b, c) in SHUFFLES.items():
            with self.subTest(name):
                self.assertEqual(lanes_of(mode, b, c, self.values), self._run(f'shfl_{name}'))

    def test_redux(self) -> None:
        values = self.values * np.uint32(3)
        signed = values.view(np.int32)
        expected = {
            'add_u32': values.sum(dtype=np.uint32), 'min_u32': values.min(), 'max_u32': values.max(),
            'min_s32': signed.min().view(np.uint32), 'max_s32': signed.max().view(np.uint32),
            'and_b32': np.bitwise_and.reduce(values), 'or_b32': np.bitwise_or.reduce(values),
            'xor_b32': np.bitwise_xor.reduce(values),
        }
        for name, value in expected.items():
            with self.subTest(name):
                self.assertEqual([int(value)] * 32, self._run(f'redux_{name}', values))

    def test_votes(self) -> None:
        mixed = np.arange(32, dtype=np.uint32)
        self.assertEqual([(0xfffff800 ^ 2)] * 32, self._run('votes', mixed))
        self.assertEqual([0 ^ 4] * 32, self._run('votes', mixed * 0))
        self.assertEqual([0xffffffff ^ 7] * 32, self._run('votes', mixed + 100))

    def test_both_sides_of_a_branch(self) -> None:
        values = np.arange(100, 132, dtype=np.uint32)
        self.assertEqual([(104 | 103 << 16), (103 | 104 << 16)] * 16, self._run('halves', values))

    def test_lanes_that_have_left_are_not_waited_for(self) -> None:
        self.assertEqual([0] * 7 + [0xffffff80] * 25, self._run('leavers'))

    def test_a_warp_that_is_not_full(self) -> None:
        values = np.arange(40, dtype=np.uint32)
        got = self._run('votes', values, block=40)
        self.assertEqual([(0xff ^ 7)] * 8, got[32:])

    def test_match_and_elect(self) -> None:
        values = np.array([n % 3 for n in range(32)], np.uint32)
        masks = [sum(1 << m for m in range(32) if m % 3 == n % 3) for n in range(32)]
        self.assertEqual([masks[0] ^ 0xffffffff, *masks[1:]], self._run('matches', values))
        self.assertEqual([0xffffffff] + [0] * 31, self._run('matches', values * 0))

    def test_forms_without_a_mask_take_the_lanes_that_are_there(self) -> None:
        values = np.arange(32, dtype=np.uint32)
        there = sum(1 << n for n in range(32) if n % 4)
        ballot = sum(1 << n for n in range(32) if n % 4 and n > 10)
        shifted = [min(n + 1, 31) for n in range(32)]
        self.assertEqual([((ballot ^ there) * (n % 4 != 0) + shifted[n]) % 2**32 for n in range(32)],
                         self._run('old_forms', values, module=Module(OLD_KERNELS)))

    def test_a_lane_outside_its_own_mask_is_an_illegal_instruction(self) -> None:
        self.assertEqual(715, self.module.launch('wrong_mask', 1, 2, Buffer(self.values), Buffer(self.values)))

    def test_a_deadlock_ends_the_launch(self) -> None:
        self.assertEqual(719, self.module.launch('never', 1, 32, Buffer(self.values), Buffer(self.values)))

    def test_loops_of_shuffles(self) -> None:
        values = np.arange(1024, dtype=np.uint32)
        sums = values.reshape(32, 32).sum(axis=1)
        self.assertEqual([int(sums[n // 32]) for n in range(1024)], self._run('reduce', values, block=1024))

    def test_lanes_wait_for_a_slow_one_to_reconverge(self) -> None:
        self.assertEqual([0xffffffff] * 32, self._run('uneven'))
