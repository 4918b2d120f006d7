# SPDX-License-Identifier: Apache-2.0
"""cvt between all types, 16-bit floating point, comparison and selection."""

import math
import unittest
from fractions import Fraction

from tests.functional.ptx import softfloat
from tests.functional.ptx.cases import Case, bits_of, run, samples, signed, unsigned
from tests.functional.ptx.softfloat import FORMATS, NAN, Number, decode, encode, flush

INTEGERS = ('u8', 's8', 'u16', 's16', 'u32', 's32', 'u64', 's64')
INTEGRAL = {'rni': 'rn', 'rzi': 'rz', 'rmi': 'rm', 'rpi': 'rp'}


def number(pattern: int, scalar: str) -> int:
    bits = bits_of(scalar)
    return signed(pattern, bits) if scalar[0] == 's' else unsigned(pattern, bits)


def to_integral(value: Fraction, mode: str) -> int:
    if mode == 'rn':
        return round(value)
    return math.trunc(value) if mode == 'rz' else math.floor(value) if mode == 'rm' else math.ceil(value)


def limits(scalar: str) -> tuple[int, int]:
    bits = bits_of(scalar)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if scalar[0] == 's' else (0, (1 << bits) - 1)


def to_integer(value: Number, scalar: str, mode: str) -> int:
    low, high = limits(scalar)
    if isinstance(value, str):
        return 0
    if softfloat.is_infinite(value):
        result = high if value > 0 else low
    else:
        result = max(low, min(high, to_integral(Fraction(value), mode)))
    return unsigned(result, bits_of(scalar))


class ConvertTest(unittest.TestCase):
    def _check(self, cases: list[Case]) -> None:
        self.assertEqual([], run(cases))

    def test_integer_to_integer(self) -> None:
        cases = []
        for source in INTEGERS:
            for target in INTEGERS:
                bits = bits_of(target)
                cases.append(Case(f'cvt.{target}.{source} %d0, %a0;', (source,), (target,), samples((source,), 60),
                                  lambda a, s=source, n=bits: unsigned(number(a, s), n)))
                low, high = limits(target)
                if low <= limits(source)[0] and limits(source)[1] <= high:
                    continue
                cases.append(Case(f'cvt.sat.{target}.{source} %d0, %a0;', (source,), (target,), samples((source,), 60),
                                  lambda a, s=source, n=bits, lo=low, hi=high: unsigned(max(lo, min(hi, number(a, s))), n)))
        self._check(cases)

    def test_a_wider_register_gets_the_extended_value(self) -> None:
        self._check([
            Case('cvt.s8.s32 %d0, %a0;', ('s32',), ('s32',), samples(('s32',)), lambda a: unsigned(signed(a, 8), 32)),
            Case('cvt.u8.u32 %d0, %a0;', ('u32',), ('u32',), samples(('u32',)), lambda a: a & 255),
        ])

    def test_float_to_integer(self) -> None:
        cases = []
        for source in ('f32', 'f64', 'f16'):
            form = FORMATS[source]
            for target in INTEGERS:
                for name, mode in INTEGRAL.items():
                    cases.append(Case(f'cvt.{name}.{target}.{source} %d0, %a0;', (source,), (target,), samples((source,), 150),
                                      lambda a, f=form, t=target, m=mode: to_integer(decode(a, f), t, m)))
        self._check(cases)

    def test_integer_to_float(self) -> None:
        cases = []
        for target in ('f32', 'f64', 'f16'):
            form = FORMATS[target]
            for source in INTEGERS:
                for mode in ('rn', 'rz', 'rm', 'rp'):
                    cases.append(Case(f'cvt.{mode}.{target}.{source} %d0, %a0;', (source,), (target,),
                                      samples((source,), 120),
                                      lambda a, f=form, s=source, m=mode: encode(Fraction(number(a, s)), f, m)))
        self._check(cases)

    def test_float_to_float(self) -> None:
        cases = []
        for source, target, modes in (
                ('f64', 'f32', 'rn rz rm rp'), ('f32', 'f64', ''), ('f32', 'f16', 'rn rz'), ('f64', 'f16', 'rn rz rm rp'),
                ('f16', 'f32', ''), ('f16', 'f64', ''), ('f32', 'bf16', 'rn rz'), ('bf16', 'f32', '')):
            for mode in modes.split() or ['']:
                text = f'cvt{"." if mode else ""}{mode}.{target}.{source} %d0, %a0;'
                cases.append(Case(text, (source,), (target,), samples((source,), 600),
                                  lambda a, s=FORMATS[source], t=FORMATS[target], m=mode or 'rn': encode(decode(a, s), t, m)))
        self._check(cases)

    def test_to_integral_values(self) -> None:
        cases = []
        for scalar in ('f32', 'f64'):
            form = FORMATS[scalar]
            for name, mode in INTEGRAL.items():
                def reference(a: int, f: softfloat.Format = form, m: str = mode) -> int:
                    value = decode(a, f)
                    if isinstance(value, str | float):
                        return encode(value, f)
                    result = to_integral(value, m)
                    return encode(Fraction(result), f) if result else (f.sign if value < 0 else 0)
                cases.append(Case(f'cvt.{name}.{scalar}.{scalar} %d0, %a0;', (scalar,), (scalar,), samples((scalar,)), reference))
        self._check(cases)

    def test_flush_saturation_and_pairs(self) -> None:
        f32, f16, bf16, f64 = (FORMATS[name] for name in ('f32', 'f16', 'bf16', 'f64'))
        self._check([
            Case('cvt.rn.ftz.f32.f64 %d0, %a0;', ('f64',), ('f32',), samples(('f64',)),
                 lambda a: flush(encode(decode(a, f64), f32), f32)),
            Case('cvt.ftz.f64.f32 %d0, %a0;', ('f32',), ('f64',), samples(('f32',)),
                 lambda a: encode(decode(flush(a, f32), f32), f64)),
            Case('cvt.sat.f32.f32 %d0, %a0;', ('f32',), ('f32',), samples(('f32',)), lambda a: softfloat.saturate(a, f32)),
            Case('cvt.rn.sat.f16.f32 %d0, %a0;', ('f32',), ('f16',), samples(('f32',)),
                 lambda a: softfloat.saturate(encode(decode(a, f32), f16), f16)),
            Case('cvt.rn.f16x2.f32 %d0, %a0, %a1;', ('f32', 'f32'), ('f16x2',), samples(('f32', 'f32')),
                 lambda a, b: encode(decode(a, f32), f16) << 16 | encode(decode(b, f32), f16)),
            Case('cvt.rn.bf16x2.f32 %d0, %a0, %a1;', ('f32', 'f32'), ('bf16x2',), samples(('f32', 'f32')),
                 lambda a, b: encode(decode(a, f32), bf16) << 16 | encode(decode(b, f32), bf16)),
            Case('cvt.rn.relu.bf16.f32 %d0, %a0;', ('f32',), ('bf16',), samples(('f32',)),
                 lambda a: 0 if a >> 31 and decode(a, f32) != NAN else encode(decode(a, f32), bf16)),
            Case('cvt.rna.tf32.f32 %d0, %a0;', ('f32',), ('b32',), samples(('f32',)),
                 lambda a: 0x7fffffff if decode(a, f32) == NAN else a if a & 0x7fffffff == 0x7f800000
                 else (a + 0x1000) & ~0x1fff & 0xffffffff),
        ])


class HalfTest(unittest.TestCase):
    def test_arithmetic(self) -> None:
        cases = []
        for scalar in ('f16', 'bf16'):
            form = FORMATS[scalar]
            for name, count in (('add', 2), ('sub', 2), ('mul', 2), ('fma', 3)):
                rounding = '.rn' if name == 'fma' else ''
                operands = ', '.join(f'%a{n}' for n in range(count))
                cases.append(Case(
                    f'{name}{rounding}.{scalar} %d0, {operands};', (scalar,) * count, (scalar,),
                    samples((scalar,) * count, 1500), lambda *p, n=name, f=form: softfloat.apply(n, f, 'rn', p)))
                def lanes(*p: int, n: str = name, f: softfloat.Format = form) -> int:
                    low = softfloat.apply(n, f, 'rn', tuple(x & 0xffff for x in p))
                    return low | softfloat.apply(n, f, 'rn', tuple(x >> 16 for x in p)) << 16
                cases.append(Case(f'{name}{rounding}.{scalar}x2 %d0, {operands};', (f'{scalar}x2',) * count,
                                  (f'{scalar}x2',), samples((f'{scalar}x2',) * count, 400), lanes))
            cases += [
                Case(f'neg.{scalar} %d0, %a0;', (scalar,), (scalar,), samples((scalar,)), lambda a: a ^ 0x8000),
                Case(f'abs.{scalar} %d0, %a0;', (scalar,), (scalar,), samples((scalar,)), lambda a: a & 0x7fff),
            ]
            for opcode in ('min', 'max'):
                def extremum(a: int, b: int, o: str = opcode, f: softfloat.Format = form) -> int:
                    x, y = decode(a, f), decode(b, f)
                    if isinstance(x, str) or isinstance(y, str):
                        return f.nan if x == y else b if isinstance(x, str) else a
                    if x == y:
                        return a | b if o == 'min' else a & b
                    return a if (x < y) == (o == 'min') else b
                cases.append(Case(f'{opcode}.{scalar} %d0, %a0, %a1;', (scalar,) * 2, (scalar,), samples((scalar,) * 2, 800),
                                  extremum))
        self.assertEqual([], run(cases))

    def test_modifiers(self) -> None:
        f16 = FORMATS['f16']
        two = samples(('f16', 'f16'), 600)
        three = samples(('f16',) * 3, 600)
        self.assertEqual([], run([
            Case('add.ftz.f16 %d0, %a0, %a1;', ('f16',) * 2, ('f16',), two, lambda a, b: flush(softfloat.apply(
                'add', f16, 'rn', (flush(a, f16), flush(b, f16))), f16)),
            Case('mul.sat.f16 %d0, %a0, %a1;', ('f16',) * 2, ('f16',), two, lambda a, b: softfloat.saturate(
                softfloat.apply('mul', f16, 'rn', (a, b)), f16)),
            Case('fma.rn.relu.f16 %d0, %a0, %a1, %a2;', ('f16',) * 3, ('f16',), three, lambda a, b, c: (
                lambda r: r if r == f16.nan or not r & 0x8000 else 0)(softfloat.apply('fma', f16, 'rn', (a, b, c)))),
            Case('setp.lt.f16 %p0, %a0, %a1;', ('f16',) * 2, ('pred',), two, lambda a, b: _compare('lt', a, b, 'f16')),
            Case('setp.geu.f16x2 %p0|%p1, %a0, %a1;', ('f16x2',) * 2, ('pred', 'pred'), samples(('f16x2',) * 2),
                 lambda a, b: (_compare('geu', a & 0xffff, b & 0xffff, 'f16'), _compare('geu', a >> 16, b >> 16, 'f16'))),
        ]))


def _compare(operator: str, a: int, b: int, scalar: str) -> int:
    if scalar in FORMATS:
        x, y = decode(a, FORMATS[scalar]), decode(b, FORMATS[scalar])
        if isinstance(x, str) or isinstance(y, str):
            return int(operator.endswith('u') or operator == 'nan')
        if operator in ('num', 'nan'):
            return int(operator == 'num')
        operator = operator.removesuffix('u')
    else:
        if operator in ('lo', 'ls', 'hi', 'hs'):
            scalar = 'u' + scalar[1:]
            operator = {'lo': 'lt', 'ls': 'le', 'hi': 'gt', 'hs': 'ge'}[operator]
        x, y = number(a, scalar), number(b, scalar)
    return int({'eq': x == y, 'ne': x != y, 'lt': x < y, 'le': x <= y, 'gt': x > y, 'ge': x >= y}[operator])


class CompareTest(unittest.TestCase):
    def test_setp(self) -> None:
        cases = []
        ordered = ('eq', 'ne', 'lt', 'le', 'gt', 'ge')
        for scalar in ('u16', 's16', 'u32', 's32', 'u64', 's64', 'f32', 'f64'):
            operators: tuple[str, ...] = ordered
            if scalar[0] == 'f':
                operators += ('equ', 'neu', 'ltu', 'leu', 'gtu', 'geu', 'num', 'nan')
            elif scalar[0] == 'u':
                operators += ('lo', 'ls', 'hi', 'hs')
            for operator in operators:
                cases.append(Case(f'setp.{operator}.{scalar} %p0|%p1, %a0, %a1;', (scalar,) * 2, ('pred', 'pred'),
                                  samples((scalar,) * 2, 300), lambda a, b, o=operator, s=scalar: (
                                      (r := _compare(o, a, b, s)), 1 - r)))
        for boolean, function in (('and', lambda x, y: x & y), ('or', lambda x, y: x | y), ('xor', lambda x, y: x ^ y)):
            cases.append(Case(f'setp.lt.{boolean}.s32 %p0|%p1, %a0, %a1, !%a2;', ('s32', 's32', 'pred'), ('pred', 'pred'),
                              samples(('s32', 's32', 'pred'), 300), lambda a, b, p, f=function: (
                                  f(r := _compare('lt', a, b, 's32'), 1 - p), f(1 - r, 1 - p))))
        self.assertEqual([], run(cases))

    def test_selection(self) -> None:
        pair = ('s32', 's32')
        self.assertEqual([], run([
            Case('set.gt.u32.s32 %d0, %a0, %a1;', pair, ('u32',), samples(pair),
                 lambda a, b: 0xffffffff * _compare('gt', a, b, 's32')),
            Case('set.leu.f32.f64 %d0, %a0, %a1;', ('f64', 'f64'), ('f32',), samples(('f64', 'f64')),
                 lambda a, b: 0x3f800000 * _compare('leu', a, b, 'f64')),
            Case('selp.b64 %d0, %a0, %a1, %a2;', ('b64', 'b64', 'pred'), ('b64',), samples(('b64', 'b64', 'pred')),
                 lambda a, b, p: a if p else b),
            Case('selp.f32 %d0, %a0, 0f40000000, %a1;', ('f32', 'pred'), ('f32',), samples(('f32', 'pred')),
                 lambda a, p: a if p else 0x40000000),
            Case('slct.b16.s32 %d0, %a0, %a1, %a2;', ('b16', 'b16', 's32'), ('b16',), samples(('b16', 'b16', 's32')),
                 lambda a, b, c: b if c >> 31 else a),
            Case('slct.ftz.u64.f32 %d0, %a0, %a1, %a2;', ('u64', 'u64', 'f32'), ('u64',), samples(('u64', 'u64', 'f32')),
                 lambda a, b, c: a if _compare('ge', flush(c, FORMATS['f32']), 0, 'f32') else b),
        ]))

    def test_mov_packs_and_unpacks(self) -> None:
        self.assertEqual([], run([
            Case('mov.b32 %d0, {%a0, %a1};', ('b16', 'b16'), ('b32',), samples(('b16', 'b16')), lambda a, b: a | b << 16),
            Case('mov.b64 %d0, {%a0, %a1, %a2, %a3};', ('b16',) * 4, ('b64',), samples(('b16',) * 4),
                 lambda a, b, c, d: a | b << 16 | c << 32 | d << 48),
            Case('mov.b64 {%d0, %d1}, %a0;', ('b64',), ('b32', 'b32'), samples(('b64',)), lambda a: (a & 0xffffffff, a >> 32)),
            Case('mov.b64 {_, %d0}, %a0;', ('f64',), ('b32',), samples(('f64',)), lambda a: a >> 32),
            Case('mov.f64 %d0, 0d400921FB54442D18; mov.b32 %d1, 0fBF800000; mov.f32 %d2, 0.5; mov.u32 %d3, -2;',
                 ('b32',), ('f64', 'b32', 'f32', 'u32'), ((0,),),
                 lambda _: (0x400921fb54442d18, 0xbf800000, 0x3f000000, 0xfffffffe)),
            Case('mov.b32 %d0, %a0;', ('f32',), ('b32',), samples(('f32',)), lambda a: a),
        ]))
