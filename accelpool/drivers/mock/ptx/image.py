# SPDX-License-Identifier: Apache-2.0
"""Initial values of module variables: bytes, and addresses that the loader fills in."""

import struct
from dataclasses import dataclass, field

from accelpool.drivers.mock.ptx import limits, symbols
from accelpool.drivers.mock.ptx.ast import model
from accelpool.drivers.mock.ptx.errors import PtxError
from accelpool.drivers.mock.ptx.types import Type

KERNEL_CODE = 0x04000000
"""As in kernel.h."""


@dataclass(slots=True)
class Image:
    """`data` without the zeros at its end; `relocations` are (offset, index of the target, addend)."""

    data: bytes = b''
    relocations: list[tuple[int, int, int]] = field(default_factory=list)


def _scalar(value: int | model.Float, scalar: Type) -> bytes:
    if isinstance(value, model.Float):
        if not scalar.is_float and value.bits != scalar.bits:
            raise PtxError('floating-point value in an integer variable')
        if scalar.is_float and value.bits != scalar.bits:
            form, pattern = '<d' if value.bits == 64 else '<f', value.pattern.to_bytes(value.bits // 8, 'little')
            return struct.pack('<f' if scalar.bits == 32 else '<d', struct.unpack(form, pattern)[0])
        return value.pattern.to_bytes(scalar.size, 'little')
    if scalar.is_float:
        return struct.pack('<f' if scalar.bits == 32 else '<d', float(value))
    return (value & ((1 << scalar.bits) - 1)).to_bytes(scalar.size, 'little')


def build(variable: model.Variable, scope: dict[str, symbols.Symbol]) -> Image:
    """Raises PtxError for an initial value that has no meaning before a kernel runs."""
    image, data = Image(), bytearray()
    size = max(variable.type.size, 1)
    if len(variable.values) * size > limits.INITIALISER_BYTES:
        raise PtxError(f'initial value of {variable.name!a} is too large')
    values = variable.values
    number = 0
    while number < len(values):
        value = values[number]
        if not isinstance(value, model.SymbolValue):
            data += _scalar(value, variable.type)
            number += 1
            continue
        taken = _bytes_of_address(values[number:number + 8], size)
        address = _address(value, scope, variable)
        if isinstance(address, int):
            data += ((address + value.addend) & (2**64 - 1)).to_bytes(8, 'little')[:size * taken]
        else:
            image.relocations.append((len(data), address.index, value.addend))
            data += bytes(8)
        number += taken
    image.data = bytes(data).rstrip(b'\0')
    return image


def _bytes_of_address(values: list[int | model.Float | model.SymbolValue], size: int) -> int:
    """How many elements an address fills: one of 8 bytes, or 8 of one byte, each written as mask(symbol)."""
    first = values[0]
    assert isinstance(first, model.SymbolValue)
    if first.mask is None and size == 8:
        return 1
    masks = [value.mask if isinstance(value, model.SymbolValue) and value.name == first.name else None
             for value in values]
    if size == 1 and masks == [0xFF << shift for shift in range(0, 64, 8)]:
        return 8
    raise PtxError('part of an address as initial value: not supported')


def _address(value: model.SymbolValue, scope: dict[str, symbols.Symbol],
             variable: model.Variable) -> int | symbols.GlobalSymbol:
    symbol = scope.get(value.name)
    if isinstance(symbol, symbols.GlobalSymbol):
        return symbol
    if isinstance(symbol, symbols.FunctionSymbol) and symbol.index is not None:
        return KERNEL_CODE + 16 * symbol.index
    raise PtxError(f'initial value of {variable.name!a}: {value.name!a} has no address')
