# SPDX-License-Identifier: Apache-2.0
"""PTX text to units."""

import unittest

from accelpool.drivers.mock.ptx.ast import model
from accelpool.drivers.mock.ptx.parser import parse

HEADER = '.version 8.8\n.target sm_90a, debug\n.address_size 64\n'


def statements(body: str) -> list[model.Statement]:
    function = parse(f'{HEADER}.entry k() {{ {body} }}')[0].functions[0]
    assert function.body is not None
    return function.body.statements


class ParserTest(unittest.TestCase):
    def test_header(self) -> None:
        (unit,) = parse(HEADER)
        self.assertEqual((88, 90), (unit.version, unit.target))
        self.assertEqual(2, len(parse(HEADER + HEADER)))

    def test_operands(self) -> None:
        (instruction,) = statements('x.y::z.f32 %a|p, {b, _, -1}, [c+-4], [16], !q, 0f3F800000, (1, 0x10U), d.x, e+8;')
        assert isinstance(instruction, model.Instruction)
        self.assertEqual(('x', ('y::z', 'f32')), (instruction.opcode, instruction.modifiers))
        self.assertEqual((
            model.Pair(model.Name('%a'), model.Name('p')),
            model.Vector((model.Name('b'), model.Name('_'), model.Integer(-1))),
            model.Address('c', -4), model.Address(None, 16), model.Name('q', negated=True), model.Float(0x3f800000, 32),
            model.Group((model.Integer(1), model.Integer(16))), model.Name('d.x'), model.Offset('e', 8),
        ), instruction.operands)

    def test_guards_labels_and_blocks(self) -> None:
        guard, label, block = statements('@!%p bra $L__1; $L__1: { .reg .b32 %t<3>, u; ret; }')
        assert isinstance(guard, model.Instruction) and isinstance(block, model.Block)
        self.assertEqual(model.Name('%p', negated=True), guard.guard)
        self.assertEqual(model.Label('$L__1'), label)
        first, second, _ = block.statements
        assert isinstance(first, model.Registers) and isinstance(second, model.Registers)
        self.assertEqual([('%t', 3), ('u', None)], [(first.name, first.count), (second.name, second.count)])

    def test_directives_of_a_kernel(self) -> None:
        text = (HEADER + '.visible .entry k(.param .u64 .ptr .global .align 16 a, .param .align 8 .b8 b[12])\n'
                '.maxntid 128, 1, 1\n.minnctapersm 2\n.maxnreg 64 { ret; }')
        (function,) = parse(text)[0].functions
        self.assertEqual([('a', 8, 8), ('b', 12, 8)], [(p.name, p.size, p.align) for p in function.params])
        self.assertEqual({'maxntid': (128, 1, 1), 'minnctapersm': (2,), 'maxnreg': (64,)}, function.directives)

    def test_debug_information_is_skipped(self) -> None:
        text = (HEADER + '.file 1 "a; b {.cu", 123, 45\n.section .debug_str { info: .b8 1,2 \n .b64 x }\n'
                '.entry k() { .loc 1 5 9, function_name info, inlined_at 1 2 3\n ret; .pragma "nounroll"; }\n#line 5\n')
        (function,) = parse(text)[0].functions
        assert function.body is not None
        self.assertEqual(1, len(function.body.statements))

    def test_initial_values(self) -> None:
        text = HEADER + ('.visible .const .align 8 .b64 v[] = {1, -1, generic(x)+8, y, 0xFF};\n'
                         '.global .v2 .f32 w[2][2] = {{1.5, 0f40000000}, {-2, 3}};')
        first, second = parse(text)[0].variables
        self.assertEqual([1, -1, model.SymbolValue('x', 8, True), model.SymbolValue('y', 0, False), 255], first.values)
        self.assertEqual((5, 40), (first.count, first.size))
        self.assertEqual((4, 32), (second.count, second.size))

    def test_numbers(self) -> None:
        (instruction,) = statements('x 010, 0b101, 0x1F, 7U, -0, 1.5, 1e3, 0dBFF0000000000000;')
        assert isinstance(instruction, model.Instruction)
        integers = [operand.value for operand in instruction.operands if isinstance(operand, model.Integer)]
        floats = [operand.pattern for operand in instruction.operands if isinstance(operand, model.Float)]
        self.assertEqual([8, 5, 31, 7, 0], integers)
        self.assertEqual([0x3ff8 << 48, 0x408f40 << 40, 0xbff0 << 48], floats)
