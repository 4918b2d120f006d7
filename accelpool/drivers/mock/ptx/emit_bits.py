# SPDX-License-Identifier: Apache-2.0
"""Logic, shifts, bit fields, bytes."""

from accelpool.drivers.mock.ptx.ast.model import Instruction, Integer, Pair
from accelpool.drivers.mock.ptx.emit_core import Emitter, handles
from accelpool.drivers.mock.ptx.types import PRED, S32, U32, Type, unsigned

_LOGIC = {'and': '&', 'or': '|', 'xor': '^'}


def _write_bits(e: Emitter, i: Instruction, scalar: Type, expression: str) -> None:
    e.write(i.operands[0], unsigned(scalar.bits), f'({scalar.unsigned})({expression})')


@handles('and', 'or', 'xor')
def _logic(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'pred b16 b32 b64')
    e.only(i.modifiers[:-1], '')
    e.count(i, 3)
    left, right = e.read(i.operands[1], scalar), e.read(i.operands[2], scalar)
    expression = f'{left} {_LOGIC[i.opcode]} {right}'
    if scalar is PRED:
        e.write(i.operands[0], PRED, expression)
    else:
        _write_bits(e, i, scalar, expression)


@handles('not', 'cnot')
def _not(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'pred b16 b32 b64' if i.opcode == 'not' else 'b16 b32 b64')
    e.only(i.modifiers[:-1], '')
    e.count(i, 2)
    value = e.read(i.operands[1], scalar)
    if scalar is PRED:
        e.write(i.operands[0], PRED, f'!{value}')
    else:
        _write_bits(e, i, scalar, f'{"~" if i.opcode == "not" else "!"}{value}')


@handles('lop3')
def _lop3(e: Emitter, i: Instruction) -> None:
    e.type(i.modifiers, 'b32')
    e.only(i.modifiers[:-1], 'and or')
    combined = 'and' in i.modifiers or 'or' in i.modifiers
    e.count(i, 6 if combined else 5)
    table = i.operands[4]
    if not isinstance(table, Integer):
        e.unsupported('the table must be a constant')
    a, b, c = (e.read(operand, U32) for operand in i.operands[1:4])
    result = e.temporary('uint32_t', f'lop3({a}, {b}, {c}, {table.value & 255}u)')
    destination = i.operands[0]
    if combined:
        other = e.read(i.operands[5], PRED)
        operator = '&' if 'and' in i.modifiers else '|'
        if not isinstance(destination, Pair):
            e.unsupported('destination form: not supported')
        predicate = e.temporary('uint8_t', f'({result} != 0) {operator} {other}')
        e.write(destination.first, U32, result)
        e.write(destination.second, PRED, predicate)
    else:
        e.write(destination, U32, result)


@handles('shl', 'shr')
def _shift(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'b16 b32 b64' if i.opcode == 'shl' else 'b16 b32 b64 u16 u32 u64 s16 s32 s64')
    e.only(i.modifiers[:-1], '')
    e.count(i, 3)
    amount = i.operands[2]
    if isinstance(amount, Integer) and 0 <= amount.value < scalar.bits:
        value = e.read(i.operands[1], scalar)
        e.write(i.operands[0], scalar, f'({scalar.c})({value} {"<<" if i.opcode == "shl" else ">>"} {amount.value})')
        return
    function = 'shl' if i.opcode == 'shl' else 'shrs' if scalar.kind == 's' else 'shru'
    e.write(i.operands[0], scalar, f'{function}{scalar.bits}({e.read(i.operands[1], scalar)}, {e.read(amount, U32)})')


@handles('shf')
def _funnel(e: Emitter, i: Instruction) -> None:
    e.type(i.modifiers, 'b32')
    e.only(i.modifiers[:-1], 'l r wrap clamp')
    e.count(i, 4)
    low, high, amount = (e.read(operand, U32) for operand in i.operands[1:])
    if 'wrap' in i.modifiers:
        amount = f'({amount} & 31)'
    direction = 'left' if 'l' in i.modifiers else 'right'
    e.write(i.operands[0], U32, f'shf_{direction}({low}, {high}, {amount})')


@handles('bfe')
def _extract(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'u32 s32 u64 s64')
    e.only(i.modifiers[:-1], '')
    e.count(i, 4)
    value = e.read(i.operands[1], unsigned(scalar.bits))
    position, length = e.read(i.operands[2], U32), e.read(i.operands[3], U32)
    _write_bits(e, i, scalar, f'bfe({value}, {position}, {length}, {scalar.bits}, {int(scalar.kind == "s")})')


@handles('bfi')
def _insert(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'b32 b64')
    e.only(i.modifiers[:-1], '')
    e.count(i, 5)
    field, base = e.read(i.operands[1], scalar), e.read(i.operands[2], scalar)
    position, length = e.read(i.operands[3], U32), e.read(i.operands[4], U32)
    _write_bits(e, i, scalar, f'bfi({field}, {base}, {position}, {length}, {scalar.bits})')


@handles('bfind')
def _find(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'u32 s32 u64 s64')
    e.only(i.modifiers[:-1], 'shiftamt')
    e.count(i, 2)
    value = e.temporary(scalar.c, e.read(i.operands[1], scalar))
    if scalar.kind == 's':
        value = f'{value} < 0 ? ~{value} : {value}'
    e.write(i.operands[0], U32, f'bfind{scalar.bits}({value}, {int("shiftamt" in i.modifiers)})')


@handles('popc', 'clz')
def _count(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'b32 b64')
    e.only(i.modifiers[:-1], '')
    e.count(i, 2)
    function = f'clz{scalar.bits}' if i.opcode == 'clz' else '__builtin_popcountll'
    e.write(i.operands[0], U32, f'(uint32_t){function}({e.read(i.operands[1], scalar)})')


@handles('brev')
def _reverse(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'b32 b64')
    e.only(i.modifiers[:-1], '')
    e.count(i, 2)
    _write_bits(e, i, scalar, f'brev{scalar.bits}({e.read(i.operands[1], scalar)})')


@handles('fns')
def _nth_set(e: Emitter, i: Instruction) -> None:
    e.type(i.modifiers, 'b32')
    e.only(i.modifiers[:-1], '')
    e.count(i, 4)
    mask, base = e.read(i.operands[1], U32), e.read(i.operands[2], U32)
    e.write(i.operands[0], U32, f'fns({mask}, {base}, {e.read(i.operands[3], S32)})')


@handles('bmsk')
def _mask(e: Emitter, i: Instruction) -> None:
    e.type(i.modifiers, 'b32')
    e.only(i.modifiers[:-1], 'clamp wrap')
    e.count(i, 3)
    position, length = e.read(i.operands[1], U32), e.read(i.operands[2], U32)
    e.write(i.operands[0], U32, f'bmsk({position}, {length}, {int("wrap" in i.modifiers)})')


@handles('szext')
def _extend(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'u32 s32')
    e.only(i.modifiers[:-1], 'clamp wrap')
    e.count(i, 3)
    value, bits = e.read(i.operands[1], U32), e.read(i.operands[2], U32)
    e.write(i.operands[0], U32, f'szext({value}, {bits}, {int("wrap" in i.modifiers)}, {int(scalar.kind == "s")})')


_PRMT = {
    'f4e': (0x3210, 0x4321, 0x5432, 0x6543),
    'b4e': (0x5670, 0x6701, 0x7012, 0x0123),
    'rc8': (0x0000, 0x1111, 0x2222, 0x3333),
    'ecl': (0x3210, 0x3211, 0x3222, 0x3333),
    'ecr': (0x0000, 0x1110, 0x2210, 0x3210),
    'rc16': (0x1010, 0x3232, 0x1010, 0x3232),
}
"""Selectors of the special modes by the low two bits of the third operand."""


@handles('prmt')
def _permute(e: Emitter, i: Instruction) -> None:
    e.only(i.modifiers, 'b32 ' + ' '.join(_PRMT))
    e.count(i, 4)
    a, b, c = (e.read(operand, U32) for operand in i.operands[1:])
    mode = next((modifier for modifier in i.modifiers if modifier in _PRMT), None)
    if mode is not None:
        one, two, three, four = _PRMT[mode]
        low = e.temporary('uint32_t', f'{c} & 3')
        c = f'({low} == 0 ? {one}u : {low} == 1 ? {two}u : {low} == 2 ? {three}u : {four}u)'
    e.write(i.operands[0], U32, f'prmt({a}, {b}, {c})')
