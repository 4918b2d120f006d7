# SPDX-License-Identifier: Apache-2.0
"""Units to one module: which definition each name of each unit stands for."""

from dataclasses import dataclass, field

from accelpool.drivers.mock.ptx import symbols
from accelpool.drivers.mock.ptx.ast import model
from accelpool.drivers.mock.ptx.errors import PtxError

_BUILTINS = {'vprintf': 'builtin_vprintf', '__assertfail': 'builtin_assertfail'}
_BUILTIN_SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    'vprintf': ((4,), (8, 8)), '__assertfail': ((), (8, 8, 4, 8, 8)),
}


@dataclass(slots=True)
class Code:
    """A function with a body. `index` numbers device functions and kernels separately."""

    function: model.Function
    unit: int
    index: int
    used: set[str] = field(default_factory=set)
    """Names in operands; may hold more than is really used, never less."""
    indirect: bool = False


@dataclass(slots=True)
class Module:
    """Everything that is defined, and a scope for each unit."""

    units: list[model.Unit]
    kernels: list[Code] = field(default_factory=list)
    functions: list[Code] = field(default_factory=list)
    globals: list[model.Variable] = field(default_factory=list)
    shared: list[model.Variable] = field(default_factory=list)
    scopes: list[dict[str, symbols.Symbol]] = field(default_factory=list)
    shared_scopes: list[dict[str, int]] = field(default_factory=list)
    """Module-scope .shared variables: name to index in `shared`; their offsets differ from kernel to kernel."""


_Definition = model.Function | model.Variable


def _items(unit: model.Unit) -> list[_Definition]:
    return [*unit.variables, *unit.functions]


def _defined(unit: model.Unit) -> dict[str, _Definition]:
    found: dict[str, _Definition] = {}
    for item in _items(unit):
        if item.linkage == 'extern' or (isinstance(item, model.Function) and item.body is None):
            continue
        if item.name in found:
            raise PtxError(f'{item.name!a} is defined twice')
        found[item.name] = item
    return found


def _exports(defined: list[dict[str, _Definition]]) -> dict[str, tuple[int, _Definition]]:
    found: dict[str, tuple[int, _Definition]] = {}
    for number, definitions in enumerate(defined):
        for name, item in definitions.items():
            entry = isinstance(item, model.Function) and item.entry
            if not item.linkage and not entry:
                continue
            other = found.get(name)
            if other is None or (other[1].linkage in ('weak', 'common') and item.linkage not in ('weak', 'common')):
                found[name] = (number, item)
            elif item.linkage not in ('weak', 'common') and other[1].linkage not in ('weak', 'common'):
                raise PtxError(f'{name!a} is defined in more than one input')
    return found


def sizes(variables: list[model.Variable]) -> tuple[int, ...]:
    """Parameter sizes in bytes: what callers and callees must agree on."""
    return tuple(variable.size for variable in variables)


def _names(block: model.Block, code: Code) -> None:
    for statement in block.statements:
        if isinstance(statement, model.Block):
            _names(statement, code)
        elif isinstance(statement, model.Instruction):
            for operand in statement.operands:
                _operand_names(operand, code.used)
            if statement.opcode == 'call' and any(
                    isinstance(operand, model.Name) and operand.name.startswith('%') for operand in statement.operands):
                code.indirect = True


def _operand_names(operand: model.Operand, found: set[str]) -> None:
    if isinstance(operand, model.Name | model.Offset):
        found.add(operand.name)
    elif isinstance(operand, model.Address):
        if operand.base is not None:
            found.add(operand.base)
    elif isinstance(operand, model.Vector | model.Group):
        for item in operand.items:
            _operand_names(item, found)
    elif isinstance(operand, model.Pair):
        _operand_names(operand.first, found)
        _operand_names(operand.second, found)


class _Linker:
    def __init__(self, units: list[model.Unit]) -> None:
        self.module = Module(units)
        self.defined = [_defined(unit) for unit in units]
        self.exports = _exports(self.defined)
        self.symbols: dict[int, symbols.Symbol] = {}
        self.shared_index: dict[int, int] = {}

    def number(self) -> None:
        """Gives every definition that is not overridden by another input its number."""
        for unit, definitions in enumerate(self.defined):
            for name, item in definitions.items():
                if item.linkage in ('weak', 'common') and self.exports[name][1] is not item:
                    continue
                if isinstance(item, model.Function):
                    self._number_function(unit, item)
                elif item.space in ('global', 'const'):
                    self.symbols[id(item)] = symbols.GlobalSymbol(len(self.module.globals))
                    self.module.globals.append(item)
                elif item.space == 'shared':
                    self.shared_index[id(item)] = len(self.module.shared)
                    self.module.shared.append(item)
                else:
                    raise PtxError(f'variable in .{item.space} outside a function: not supported')

    def _number_function(self, unit: int, item: model.Function) -> None:
        group = self.module.kernels if item.entry else self.module.functions
        code = Code(item, unit, len(group))
        assert item.body is not None
        _names(item.body, code)
        group.append(code)
        if not item.entry:
            self.symbols[id(item)] = symbols.FunctionSymbol(code.index, sizes(item.returns), sizes(item.params))

    def scope(self, number: int, unit: model.Unit) -> None:
        """Fills one unit's scope; an external name that nothing defines fails only where it is used."""
        names: dict[str, symbols.Symbol] = {}
        shared: dict[str, int] = {}
        for item in _items(unit):
            definition: _Definition | None = self.defined[number].get(item.name)
            if definition is None or definition.linkage in ('weak', 'common'):
                exported = self.exports.get(item.name)
                definition = exported[1] if exported else definition
            if definition is not None:
                if id(definition) in self.shared_index:
                    shared[item.name] = self.shared_index[id(definition)]
                elif id(definition) in self.symbols:
                    names[item.name] = self.symbols[id(definition)]
            elif isinstance(item, model.Function):
                names[item.name] = _external(item)
            elif item.space == 'shared' and item.count is None:
                names[item.name] = symbols.WindowSymbol('shared', 't->dynamic_offset', None)
        for alias, target in unit.aliases.items():
            if target in names:
                names[alias] = names[target]
        self.module.scopes.append(names)
        self.module.shared_scopes.append(shared)


def _external(item: model.Function) -> symbols.FunctionSymbol:
    signature = (sizes(item.returns), sizes(item.params))
    builtin = _BUILTINS.get(item.name, '') if _BUILTIN_SIZES.get(item.name) == signature else ''
    return symbols.FunctionSymbol(None, *signature, builtin=builtin)


def link(units: list[model.Unit]) -> Module:
    """Raises PtxError when a name has two definitions."""
    linker = _Linker(units)
    linker.number()
    for number, unit in enumerate(units):
        linker.scope(number, unit)
    return linker.module
