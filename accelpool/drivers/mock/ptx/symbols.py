# SPDX-License-Identifier: Apache-2.0
"""What a name in a function body can stand for, and the scopes that find it. C names are numbers, never PTX names."""

from dataclasses import dataclass, field

from accelpool.drivers.mock.ptx import limits
from accelpool.drivers.mock.ptx.ast import model
from accelpool.drivers.mock.ptx.errors import Unsupported
from accelpool.drivers.mock.ptx.types import Type


@dataclass(frozen=True, slots=True)
class Register:
    c: str
    type: Type


@dataclass(slots=True)
class Label:
    c: str
    placed: bool = False


@dataclass(frozen=True, slots=True)
class GlobalSymbol:
    """A .global or .const variable: its device address is an entry of the launch's table."""

    index: int


@dataclass(frozen=True, slots=True)
class WindowSymbol:
    """A .shared or .local variable or a kernel's parameter. `offset` is a C expression or a constant."""

    space: str
    offset: int | str
    size: int | None


@dataclass(frozen=True, slots=True)
class ParamSymbol:
    """A parameter of a device function or of a call: a byte array in C."""

    c: str
    size: int


@dataclass(frozen=True, slots=True)
class FunctionSymbol:
    """`index` is None for a function that no input defines; `builtin` names the executor's own."""

    index: int | None
    returns: tuple[int, ...]
    params: tuple[int, ...]
    builtin: str = ''


Symbol = (Register | Label | GlobalSymbol | WindowSymbol | ParamSymbol | FunctionSymbol | model.Targets
          | model.Prototype)


@dataclass(slots=True)
class Scope:
    """One block. `families` are declarations like `%r<100>`, whose registers exist once an instruction names them."""

    names: dict[str, Symbol] = field(default_factory=dict)
    families: dict[str, tuple[int, Type]] = field(default_factory=dict)


class Names:
    """The scopes around the current statement, innermost last, and the registers that C has to declare."""

    def __init__(self, module: dict[str, Symbol]) -> None:
        self.scopes = [Scope(names=module)]
        self.registers: list[Register] = []

    def declare(self, name: str, symbol: Symbol) -> None:
        scope = self.scopes[-1]
        if name in scope.names:
            raise Unsupported(f'{name!a} is declared twice')
        scope.names[name] = symbol

    def register(self, scalar: Type) -> Register:
        if len(self.registers) >= limits.REGISTERS_PER_FUNCTION:
            raise Unsupported('too many registers in one function')
        register = Register(f'r{len(self.registers)}', scalar)
        self.registers.append(register)
        return register

    def declare_registers(self, declared: model.Registers) -> None:
        if declared.count is not None:
            self.scopes[-1].families[declared.name] = (declared.count, declared.type)
        elif declared.lanes > 1:
            for component in ('xyzw' if declared.lanes <= 4 else '')[:declared.lanes]:
                self.declare(f'{declared.name}.{component}', self.register(declared.type))
        else:
            self.declare(declared.name, self.register(declared.type))

    def find(self, name: str) -> Symbol | None:
        for scope in reversed(self.scopes):
            symbol = scope.names.get(name)
            if symbol is not None:
                return symbol
            if scope.families:
                register = self._member(scope, name)
                if register is not None:
                    return register
        return None

    def _member(self, scope: Scope, name: str) -> Register | None:
        start = len(name)
        while start > 1 and name[start - 1].isdigit():
            start -= 1
            family = scope.families.get(name[:start])
            if family is None or (name[start] == '0' and start + 1 < len(name)) or len(name) - start > 10:
                continue
            count, scalar = family
            if int(name[start:]) < count:
                register = self.register(scalar)
                scope.names[name] = register
                return register
        return None
