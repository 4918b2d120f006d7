# SPDX-License-Identifier: Apache-2.0
"""One instruction, many inputs: each case becomes a kernel of one common module, each input one thread."""

import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.functional.ptx.harness import HEADER, Buffer, Module
from tests.functional.ptx.softfloat import FORMATS, NAN, decode

_REGISTER = {'u': 'b', 's': 'b', 'b': 'b', 'f': 'f'}


def bits_of(scalar: str) -> int:
    return 32 if scalar in ('pred', 'f16x2', 'bf16x2', 'u16x2', 's16x2', 'tf32') else int(scalar.lstrip('usbf'))


def _register(scalar: str) -> str:
    if scalar in ('f32', 'f64'):
        return scalar
    return f'b{max(bits_of(scalar), 16)}'


def _memory(scalar: str) -> str:
    return scalar if scalar in ('f32', 'f64') else f'b{bits_of(scalar)}'


Reference = Callable[..., int | tuple[int, ...]]


@dataclass(frozen=True)
class Case:
    """`text` uses %a0.. for inputs and %d0.. for outputs (%p0.. for predicates among the outputs).

    The reference gets and returns bit patterns."""

    text: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    samples: tuple[tuple[int, ...], ...]
    reference: Reference
    tolerance: Callable[[int, int], bool] | None = None


def signed(pattern: int, bits: int) -> int:
    pattern &= (1 << bits) - 1
    return pattern - (1 << bits) if pattern >> (bits - 1) else pattern


def unsigned(value: int, bits: int) -> int:
    return value & ((1 << bits) - 1)


_FLOATS = {
    'f32': (0, 0x80000000, 0x3f800000, 0xbf800000, 0x40490fdb, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 1,
            0x80000001, 0x007fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x34000000, 0x4b000000, 0x4f000000, 0xcf000000,
            0x5f000000, 0x3f000000, 0x3fc00000, 0x40200000, 0xc0200000, 0x0d000000, 0x7e800001, 0x33800000),
    'f64': (0, 1 << 63, 0x3ff0 << 48, 0xbff0 << 48, 0x400921fb54442d18, 0x7ff0 << 48, 0xfff0 << 48, 0x7ff8 << 48, 1,
            (1 << 63) + 1, 0x000fffffffffffff, 0x0010 << 48, 0x7fefffffffffffff, 0xffefffffffffffff, 0x3ca0 << 48,
            0x4330 << 48, 0x41e0 << 48, 0xc1e0 << 48, 0x43e0 << 48, 0x43f0 << 48, 0x3fe0 << 48, 0x3ff8 << 48,
            0x4004 << 48, 0xc004 << 48, 0x380fffffffffffff, 0x36a0 << 48, 0x47efffffefffffff, 0x47effffff0000000),
    'f16': (0, 0x8000, 0x3c00, 0xbc00, 0x7c00, 0xfc00, 0x7e00, 1, 0x8001, 0x3ff, 0x400, 0x7bff, 0xfbff, 0x1400, 0x3800,
            0x3e00, 0x4248, 0x6400, 0x0c00),
    'bf16': (0, 0x8000, 0x3f80, 0xbf80, 0x7f80, 0xff80, 0x7fc0, 1, 0x8001, 0x7f, 0x80, 0x7f7f, 0xff7f, 0x3b80, 0x3f00,
             0x3fc0, 0x4049, 0x4b00, 0x0d00),
}


def values(scalar: str, count: int, seed: int = 1) -> list[int]:
    """Corner cases of a type, then random patterns, `count` in all (at least the corner cases)."""
    source = random.Random(f'{scalar}/{seed}')
    bits = bits_of(scalar)
    if scalar == 'pred':
        return [0, 1]
    if scalar in ('f16x2', 'bf16x2'):
        lanes = values(scalar.removesuffix('x2'), 40, seed)
        return [source.choice(lanes) | source.choice(lanes) << 16 for _ in range(max(count, 60))]
    found = list(_FLOATS[scalar]) if scalar in _FLOATS else [
        0, 1, 2, 3, 5, 31, 32, 33, 63, 64, 255, (1 << bits) - 1, (1 << bits) - 2, 1 << (bits - 1), (1 << (bits - 1)) - 1,
        (1 << (bits - 1)) + 1, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa, 0x123456789abcdef, -7, -32768, 32767, 1 << 16]
    while len(found) < count:
        pattern = source.getrandbits(bits)
        if scalar in FORMATS and source.random() < 0.7:  # numbers of similar size meet more often
            form = FORMATS[scalar]
            exponent = form.bias + source.randint(-min(30, form.bias - 1), min(30, form.bias))
            pattern = pattern & (form.sign | ((1 << form.fraction) - 1)) | exponent << form.fraction
        elif source.random() < 0.3:
            pattern >>= source.randrange(bits)
        found.append(pattern)
    return [pattern & ((1 << bits) - 1) for pattern in found]


def samples(types: Sequence[str], count: int = 400, seed: int = 1) -> tuple[tuple[int, ...], ...]:
    """Corner cases against corner cases as far as `count` goes, then random combinations."""
    source = random.Random(f'{types}/{seed}')
    columns = [values(scalar, 40, seed + n) for n, scalar in enumerate(types)]
    size = 1
    for column in columns:
        size *= len(column)
    if size <= count:
        return tuple(itertools.product(*columns))
    found = [tuple(source.choice(column) for column in columns) for _ in range(count // 2)]
    wide = [values(scalar, count // 2, seed + n + 10) for n, scalar in enumerate(types)]
    rows = [tuple(source.choice(column) for column in wide) for _ in range(count // 2)]
    return (*found, *rows)


def kernel(number: int, case: Case) -> str:
    """Thread i takes one row of 64-bit slots and fills another."""
    lines = [f'.visible .entry c{number}(.param .u64 po, .param .u64 pi, .param .u32 pn)', '{',
             '.reg .pred %q, %p<4>; .reg .b32 %i, %n, %t, %u; .reg .b64 %o, %s, %k;']
    lines += [f'.reg .{_register(scalar)} %a{n};' for n, scalar in enumerate(case.inputs) if scalar != 'pred']
    lines += [f'.reg .pred %a{n}; .reg .b32 %w{n};' for n, scalar in enumerate(case.inputs) if scalar == 'pred']
    lines += [f'.reg .{_register(scalar)} %d{n};' for n, scalar in enumerate(case.outputs)]
    lines += ['ld.param.u64 %o, [po]; ld.param.u64 %s, [pi]; ld.param.u32 %n, [pn];',
              'mov.u32 %i, %ctaid.x; mov.u32 %t, %ntid.x; mov.u32 %u, %tid.x; mad.lo.s32 %i, %i, %t, %u;',
              'setp.ge.u32 %q, %i, %n; @%q bra DONE;',
              f'mul.wide.u32 %k, %i, {8 * len(case.inputs)}; add.u64 %s, %s, %k;',
              f'mul.wide.u32 %k, %i, {8 * len(case.outputs)}; add.u64 %o, %o, %k;']
    for n, scalar in enumerate(case.inputs):
        if scalar == 'pred':
            lines.append(f'ld.global.b32 %w{n}, [%s+{8 * n}]; setp.ne.u32 %a{n}, %w{n}, 0;')
        else:
            lines.append(f'ld.global.{_memory(scalar)} %a{n}, [%s+{8 * n}];')
    lines.append(case.text)
    for n, scalar in enumerate(case.outputs):
        if scalar == 'pred':
            lines.append(f'selp.b32 %d{n}, 1, 0, %p{n};')
        lines.append(f'st.global.{_memory(scalar)} [%o+{8 * n}], %d{n};')
    return '\n'.join([*lines, 'DONE: ret;', '}'])


def _rows(data: Iterable[Sequence[int]], width: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    return np.array([list(row) for row in data], dtype=np.uint64).reshape(-1, width)


def _same(got: int, want: int, scalar: str) -> bool:
    if scalar == 'f64' and decode(got, FORMATS['f64']) == NAN:
        return decode(want, FORMATS['f64']) == NAN
    return got == want


def run(cases: Sequence[Case], header: str = HEADER) -> list[str]:
    """Translates all cases as one module, runs them and returns what was wrong, one line for each wrong case."""
    module = Module(header + '\n'.join(kernel(number, case) for number, case in enumerate(cases)))
    wrong = []
    for number, case in enumerate(cases):
        count = len(case.samples)
        given = Buffer(_rows(case.samples, len(case.inputs)))
        out = Buffer(np.zeros((count, len(case.outputs)), dtype=np.uint64))
        module.run(f'c{number}', (count + 127) // 128, 128, out, given, np.uint32(count))
        for row, sample in enumerate(case.samples):
            expected = case.reference(*sample)
            expected = expected if isinstance(expected, tuple) else (expected,)
            got = tuple(int(value) for value in out.array[row])
            fits = all(case.tolerance(a, b) if case.tolerance else _same(a, b, scalar)
                       for a, b, scalar in zip(got, expected, case.outputs, strict=True))
            if not fits:
                wrong.append(f'{case.text} of {[hex(value) for value in sample]}: got {[hex(value) for value in got]}, '
                             f'expected {[hex(value) for value in expected]}')
                break
    return wrong
