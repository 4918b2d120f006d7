# SPDX-License-Identifier: Apache-2.0
"""atom and red."""

from accelpool.drivers.mock.ptx.ast.model import Instruction, Name, Operand, Vector
from accelpool.drivers.mock.ptx.emit_core import Emitter, handles
from accelpool.drivers.mock.ptx.emit_memory import space
from accelpool.drivers.mock.ptx.types import Type

_SPACES = 'global shared shared::cta shared::cluster'
_OTHER = 'relaxed acquire release acq_rel cta cluster gpu sys noftz L2::cache_hint'
_TYPES = {
    'add': 'u32 s32 u64 s64 f32 f64 f16 f16x2 bf16 bf16x2',
    'min': 'u32 s32 u64 s64 f16 f16x2 bf16 bf16x2', 'max': 'u32 s32 u64 s64 f16 f16x2 bf16 bf16x2',
    'inc': 'u32', 'dec': 'u32', 'exch': 'b32 b64 u32 s32 f32 u64 s64 f64', 'cas': 'b16 b32 b64 u32 u64 s32 s64',
    'and': 'b32 b64 u32 u64 s32 s64', 'or': 'b32 b64 u32 u64 s32 s64', 'xor': 'b32 b64 u32 u64 s32 s64',
}
_LANES = {'v2': 2, 'v4': 4, 'v8': 8}


@handles('atom', 'red')
def _atom(e: Emitter, i: Instruction) -> None:
    scalar = e.type(i.modifiers)
    operations = [modifier for modifier in i.modifiers[:-1] if modifier in _TYPES]
    if len(operations) != 1 or scalar.name not in _TYPES[operations[0]].split():
        e.unsupported()
    operation = operations[0]
    e.only(i.modifiers[:-1], f'{operation} {_SPACES} {_OTHER} {" ".join(_LANES)}')
    values = list(i.operands)
    destination: Operand = Name('_') if i.opcode == 'red' else values.pop(0)
    address = values.pop(0)
    needed = 2 if operation == 'cas' else 1
    if len(values) not in (needed, needed + 1):
        e.unsupported('wrong number of operands')
    lanes = next((_LANES[modifier] for modifier in i.modifiers if modifier in _LANES), 1)
    pointer, _ = e.pointer(space(i), address, scalar.size * lanes, write=True)
    pointer = e.temporary('uint8_t *', pointer)
    if lanes == 1:
        _one(e, i, operation, scalar, destination, pointer, values[:needed])
        return
    if operation == 'cas' or not isinstance(values[0], Vector) or len(values[0].items) != lanes:
        e.unsupported()
    targets = destination.items if isinstance(destination, Vector) else (Name('_'),) * lanes
    for n, (target, item) in enumerate(zip(targets, values[0].items, strict=False)):
        _one(e, i, operation, scalar, target, f'{pointer} + {n * scalar.size}', [item])


def _one(e: Emitter, i: Instruction, operation: str, scalar: Type, destination: Operand, pointer: str,
         values: list[Operand]) -> None:
    """Arithmetic on f32 in global memory flushes subnormal numbers, as the ISA says; in shared memory it does not."""
    name = scalar.name
    if operation in ('exch', 'cas', 'and', 'or', 'xor'):
        name = f'b{scalar.bits}'
        raw = Type(name, 'b', scalar.bits)
        arguments = [e.read(value, raw) for value in values]
        result = e.temporary(raw.c, f'atomic_{operation}_{name}({", ".join([pointer, *arguments])})')
        e.write(destination, raw, result)
        return
    if name == 'f32' and space(i) != 'shared':
        name = 'f32_ftz'
    arguments = [e.read(value, scalar) for value in values]
    result = e.temporary(scalar.c, f'atomic_{operation}_{name}({", ".join([pointer, *arguments])})')
    e.write(destination, scalar, result)
