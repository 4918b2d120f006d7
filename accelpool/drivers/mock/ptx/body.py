# SPDX-License-Identifier: Apache-2.0
"""One function body to one C function."""

from dataclasses import dataclass

from accelpool.drivers.mock.ptx import (  # noqa: F401 - the families register themselves
    emit_atomic,
    emit_bits,
    emit_compare,
    emit_control,
    emit_convert,
    emit_float,
    emit_half,
    emit_integer,
    emit_memory,
    emit_video,
    emit_warp,
    symbols,
)
from accelpool.drivers.mock.ptx.ast import model
from accelpool.drivers.mock.ptx.emit_core import Emitter, Signatures, translate_instruction
from accelpool.drivers.mock.ptx.errors import PtxError, Unsupported
from accelpool.drivers.mock.ptx.layout import Layout
from accelpool.drivers.mock.ptx.lexer import Source


@dataclass(slots=True)
class Context:
    """What all functions of a module share while they are translated."""

    source: Source
    signatures: Signatures
    sites: int = 0


class BodyWriter:
    """Walks the statements of one function."""

    def __init__(self, context: Context, names: dict[str, symbols.Symbol], layout: Layout,
                 function: model.Function) -> None:
        self.context = context
        self.layout = layout
        self.function = function
        self.emitter = Emitter(names, function.entry, context.signatures, context.sites)
        self.params = 0

    def write(self, head: str) -> tuple[list[str], int]:
        """The lines of the C function, and how many registers it uses."""
        e = self.emitter
        e.names.scopes.append(symbols.Scope())
        self._parameters()
        prologue = e.lines
        e.lines = []
        assert self.function.body is not None
        self._block(self.function.body)
        self.context.sites = e.sites
        lines = [head, '{', *self._declarations(), *prologue, '{', *e.lines, '}', 'end:;', *self._epilogue(), '}']
        return lines, len(e.names.registers)

    def _declarations(self) -> list[str]:
        e = self.emitter
        lines = [
            'uint8_t *const pages = t->pages, *const shared = t->shared, *const local = t->local;',
            'const uint8_t *const params = t->params;',
            'const uint64_t *const globals = t->globals;',
        ]
        for register in e.names.registers:
            lines.append(f'{register.type.c} {register.c} = 0;' if register.type.is_float else
                         f'{register.type.unsigned} {register.c} = 0;')
        if e.uses_carry:
            lines.append('uint32_t carry = 0;')
        if e.uses_fuel or not e.entry:
            lines.append('int32_t fuel = t->fuel;')
        if not e.entry:
            lines.append('stack_check(t); FUEL;')
        if self.layout.local_bytes:
            lines.append(f'const uint32_t base = local_enter(t, {self.layout.local_bytes}u);')
        return lines

    def _epilogue(self) -> list[str]:
        lines = ['t->fuel = fuel;'] if self.emitter.uses_fuel or not self.emitter.entry else []
        if self.layout.local_bytes:
            lines.append('t->local_top = base;')
        for number, variable in enumerate(self.function.returns):
            if variable.space == 'reg':
                register = self.emitter.register(model.Name(variable.name))
                value = f'f{register.type.bits}_bits({register.c})' if register.type.is_float else register.c
                lines.append(f'POKE({register.type.unsigned}, a{number}, {value});')
        return lines

    def _parameters(self) -> None:
        e, offset = self.emitter, 0
        for number, variable in enumerate((*self.function.returns, *self.function.params)):
            if self.function.entry:
                offset = (offset + variable.align - 1) // variable.align * variable.align
                e.names.declare(variable.name, symbols.WindowSymbol('param', offset, variable.size))
                offset += variable.size
            elif variable.space == 'reg':
                register = e.names.register(variable.type)
                e.names.declare(variable.name, register)
                if number >= len(self.function.returns):
                    e.write(model.Name(variable.name), variable.type, f'PEEK({variable.type.c}, a{number})')
            else:
                e.names.declare(variable.name, symbols.ParamSymbol(f'a{number}', variable.size))

    # --- statements ---------------------------------------------------------------------------------------

    def _block(self, block: model.Block) -> None:
        e = self.emitter
        e.names.scopes.append(symbols.Scope())
        for statement in block.statements:
            if isinstance(statement, model.Label):
                e.names.declare(statement.name, symbols.Label(f'L{e.labels}'))
                e.labels += 1
            elif isinstance(statement, model.Targets | model.Prototype):
                e.names.declare(statement.name, statement)
        for statement in block.statements:
            if isinstance(statement, model.Instruction):
                self._instruction(statement)
            elif isinstance(statement, model.Registers):
                e.names.declare_registers(statement)
            elif isinstance(statement, model.Label):
                label = e.label(statement.name)
                label.placed = True
                e.emit(f'{label.c}:;')
            elif isinstance(statement, model.Variable):
                self._variable(statement)
            elif isinstance(statement, model.Block):
                e.emit('{')
                self._block(statement)
                e.emit('}')
        e.names.scopes.pop()

    def _variable(self, variable: model.Variable) -> None:
        e = self.emitter
        if variable.space == 'local':
            offset = self.layout.local[id(variable)]
            where: int | str = offset if self.function.entry else f'base + {offset}u'
            e.names.declare(variable.name, symbols.WindowSymbol('local', where, variable.size))
        elif variable.space == 'shared':
            offset = self.layout.shared[id(variable)]
            e.names.declare(variable.name, symbols.WindowSymbol('shared', offset, variable.size))
        elif variable.space == 'param':
            name = f'p{self.params}'
            self.params += 1
            align = min(max(variable.align, 8), 64)
            e.emit(f'_Alignas({align}) uint8_t {name}[{max(variable.size, 8)}] = {{0}};')
            e.names.declare(variable.name, symbols.ParamSymbol(name, variable.size))
        else:
            raise Unsupported(f'variable in .{variable.space} inside a function')

    def _instruction(self, instruction: model.Instruction) -> None:
        try:
            translate_instruction(self.emitter, instruction)
        except Unsupported as error:
            quoted = self.context.source.quote(instruction.start, instruction.end)
            raise PtxError(f'{quoted}: {error}', self.context.source.line(instruction.start)) from None


def write_function(context: Context, names: dict[str, symbols.Symbol], layout: Layout, function: model.Function,
                   head: str) -> tuple[list[str], int]:
    """Raises PtxError with the line and text of what cannot be translated."""
    try:
        return BodyWriter(context, names, layout, function).write(head)
    except Unsupported as error:
        raise PtxError(f'function {function.name!a}: {error}', context.source.line(function.position)) from None
