# SPDX-License-Identifier: Apache-2.0
"""Exact floating point on bit patterns: the reference that the emulated instructions are held against.

Values are Python fractions, rounded once. NaN results are the ISA's canonical patterns; f64 has none, so any NaN fits."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Format:
    name: str
    bits: int
    fraction: int

    @property
    def exponent_bits(self) -> int:
        return self.bits - 1 - self.fraction

    @property
    def bias(self) -> int:
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def infinity(self) -> int:
        return ((1 << self.exponent_bits) - 1) << self.fraction

    @property
    def sign(self) -> int:
        return 1 << (self.bits - 1)

    @property
    def nan(self) -> int:
        return self.sign - 1


F16, BF16 = Format('f16', 16, 10), Format('bf16', 16, 7)
F32, F64 = Format('f32', 32, 23), Format('f64', 64, 52)
FORMATS = {form.name: form for form in (F16, BF16, F32, F64)}

NAN = 'nan'
Number = Fraction | float | str
"""A finite value; -0.0, inf or -inf as float; NAN."""


def decode(pattern: int, form: Format) -> Number:
    negative = bool(pattern & form.sign)
    exponent = pattern >> form.fraction & ((1 << form.exponent_bits) - 1)
    fraction = pattern & ((1 << form.fraction) - 1)
    if exponent == (1 << form.exponent_bits) - 1:
        return NAN if fraction else (-math.inf if negative else math.inf)
    if not exponent and not fraction:
        return -0.0 if negative else Fraction(0)
    scale = max(exponent, 1) - form.bias - form.fraction
    value = Fraction(fraction | ((1 << form.fraction) if exponent else 0)) * Fraction(2) ** scale
    return -value if negative else value


def encode(value: Number, form: Format, mode: str = 'rn') -> int:
    if isinstance(value, str):
        return form.nan
    if isinstance(value, float):
        if math.isinf(value):
            return form.infinity | (form.sign if value < 0 else 0)
        return form.sign if math.copysign(1, value) < 0 else 0
    if value == 0:
        return 0
    negative, value = value < 0, abs(value)
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    if Fraction(2) ** exponent > value:
        exponent -= 1
    exponent = max(exponent, 1 - form.bias)
    scaled = value / Fraction(2) ** (exponent - form.fraction)
    kept, rest = scaled.numerator // scaled.denominator, scaled % 1
    half = Fraction(1, 2)
    up = {
        'rn': rest > half or (rest == half and kept & 1), 'rna': rest >= half, 'rz': False,
        'rm': negative and rest > 0, 'rp': not negative and rest > 0,
    }[mode]
    kept += int(bool(up))
    pattern = kept + ((exponent + form.bias - 1) << form.fraction)
    if pattern >= form.infinity:
        away = mode in ('rn', 'rna') or (mode == 'rm' and negative) or (mode == 'rp' and not negative)
        pattern = form.infinity if away else form.infinity - 1
    return pattern | (form.sign if negative else 0)


def is_zero(value: Number) -> bool:
    return not isinstance(value, str) and value == 0


def is_negative(value: Number) -> bool:
    return not isinstance(value, str) and (math.copysign(1, value) < 0 if isinstance(value, float) else value < 0)


def is_infinite(value: Number) -> bool:
    return isinstance(value, float) and math.isinf(value)


def negate(value: Number) -> Number:
    if isinstance(value, str):
        return value
    if value == 0:
        return Fraction(0) if is_negative(value) else -0.0
    return -value


def add(a: Number, b: Number, mode: str = 'rn') -> Number:
    if NAN in (a, b):
        return NAN
    assert not isinstance(a, str) and not isinstance(b, str)
    if is_infinite(a) or is_infinite(b):
        if is_infinite(a) and is_infinite(b) and a != b:
            return NAN
        return a if is_infinite(a) else b
    total = (Fraction(0) if a == 0 else Fraction(a)) + (Fraction(0) if b == 0 else Fraction(b))
    if total:
        return total
    if a == 0 and b == 0 and is_negative(a) == is_negative(b):
        return a
    return -0.0 if mode == 'rm' else Fraction(0)


def multiply(a: Number, b: Number) -> Number:
    if NAN in (a, b) or (is_infinite(a) and is_zero(b)) or (is_zero(a) and is_infinite(b)):
        return NAN
    assert not isinstance(a, str) and not isinstance(b, str)
    negative = is_negative(a) != is_negative(b)
    if is_infinite(a) or is_infinite(b):
        return -math.inf if negative else math.inf
    if a == 0 or b == 0:
        return -0.0 if negative else Fraction(0)
    return Fraction(a) * Fraction(b)


def divide(a: Number, b: Number) -> Number:
    if NAN in (a, b) or (is_infinite(a) and is_infinite(b)) or (is_zero(a) and is_zero(b)):
        return NAN
    assert not isinstance(a, str) and not isinstance(b, str)
    negative = is_negative(a) != is_negative(b)
    if is_infinite(a) or b == 0:
        return -math.inf if negative else math.inf
    if is_infinite(b) or a == 0:
        return -0.0 if negative else Fraction(0)
    return Fraction(a) / Fraction(b)


def square_root(a: Number) -> Number:
    """Of a finite positive value: a fraction so close that no rounding to 64 bits can tell the difference."""
    if a == NAN or (is_negative(a) and not is_zero(a)):
        return NAN
    if is_zero(a) or is_infinite(a):
        return a
    value = Fraction(a)
    shift = 1200
    scaled = value.numerator * (1 << (2 * shift)) // value.denominator
    root = math.isqrt(scaled)
    exact = root * root == scaled and (value.numerator << (2 * shift)) % value.denominator == 0
    return Fraction(2 * root + (0 if exact else 1), 1 << (shift + 1))


def flush(pattern: int, form: Format) -> int:
    """A subnormal number becomes zero of the same sign."""
    return pattern if pattern & form.infinity else pattern & form.sign


def saturate(pattern: int, form: Format) -> int:
    value = decode(pattern, form)
    if isinstance(value, str) or is_negative(value):
        return 0
    return encode(Fraction(1), form) if value > 1 else pattern


Operation = Callable[..., Number]


def operation(name: str, mode: str) -> Operation:
    operations: dict[str, Operation] = {
        'add': lambda a, b: add(a, b, mode),
        'sub': lambda a, b: add(a, negate(b), mode),
        'mul': multiply,
        'div': divide,
        'fma': lambda a, b, c: add(multiply(a, b), c, mode),
        'rcp': lambda a: divide(Fraction(1), a),
        'sqrt': square_root,
    }
    return operations[name]


def apply(name: str, form: Format, mode: str, patterns: tuple[int, ...]) -> int:
    """One IEEE operation on bit patterns."""
    return encode(operation(name, mode)(*(decode(pattern, form) for pattern in patterns)), form, mode)


def equal(got: int, want: int, form: Format) -> bool:
    """Bit for bit; for f64 any NaN is as good as another."""
    return got == want or (form is F64 and decode(got, form) == NAN == decode(want, form))
