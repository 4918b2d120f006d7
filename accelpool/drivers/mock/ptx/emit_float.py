# SPDX-License-Identifier: Apache-2.0
"""f32 and f64 arithmetic and the math approximations."""

from accelpool.drivers.mock.ptx import emit_half
from accelpool.drivers.mock.ptx.ast.model import Instruction
from accelpool.drivers.mock.ptx.emit_core import Emitter, handles
from accelpool.drivers.mock.ptx.types import F32, PRED, Type

_ROUNDING = ('rn', 'rz', 'rm', 'rp')
_OPERANDS = {'add': 2, 'sub': 2, 'mul': 2, 'div': 2, 'fma': 3, 'mad': 3, 'min': 2, 'max': 2, 'abs': 1, 'neg': 1}


def _operands(e: Emitter, i: Instruction, scalar: Type, count: int) -> list[str]:
    """The source operands; .ftz flushes subnormal ones to zero of the same sign."""
    e.count(i, count + 1)
    values = [e.read(operand, scalar) for operand in i.operands[1:]]
    if 'ftz' in i.modifiers:
        if scalar != F32:
            e.unsupported('modifier .ftz: not supported')
        values = [f'f32_ftz({value})' for value in values]
    return values


def _finish(e: Emitter, i: Instruction, scalar: Type, expression: str) -> None:
    if 'ftz' in i.modifiers and scalar == F32:
        expression = f'f32_ftz({expression})'
    if 'sat' in i.modifiers:
        expression = f'{scalar.name}_sat({expression})'
    e.write(i.operands[0], scalar, expression)


def rounding(e: Emitter, i: Instruction, default: str = 'rn') -> str:
    """The rounding mode that the instruction names."""
    found = [modifier for modifier in i.modifiers if modifier in _ROUNDING]
    if len(found) > 1:
        e.unsupported()
    return found[0] if found else default


def arithmetic(e: Emitter, i: Instruction, scalar: Type) -> None:
    """add, sub, mul, div, fma, mad, min, max, abs, neg of f32 and f64."""
    if i.opcode not in _OPERANDS:
        e.unsupported()
    if i.opcode in ('min', 'max'):
        _extremum(e, i, scalar)
        return
    if i.opcode in ('abs', 'neg'):
        e.only(i.modifiers[:-1], 'ftz')
        (value,) = _operands(e, i, scalar, 1)
        _finish(e, i, scalar, f'{scalar.name}_{i.opcode}({value})')
        return
    approximate = [modifier for modifier in i.modifiers if modifier in ('approx', 'full')]
    e.only(i.modifiers[:-1], 'rn rz rm rp ftz sat' + (' approx full' if i.opcode == 'div' else ''))
    values = _operands(e, i, scalar, _OPERANDS[i.opcode])
    if approximate:
        if scalar != F32:
            e.unsupported()
        function = 'f32_div_approx' if approximate[0] == 'approx' else 'f32_div_rn'
        _finish(e, i, scalar, f'{function}({", ".join(values)})')
        return
    opcode = 'fma' if i.opcode == 'mad' else i.opcode
    _finish(e, i, scalar, f'{scalar.name}_{opcode}_{rounding(e, i)}({", ".join(values)})')


@handles('fma')
def _fma(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers)
    if scalar.is_float:
        arithmetic(e, i, scalar)
    else:
        emit_half.arithmetic(e, i, scalar)


def _extremum(e: Emitter, i: Instruction, scalar: Type) -> None:
    e.only(i.modifiers[:-1], 'ftz NaN xorsign abs')
    count = 3 if len(i.operands) == 4 and scalar == F32 else 2
    values = [e.temporary(scalar.c, value) for value in _operands(e, i, scalar, count)]
    function = f'{scalar.name}_{i.opcode}' + ('_nan' if 'NaN' in i.modifiers else '')
    signed = values
    if 'abs' in i.modifiers:
        values = [f'f32_abs({value})' for value in values]
    expression = f'{function}({values[0]}, {values[1]})'
    if count == 3:
        expression = f'{function}({expression}, {values[2]})'
    if 'xorsign' in i.modifiers:
        if scalar != F32 or count == 3:
            e.unsupported()
        expression = f'f32_xorsign({expression}, {signed[0]}, {signed[1]})'
    _finish(e, i, scalar, expression)


_APPROXIMATE = {'sin': 'f32_sin', 'cos': 'f32_cos', 'lg2': 'f32_lg2', 'ex2': 'f32_ex2', 'tanh': 'f32_tanh'}


@handles('sin', 'cos', 'lg2', 'ex2', 'tanh')
def _transcendental(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'f32' if i.opcode in ('sin', 'cos', 'lg2') else 'f32 f16 f16x2 bf16 bf16x2')
    e.only(i.modifiers[:-1], 'approx ftz')
    if scalar != F32:
        emit_half.approximation(e, i, scalar)
        return
    (value,) = _operands(e, i, scalar, 1)
    _finish(e, i, scalar, f'{_APPROXIMATE[i.opcode]}({value})')


@handles('rcp', 'sqrt', 'rsqrt')
def _root(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'f32 f64')
    e.only(i.modifiers[:-1], 'approx rn rz rm rp ftz')
    approximate = 'approx' in i.modifiers or i.opcode == 'rsqrt'
    if approximate and scalar != F32 and i.opcode != 'sqrt':
        e.count(i, 2)
        e.write(i.operands[0], scalar, f'f64_{i.opcode}_approx({e.read(i.operands[1], scalar)})')
        return
    (value,) = _operands(e, i, scalar, 1)
    if i.opcode == 'rsqrt':
        _finish(e, i, scalar, f'f32_rsqrt({value})')
    else:
        _finish(e, i, scalar, f'{scalar.name}_{i.opcode}_{rounding(e, i)}({value})')


@handles('copysign')
def _copysign(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'f32 f64')
    e.only(i.modifiers[:-1], '')
    e.count(i, 3)
    sign, magnitude = e.read(i.operands[1], scalar), e.read(i.operands[2], scalar)
    e.write(i.operands[0], scalar, f'{scalar.name}_copysign({sign}, {magnitude})')


@handles('testp')
def _testp(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'f32 f64')
    e.only(i.modifiers[:-1], 'finite infinite number notanumber normal subnormal')
    e.count(i, 2)
    e.write(i.operands[0], PRED, f'{scalar.name}_{i.modifiers[0]}({e.read(i.operands[1], scalar)})')
