# SPDX-License-Identifier: Apache-2.0
"""Loads, stores, address conversion, copies, fences."""

from accelpool.drivers.mock.ptx.ast.model import Address, Instruction, Integer, Name, Operand, Vector
from accelpool.drivers.mock.ptx.emit_core import Emitter, handles
from accelpool.drivers.mock.ptx.types import B64, PRED, U32, U64, Type

_SPACES = {
    'global': 'global', 'const': 'const', 'shared': 'shared', 'shared::cta': 'shared', 'shared::cluster': 'shared',
    'local': 'local', 'param': 'param', 'param::entry': 'param', 'param::func': 'param',
}
_LANES = {'v2': 2, 'v4': 4, 'v8': 8}
_ORDERS = ('weak volatile relaxed acquire release mmio nc ca cg cs lu cv wb wt cta cluster gpu sys unified '
           'L1::evict_normal L1::evict_unchanged L1::evict_first L1::evict_last L1::no_allocate '
           'L2::evict_normal L2::evict_first L2::evict_last L2::64B L2::128B L2::256B L2::cache_hint')
_WINDOWS = {'shared': 'KERNEL_SHARED', 'local': 'KERNEL_LOCAL', 'param': 'KERNEL_PARAM'}


def space(i: Instruction) -> str:
    """The state space that the modifiers name; '' is generic."""
    return next((_SPACES[modifier] for modifier in i.modifiers if modifier in _SPACES), '')


def _shape(e: Emitter, i: Instruction) -> tuple[Type, int]:
    scalar = e.type(i.modifiers, 'b8 b16 b32 b64 u8 u16 u32 u64 s8 s16 s32 s64 f32 f64 f16 bf16 f16x2 bf16x2')
    e.only(i.modifiers[:-1], f'{_ORDERS} {" ".join(_SPACES)} {" ".join(_LANES)}')
    lanes = next((_LANES[modifier] for modifier in i.modifiers if modifier in _LANES), 1)
    if lanes * scalar.size > 32:
        e.unsupported('vector too wide')
    return scalar, lanes


def _items(e: Emitter, operand: Operand, lanes: int) -> tuple[Operand, ...]:
    if isinstance(operand, Vector):
        if len(operand.items) != lanes:
            e.unsupported('vector does not fit')
        return operand.items
    if lanes != 1:
        e.unsupported('vector does not fit')
    return (operand,)


def _fence(e: Emitter, i: Instruction, *orders: str) -> None:
    if any(order in i.modifiers for order in orders):
        e.emit('__atomic_thread_fence(__ATOMIC_SEQ_CST);')


@handles('ld', 'ldu')
def _load(e: Emitter, i: Instruction) -> None:
    scalar, lanes = _shape(e, i)
    if len(i.operands) not in (2, 3):
        e.unsupported('wrong number of operands')
    pointer, private = e.pointer(space(i), i.operands[1], scalar.size * lanes, write=False)
    items = _items(e, i.operands[0], lanes)
    memory = Type(scalar.name, 'b', scalar.bits) if scalar.kind in 'hx' else scalar
    get = 'PEEK' if private else 'LOAD'
    if lanes == 1:
        e.write(items[0], memory, f'{get}({memory.c}, {pointer})')
    else:
        name = e.temporary('uint8_t *', pointer)
        values = [e.temporary(memory.c, f'{get}({memory.c}, {name} + {n * scalar.size})') for n in range(lanes)]
        for item, value in zip(items, values, strict=True):
            if not (isinstance(item, Name) and item.name == '_'):
                e.write(item, memory, value)
    _fence(e, i, 'acquire')


@handles('st')
def _store(e: Emitter, i: Instruction) -> None:
    scalar, lanes = _shape(e, i)
    if len(i.operands) not in (2, 3) or space(i) == 'const':
        e.unsupported()
    memory = Type(scalar.name, 'b', scalar.bits) if scalar.kind in 'hx' else scalar
    _fence(e, i, 'release')
    pointer, private = e.pointer(space(i), i.operands[0], scalar.size * lanes, write=True)
    put = 'POKE' if private else 'STORE'
    items = _items(e, i.operands[1], lanes)
    if lanes == 1:
        e.emit(f'{put}({memory.c}, {pointer}, {e.read(items[0], memory)});')
        return
    name = e.temporary('uint8_t *', pointer)
    for n, item in enumerate(items):
        e.emit(f'{put}({memory.c}, {name} + {n * scalar.size}, {e.read(item, memory)});')


@handles('cvta')
def _convert_address(e: Emitter, i: Instruction) -> None:
    e.type(i.modifiers, 'u64')
    e.only(i.modifiers[:-1], f'to {" ".join(_SPACES)}')
    e.count(i, 2)
    window = _WINDOWS.get(space(i))
    value = e.read(i.operands[1], U64)
    if window is not None:
        value = f'{value} - {window}' if 'to' in i.modifiers else f'(uint64_t){value} + {window}'
    e.write(i.operands[0], U64, value)


@handles('isspacep')
def _is_space(e: Emitter, i: Instruction) -> None:
    e.only(i.modifiers, ' '.join(_SPACES))
    e.count(i, 2)
    where = space(i)
    address = e.temporary('uint64_t', e.read(i.operands[1], U64))
    if where in _WINDOWS:
        e.write(i.operands[0], PRED, f'{address} - {_WINDOWS[where]} < KERNEL_WINDOW')
    else:
        constant = 'constant_space(t, ' if where == 'const' else '!constant_space(t, '
        e.write(i.operands[0], PRED, f'{address} >= KERNEL_CODE && {constant}{address})')


@handles('mapa')
def _map_address(e: Emitter, i: Instruction) -> None:
    """A cluster has one block here: every address maps to itself."""
    scalar = e.type(i.modifiers, 'u32 u64')
    e.only(i.modifiers[:-1], 'shared::cluster')
    e.write(i.operands[0], scalar, e.read(i.operands[1], scalar))


@handles('getctarank')
def _block_rank(e: Emitter, i: Instruction) -> None:
    e.type(i.modifiers, 'u32 u64')
    e.write(i.operands[0], U32, '0u')


@handles('prefetch', 'prefetchu', 'applypriority', 'discard')
def _hint(e: Emitter, i: Instruction) -> None:
    """Nothing to do, but the address operand must be one."""
    if not isinstance(i.operands[0], Address):
        e.unsupported()


@handles('createpolicy')
def _policy(e: Emitter, i: Instruction) -> None:
    e.write(i.operands[0], B64, '0ull')


@handles('membar', 'fence')
def _membar(e: Emitter, i: Instruction) -> None:
    e.only(i.modifiers, 'cta gl sys cluster gpu sc acq_rel acquire release proxy alias async global shared::cta '
                        'shared::cluster mbarrier_init sync_restrict::shared::cta sync_restrict::shared::cluster')
    e.emit('__atomic_thread_fence(__ATOMIC_SEQ_CST);')


@handles('cp')
def _copy_async(e: Emitter, i: Instruction) -> None:
    """cp.async: the copy is done at once, so that waiting for it has nothing to wait for."""
    if i.modifiers[:1] != ('async',):
        e.unsupported()
    if i.modifiers[1:] in (('commit_group',), ('wait_group',), ('wait_all',)):
        return
    e.only(i.modifiers[1:], f'ca cg shared shared::cta global {_ORDERS}')
    if len(i.operands) not in (3, 4) or not isinstance(i.operands[2], Integer):
        e.unsupported()
    size = i.operands[2].value
    if size not in (4, 8, 16):
        e.unsupported()
    target, _ = e.pointer('shared', i.operands[0], size, write=True)
    target = e.temporary('uint8_t *', target)
    if len(i.operands) == 3 or 'L2::cache_hint' in i.modifiers:
        source, _ = e.pointer('global', i.operands[1], size, write=False)
        source = e.temporary('uint8_t *', source)
        for offset in range(0, size, 4):
            e.emit(f'STORE(uint32_t, {target} + {offset}, LOAD(uint32_t, {source} + {offset}));')
        return
    address = i.operands[1]
    if not isinstance(address, Address):
        e.unsupported()
    length = e.temporary('uint32_t', e.read(i.operands[3], U32))
    start = e.temporary('uint64_t', e.address(address))
    e.emit(f'for (uint32_t n = 0; n < {size}; n++) STORE(uint8_t, {target} + n, n < {length} ? '
           f'LOAD(uint8_t, load_at(t, pages, {start} + n, 1u)) : 0);')
