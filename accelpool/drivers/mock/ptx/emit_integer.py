# SPDX-License-Identifier: Apache-2.0
"""Integer arithmetic. `add`, `sub`, `mul` and their kin send floating-point types on to their own modules."""

from dataclasses import replace

from accelpool.drivers.mock.ptx import emit_float, emit_half
from accelpool.drivers.mock.ptx.ast.model import Instruction
from accelpool.drivers.mock.ptx.emit_core import Emitter, Handler, handles
from accelpool.drivers.mock.ptx.types import HALVES, PACKED, S32, TYPES, U32, Type, unsigned

_WORDS = 'u16 s16 u32 s32 u64 s64'
_BINARY = {'add': '+', 'sub': '-'}


def _dispatch(integer: Handler) -> Handler:
    """One opcode, three families: the type decides."""

    def handler(e: Emitter, i: Instruction) -> None:
        if i.modifiers[-1:] == ('relu',):  # the vendor's compiler writes min.s32.relu for min.relu.s32
            i = replace(i, modifiers=('relu', *i.modifiers[:-1]))
        scalar = e.type(i.modifiers)
        if scalar.is_float:
            emit_float.arithmetic(e, i, scalar)
        elif scalar.name in HALVES or scalar.name in ('f16x2', 'bf16x2'):
            emit_half.arithmetic(e, i, scalar)
        else:
            integer(e, i)

    return handler


def _u(e: Emitter, i: Instruction, index: int, scalar: Type) -> str:
    """An operand as unsigned: arithmetic that wraps has no undefined cases."""
    return e.read(i.operands[index], unsigned(scalar.bits))


def _carry_out(e: Emitter, i: Instruction) -> bool:
    if 'cc' in i.modifiers:
        e.uses_carry = True
        return True
    return False


def _add(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, _WORDS + ' u16x2 s16x2')
    e.count(i, 3)
    if scalar.name in PACKED:
        e.only(i.modifiers[:-1], '')
        function = {'add': 'add16x2', 'sub': 'sub16x2'}[i.opcode]
        e.write(i.operands[0], scalar, f'{function}({e.read(i.operands[1], U32)}, {e.read(i.operands[2], U32)})')
        return
    e.only(i.modifiers[:-1], 'sat cc')
    operator = _BINARY[i.opcode]
    if 'sat' in i.modifiers:
        if scalar != S32:
            e.unsupported()
        left, right = e.read(i.operands[1], S32), e.read(i.operands[2], S32)
        e.write(i.operands[0], S32, f's32_clamp((int64_t){left} {operator} {right})')
        return
    left, right = _u(e, i, 1, scalar), _u(e, i, 2, scalar)
    if _carry_out(e, i):
        _with_carry(e, i, scalar, left, right, '0')
    else:
        e.write(i.operands[0], unsigned(scalar.bits), f'({scalar.unsigned})({left} {operator} {right})')


def _with_carry(e: Emitter, i: Instruction, scalar: Type, left: str, right: str, carry_in: str) -> None:
    if scalar.bits not in (32, 64):
        e.unsupported()
    function = ('add_carry' if i.opcode in ('add', 'addc', 'mad', 'madc') else 'sub_borrow') + str(scalar.bits)
    e.emit('uint32_t out;')
    result = e.temporary(scalar.unsigned, f'{function}({left}, {right}, {carry_in}, &out)')
    if 'cc' in i.modifiers:
        e.emit('carry = out;')
    e.write(i.operands[0], unsigned(scalar.bits), result)


@handles('addc', 'subc')
def _addc(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'u32 s32 u64 s64')
    e.only(i.modifiers[:-1], 'cc')
    e.count(i, 3)
    e.uses_carry = True
    _with_carry(e, i, scalar, _u(e, i, 1, scalar), _u(e, i, 2, scalar), 'carry')


def _product(e: Emitter, i: Instruction, scalar: Type) -> tuple[str, Type]:
    """The product that .lo, .hi or .wide selects, and its type."""
    left, right = e.read(i.operands[1], scalar), e.read(i.operands[2], scalar)
    if 'wide' in i.modifiers:
        if scalar.bits == 64:
            e.unsupported()
        wide = TYPES[f'{scalar.kind}{2 * scalar.bits}']
        return f'(({wide.c}){left} * ({wide.c}){right})', wide
    if 'hi' in i.modifiers:
        return f'{scalar.name}_hi({left}, {right})', scalar
    if 'lo' not in i.modifiers:
        e.unsupported()
    u = 'uint32_t' if scalar.bits < 64 else 'uint64_t'
    return f'({scalar.unsigned})(({u}){left} * ({u}){right})', unsigned(scalar.bits)


def _mul(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, _WORDS)
    e.only(i.modifiers[:-1], 'lo hi wide')
    e.count(i, 3)
    expression, result = _product(e, i, scalar)
    e.write(i.operands[0], result, expression)


def _mad(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, _WORDS)
    e.only(i.modifiers[:-1], 'lo hi wide sat cc')
    e.count(i, 4)
    expression, result = _product(e, i, scalar)
    if 'sat' in i.modifiers:
        if 'hi' not in i.modifiers or scalar != S32:
            e.unsupported()
        e.write(i.operands[0], S32, f's32_clamp((int64_t){expression} + {e.read(i.operands[3], S32)})')
        return
    addend = e.read(i.operands[3], unsigned(result.bits))
    if _carry_out(e, i) or i.opcode == 'madc':
        e.uses_carry = True
        product = f'({scalar.unsigned}){expression}'
        _with_carry(e, i, scalar, product, addend, 'carry' if i.opcode == 'madc' else '0')
        return
    e.write(i.operands[0], unsigned(result.bits), f'({result.unsigned})(({result.unsigned}){expression} + {addend})')


@handles('madc')
def _madc(e: Emitter, i: Instruction) -> None:
    if 'wide' in i.modifiers:
        e.unsupported()
    _mad(e, i)


@handles('mul24', 'mad24')
def _mul24(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'u32 s32')
    e.only(i.modifiers[:-1], 'lo hi sat')
    e.count(i, 3 if i.opcode == 'mul24' else 4)
    wide = 'int64_t' if scalar.kind == 's' else 'uint64_t'
    left, right = (f'({wide})({scalar.c})({_u(e, i, n, scalar)} << 8)' for n in (1, 2))
    product = e.temporary(wide, f'({left} >> 8) * ({right} >> 8)')
    part = f'(uint32_t)({product} >> 16)' if 'hi' in i.modifiers else f'(uint32_t){product}'
    if i.opcode == 'mul24':
        e.write(i.operands[0], U32, part)
    elif 'sat' in i.modifiers:
        if 'hi' not in i.modifiers or scalar != S32:
            e.unsupported()
        e.write(i.operands[0], S32, f's32_clamp((int64_t)(int32_t){part} + {e.read(i.operands[3], S32)})')
    else:
        e.write(i.operands[0], U32, f'{part} + {_u(e, i, 3, scalar)}')


def _divide(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, _WORDS)
    e.only(i.modifiers[:-1], '')
    e.count(i, 3)
    left, right = e.read(i.operands[1], scalar), e.read(i.operands[2], scalar)
    e.write(i.operands[0], scalar, f'{scalar.name}_{i.opcode}({left}, {right})')


def _extremum(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, _WORDS + ' u16x2 s16x2')
    e.only(i.modifiers[:-1], 'relu')
    e.count(i, 3)
    if scalar.name in PACKED:
        left, right = e.read(i.operands[1], U32), e.read(i.operands[2], U32)
        expression = f'{i.opcode}_{scalar.name}({left}, {right})'
        if 'relu' in i.modifiers:
            expression = f'max_s16x2({expression}, 0)'
        e.write(i.operands[0], scalar, expression)
        return
    left, right = e.read(i.operands[1], scalar), e.read(i.operands[2], scalar)
    expression = f'{scalar.name}_{i.opcode}({left}, {right})'
    if 'relu' in i.modifiers:
        if scalar != S32:
            e.unsupported()
        expression = f's32_max({expression}, 0)'
    e.write(i.operands[0], scalar, expression)


@handles('rem')
def _rem(e: Emitter, i: Instruction) -> None:
    _divide(e, i)


def _unary(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 's16 s32 s64')
    e.only(i.modifiers[:-1], '')
    e.count(i, 2)
    value = e.temporary(scalar.c, e.read(i.operands[1], scalar))
    negated = f'({scalar.unsigned})(0u - ({scalar.unsigned}){value})'
    if i.opcode == 'neg':
        e.write(i.operands[0], unsigned(scalar.bits), negated)
    else:
        e.write(i.operands[0], unsigned(scalar.bits), f'{value} < 0 ? {negated} : ({scalar.unsigned}){value}')


@handles('sad')
def _sad(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, _WORDS)
    e.only(i.modifiers[:-1], '')
    e.count(i, 4)
    left = e.temporary(scalar.c, e.read(i.operands[1], scalar))
    right = e.temporary(scalar.c, e.read(i.operands[2], scalar))
    u = scalar.unsigned
    difference = f'({left} < {right} ? ({u})(({u}){right} - ({u}){left}) : ({u})(({u}){left} - ({u}){right}))'
    e.write(i.operands[0], unsigned(scalar.bits), f'({u})({difference} + {_u(e, i, 3, scalar)})')


@handles('dp4a', 'dp2a')
def _dot(e: Emitter, i: Instruction) -> None:
    signs = [modifier for modifier in i.modifiers if modifier in ('u32', 's32')]
    e.only(i.modifiers, 'u32 s32' if i.opcode == 'dp4a' else 'u32 s32 lo hi')
    e.count(i, 4)
    if len(signs) != 2:
        e.unsupported()
    a, b, c = (e.read(operand, U32) for operand in i.operands[1:])
    flags = ', '.join('1' if sign == 's32' else '0' for sign in signs)
    if i.opcode == 'dp4a':
        e.write(i.operands[0], U32, f'dot4({a}, {b}, {c}, {flags})')
    else:
        e.write(i.operands[0], U32, f'dot2({a}, {b}, {c}, {flags}, {int("hi" in i.modifiers)})')


_HANDLERS: dict[str, Handler] = {
    'add': _add, 'sub': _add, 'mul': _mul, 'mad': _mad, 'div': _divide, 'min': _extremum, 'max': _extremum,
    'abs': _unary, 'neg': _unary,
}
for _opcode, _handler in _HANDLERS.items():
    handles(_opcode)(_dispatch(_handler))
