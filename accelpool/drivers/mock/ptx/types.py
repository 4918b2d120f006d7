# SPDX-License-Identifier: Apache-2.0
"""PTX scalar types and how C holds them."""

from dataclasses import dataclass

INTEGERS = 'us'
FLOATS = frozenset({'f32', 'f64'})
HALVES = frozenset({'f16', 'bf16'})
PACKED = frozenset({'f16x2', 'bf16x2', 'u16x2', 's16x2'})


@dataclass(frozen=True, slots=True)
class Type:
    """A scalar type. `kind` is u, s, b, f (f32 and f64), h (f16, bf16), x (two 16-bit lanes) or p (predicate)."""

    name: str
    kind: str
    bits: int

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return self.bits // 8

    @property
    def c(self) -> str:
        """The C type of a value of this type."""
        if self.kind == 'f':
            return 'float' if self.bits == 32 else 'double'
        if self.kind == 'p':
            return 'uint8_t'
        return f'{"" if self.kind == "s" else "u"}int{self.bits}_t'

    @property
    def unsigned(self) -> str:
        """The unsigned C type of the same width."""
        return f'uint{max(self.bits, 8)}_t'

    @property
    def is_float(self) -> bool:
        return self.kind == 'f'


def _table() -> dict[str, Type]:
    table = {f'{kind}{bits}': Type(f'{kind}{bits}', kind, bits) for kind in 'usb' for bits in (8, 16, 32, 64)}
    for name, kind, bits in (
        ('f32', 'f', 32), ('f64', 'f', 64), ('f16', 'h', 16), ('bf16', 'h', 16), ('tf32', 'b', 32),
        ('f16x2', 'x', 32), ('bf16x2', 'x', 32), ('u16x2', 'x', 32), ('s16x2', 'x', 32), ('pred', 'p', 1),
    ):
        table[name] = Type(name, kind, bits)
    return table


TYPES = _table()
"""By the name without its dot. `b128` is not among them: no register of it can be declared."""

PRED, U8, U16, U32, U64 = (TYPES[name] for name in ('pred', 'u8', 'u16', 'u32', 'u64'))
S32, S64, B16, B32, B64 = (TYPES[name] for name in ('s32', 's64', 'b16', 'b32', 'b64'))
F32, F64 = TYPES['f32'], TYPES['f64']


def unsigned(bits: int) -> Type:
    """The unsigned integer type of that width."""
    return TYPES[f'u{bits}']


def plain(bits: int) -> Type:
    """The untyped type of that width."""
    return TYPES[f'b{bits}']
