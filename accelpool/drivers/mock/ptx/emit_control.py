# SPDX-License-Identifier: Apache-2.0
"""Branches, calls, returns, block barriers, sleeping and trapping."""

from accelpool.drivers.mock.ptx import symbols
from accelpool.drivers.mock.ptx.ast import model
from accelpool.drivers.mock.ptx.ast.model import Group, Instruction, Name, Operand
from accelpool.drivers.mock.ptx.emit_core import Emitter, handles
from accelpool.drivers.mock.ptx.types import PRED, U32, U64, plain


@handles('bra')
def _branch(e: Emitter, i: Instruction) -> None:
    e.only(i.modifiers, 'uni')
    e.count(i, 1)
    target = i.operands[0]
    if not isinstance(target, Name):
        e.unsupported()
    e.emit(e.jump(target.name))


@handles('brx')
def _branch_indexed(e: Emitter, i: Instruction) -> None:
    e.only(i.modifiers, 'idx uni')
    e.count(i, 2)
    targets = i.operands[1]
    found = e.names.find(targets.name) if isinstance(targets, Name) else None
    if not isinstance(found, model.Targets):
        e.unsupported('no list of branch targets')
    e.emit(f'switch ({e.read(i.operands[0], U32)}) {{')
    for n, label in enumerate(found.labels):
        e.emit(f'case {n}: {e.jump(label)}')
    e.emit('default: t->services->fault(t, KERNEL_INVALID_PC, 0);')
    e.emit('}')


@handles('ret')
def _return(e: Emitter, i: Instruction) -> None:
    e.only(i.modifiers, 'uni')
    e.emit('goto end;')


@handles('exit')
def _exit(e: Emitter, i: Instruction) -> None:
    e.emit('goto end;' if e.entry else 't->services->exit(t);')


@handles('trap')
def _trap(e: Emitter, i: Instruction) -> None:
    e.emit('t->services->fault(t, KERNEL_LAUNCH_FAILED, 0);')


@handles('brkpt', 'pmevent', 'setmaxnreg', 'griddepcontrol')
def _nothing(e: Emitter, i: Instruction) -> None:
    """Debugger and scheduler hints."""


@handles('nanosleep')
def _sleep(e: Emitter, i: Instruction) -> None:
    e.type(i.modifiers, 'u32')
    e.count(i, 1)
    e.emit(f'(void)({e.read(i.operands[0], U32)}); t->services->yield(t, 1);')


# --- calls ----------------------------------------------------------------------------------------------------


def _split(e: Emitter, i: Instruction) -> tuple[tuple[Operand, ...], Name, tuple[Operand, ...], Operand | None]:
    """Return values, callee, arguments, prototype."""
    operands = list(i.operands)
    returns: tuple[Operand, ...] = ()
    if operands and isinstance(operands[0], Group):
        returns = operands[0].items
        operands.pop(0)
    callee = operands.pop(0) if operands else None
    if not isinstance(callee, Name):
        e.unsupported()
    arguments: tuple[Operand, ...] = ()
    if operands and isinstance(operands[0], Group):
        arguments = operands[0].items
        operands.pop(0)
    return returns, callee, arguments, operands[0] if operands else None


def _buffer(e: Emitter, operand: Operand, size: int, after: list[str] | None) -> str:
    """A byte array for one parameter; a register is copied into (or, for a result, out of) a new one."""
    symbol = e.names.find(operand.name) if isinstance(operand, Name) else None
    if isinstance(symbol, symbols.ParamSymbol):
        if symbol.size < size:
            e.unsupported('argument too small')
        return symbol.c
    if size not in (1, 2, 4, 8):
        e.unsupported('argument does not fit')
    scalar = plain(8 * size)
    name = f'x{e.temporaries}'
    e.temporaries += 1
    e.emit(f'_Alignas(8) uint8_t {name}[8] = {{0}};')
    if after is None:
        e.emit(f'POKE({scalar.c}, {name}, {e.read(operand, scalar)});')
    else:
        mark = len(e.lines)
        e.write(operand, scalar, f'PEEK({scalar.c}, {name})')
        after.extend(e.lines[mark:])
        del e.lines[mark:]
    return name


@handles('call')
def _call(e: Emitter, i: Instruction) -> None:
    e.only(i.modifiers, 'uni')
    returns, callee, arguments, prototype = _split(e, i)
    symbol = e.names.find(callee.name)
    indirect = isinstance(symbol, symbols.Register)
    if indirect:
        found = e.names.find(prototype.name) if isinstance(prototype, Name) else None
        if not isinstance(found, model.Prototype):
            e.unsupported('call through a register without a prototype')
        sizes_out, sizes_in = found.returns, found.params
    elif isinstance(symbol, symbols.FunctionSymbol):
        sizes_out, sizes_in = symbol.returns, symbol.params
        if symbol.index is None and not symbol.builtin:
            e.unsupported('this function is not defined')
    else:
        e.unsupported('this is not a function')
    if len(returns) != len(sizes_out) or len(arguments) != len(sizes_in):
        e.unsupported('wrong number of arguments')
    after: list[str] = []
    buffers = [_buffer(e, operand, size, after) for operand, size in zip(returns, sizes_out, strict=True)]
    buffers += [_buffer(e, operand, size, None) for operand, size in zip(arguments, sizes_in, strict=True)]
    listed = ', '.join(['t', *buffers])
    if isinstance(symbol, symbols.FunctionSymbol):
        function = symbol.builtin or f'f{symbol.index}'
        if symbol.builtin:
            e.emit(f'{function}({listed});')
        else:
            e.uses_fuel = True
            e.emit(f't->fuel = fuel; {function}({listed}); fuel = t->fuel;')
    else:
        e.uses_fuel = True
        form = ', '.join(['struct kernel_thread *'] + ['uint8_t *'] * len(buffers))
        signature = e.signature((sizes_out, sizes_in))
        address = e.read(callee, U64)
        e.emit(f't->fuel = fuel; ((void (*)({form}))callee(t, {address}, {signature}u))({listed}); fuel = t->fuel;')
    for line in after:
        e.emit(line)


# --- block barriers -------------------------------------------------------------------------------------------

_REDUCTIONS = {'popc': 'KERNEL_BAR_POPC', 'and': 'KERNEL_BAR_AND', 'or': 'KERNEL_BAR_OR'}


@handles('bar', 'barrier')
def _barrier(e: Emitter, i: Instruction) -> None:
    modifiers = tuple(m for m in i.modifiers if m not in ('cta', 'aligned'))
    if modifiers[:1] == ('warp',):
        e.only(modifiers, 'warp sync')
        e.count(i, 1)
        e.emit(f'warp_op(t, KERNEL_WARP_SYNC, 0, 0, 0, {e.read(i.operands[0], U32)}, 0);')
        return
    if modifiers[:1] == ('cluster',):
        _cluster_barrier(e, modifiers)
        return
    operands = [operand for operand in i.operands]
    if modifiers == ('sync',):
        number, count = e.read(operands[0], U32), e.read(operands[1], U32) if len(operands) > 1 else '0'
        e.emit(f't->services->barrier(t, {number}, {count}, KERNEL_BAR_SYNC, 0);')
    elif modifiers == ('arrive',):
        number, count = e.read(operands[0], U32), e.read(operands[1], U32)
        e.emit(f't->services->barrier(t, {number}, {count}, KERNEL_BAR_ARRIVE, 0);')
    elif len(modifiers) == 3 and modifiers[0] == 'red' and modifiers[1] in _REDUCTIONS:
        count = e.read(operands[2], U32) if len(operands) > 3 else '0'
        predicate = e.read(operands[-1], PRED)
        call = (f't->services->barrier(t, {e.read(operands[1], U32)}, {count}, {_REDUCTIONS[modifiers[1]]}, '
                f'{predicate})')
        if modifiers[2] not in ('pred', 'u32') or (modifiers[2] == 'u32') != (modifiers[1] == 'popc'):
            e.unsupported()
        e.write(operands[0], PRED if modifiers[2] == 'pred' else U32, call)
    else:
        e.unsupported()


def _cluster_barrier(e: Emitter, modifiers: tuple[str, ...]) -> None:
    """A cluster has one block: its barrier is a barrier of the block (arrive leaves the waiting to wait)."""
    e.only(modifiers, 'cluster arrive wait acquire release relaxed')
    if 'wait' in modifiers:
        e.emit('t->services->barrier(t, 15, 0, KERNEL_BAR_SYNC, 0);')
