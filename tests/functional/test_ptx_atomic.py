# SPDX-License-Identifier: Apache-2.0
"""atom and red: the value returned, the value left, and that no update is lost."""

import unittest
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from tests.functional.ptx import softfloat
from tests.functional.ptx.cases import Case, bits_of, run, samples, signed, unsigned
from tests.functional.ptx.harness import HEADER, Buffer, Module

_INTEGER: dict[str, Callable[[int, int], int]] = {
    'add': lambda a, b: a + b, 'min': min, 'max': max, 'and': lambda a, b: a & b, 'or': lambda a, b: a | b,
    'xor': lambda a, b: a ^ b, 'exch': lambda a, b: b, 'inc': lambda a, b: 0 if a >= b else a + 1,
    'dec': lambda a, b: b if a == 0 or a > b else a - 1,
}
_TYPES = {
    'add': ('u32', 's32', 'u64'), 'min': ('u32', 's32', 'u64', 's64'), 'max': ('u32', 's32', 'u64', 's64'),
    'and': ('b32', 'b64'), 'or': ('b32', 'b64'), 'xor': ('b32', 'b64'), 'exch': ('b32', 'b64'), 'inc': ('u32',), 'dec': ('u32',),
}


def _number(pattern: int, scalar: str) -> int:
    return signed(pattern, bits_of(scalar)) if scalar[0] == 's' else pattern


def _cell(operation: str, scalar: str, count: int = 1, space: str = 'global') -> str:
    """Puts %a0 into memory, applies the operation with the other operands; %d0 = returned, %d1 = left in memory."""
    operands = ', '.join(f'%a{n + 1}' for n in range(count))
    if space == 'shared':
        return (f'{{ .shared .align 8 .b8 cells[2048]; .reg .b32 %z; mad.lo.u32 %z, %u, 8, 0; .reg .b32 %y; mov.u32 %y, cells; '
                f'add.u32 %z, %z, %y; st.shared.{scalar} [%z], %a0; atom.shared.{operation} %d0, [%z], {operands}; '
                f'ld.shared.{scalar} %d1, [%z]; }}')
    return f'st.global.{scalar} [%o], %a0; atom.{space}{operation} %d0, [%o], {operands}; ld.global.{scalar} %d1, [%o];'


class AtomicTest(unittest.TestCase):
    def test_integers(self) -> None:
        cases = []
        for operation, scalars in _TYPES.items():
            for scalar in scalars:
                for space in ('global.', '', 'shared'):
                    form = f'{operation}.{scalar}' if space == 'shared' else f'{operation}.{scalar}'
                    cases.append(Case(
                        _cell(form, scalar, 1, space), (scalar, scalar), (scalar, scalar), samples((scalar, scalar), 120),
                        lambda a, b, f=_INTEGER[operation], s=scalar: (
                            a, unsigned(f(_number(a, s), _number(b, s)), bits_of(s)))))
        for scalar in ('b16', 'b32', 'b64'):
            three = tuple((a, b if n % 2 else a, c) for n, (a, b, c) in enumerate(samples((scalar,) * 3, 120)))
            cases.append(Case(_cell(f'cas.{scalar}', scalar, 2, 'global.'), (scalar,) * 3, (scalar,) * 2, three,
                              lambda a, b, c: (a, c if a == b else a)))
        self.assertEqual([], run(cases))

    def test_floating_point(self) -> None:
        f32 = softfloat.FORMATS['f32']

        def flushed(a: int, b: int) -> tuple[int, int]:
            return a, softfloat.flush(softfloat.apply('add', f32, 'rn', (softfloat.flush(a, f32), softfloat.flush(b, f32))), f32)

        def pairs(name: str) -> Callable[[int, int], tuple[int, int]]:
            form = softfloat.FORMATS[name]
            return lambda a, b: (a, softfloat.apply('add', form, 'rn', (a & 0xffff, b & 0xffff))
                                 | softfloat.apply('add', form, 'rn', (a >> 16, b >> 16)) << 16)

        cases = [
            Case(_cell('add.f32', 'f32', 1, 'shared'), ('f32',) * 2, ('f32',) * 2, samples(('f32',) * 2),
                 lambda a, b: (a, softfloat.apply('add', f32, 'rn', (a, b)))),
            Case(_cell('add.f32', 'f32', 1, 'global.'), ('f32',) * 2, ('f32',) * 2, samples(('f32',) * 2), flushed),
            Case(_cell('add.f64', 'f64', 1, 'global.'), ('f64',) * 2, ('f64',) * 2, samples(('f64',) * 2),
                 lambda a, b: (a, softfloat.apply('add', softfloat.FORMATS['f64'], 'rn', (a, b)))),
            Case(_cell('add.noftz.f16x2', 'b32', 1, 'global.'), ('f16x2',) * 2, ('f16x2',) * 2, samples(('f16x2',) * 2),
                 pairs('f16')),
            Case(_cell('add.noftz.bf16x2', 'b32', 1, 'global.'), ('bf16x2',) * 2, ('bf16x2',) * 2, samples(('bf16x2',) * 2),
                 pairs('bf16')),
        ]
        self.assertEqual([], run(cases))

    def test_no_update_is_lost(self) -> None:
        module = Module(HEADER + """
.visible .entry count(.param .u64 po)
{
    .reg .b64 %o; .reg .b32 %r; .reg .f64 %d; .reg .f32 %f;
    ld.param.u64 %o, [po];
    red.relaxed.gpu.global.add.u32 [%o], 1;
    atom.global.acq_rel.sys.inc.u32 %r, [%o+4], 999999;
    red.global.add.f64 [%o+8], 0d3FE0000000000000;
    mov.f32 %f, 0f3F800000; red.global.add.v2.f32 [%o+16], {%f, %f};
    ret;
}
""")
        out = Buffer(np.zeros(6, np.uint32))
        module.run('count', 100, 256, out)
        self.assertEqual([25600, 25600], list(out.array[:2]))
        self.assertEqual(12800.0, out.array[2:4].view(np.float64)[0])
        self.assertEqual([Fraction(25600)] * 2, [Fraction(float(value)) for value in out.array[4:6].view(np.float32)])
