# SPDX-License-Identifier: Apache-2.0
"""One function of PTX to one function of C: operands, destinations, addresses, jumps. The emit_* modules hold one
instruction family each and register their handlers here."""

import struct
from collections.abc import Callable
from typing import NoReturn

from accelpool.drivers.mock.ptx import special, symbols
from accelpool.drivers.mock.ptx.ast import model
from accelpool.drivers.mock.ptx.errors import Unsupported
from accelpool.drivers.mock.ptx.reader import double_pattern
from accelpool.drivers.mock.ptx.types import TYPES, U64, Type

Handler = Callable[['Emitter', model.Instruction], None]
Signatures = dict[tuple[tuple[int, ...], tuple[int, ...]], int]
"""Sizes of results and parameters, and the number of that shape; never 0."""
HANDLERS: dict[str, Handler] = {}


def handles(*opcodes: str) -> Callable[[Handler], Handler]:
    """Registers a function as the translation of these opcodes."""

    def register(handler: Handler) -> Handler:
        for opcode in opcodes:
            HANDLERS[opcode] = handler
        return handler

    return register


class Emitter:
    """State of one function: names in scope and the C lines so far."""

    def __init__(self, module: dict[str, symbols.Symbol], entry: bool, signatures: Signatures, sites: int) -> None:
        self.names = symbols.Names(module)
        self.entry = entry
        self.signatures = signatures
        self.sites = sites
        self.lines: list[str] = []
        self.temporaries = 0
        self.labels = 0
        self.uses_fuel = False
        self.uses_carry = False

    # --- small things -------------------------------------------------------------------------------------

    def emit(self, line: str) -> None:
        self.lines.append(line)

    def temporary(self, c_type: str, expression: str) -> str:
        """A C variable of the current C block that holds the expression's value."""
        name = f'x{self.temporaries}'
        self.temporaries += 1
        self.lines.append(f'{c_type} {name} = {expression};')
        return name

    def unsupported(self, what: str = 'not supported') -> NoReturn:
        raise Unsupported(what)

    def type(self, modifiers: tuple[str, ...], allowed: str = '') -> Type:
        """The instruction's last modifier as a type; `allowed` are type names separated by blanks."""
        found = TYPES.get(modifiers[-1]) if modifiers else None
        if found is None or (allowed and found.name not in allowed.split()):
            self.unsupported()
        return found

    def only(self, modifiers: tuple[str, ...], known: str) -> None:
        """Refuses a modifier that is not among `known` (separated by blanks): silence would be a wrong number."""
        names = known.split()
        for modifier in modifiers:
            if modifier not in names:
                self.unsupported(f'modifier .{modifier}: not supported')

    def count(self, instruction: model.Instruction, *counts: int) -> None:
        if len(instruction.operands) not in counts:
            self.unsupported('wrong number of operands')

    # --- reading ------------------------------------------------------------------------------------------

    def read(self, operand: model.Operand, wanted: Type) -> str:
        """A C expression without side effects, of the C type of `wanted`."""
        if isinstance(operand, model.Name):
            return self._read_name(operand, wanted)
        if isinstance(operand, model.Integer):
            return self.constant(operand.value, wanted)
        if isinstance(operand, model.Float):
            return self._float_constant(operand, wanted)
        if isinstance(operand, model.Offset):
            base = self.variable_address(operand.name)
            return f'({wanted.unsigned})({base} + {literal(operand.offset, 64)})'
        self.unsupported('operand form: not supported')

    def constant(self, value: int, wanted: Type) -> str:
        if wanted.is_float:
            return self._float_constant(model.Float(double_pattern(float(value)), 64, True), wanted)
        if wanted.kind == 'p':
            return '1' if value else '0'
        if wanted.kind == 's':
            return f'({wanted.c}){literal(value, wanted.bits)}'
        return literal(value, wanted.bits) if wanted.bits >= 32 else f'({wanted.c}){literal(value, wanted.bits)}'

    def _float_constant(self, operand: model.Float, wanted: Type) -> str:
        pattern = operand.pattern
        if not wanted.is_float:
            if operand.decimal or operand.bits != wanted.bits or wanted.kind != 'b':
                self.unsupported('floating-point constant for an integer')
            return literal(pattern, wanted.bits)
        if operand.bits != wanted.bits:
            value = struct.unpack('<d', struct.pack('<Q', pattern))[0] if operand.bits == 64 else (
                struct.unpack('<f', struct.pack('<I', pattern))[0])
            pattern = float_pattern(value) if wanted.bits == 32 else double_pattern(value)
        return f'f{wanted.bits}_of({literal(pattern, wanted.bits)})'

    def _read_name(self, operand: model.Name, wanted: Type) -> str:
        symbol = self.names.find(operand.name)
        if isinstance(symbol, symbols.Register):
            if operand.negated:
                if symbol.type.kind != 'p' or wanted.kind != 'p':
                    self.unsupported('! before something that is no predicate')
                return f'(!{symbol.c})'
            return self.convert(symbol, wanted)
        if operand.negated:
            self.unsupported('! before something that is no predicate')
        if symbol is None:
            found = special.read(operand.name)
            if found is None:
                raise Unsupported(f'{operand.name!a} is not declared')
            expression, bits = found
            if wanted.is_float or wanted.kind == 'p' or bits < wanted.bits < 64:
                self.unsupported()
            return f'({wanted.c})({expression})'
        return f'({wanted.unsigned})({self.variable_address(operand.name)})'

    def convert(self, register: symbols.Register, wanted: Type) -> str:
        """A register's value as the instruction's type sees it."""
        have = register.type
        if (have.kind == 'p') != (wanted.kind == 'p'):
            self.unsupported('operand type does not fit')
        if have.kind == 'p':
            return register.c
        if have.bits < wanted.bits or (wanted.is_float and have.bits != wanted.bits):
            self.unsupported('operand size does not fit')
        if wanted.is_float:
            return register.c if have.is_float else f'f{wanted.bits}_of({register.c})'
        value = f'f{have.bits}_bits({register.c})' if have.is_float else register.c
        if wanted.kind == 's' or have.bits != wanted.bits:
            return f'(({wanted.c}){value})'
        return value

    def predicate(self, name: model.Name) -> str:
        return self.read(name, TYPES['pred'])

    # --- writing ------------------------------------------------------------------------------------------

    def write(self, operand: model.Operand, have: Type, expression: str) -> None:
        """Stores a C expression of the C type of `have` in the register that the operand names."""
        if not isinstance(operand, model.Name) or operand.negated:
            self.unsupported('destination form: not supported')
        if operand.name == '_':
            self.lines.append(f'(void)({expression});')
            return
        register = self.register(operand)
        wanted = register.type
        if (have.kind == 'p') != (wanted.kind == 'p') or wanted.bits < have.bits:
            self.unsupported('destination does not fit')
        if have.is_float:
            if wanted.is_float and wanted.bits == have.bits:
                self.lines.append(f'{register.c} = {expression};')
            elif wanted.is_float:
                self.unsupported('destination does not fit')
            else:
                self.lines.append(f'{register.c} = f{have.bits}_bits({expression});')
        elif wanted.is_float:
            if wanted.bits != have.bits:
                self.unsupported('destination does not fit')
            self.lines.append(f'{register.c} = f{wanted.bits}_of({expression});')
        else:
            cast = f'({have.c})' if have.bits < wanted.bits or have.bits < 32 else ''
            self.lines.append(f'{register.c} = {cast}({expression});' if cast else f'{register.c} = {expression};')

    def register(self, operand: model.Operand) -> symbols.Register:
        """The register that an operand names."""
        if isinstance(operand, model.Name):
            symbol = self.names.find(operand.name)
            if isinstance(symbol, symbols.Register):
                return symbol
            raise Unsupported(f'{operand.name!a} is not a register')
        self.unsupported('operand form: not supported')

    # --- addresses ----------------------------------------------------------------------------------------

    def variable_address(self, name: str) -> str:
        """A variable's address in its own state space (a function's: its generic code address), as uint64_t."""
        symbol = self.names.find(name)
        if isinstance(symbol, symbols.GlobalSymbol):
            return f'globals[{symbol.index}]'
        if isinstance(symbol, symbols.WindowSymbol):
            return f'(uint64_t)({symbol.offset})'
        if isinstance(symbol, symbols.FunctionSymbol) and symbol.index is not None:
            return f'(KERNEL_CODE + {16 * symbol.index}u)'
        if isinstance(symbol, symbols.ParamSymbol):
            self.unsupported("address of a device function's parameter")
        raise Unsupported(f'{name!a} is not declared' if symbol is None else f'{name!a} has no address')

    def space_of(self, name: str) -> str:
        """The state space of a variable; '' for a register or an unknown name."""
        symbol = self.names.find(name)
        if isinstance(symbol, symbols.GlobalSymbol):
            return 'global'
        if isinstance(symbol, symbols.WindowSymbol):
            return symbol.space
        return 'param' if isinstance(symbol, symbols.ParamSymbol) else ''

    def pointer(self, space: str, operand: model.Operand, size: int, write: bool) -> tuple[str, bool]:
        """A checked C pointer to `size` bytes, and whether the bytes are private to the executor (parameters)."""
        if not isinstance(operand, model.Address):
            self.unsupported('operand form: not supported')
        if operand.base is not None:
            symbol = self.names.find(operand.base)
            if isinstance(symbol, symbols.ParamSymbol):
                if operand.offset < 0 or operand.offset + size > symbol.size:
                    self.unsupported('outside the parameter')
                return f'({symbol.c} + {operand.offset})', True
            if isinstance(symbol, symbols.WindowSymbol):
                return self._window_pointer(symbol, operand.offset, size, write)
        address = self.address(operand)
        if space == 'shared':
            return f'shared_at(t, {address}, {size}u)', False
        if space == 'local':
            return f'local_at(t, {address}, {size}u)', False
        if space == 'param':
            if not self.entry or write:
                self.unsupported()
            return f'param_at(t, {address}, {size}u)', True
        return f'{"store" if write else "load"}_at(t, pages, {address}, {size}u)', False

    def _window_pointer(self, symbol: symbols.WindowSymbol, offset: int, size: int, write: bool) -> tuple[str, bool]:
        if symbol.space == 'param':
            if write or offset < 0 or offset + size > (symbol.size or 0):
                self.unsupported('outside the parameter')
            return f'(params + {int(symbol.offset) + offset})', True
        inside = symbol.size is not None and offset >= 0 and offset + size <= symbol.size
        if inside and isinstance(symbol.offset, int) and (symbol.offset + offset) % size == 0:
            return f'({symbol.space} + {symbol.offset + offset})', False
        address = f'(uint64_t)({symbol.offset}) + {literal(offset, 64)}'
        return f'{symbol.space}_at(t, {address}, {size}u)', False

    def address(self, operand: model.Address) -> str:
        """The 64-bit address in its state space."""
        if operand.base is None:
            return literal(operand.offset, 64)
        symbol = self.names.find(operand.base)
        if isinstance(symbol, symbols.Register):
            base = self.convert(symbol, U64) if symbol.type.bits == 64 else f'(uint64_t){symbol.c}'
            if symbol.type.bits < 32 or symbol.type.is_float:
                self.unsupported('address register does not fit')
            if symbol.type.bits == 32 and operand.offset:
                return f'(uint32_t)({symbol.c} + {literal(operand.offset, 32)})'
        else:
            base = self.variable_address(operand.base)
        return f'{base} + {literal(operand.offset, 64)}' if operand.offset else base

    # --- jumps --------------------------------------------------------------------------------------------

    def label(self, name: str) -> symbols.Label:
        symbol = self.names.find(name)
        if isinstance(symbol, symbols.Label):
            return symbol
        raise Unsupported(f'{name!a} is not a label')

    def jump(self, name: str) -> str:
        """C for a branch. A branch backwards costs fuel, so that no loop runs for ever unseen."""
        label = self.label(name)
        if not label.placed:
            return f'goto {label.c};'
        self.uses_fuel = True
        return f'{{ FUEL; goto {label.c}; }}'

    def signature(self, shape: tuple[tuple[int, ...], tuple[int, ...]]) -> int:
        """The number of a function shape, for calls through registers."""
        return self.signatures.setdefault(shape, len(self.signatures) + 1)

    def site(self) -> int:
        """A number for this place in the module, never 0."""
        self.sites += 1
        return self.sites


def literal(value: int, bits: int) -> str:
    """An unsigned C constant of that width."""
    value &= (1 << bits) - 1
    return f'{value}ull' if bits > 32 else f'{value}u'


def float_pattern(value: float) -> int:
    """The bits of an f32; a value out of range becomes infinity."""
    try:
        return int(struct.unpack('<I', struct.pack('<f', value))[0])
    except OverflowError:
        return 0x7F800000 if value > 0 else 0xFF800000


def translate_instruction(emitter: Emitter, instruction: model.Instruction) -> None:
    """Appends the C of one instruction; raises Unsupported."""
    handler = HANDLERS.get(instruction.opcode)
    if handler is None:
        emitter.unsupported()
    guard = instruction.guard
    if guard is None:
        emitter.emit('{')
    else:
        emitter.emit(f'if ({emitter.predicate(guard)}) {{')
    try:
        handler(emitter, instruction)
    except IndexError as error:
        raise Unsupported('wrong number of operands') from error
    emitter.emit('}')
