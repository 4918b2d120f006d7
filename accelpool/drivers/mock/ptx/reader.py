# SPDX-License-Identifier: Apache-2.0
"""The cursor that both halves of the parser share: tokens, operands and variable declarations."""

import struct
from typing import NoReturn

from accelpool.drivers.mock.ptx import limits
from accelpool.drivers.mock.ptx.ast import model
from accelpool.drivers.mock.ptx.errors import PtxError
from accelpool.drivers.mock.ptx.lexer import FLOAT, NUMBER, WORD, Tokens
from accelpool.drivers.mock.ptx.types import TYPES, Type

SPACES = frozenset({'.global', '.const', '.shared', '.local', '.param', '.reg'})
_LANES = {'.v2': 2, '.v4': 4, '.v8': 8}


class Reader:
    """Reads tokens one after the other; every failure names the line."""

    def __init__(self, tokens: Tokens) -> None:
        self.source = tokens.source
        self.kinds = tokens.kinds
        self.texts = tokens.texts
        self.starts = tokens.starts
        self.at = 0

    def fail(self, message: str) -> NoReturn:
        raise PtxError(message, self.source.line(self.starts[self.at]))

    def expect(self, text: str) -> None:
        if self.texts[self.at] != text or self.kinds[self.at] == 's':
            self.fail(f'expected {text!r} at {self.quote()!r}')
        self.at += 1

    def accept(self, text: str) -> bool:
        if self.texts[self.at] == text and self.kinds[self.at] != 's':
            self.at += 1
            return True
        return False

    def quote(self) -> str:
        start = self.starts[self.at]
        return self.source.quote(start, start + 40)

    def word(self) -> str:
        if self.kinds[self.at] != WORD:
            self.fail(f'expected a name at {self.quote()!r}')
        self.at += 1
        return self.texts[self.at - 1]

    def name(self) -> str:
        word = self.word()
        if word[0] == '.':
            self.at -= 1
            self.fail(f'expected a name at {self.quote()!r}')
        return word

    def skip_line(self) -> None:
        """Directives without a semicolon end with their line."""
        end = self.source.text.find('\n', self.starts[self.at])
        end = len(self.source.text) if end < 0 else end
        while self.starts[self.at] < end:
            self.at += 1

    def skip_braces(self) -> None:
        depth = 0
        while True:
            text = self.texts[self.at]
            if self.kinds[self.at] == '.':
                self.fail('the text ends inside braces')
            self.at += 1
            depth += (text == '{') - (text == '}')
            if depth == 0 and text == '}':
                return

    def integer(self) -> int:
        """A constant integer, possibly a sum (`a+4`, `a-4` in declarations are written out by compilers)."""
        negative = self.accept('-')
        if self.kinds[self.at] != NUMBER:
            self.fail(f'expected a number at {self.quote()!r}')
        value = parse_integer(self.texts[self.at])
        self.at += 1
        return -value if negative else value

    def type(self) -> Type:
        word = self.word()
        found = TYPES.get(word[1:]) if word[0] == '.' else None
        if found is None:
            self.at -= 1
            self.fail(f'type {self.quote()!r}: not supported')
        return found

    # --- operands -----------------------------------------------------------------------------------------

    def operand(self, depth: int = 0) -> model.Operand:
        if depth > 4:
            self.fail('operand nested too deep')
        first = self._operand(depth)
        if self.accept('|'):
            return model.Pair(first, self._operand(depth))
        return first

    def _operand(self, depth: int) -> model.Operand:
        kind, text = self.kinds[self.at], self.texts[self.at]
        if kind == WORD:
            return self._named()
        if kind == NUMBER or (text == '-' and self.kinds[self.at + 1] == NUMBER):
            return model.Integer(self.integer())
        if kind == FLOAT or text == '-':
            return self.float_constant()
        if text == '[':
            return self._address()
        if text == '!':
            self.at += 1
            return model.Name(self.name(), negated=True)
        if text in ('{', '('):
            items = self._items('}' if text == '{' else ')', depth)
            return model.Vector(items) if text == '{' else model.Group(items)
        self.fail(f'operand {self.quote()!r}: not supported')

    def _named(self) -> model.Operand:
        name = self.name()
        if self.texts[self.at] in ('+', '-') and self.kinds[self.at + 1] == NUMBER:
            sign = -1 if self.texts[self.at] == '-' else 1
            self.at += 1
            return model.Offset(name, sign * self.integer())
        return model.Name(name)

    def _items(self, close: str, depth: int) -> tuple[model.Operand, ...]:
        self.at += 1
        items: list[model.Operand] = []
        while not self.accept(close):
            if items:
                self.expect(',')
            items.append(self.operand(depth + 1))
        return tuple(items)

    def _address(self) -> model.Address:
        self.expect('[')
        base = self.name() if self.kinds[self.at] == WORD else None
        offset = 0 if base is not None else self.integer()
        while not self.accept(']'):
            sign = -1 if self.texts[self.at] == '-' else 1
            if self.texts[self.at] in ('+', '-'):
                self.at += 1
            else:
                self.fail(f'address {self.quote()!r}: not supported')
            offset += sign * self.integer()
        return model.Address(base, offset)

    def float_constant(self) -> model.Float:
        negative = self.accept('-')
        text = self.texts[self.at]
        if self.kinds[self.at] != FLOAT:
            self.fail(f'expected a number at {self.quote()!r}')
        self.at += 1
        if text[:2] in ('0f', '0F'):
            return model.Float(int(text[2:], 16) ^ (1 << 31 if negative else 0), 32)
        if text[:2] in ('0d', '0D'):
            return model.Float(int(text[2:], 16) ^ (1 << 63 if negative else 0), 64)
        pattern = double_pattern(float(text))
        return model.Float(pattern ^ (1 << 63 if negative else 0), 64, decimal=True)

    # --- variables ----------------------------------------------------------------------------------------

    def variables(self, space: str, linkage: str) -> list[model.Variable]:
        """Everything behind the state space up to the semicolon."""
        align, lanes, scalar = self._attributes()
        found: list[model.Variable] = []
        while True:
            variable = self._declarator(space, align, lanes, scalar)
            variable.linkage = linkage
            if self.accept('='):
                self._initialiser(variable)
            found.append(variable)
            if not self.accept(','):
                break
        self.expect(';')
        return found

    def parameter(self) -> model.Variable:
        """One entry of a parameter list: `.param .u64 .ptr .global .align 1 name`, `.reg .b32 name`."""
        space = self.word()
        if space not in ('.param', '.reg'):
            self.fail(f'parameter in {space!a}: not supported')
        align, lanes, scalar = self._attributes()
        variable = self._declarator(space, align, lanes, scalar)
        return variable

    def _attributes(self) -> tuple[int | None, int, Type]:
        align: int | None = None
        lanes, scalar = 1, None
        while self.kinds[self.at] == WORD and self.texts[self.at][0] == '.':
            word = self.texts[self.at]
            if word == '.align':
                self.at += 1
                value = self.integer()
                if value < 1 or value > 4096 or value & (value - 1):
                    self.fail('alignment is not a power of two')
                if scalar is None:
                    align = value
            elif word in _LANES:
                self.at += 1
                lanes = _LANES[word]
            elif word == '.ptr' or (scalar is not None and word in SPACES):
                self.at += 1
            elif word == '.attribute':
                self.at += 1
                self._parentheses()
            elif scalar is None:
                scalar = self.type()
            else:
                self.fail(f'declaration {self.quote()!r}: not supported')
        if scalar is None:
            self.fail('declaration without a type')
        return align, lanes, scalar

    def _parentheses(self) -> None:
        self.expect('(')
        while not self.accept(')'):
            if self.kinds[self.at] == '.':
                self.fail('the text ends inside parentheses')
            self.at += 1

    def _declarator(self, space: str, align: int | None, lanes: int, scalar: Type) -> model.Variable:
        position = self.starts[self.at]
        name = self.name()
        count: int | None = 1
        while self.accept('['):
            if self.accept(']'):
                count = None
                continue
            size = self.integer()
            self.expect(']')
            if size < 0:
                self.fail('negative array size')
            count = None if count is None else count * size
            if count is not None and count > limits.VARIABLE_BYTES:
                self.fail('variable too large')
        natural = max(scalar.size, 1) * lanes
        return model.Variable(space[1:], name, scalar, align or natural, count, lanes, position=position)

    def _initialiser(self, variable: model.Variable) -> None:
        self._values(variable, 0)
        if variable.count is None:
            variable.count = (len(variable.values) + variable.lanes - 1) // variable.lanes
        if len(variable.values) > variable.count * variable.lanes:
            self.fail('more values than elements')

    def _values(self, variable: model.Variable, depth: int) -> None:
        if depth > 8:
            self.fail('initialiser nested too deep')
        if not self.accept('{'):
            variable.values.append(self._value())
            return
        while not self.accept('}'):
            self._values(variable, depth + 1)
            if not self.accept(','):
                self.expect('}')
                return

    def _value(self) -> int | model.Float | model.SymbolValue:
        if self.kinds[self.at] == FLOAT or (self.texts[self.at] == '-' and self.kinds[self.at + 1] == FLOAT):
            return self.float_constant()
        if self.kinds[self.at] in (NUMBER, 'p') and self.texts[self.at] != '(':
            value = self.integer()
            if self.accept('('):  # 0xFF00(symbol): one byte of an address
                name, addend, generic = self._symbol()
                self.expect(')')
                return model.SymbolValue(name, addend, generic, mask=value)
            return value
        name, addend, generic = self._symbol()
        return model.SymbolValue(name, addend, generic)

    def _symbol(self) -> tuple[str, int, bool]:
        name, generic = self.name(), False
        if name == 'generic' and self.accept('('):
            name, generic = self.name(), True
            self.expect(')')
        addend = 0
        while self.texts[self.at] in ('+', '-') and self.kinds[self.at + 1] == NUMBER:
            sign = -1 if self.texts[self.at] == '-' else 1
            self.at += 1
            addend += sign * self.integer()
        return name, addend, generic


def parse_integer(text: str) -> int:
    """A PTX integer literal; the lexer has checked its form."""
    text = text.rstrip('U')
    if text[:2] in ('0x', '0X'):
        return int(text, 16)
    if text[:2] in ('0b', '0B'):
        return int(text[2:], 2)
    if len(text) > 1 and text[0] == '0' and text.isdigit() and '8' not in text and '9' not in text:
        return int(text, 8)
    if len(text) > 40:
        raise PtxError('integer constant too long')
    return int(text)


def double_pattern(value: float) -> int:
    """The bits of an f64."""
    return int(struct.unpack('<Q', struct.pack('<d', value))[0])
