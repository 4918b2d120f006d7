# SPDX-License-Identifier: Apache-2.0
"""SIMD video instructions: two or four lanes in 32 bits (what the __v...2 and __v...4 intrinsics become)."""

from accelpool.drivers.mock.ptx.ast.model import Instruction
from accelpool.drivers.mock.ptx.emit_core import Emitter, handles
from accelpool.drivers.mock.ptx.types import U32

_OPERATIONS = {'vadd': 'VIDEO_ADD', 'vsub': 'VIDEO_SUB', 'vavrg': 'VIDEO_AVRG', 'vabsdiff': 'VIDEO_ABSDIFF',
               'vmin': 'VIDEO_MIN', 'vmax': 'VIDEO_MAX'}


@handles(*(f'{name}{lanes}' for name in _OPERATIONS for lanes in '24'))
def _video(e: Emitter, i: Instruction) -> None:
    """Lane masks and selectors are not supported: no compiler writes them."""
    types, rest = i.modifiers[:3], i.modifiers[3:]
    if len(types) != 3 or any(name not in ('u32', 's32') for name in types):
        e.unsupported()
    e.only(rest, 'sat add')
    e.count(i, 4)
    values = ', '.join(e.read(operand, U32) for operand in i.operands[1:])
    signs = ', '.join(str(int(name == 's32')) for name in types)
    bits = 16 if i.opcode[-1] == '2' else 8
    operation = _OPERATIONS[i.opcode[:-1]]
    e.write(i.operands[0], U32,
            f'video({operation}, {values}, {bits}, {signs}, {int("sat" in rest)}, {int("add" in rest)})')
