# SPDX-License-Identifier: Apache-2.0
"""Warp-wide operations."""

from accelpool.drivers.mock.ptx.ast.model import Instruction, Operand, Pair
from accelpool.drivers.mock.ptx.emit_core import Emitter, handles
from accelpool.drivers.mock.ptx.types import PRED, U32, unsigned

_SHUFFLES = {'up': 'UP', 'down': 'DOWN', 'bfly': 'BFLY', 'idx': 'IDX'}
_VOTES = {'all': 'ALL', 'any': 'ANY', 'uni': 'UNI', 'ballot': 'BALLOT'}
_REDUX = {
    ('add', 'u32'): 'ADD', ('add', 's32'): 'ADD', ('min', 'u32'): 'MIN_U', ('max', 'u32'): 'MAX_U',
    ('min', 's32'): 'MIN_S', ('max', 's32'): 'MAX_S', ('and', 'b32'): 'AND', ('or', 'b32'): 'OR', ('xor', 'b32'): 'XOR',
}


def _run(e: Emitter, op: str, value: str, b: str, c: str, mask: str | None) -> str:
    """The C name of the operation's result. Without a mask the place in the module stands for it."""
    site = 0 if mask is not None else e.site()
    return e.temporary('struct kernel_warp_io',
                       f'warp_op(t, KERNEL_WARP_{op}, {value}, {b}, {c}, {mask or "0"}, {site}u)')


def _split(destination: Operand) -> tuple[Operand, Operand | None]:
    if isinstance(destination, Pair):
        return destination.first, destination.second
    return destination, None


@handles('shfl')
def _shuffle(e: Emitter, i: Instruction) -> None:
    modifiers = tuple(m for m in i.modifiers if m != 'sync')
    synchronous = len(modifiers) != len(i.modifiers)
    if len(modifiers) != 2 or modifiers[0] not in _SHUFFLES or modifiers[1] != 'b32':
        e.unsupported()
    e.count(i, 5 if synchronous else 4)
    value, b, c = (e.read(operand, U32) for operand in i.operands[1:4])
    mask = e.read(i.operands[4], U32) if synchronous else None
    result = _run(e, f'SHFL_{_SHUFFLES[modifiers[0]]}', value, b, c, mask)
    first, second = _split(i.operands[0])
    e.write(first, U32, f'(uint32_t){result}.value')
    if second is not None:
        e.write(second, PRED, f'{result}.predicate')


@handles('vote')
def _vote(e: Emitter, i: Instruction) -> None:
    modifiers = tuple(m for m in i.modifiers if m != 'sync')
    synchronous = len(modifiers) != len(i.modifiers)
    if len(modifiers) != 2 or modifiers[0] not in _VOTES:
        e.unsupported()
    if modifiers[1] != ('b32' if modifiers[0] == 'ballot' else 'pred'):
        e.unsupported()
    e.count(i, 3 if synchronous else 2)
    mask = e.read(i.operands[2], U32) if synchronous else None
    result = _run(e, f'VOTE_{_VOTES[modifiers[0]]}', e.read(i.operands[1], PRED), '0', '0', mask)
    if modifiers[0] == 'ballot':
        e.write(i.operands[0], U32, f'(uint32_t){result}.value')
    else:
        e.write(i.operands[0], PRED, f'(uint8_t){result}.value')


@handles('match')
def _match(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers, 'b32 b64')
    e.only(i.modifiers[:-1], 'any all sync')
    e.count(i, 3)
    value, mask = e.read(i.operands[1], unsigned(scalar.bits)), e.read(i.operands[2], U32)
    result = _run(e, 'MATCH_ALL' if 'all' in i.modifiers else 'MATCH_ANY', value, '0', '0', mask)
    first, second = _split(i.operands[0])
    e.write(first, U32, f'(uint32_t){result}.value')
    if second is not None:
        e.write(second, PRED, f'{result}.predicate')


@handles('redux')
def _redux(e: Emitter, i: Instruction) -> None:
    modifiers = tuple(m for m in i.modifiers if m != 'sync')
    operation = _REDUX.get((modifiers[0], modifiers[1])) if len(modifiers) == 2 else None
    if operation is None:
        e.unsupported()
    e.count(i, 3)
    value, mask = e.read(i.operands[1], U32), e.read(i.operands[2], U32)
    result = _run(e, f'REDUX_{operation}', value, '0', '0', mask)
    e.write(i.operands[0], U32, f'(uint32_t){result}.value')


@handles('activemask')
def _active(e: Emitter, i: Instruction) -> None:
    e.type(i.modifiers, 'b32')
    e.count(i, 1)
    result = _run(e, 'ACTIVE', '0', '0', '0', None)
    e.write(i.operands[0], U32, f'(uint32_t){result}.value')


@handles('elect')
def _elect(e: Emitter, i: Instruction) -> None:
    e.only(i.modifiers, 'sync')
    e.count(i, 2)
    result = _run(e, 'ELECT', '0', '0', '0', e.read(i.operands[1], U32))
    first, second = _split(i.operands[0])
    if second is None:
        e.unsupported()
    e.write(first, U32, f'(uint32_t){result}.value')
    e.write(second, PRED, f'{result}.predicate')
