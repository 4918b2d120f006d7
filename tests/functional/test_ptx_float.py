# SPDX-License-Identifier: Apache-2.0
"""f32 and f64 instructions against exact fractions, in every rounding mode."""

import math
import struct
import unittest
from collections.abc import Callable
from fractions import Fraction

from tests.functional.ptx import softfloat
from tests.functional.ptx.cases import Case, run, samples
from tests.functional.ptx.softfloat import FORMATS, NAN, Format, apply, decode, flush, saturate

MODES = ('rn', 'rz', 'rm', 'rp')
ARITY = {'add': 2, 'sub': 2, 'mul': 2, 'div': 2, 'fma': 3, 'rcp': 1, 'sqrt': 1}


def _text(opcode: str, modifiers: str, count: int, scalar: str) -> str:
    return f'{opcode}{modifiers}.{scalar} %d0, ' + ', '.join(f'%a{n}' for n in range(count)) + ';'


def _arithmetic(name: str, scalar: str, mode: str, ftz: bool = False, sat: bool = False) -> Case:
    form, count = FORMATS[scalar], ARITY[name]

    def reference(*patterns: int) -> int:
        given = tuple(flush(pattern, form) for pattern in patterns) if ftz else patterns
        result = apply(name, form, mode, given)
        result = flush(result, form) if ftz else result
        return saturate(result, form) if sat else result

    modifiers = f'.{mode}' + ('.ftz' if ftz else '') + ('.sat' if sat else '')
    return Case(_text(name, modifiers, count, scalar), (scalar,) * count, (scalar,),
                samples((scalar,) * count, 900 if count > 1 else 400), reference)


def _extremum(opcode: str, scalar: str, nan: bool) -> Case:
    form = FORMATS[scalar]

    def reference(a: int, b: int) -> int:
        x, y = decode(a, form), decode(b, form)
        if x == NAN or y == NAN:
            if nan or x == y:
                return form.nan
            return b if x == NAN else a
        assert not isinstance(x, str) and not isinstance(y, str)
        if x == y:
            return a | b if opcode == 'min' else a & b
        return a if (x < y) == (opcode == 'min') else b

    return Case(_text(opcode, '.NaN' if nan else '', 2, scalar), (scalar,) * 2, (scalar,), samples((scalar,) * 2, 900),
                reference)


def _close(form: Format, relative: float, absolute: float = 0.0) -> Callable[[int, int], bool]:
    """Whether two patterns are as close as the ISA promises."""

    def fits(got: int, want: int) -> bool:
        a, b = decode(got, form), decode(want, form)
        if isinstance(a, str) or isinstance(b, str) or softfloat.is_infinite(a) or softfloat.is_infinite(b):
            return got == want
        return abs(Fraction(a) - Fraction(b)) <= Fraction(relative) * abs(Fraction(b)) + Fraction(absolute)

    return fits


def _approximate(text: str, function: Callable[[float], float], relative: float, absolute: float = 0.0,
                 patterns: tuple[tuple[int, ...], ...] | None = None) -> Case:
    form = FORMATS['f32']

    def reference(pattern: int) -> int:
        value = struct.unpack('<f', struct.pack('<I', pattern))[0]
        try:
            result = function(value)
        except ValueError:
            return form.nan
        except OverflowError:
            return form.infinity
        if math.isnan(result):
            return form.nan
        try:
            return int(struct.unpack('<I', struct.pack('<f', result))[0])
        except OverflowError:
            return form.infinity | (form.sign if result < 0 else 0)

    return Case(text, ('f32',), ('f32',), patterns or samples(('f32',), 400), reference,
                _close(form, relative, max(absolute, 2.0 ** -149)))


class FloatTest(unittest.TestCase):
    def _check(self, cases: list[Case]) -> None:
        self.assertEqual([], run(cases))

    def test_every_rounding_mode(self) -> None:
        self._check([_arithmetic(name, scalar, mode) for name in ARITY for scalar in ('f32', 'f64') for mode in MODES])

    def test_flush_and_saturation(self) -> None:
        cases = [_arithmetic(name, 'f32', mode, ftz=True) for name in ('add', 'sub', 'mul', 'fma', 'div', 'rcp', 'sqrt')
                 for mode in ('rn', 'rz')]
        cases += [_arithmetic(name, 'f32', 'rn', ftz, True) for name in ('add', 'sub', 'mul', 'fma') for ftz in (False, True)]
        self._check(cases)

    def test_without_a_rounding_mode_to_nearest_and_never_contracted(self) -> None:
        form = FORMATS['f32']

        def reference(a: int, b: int, c: int) -> int:
            return apply('add', form, 'rn', (apply('mul', form, 'rn', (a, b)), c))

        self._check([Case('mul.f32 %d0, %a0, %a1; add.f32 %d0, %d0, %a2;', ('f32',) * 3, ('f32',),
                          samples(('f32',) * 3, 2000), reference)])

    def test_minimum_and_maximum(self) -> None:
        self._check([_extremum(opcode, scalar, nan) for opcode in ('min', 'max') for scalar, nan in (
            ('f32', False), ('f32', True), ('f64', False))])

    def test_sign(self) -> None:
        cases = []
        for scalar in ('f32', 'f64'):
            form = FORMATS[scalar]
            sign = form.sign
            cases += [
                Case(f'neg.{scalar} %d0, %a0;', (scalar,), (scalar,), samples((scalar,)), lambda a, s=sign: a ^ s),
                Case(f'abs.{scalar} %d0, %a0;', (scalar,), (scalar,), samples((scalar,)), lambda a, s=sign: a & ~s),
                Case(f'copysign.{scalar} %d0, %a0, %a1;', (scalar,) * 2, (scalar,), samples((scalar,) * 2),
                     lambda a, b, s=sign: (b & ~s) | (a & s)),
            ]
        self._check(cases)

    def test_classes(self) -> None:
        cases = []
        for scalar in ('f32', 'f64'):
            form = FORMATS[scalar]
            tests: dict[str, Callable[[int, Format], bool]] = {
                'finite': lambda a, f: a & f.infinity != f.infinity,
                'infinite': lambda a, f: a & ~f.sign == f.infinity,
                'number': lambda a, f: a & ~f.sign <= f.infinity,
                'notanumber': lambda a, f: a & ~f.sign > f.infinity,
                'normal': lambda a, f: 0 != a & f.infinity != f.infinity,
                'subnormal': lambda a, f: not a & f.infinity and bool(a & ~f.sign),
            }
            for name, test in tests.items():
                cases.append(Case(f'testp.{name}.{scalar} %p0, %a0;', (scalar,), ('pred',), samples((scalar,)),
                                  lambda a, t=test, f=form: int(t(a, f))))
        self._check(cases)

    def test_approximations_keep_their_bounds(self) -> None:
        near = samples(('f32',), 800)
        quadrants = tuple((struct.unpack('<I', struct.pack('<f', n * 0.0123 - 3.1))[0],) for n in range(500))
        self._check([
            _approximate('ex2.approx.f32 %d0, %a0;', lambda x: 0.0 if x < -200 else math.pow(2.0, x), 2 ** -22, patterns=near),
            _approximate('lg2.approx.f32 %d0, %a0;', lambda x: -math.inf if x == 0 else math.log2(x), 2 ** -22, 2 ** -22),
            _approximate('sin.approx.f32 %d0, %a0;', math.sin, 0, 2 ** -20.5, quadrants),
            _approximate('cos.approx.f32 %d0, %a0;', math.cos, 0, 2 ** -20.5, quadrants),
            _approximate('tanh.approx.f32 %d0, %a0;', math.tanh, 2 ** -11),
            _approximate('rcp.approx.f32 %d0, %a0;', lambda x: math.copysign(math.inf, x) if x == 0 else 1 / x, 2 ** -23),
            _approximate('rcp.approx.ftz.f32 %d0, %a0;', _flushing(
                lambda x: math.copysign(math.inf, x) if x == 0 else 1 / x), 2 ** -23),
            _approximate('sqrt.approx.f32 %d0, %a0;', lambda x: x if x == 0 else math.sqrt(x), 2 ** -23),
            _approximate('rsqrt.approx.f32 %d0, %a0;', lambda x: math.copysign(math.inf, x) if x == 0 else
                         0.0 if x == math.inf else 1 / math.sqrt(x), 2 ** -22.4),
        ])

    def test_approximate_division(self) -> None:
        form = FORMATS['f32']

        def reference(a: int, b: int) -> int:
            if 0x7e800000 < b & 0x7fffffff < 0x7f800000:
                return form.nan if a & 0x7fffffff >= 0x7f800000 else (a ^ b) & form.sign
            return apply('div', form, 'rn', (a, b))

        pairs = samples(('f32', 'f32'), 900)
        self._check([
            Case('div.approx.f32 %d0, %a0, %a1;', ('f32',) * 2, ('f32',), pairs, reference, _close(form, 2 ** -22, 2 ** -149)),
            Case('div.full.f32 %d0, %a0, %a1;', ('f32',) * 2, ('f32',), pairs,
                 lambda a, b: apply('div', form, 'rn', (a, b)), _close(form, 2 ** -22, 2 ** -149)),
        ])

    def test_rough_double_reciprocal(self) -> None:
        form = FORMATS['f64']
        ordinary = tuple(sample for sample in samples(('f64',), 400) if 0x10 << 48 < sample[0] & ~form.sign < 0x7fd << 52)
        self._check([
            Case('rcp.approx.ftz.f64 %d0, %a0;', ('f64',), ('f64',), ordinary, lambda a: apply('rcp', form, 'rn', (a,)),
                 _close(form, 2 ** -19)),
            Case('rsqrt.approx.ftz.f64 %d0, %a0;', ('f64',), ('f64',),
                 tuple(sample for sample in ordinary if not sample[0] & form.sign),
                 lambda a: apply('rcp', form, 'rn', (apply('sqrt', form, 'rn', (a,)),)), _close(form, 2 ** -19)),
        ])


def _flushing(function: Callable[[float], float]) -> Callable[[float], float]:
    def flush_tiny(x: float) -> float:
        return math.copysign(0.0, x) if abs(x) < 2.0 ** -126 else x

    return lambda x: flush_tiny(function(flush_tiny(x)))
