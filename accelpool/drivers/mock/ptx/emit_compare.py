# SPDX-License-Identifier: Apache-2.0
"""Comparison, selection, mov."""

from accelpool.drivers.mock.ptx import emit_half
from accelpool.drivers.mock.ptx.ast.model import Instruction, Name, Operand, Pair, Vector
from accelpool.drivers.mock.ptx.comparison import comparison
from accelpool.drivers.mock.ptx.emit_core import Emitter, handles
from accelpool.drivers.mock.ptx.types import F32, PRED, TYPES, U64, Type, plain

_BOOLEAN = {'and': '&', 'or': '|', 'xor': '^'}
_TYPES = 'b16 b32 b64 u16 u32 u64 s16 s32 s64 f32 f64'


def compare(e: Emitter, i: Instruction, scalar: Type) -> tuple[str, str | None]:
    """The comparison, and the C operator and predicate to combine with when there are four operands."""
    left = e.temporary(scalar.c, _flushed(i, scalar, e.read(i.operands[1], scalar)))
    right = e.temporary(scalar.c, _flushed(i, scalar, e.read(i.operands[2], scalar)))
    result = e.temporary('uint8_t', comparison(e, i.modifiers[0], scalar, left, right))
    if len(i.operands) == 3:
        return result, None
    e.count(i, 4)
    boolean = i.modifiers[1]
    if boolean not in _BOOLEAN:
        e.unsupported(f'operator .{boolean}: not supported')
    return result, f'{_BOOLEAN[boolean]} {e.read(i.operands[3], PRED)}'


def _flushed(i: Instruction, scalar: Type, value: str) -> str:
    return f'f32_ftz({value})' if 'ftz' in i.modifiers and scalar == F32 else value


@handles('setp')
def _setp(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers)
    if scalar.kind in 'hx':
        emit_half.setp(e, i, scalar)
        return
    e.type(i.modifiers, _TYPES)
    e.only(i.modifiers[1:-1], 'and or xor ftz')
    result, combine = compare(e, i, scalar)
    first = e.temporary('uint8_t', f'{result} {combine or ""}')
    destination = i.operands[0]
    if isinstance(destination, Pair):
        second = e.temporary('uint8_t', f'!{result} {combine or ""}')
        e.write(destination.first, PRED, first)
        e.write(destination.second, PRED, second)
    else:
        e.write(destination, PRED, first)


@handles('set')
def _set(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers)
    wanted = TYPES.get(i.modifiers[-2])
    if scalar.kind in 'hx' or (wanted is not None and wanted.kind in 'hx'):
        emit_half.set_(e, i, scalar)
        return
    e.type(i.modifiers, _TYPES)
    if wanted is None or wanted.name not in ('u32', 's32', 'f32'):
        e.unsupported()
    e.only(i.modifiers[1:-2], 'and or xor ftz')
    result, combine = compare(e, i, scalar)
    condition = f'({result} {combine or ""})'
    e.write(i.operands[0], wanted, f'{condition} ? 1.0f : 0.0f' if wanted == F32 else f'{condition} ? ~0u : 0u')


@handles('selp')
def _selp(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers)
    e.only(i.modifiers[:-1], '')
    e.count(i, 4)
    if scalar is PRED:
        e.unsupported()
    left, right = e.read(i.operands[1], scalar), e.read(i.operands[2], scalar)
    e.write(i.operands[0], scalar, f'{e.read(i.operands[3], PRED)} ? {left} : {right}')


@handles('slct')
def _slct(e: Emitter, i: Instruction) -> None:
    control = e.type(i.modifiers, 's32 f32')
    scalar = TYPES.get(i.modifiers[-2])
    if scalar is None:
        e.unsupported()
    e.only(i.modifiers[:-2], 'ftz')
    e.count(i, 4)
    left, right = e.read(i.operands[1], scalar), e.read(i.operands[2], scalar)
    e.write(i.operands[0], scalar, f'{_flushed(i, control, e.read(i.operands[3], control))} >= 0 ? {left} : {right}')


@handles('mov')
def _mov(e: Emitter, i: Instruction) -> None:
    e.count(i, 2)
    e.only(i.modifiers[:-1], '')
    destination, source = i.operands
    if i.modifiers == ('b128',):
        _mov128(e, destination, source)
        return
    scalar = e.type(i.modifiers)
    if isinstance(destination, Vector):
        _unpack(e, destination, e.temporary(scalar.unsigned, e.read(source, plain(scalar.bits))), scalar)
    elif isinstance(source, Vector):
        e.write(destination, plain(scalar.bits), _pack(e, source, scalar))
    else:
        e.write(destination, scalar, e.read(source, scalar))


def _lanes(e: Emitter, vector: Vector, bits: int) -> Type:
    if len(vector.items) not in (2, 4) or bits % len(vector.items) or bits // len(vector.items) < 8:
        e.unsupported('vector does not fit')
    return plain(bits // len(vector.items))


def _pack(e: Emitter, vector: Vector, scalar: Type) -> str:
    lane = _lanes(e, vector, scalar.bits)
    parts = (f'({scalar.unsigned}){e.read(item, lane)} << {n * lane.bits}' for n, item in enumerate(vector.items))
    return f'({scalar.unsigned})({" | ".join(parts)})'


def _unpack(e: Emitter, vector: Vector, value: str, scalar: Type) -> None:
    lane = _lanes(e, vector, scalar.bits)
    for n, item in enumerate(vector.items):
        if not (isinstance(item, Name) and item.name == '_'):
            e.write(item, lane, f'({lane.c})({value} >> {n * lane.bits})')


def _mov128(e: Emitter, destination: Operand, source: Operand) -> None:
    """Between two pairs of 64-bit registers: registers of 128 bits do not exist here."""
    if not (isinstance(destination, Vector) and isinstance(source, Vector) and len(destination.items) == 2
            and len(source.items) == 2):
        e.unsupported()
    values = [e.temporary('uint64_t', e.read(item, U64)) for item in source.items]
    for item, value in zip(destination.items, values, strict=True):
        e.write(item, U64, value)
