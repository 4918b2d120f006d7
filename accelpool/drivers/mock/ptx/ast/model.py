# SPDX-License-Identifier: Apache-2.0
"""What the parser hands to the translator. Names are as in the PTX text; nothing is resolved yet."""

from dataclasses import dataclass, field

from accelpool.drivers.mock.ptx.types import Type

# --- operands -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """A register, special register, variable, function or label; `negated` is `!` before a predicate."""

    name: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Integer:
    value: int


@dataclass(frozen=True, slots=True)
class Float:
    """`bits` is 32 or 64; for a decimal constant it is 64 and the value is converted where it is used."""

    pattern: int
    bits: int
    decimal: bool = False


@dataclass(frozen=True, slots=True)
class Offset:
    """A variable's address plus a constant, outside brackets."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Address:
    """`[base+offset]`; base None is an absolute address."""

    base: str | None
    offset: int


@dataclass(frozen=True, slots=True)
class Vector:
    """`{a, b, ...}`"""

    items: 'tuple[Operand, ...]'


@dataclass(frozen=True, slots=True)
class Pair:
    """`a|b`: two destinations."""

    first: 'Operand'
    second: 'Operand'


@dataclass(frozen=True, slots=True)
class Group:
    """`(a, b, ...)`: arguments of a call."""

    items: 'tuple[Operand, ...]'


Operand = Name | Integer | Float | Offset | Address | Vector | Pair | Group

# --- variables ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SymbolValue:
    """The address of a variable or function in an initialiser; `size` bytes of it, from bit `shift` on."""

    name: str
    addend: int
    generic: bool
    mask: int | None = None


@dataclass(slots=True)
class Variable:
    """A variable or parameter. `count` is elements in all dimensions (None: unsized array), each of `lanes` scalars."""

    space: str
    name: str
    type: Type
    align: int
    count: int | None
    lanes: int = 1
    linkage: str = ''
    values: 'list[int | Float | SymbolValue]' = field(default_factory=list)
    position: int = 0

    @property
    def size(self) -> int:
        """Bytes; an unsized array has none of its own."""
        return (self.count or 0) * self.lanes * max(self.type.size, 1)


# --- code -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Registers:
    """`.reg .type name` or `name<count>`."""

    name: str
    type: Type
    count: int | None
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Label:
    name: str


@dataclass(frozen=True, slots=True)
class Targets:
    """`name: .branchtargets a, b;`"""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prototype:
    """`name: .callprototype (returns) _ (params);` with sizes in bytes."""

    name: str
    returns: tuple[int, ...]
    params: tuple[int, ...]


@dataclass(slots=True)
class Instruction:
    start: int
    end: int
    guard: Name | None
    opcode: str
    modifiers: tuple[str, ...]
    operands: tuple[Operand, ...]


@dataclass(slots=True)
class Block:
    statements: 'list[Statement]' = field(default_factory=list)


Statement = Registers | Variable | Label | Targets | Prototype | Instruction | Block


@dataclass(slots=True)
class Function:
    """A kernel (`entry`) or a device function; `body` None is a declaration."""

    name: str
    entry: bool
    linkage: str
    returns: list[Variable]
    params: list[Variable]
    body: Block | None
    directives: dict[str, tuple[int, ...]]
    position: int


@dataclass(slots=True)
class Unit:
    """One compilation unit: from one `.version` to the next."""

    version: int
    target: int
    variables: list[Variable] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
