# SPDX-License-Identifier: Apache-2.0
"""f16 and bf16, alone and in pairs. A value is exact in an f64; the result is rounded to 16 bits once."""

from collections.abc import Callable

from accelpool.drivers.mock.ptx.ast.model import Instruction, Pair
from accelpool.drivers.mock.ptx.comparison import comparison
from accelpool.drivers.mock.ptx.emit_core import Emitter
from accelpool.drivers.mock.ptx.types import F32, F64, PRED, TYPES, U32, Type

_MODES = {'rn': 'HALF_RN', 'rz': 'HALF_RZ', 'rm': 'HALF_RM', 'rp': 'HALF_RP', 'rna': 'HALF_RNA'}
_INTEGRAL = ('rni', 'rzi', 'rmi', 'rpi')
_OPERANDS = {'add': 2, 'sub': 2, 'mul': 2, 'fma': 3, 'min': 2, 'max': 2, 'abs': 1, 'neg': 1}


def _base(scalar: Type) -> str:
    return scalar.name.removesuffix('x2')


def _each_lane(e: Emitter, i: Instruction, scalar: Type, count: int, lane: Callable[[list[str]], str]) -> None:
    """Applies an operation on 16-bit operands to one value or to both halves of a pair."""
    e.count(i, count + 1)
    operands = [e.temporary(scalar.c, e.read(operand, scalar)) for operand in i.operands[1:]]
    if scalar.kind == 'h':
        e.write(i.operands[0], scalar, lane(operands))
        return
    low = lane([f'(uint16_t){operand}' for operand in operands])
    high = lane([f'(uint16_t)({operand} >> 16)' for operand in operands])
    e.write(i.operands[0], scalar, f'(uint32_t){low} | (uint32_t){high} << 16')


def arithmetic(e: Emitter, i: Instruction, scalar: Type) -> None:
    """add, sub, mul, fma, min, max, abs, neg."""
    if i.opcode not in _OPERANDS:
        e.unsupported()
    known = 'ftz NaN xorsign abs' if i.opcode in ('min', 'max') else 'rn ftz sat relu'
    e.only(i.modifiers[:-1], known)
    base, ftz = _base(scalar), 'ftz' in i.modifiers
    function = f'{base}_{i.opcode}'
    if i.opcode in ('min', 'max') and 'NaN' in i.modifiers:
        function += '_nan'

    def lane(values: list[str]) -> str:
        signed = values
        if ftz:
            values = [f'{base}_flush({value})' for value in values]
        if 'abs' in i.modifiers:
            values = [f'((uint16_t)({value} & 0x7fff))' for value in values]
        result = f'{function}({", ".join(values)})'
        if 'xorsign' in i.modifiers:
            result = f'(uint16_t)({result} ^ (({signed[0]} ^ {signed[1]}) & 0x8000))'
        if ftz:
            result = f'{base}_flush({result})'
        for modifier in ('sat', 'relu'):
            if modifier in i.modifiers:
                result = f'{base}_{modifier}({result})'
        return result

    _each_lane(e, i, scalar, _OPERANDS[i.opcode], lane)


def approximation(e: Emitter, i: Instruction, scalar: Type) -> None:
    """ex2.approx and tanh.approx."""
    base = _base(scalar)
    function = '__builtin_exp2' if i.opcode == 'ex2' else '__builtin_tanh'
    ftz = 'ftz' in i.modifiers

    def lane(values: list[str]) -> str:
        value = f'{base}_flush({values[0]})' if ftz else values[0]
        result = f'{base}_from({function}({base}_value({value})), HALF_RN)'
        return f'{base}_flush({result})' if ftz else result

    _each_lane(e, i, scalar, 1, lane)


# --- comparison -----------------------------------------------------------------------------------------------


def _compare_lanes(e: Emitter, i: Instruction, scalar: Type) -> list[str]:
    base, results = _base(scalar), []
    left = e.temporary(scalar.c, e.read(i.operands[1], scalar))
    right = e.temporary(scalar.c, e.read(i.operands[2], scalar))
    flush = f'{base}_flush' if 'ftz' in i.modifiers else ''
    for shift in (0, 16)[:1 if scalar.kind == 'h' else 2]:
        a = e.temporary('double', f'{base}_value({flush}((uint16_t)({left} >> {shift})))')
        b = e.temporary('double', f'{base}_value({flush}((uint16_t)({right} >> {shift})))')
        results.append(e.temporary('uint8_t', comparison(e, i.modifiers[0], F64, a, b)))
    if len(i.operands) > 3:
        operator = {'and': '&', 'or': '|', 'xor': '^'}.get(i.modifiers[1])
        if operator is None:
            e.unsupported()
        other = e.read(i.operands[3], PRED)
        results = [e.temporary('uint8_t', f'{result} {operator} {other}') for result in results]
    return results


def setp(e: Emitter, i: Instruction, scalar: Type) -> None:
    """One predicate; a pair of values gives one for each half."""
    e.only(i.modifiers[1:-1], 'and or xor ftz')
    results = _compare_lanes(e, i, scalar)
    destination = i.operands[0]
    if len(results) == 1:
        e.write(destination, PRED, results[0])
    elif isinstance(destination, Pair):
        e.write(destination.first, PRED, results[0])
        e.write(destination.second, PRED, results[1])
    else:
        e.unsupported('destination form: not supported')


def set_(e: Emitter, i: Instruction, scalar: Type) -> None:
    """1.0 or all ones where the comparison holds."""
    wanted = TYPES.get(i.modifiers[-2])
    if wanted is None or scalar.kind not in 'hx':
        e.unsupported()
    e.only(i.modifiers[1:-2], 'and or xor ftz')
    results = _compare_lanes(e, i, scalar)
    one = {'f16': '0x3c00u', 'bf16': '0x3f80u'}
    if len(results) == 2:
        true = one[_base(wanted)] if wanted.kind == 'x' else '0xffffu'
        e.write(i.operands[0], U32, f'({results[0]} ? {true} : 0u) | ({results[1]} ? {true} : 0u) << 16')
    elif wanted.kind == 'h':
        e.write(i.operands[0], wanted, f'(uint16_t)({results[0]} ? {one[wanted.name]} : 0u)')
    elif wanted.name in ('u16', 's16', 'u32', 's32'):
        e.write(i.operands[0], wanted, f'({wanted.c})({results[0]} ? -1 : 0)')
    else:
        e.unsupported()


# --- conversion -----------------------------------------------------------------------------------------------


def _value(e: Emitter, i: Instruction, index: int, source: Type) -> str:
    """An operand as f64, exact (a 64-bit integer: rounded to odd, which a later rounding cannot tell apart)."""
    value = e.read(i.operands[index], source)
    if source.kind == 'h':
        return f'{source.name}_value({value})'
    if source == F32 and 'ftz' in i.modifiers:
        return f'(double)f32_ftz({value})'
    if source.bits == 64 and not source.is_float:
        return f'odd_{"s" if source.kind == "s" else "u"}64({value})'
    return f'(double){value}'


def _round(e: Emitter, i: Instruction, target: str, value: str) -> str:
    modes = [modifier for modifier in i.modifiers if modifier in _MODES]
    if len(modes) > 1 or 'satfinite' in i.modifiers:
        e.unsupported()
    result = f'{target}_from({value}, {_MODES[modes[0]] if modes else "HALF_RN"})'
    for modifier in ('sat', 'relu'):
        if modifier in i.modifiers:
            result = f'{target}_{modifier}({result})'
    return result


def convert(e: Emitter, i: Instruction, target: Type, source: Type) -> None:
    """cvt from or to a type of this module."""
    integral = next((modifier for modifier in i.modifiers if modifier in _INTEGRAL), None)
    if target.name in ('f16x2', 'bf16x2'):
        if source != F32:
            e.unsupported()
        e.count(i, 3)
        high, low = (_round(e, i, _base(target), _value(e, i, index, source)) for index in (1, 2))
        e.write(i.operands[0], target, f'(uint32_t){low} | (uint32_t){high} << 16')
        return
    e.count(i, 2)
    if target.name == 'tf32':
        if source != F32 or 'satfinite' in i.modifiers:
            e.unsupported()
        mode = next((_MODES[modifier] for modifier in i.modifiers if modifier in _MODES), 'HALF_RNA')
        relu = int('relu' in i.modifiers)
        e.write(i.operands[0], U32, f'tf32_from({e.read(i.operands[1], F32)}, {mode}, {relu})')
        return
    if target.kind == 'x' or source.kind == 'x':
        e.unsupported()
    value = _value(e, i, 1, source)
    if integral is not None and (target == source or not (target.is_float or target.kind == 'h')):
        value = f'f64_{integral}({value})'
    elif not (target.is_float or target.kind == 'h'):
        value = f'f64_rzi({value})'
    if target.kind == 'h':
        e.write(i.operands[0], target, _round(e, i, target.name, value))
    elif target.is_float:
        result = f'f32_canon((float)({value}))' if target == F32 else f'({value})'
        e.write(i.operands[0], target, f'{target.name}_sat({result})' if 'sat' in i.modifiers else result)
    else:
        e.write(i.operands[0], target, f'to_{target.kind if target.kind == "s" else "u"}{target.bits}({value})')
