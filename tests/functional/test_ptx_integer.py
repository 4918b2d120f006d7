# SPDX-License-Identifier: Apache-2.0
"""Integer and bit instructions against Python's unbounded integers."""

import unittest
from collections.abc import Callable

from tests.functional.ptx.cases import Case, bits_of, run, samples, signed, unsigned

WORDS = ('u16', 's16', 'u32', 's32', 'u64', 's64')
Number = Callable[..., int]


def value(pattern: int, scalar: str) -> int:
    bits = bits_of(scalar)
    return signed(pattern, bits) if scalar[0] == 's' else unsigned(pattern, bits)


def case(text: str, scalar: str, count: int, function: Number, out: str | None = None, **more: int) -> Case:
    """`text` without operands; the function works on numbers, the result is cut to the output's width."""
    operands = ', '.join(f'%a{n}' for n in range(count))
    result = out or scalar

    def reference(*patterns: int) -> int:
        return unsigned(function(*(value(pattern, scalar) for pattern in patterns)), bits_of(result))

    return Case(f'{text}.{scalar} %d0, {operands};', (scalar,) * count, (result,), samples((scalar,) * count, **more),
                reference)


def quotient(a: int, b: int) -> int:
    if b == 0:
        return -1
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def remainder(a: int, b: int) -> int:
    return a if b == 0 else a - b * quotient(a, b)


def clamp(x: int, bits: int = 32) -> int:
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, x))


def low24(x: int, scalar: str) -> int:
    return signed(x, 24) if scalar[0] == 's' else x & 0xffffff


class IntegerTest(unittest.TestCase):
    def _check(self, cases: list[Case]) -> None:
        self.assertEqual([], run(cases))

    def test_arithmetic(self) -> None:
        cases = []
        for scalar in WORDS:
            bits = bits_of(scalar)
            cases += [
                case('add', scalar, 2, lambda a, b: a + b), case('sub', scalar, 2, lambda a, b: a - b),
                case('mul.lo', scalar, 2, lambda a, b: a * b), case('mul.hi', scalar, 2, lambda a, b, n=bits: a * b >> n),
                case('mad.lo', scalar, 3, lambda a, b, c: a * b + c),
                case('mad.hi', scalar, 3, lambda a, b, c, n=bits: (a * b >> n) + c),
                case('div', scalar, 2, quotient), case('rem', scalar, 2, remainder),
                case('min', scalar, 2, min), case('max', scalar, 2, max),
                case('sad', scalar, 3, lambda a, b, c: abs(a - b) + c),
            ]
            if scalar[0] == 's':
                cases += [case('abs', scalar, 1, abs), case('neg', scalar, 1, lambda a: -a)]
            if bits < 64:
                wide = f'{scalar[0]}{2 * bits}'
                cases.append(case('mul.wide', scalar, 2, lambda a, b: a * b, wide))
                cases.append(Case(
                    f'mad.wide.{scalar} %d0, %a0, %a1, %a2;', (scalar, scalar, wide), (wide,),
                    samples((scalar, scalar, wide)),
                    lambda a, b, c, s=scalar, n=bits: unsigned(value(a, s) * value(b, s) + c, 2 * n)))
        self._check(cases)

    def test_saturation_and_24_bits(self) -> None:
        cases = [
            case('add.sat', 's32', 2, lambda a, b: clamp(a + b)), case('sub.sat', 's32', 2, lambda a, b: clamp(a - b)),
            case('mad.hi.sat', 's32', 3, lambda a, b, c: clamp((a * b >> 32) + c)),
            case('mad24.hi.sat', 's32', 3, lambda a, b, c: clamp(signed(low24(a, 's') * low24(b, 's') >> 16, 32) + c)),
            case('min.relu', 's32', 2, lambda a, b: max(0, min(a, b))),
            Case('max.s32.relu %d0, %a0, %a1;', ('s32',) * 2, ('s32',), samples(('s32',) * 2),
                 lambda a, b: max(0, signed(a, 32), signed(b, 32))),
        ]
        for scalar in ('u32', 's32'):
            cases += [
                case('mul24.lo', scalar, 2, lambda a, b, s=scalar: low24(a, s) * low24(b, s)),
                case('mul24.hi', scalar, 2, lambda a, b, s=scalar: low24(a, s) * low24(b, s) >> 16),
                case('mad24.lo', scalar, 3, lambda a, b, c, s=scalar: low24(a, s) * low24(b, s) + c),
            ]
        self._check(cases)

    def test_carry_chains(self) -> None:
        cases = []
        for bits in (32, 64):
            for scalar in (f'u{bits}', f's{bits}'):
                top = 1 << bits
                cases += [
                    Case(f'add.cc.{scalar} %d0, %a0, %a2; addc.cc.{scalar} %d1, %a1, %a3; addc.{scalar} %d2, 0, 0;',
                         (scalar,) * 4, (scalar,) * 3, samples((scalar,) * 4, 800),
                         lambda a, b, c, d, t=top, n=bits: (
                             (s := (a | b << n) + (c | d << n)) % t, (s >> n) % t, s >> 2 * n)),
                    Case(f'sub.cc.{scalar} %d0, %a0, %a2; subc.cc.{scalar} %d1, %a1, %a3; subc.{scalar} %d2, 0, 0;',
                         (scalar,) * 4, (scalar,) * 3, samples((scalar,) * 4, 800),
                         lambda a, b, c, d, t=top, n=bits: (
                             (s := (a | b << n) - (c | d << n)) % t, (s >> n) % t, (s >> 2 * n) % t)),
                    Case(f'mad.lo.cc.{scalar} %d0, %a0, %a1, %a2; madc.hi.{scalar} %d1, %a0, %a1, %a3;',
                         (scalar,) * 4, (scalar,) * 2, samples((scalar,) * 4, 800),
                         lambda a, b, c, d, t=top, n=bits, s=scalar: (
                             (a * b % t + c) % t,
                             ((value(a, s) * value(b, s) >> n) + d + ((a * b % t + c) >> n)) % t)),
                ]
        self._check(cases)

    def test_packed_and_dot_products(self) -> None:
        def bytes_of(x: int, kind: str) -> list[int]:
            return [signed(x >> n, 8) if kind == 's32' else x >> n & 255 for n in (0, 8, 16, 24)]

        def halves(x: int, kind: str) -> list[int]:
            return [signed(x >> n, 16) if kind[0] == 's' else x >> n & 0xffff for n in (0, 16)]

        def dot(a: list[int], b: list[int], c: int) -> int:
            return unsigned(sum(x * y for x, y in zip(a, b, strict=True)) + c, 32)

        three = samples(('u32',) * 3)
        cases = []
        for left in ('u32', 's32'):
            for right in ('u32', 's32'):
                cases.append(Case(f'dp4a.{left}.{right} %d0, %a0, %a1, %a2;', ('u32',) * 3, ('u32',), three,
                                  lambda a, b, c, x=left, y=right: dot(bytes_of(a, x), bytes_of(b, y), c)))
                for part, start in (('lo', 0), ('hi', 2)):
                    cases.append(Case(
                        f'dp2a.{part}.{left}.{right} %d0, %a0, %a1, %a2;', ('u32',) * 3, ('u32',), three,
                        lambda a, b, c, x=left, y=right, n=start: dot(halves(a, x), bytes_of(b, y)[n:n + 2], c)))
        for opcode, scalar, function in (('add', 'u16x2', lambda a, b: a + b), ('min', 's16x2', min), ('max', 'u16x2', max)):
            cases.append(Case(
                f'{opcode}.{scalar} %d0, %a0, %a1;', ('u32',) * 2, ('u32',), samples(('u32',) * 2),
                lambda a, b, f=function, s=scalar: sum(
                    unsigned(f(x, y), 16) << n for x, y, n in zip(halves(a, s), halves(b, s), (0, 16), strict=True))))
        self._check(cases)


    def test_video(self) -> None:
        def lanes(x: int, bits: int, kind: str) -> list[int]:
            return [signed(x >> n, bits) if kind == 's32' else x >> n & ((1 << bits) - 1) for n in range(0, 32, bits)]

        functions: dict[str, Number] = {
            'vadd': lambda a, b: a + b, 'vsub': lambda a, b: a - b, 'vabsdiff': lambda a, b: abs(a - b), 'vmin': min,
            'vmax': max, 'vavrg': lambda a, b: a + b + (a + b >= 0) >> 1,
        }
        three = samples(('u32',) * 3, 200)
        cases = []
        for name, function in functions.items():
            for bits, kind in ((8, 'u32'), (8, 's32'), (16, 's32')):
                def result(a: int, b: int, f: Number = function, n: int = bits, k: str = kind) -> list[int]:
                    return [f(x, y) for x, y in zip(lanes(a, n, k), lanes(b, n, k), strict=True)]
                text = f'{name}{32 // bits}.{kind}.{kind}.{kind}'
                low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if kind == 's32' else (0, (1 << bits) - 1)
                cases += [
                    Case(f'{text} %d0, %a0, %a1, %a2;', ('u32',) * 3, ('u32',), three, lambda a, b, c, r=result, n=bits: sum(
                        unsigned(x, n) << n * lane for lane, x in enumerate(r(a, b)))),
                    Case(f'{text}.sat %d0, %a0, %a1, %a2;', ('u32',) * 3, ('u32',), three,
                         lambda a, b, c, r=result, n=bits, lo=low, hi=high: sum(
                             unsigned(max(lo, min(hi, x)), n) << n * lane for lane, x in enumerate(r(a, b)))),
                    Case(f'{text}.add %d0, %a0, %a1, %a2;', ('u32',) * 3, ('u32',), three,
                         lambda a, b, c, r=result: unsigned(sum(r(a, b)) + c, 32)),
                ]
        self._check(cases)


class BitTest(unittest.TestCase):
    def _check(self, cases: list[Case]) -> None:
        self.assertEqual([], run(cases))

    def test_logic(self) -> None:
        cases = []
        for scalar in ('b16', 'b32', 'b64'):
            cases += [
                case('and', scalar, 2, lambda a, b: a & b), case('or', scalar, 2, lambda a, b: a | b),
                case('xor', scalar, 2, lambda a, b: a ^ b), case('not', scalar, 1, lambda a: ~a),
                case('cnot', scalar, 1, lambda a: int(a == 0)),
            ]
        for table in (0, 0x1, 0x80, 0x96, 0xe8, 0xca, 0x3c, 0xff, 0x6a):
            cases.append(Case(
                f'lop3.b32 %d0, %a0, %a1, %a2, {table};', ('b32',) * 3, ('b32',), samples(('b32',) * 3, 100),
                lambda a, b, c, t=table: sum(
                    (t >> ((a >> n & 1) << 2 | (b >> n & 1) << 1 | (c >> n & 1)) & 1) << n for n in range(32))))
        cases += [
            Case('and.pred %p0, %a0, %a1; or.pred %p1, %a0, !%a1; xor.pred %p2, %a0, %a1; not.pred %p3, %a0;',
                 ('pred', 'pred'), ('pred',) * 4, samples(('pred', 'pred')),
                 lambda a, b: (a & b, a | (1 - b), a ^ b, 1 - a)),
            Case('lop3.or.b32 %d0|%p1, %a0, %a1, %a2, 0x80, %a3;', ('b32', 'b32', 'b32', 'pred'), ('b32', 'pred'),
                 samples(('b32', 'b32', 'b32', 'pred')), lambda a, b, c, p: (a & b & c, int(bool(a & b & c) or p))),
        ]
        self._check(cases)

    def test_shifts(self) -> None:
        cases = []
        for bits in (16, 32, 64):
            for opcode, scalar in (('shl', f'b{bits}'), ('shr', f'u{bits}'), ('shr', f's{bits}'), ('shr', f'b{bits}')):
                def function(a: int, n: int, o: str = opcode, s: str = scalar, w: int = bits) -> int:
                    return unsigned(value(a, s) << n if o == 'shl' else value(a, s) >> n, w) if n < 300 else (
                        unsigned(-1, w) if o == 'shr' and value(a, s) < 0 else 0)
                cases.append(Case(f'{opcode}.{scalar} %d0, %a0, %a1;', (scalar, 'u32'), (scalar,),
                                  samples((scalar, 'u32')), function))
                cases.append(Case(f'{opcode}.{scalar} %d0, %a0, 5;', (scalar,), (scalar,), samples((scalar,)),
                                  lambda a, f=function: f(a, 5)))
                cases.append(Case(f'{opcode}.{scalar} %d0, %a0, {bits};', (scalar,), (scalar,), samples((scalar,)),
                                  lambda a, f=function, w=bits: f(a, w)))
        for direction in 'lr':
            for mode in ('wrap', 'clamp'):
                def funnel(low: int, high: int, n: int, d: str = direction, m: str = mode) -> int:
                    n = n & 31 if m == 'wrap' else min(n, 32)
                    both = high << 32 | low
                    return unsigned(both << n >> 32 if d == 'l' else both >> n, 32)
                cases.append(Case(f'shf.{direction}.{mode}.b32 %d0, %a0, %a1, %a2;', ('b32',) * 3, ('b32',),
                                  samples(('b32',) * 3, 800), funnel))
        self._check(cases)

    def test_fields(self) -> None:
        def extract(a: int, position: int, length: int, bits: int, sign: bool) -> int:
            position, length = position & 255, length & 255
            top = min(position + length - 1, bits - 1)
            fill = a >> top & 1 if sign and length else 0
            return sum(((a >> (position + n) & 1) if n < length and position + n < bits else fill) << n for n in range(bits))

        def insert(a: int, b: int, position: int, length: int, bits: int) -> int:
            position, length = position & 255, length & 255
            for n in range(length):
                if position + n < bits:
                    b = b & ~(1 << (position + n)) | (a >> n & 1) << (position + n)
            return b

        cases = []
        for bits in (32, 64):
            for kind in 'us':
                cases.append(Case(f'bfe.{kind}{bits} %d0, %a0, %a1, %a2;', (f'b{bits}', 'u32', 'u32'), (f'b{bits}',),
                                  samples((f'b{bits}', 'u32', 'u32'), 1200),
                                  lambda a, p, n, w=bits, k=kind: extract(a, p, n, w, k == 's')))
            cases.append(Case(f'bfi.b{bits} %d0, %a0, %a1, %a2, %a3;', (f'b{bits}', f'b{bits}', 'u32', 'u32'), (f'b{bits}',),
                              samples((f'b{bits}', f'b{bits}', 'u32', 'u32'), 1200),
                              lambda a, b, p, n, w=bits: insert(a, b, p, n, w)))
        self._check(cases)

    def test_counting(self) -> None:
        cases = []
        for bits in (32, 64):
            scalar = f'b{bits}'
            one = samples((scalar,))
            cases += [
                Case(f'popc.{scalar} %d0, %a0;', (scalar,), ('u32',), one, lambda a: a.bit_count()),
                Case(f'clz.{scalar} %d0, %a0;', (scalar,), ('u32',), one, lambda a, w=bits: w - a.bit_length()),
                Case(f'brev.{scalar} %d0, %a0;', (scalar,), (scalar,), one,
                     lambda a, w=bits: int(f'{a:0{w}b}'[::-1], 2)),
            ]
            for kind in 'us':
                def find(a: int, w: int = bits, k: str = kind) -> int:
                    if k == 's' and a >> (w - 1):
                        a = ~a & ((1 << w) - 1)
                    return a.bit_length() - 1
                cases += [
                    Case(f'bfind.{kind}{bits} %d0, %a0;', (scalar,), ('u32',), one, lambda a, f=find: unsigned(f(a), 32)),
                    Case(f'bfind.shiftamt.{kind}{bits} %d0, %a0;', (scalar,), ('u32',), one,
                         lambda a, f=find, w=bits: 0xffffffff if f(a) < 0 else w - 1 - f(a)),
                ]
        self._check(cases)

    def test_bytes_and_masks(self) -> None:
        def permute(a: int, b: int, selector: int) -> int:
            data, result = (a | b << 32).to_bytes(8, 'little'), 0
            for n in range(4):
                pick = selector >> 4 * n & 15
                byte = data[pick & 7]
                result |= ((255 if byte & 128 else 0) if pick & 8 else byte) << 8 * n
            return result

        def mode(name: str, a: int, b: int, c: int) -> int:
            data, n = (a | b << 32).to_bytes(8, 'little'), c & 3
            index = {
                'f4e': [n, n + 1, n + 2, n + 3], 'b4e': [n, n - 1, n - 2, n - 3], 'rc8': [n] * 4,
                'ecl': [max(0, n), max(1, n), max(2, n), max(3, n)], 'ecr': [min(0, n), min(1, n), min(2, n), min(3, n)],
                'rc16': [2 * (n & 1), 2 * (n & 1) + 1] * 2,
            }[name]
            return int.from_bytes(bytes(data[i % 8] for i in index), 'little')

        def nth(mask: int, base: int, offset: int) -> int:
            base, offset = base & 31, signed(offset, 32)
            if offset == 0:
                return base if mask >> base & 1 else 0xffffffff
            line = range(base, 32) if offset > 0 else range(base, -1, -1)
            found = [n for n in line if mask >> n & 1]
            return found[abs(offset) - 1] if len(found) >= abs(offset) else 0xffffffff

        small = tuple((a, b, unsigned(c, 32)) for a, b in samples(('u32', 'u32'), 60) for c in (-33, -2, -1, 0, 1, 2, 9))
        cases = [
            Case('prmt.b32 %d0, %a0, %a1, %a2;', ('b32',) * 3, ('b32',), samples(('b32',) * 3, 800), permute),
            Case('fns.b32 %d0, %a0, %a1, %a2;', ('b32',) * 3, ('b32',), small, nth),
            Case('bmsk.clamp.b32 %d0, %a0, %a1;', ('u32',) * 2, ('u32',), samples(('u32',) * 2),
                 lambda a, b: 0 if a > 31 else unsigned(((1 << min(b, 32)) - 1) << a, 32)),
            Case('szext.clamp.s32 %d0, %a0, %a1;', ('u32',) * 2, ('u32',), samples(('u32',) * 2),
                 lambda a, n: 0 if n == 0 else unsigned(signed(a, min(n, 32)), 32)),
            Case('szext.wrap.u32 %d0, %a0, %a1;', ('u32',) * 2, ('u32',), samples(('u32',) * 2),
                 lambda a, n: a & ((1 << (n & 31)) - 1)),
        ]
        cases += [Case(f'prmt.b32.{name} %d0, %a0, %a1, %a2;', ('b32',) * 3, ('b32',), samples(('b32',) * 3, 100),
                       lambda a, b, c, m=name: mode(m, a, b, c)) for name in ('f4e', 'b4e', 'rc8', 'ecl', 'ecr', 'rc16')]
        self._check(cases)
