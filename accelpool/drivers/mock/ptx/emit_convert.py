# SPDX-License-Identifier: Apache-2.0
"""cvt."""

from accelpool.drivers.mock.ptx import emit_half
from accelpool.drivers.mock.ptx.ast.model import Instruction
from accelpool.drivers.mock.ptx.emit_core import Emitter, handles
from accelpool.drivers.mock.ptx.emit_float import rounding
from accelpool.drivers.mock.ptx.types import F32, F64, TYPES, Type

_INTEGRAL = ('rni', 'rzi', 'rmi', 'rpi')


@handles('cvt')
def _cvt(e: Emitter, i: Instruction) -> None:
    if len(i.modifiers) < 2:
        e.unsupported()
    source, target = TYPES.get(i.modifiers[-1]), TYPES.get(i.modifiers[-2])
    if source is None or target is None or 'pred' in (source.name, target.name):
        e.unsupported()
    known = 'rn rz rm rp rna rni rzi rmi rpi ftz sat relu satfinite'
    e.only(i.modifiers[:-2], known)
    if target.kind == 'x' or target.name == 'tf32' or target.kind == 'h' or source.kind == 'h':
        emit_half.convert(e, i, target, source)
        return
    e.only(i.modifiers[:-2], 'rn rz rm rp rni rzi rmi rpi ftz sat')
    e.count(i, 2)
    value = e.read(i.operands[1], source)
    if source == F32 and 'ftz' in i.modifiers:
        value = f'f32_ftz({value})'
    if source.is_float and target.is_float:
        expression = _float_to_float(e, i, target, source, value)
    elif source.is_float:
        e.write(i.operands[0], target, f'to_{_signed_name(target)}((double){_integral(i, source, value)})')
        return
    elif target.is_float:
        expression = from_integer(e, i, target, source, value)
    else:
        _integer_to_integer(e, i, target, source, value)
        return
    if target == F32 and 'ftz' in i.modifiers:
        expression = f'f32_ftz({expression})'
    if 'sat' in i.modifiers:
        expression = f'{target.name}_sat({expression})'
    e.write(i.operands[0], target, expression)


def _signed_name(scalar: Type) -> str:
    return scalar.name if scalar.kind == 's' else f'u{scalar.bits}'


def _integral(i: Instruction, source: Type, value: str) -> str:
    mode = next((modifier for modifier in i.modifiers if modifier in _INTEGRAL), 'rzi')
    return f'{source.name}_{mode}({value})'


def _float_to_float(e: Emitter, i: Instruction, target: Type, source: Type, value: str) -> str:
    if target == source:
        if any(modifier in _INTEGRAL for modifier in i.modifiers):
            return _integral(i, source, value)
        return f'{source.name}_canon({value})'
    if source == F64:
        return f'f32_from_f64_{rounding(e, i)}({value})'
    return f'(double){value}'


def from_integer(e: Emitter, i: Instruction, target: Type, source: Type, value: str) -> str:
    """An integer as f32 or f64, rounded once."""
    mode = rounding(e, i)
    wide = 'int64_t' if source.kind == 's' or source.bits < 64 else 'uint64_t'
    if mode == 'rn':
        return f'({target.c}){value}'
    return f'{target.name}_from_{"s64" if wide == "int64_t" else "u64"}_{mode}(({wide}){value})'


def _integer_to_integer(e: Emitter, i: Instruction, target: Type, source: Type, value: str) -> None:
    if 'sat' in i.modifiers:
        wide = '__int128'
        low = f'-(({wide})1 << {target.bits - 1})' if target.kind == 's' else '0'
        top = target.bits - 1 if target.kind == 's' else target.bits
        name = e.temporary(wide, f'({wide}){value}')
        high = f'((({wide})1 << {top}) - 1)'
        value = f'{name} < {low} ? {low} : {name} > {high} ? {high} : {name}'
    e.write(i.operands[0], target, f'({target.c})({value})')
