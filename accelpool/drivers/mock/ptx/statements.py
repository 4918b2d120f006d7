# SPDX-License-Identifier: Apache-2.0
"""Function bodies: blocks, declarations, labels and instructions."""

from accelpool.drivers.mock.ptx import limits
from accelpool.drivers.mock.ptx.ast import model
from accelpool.drivers.mock.ptx.lexer import WORD
from accelpool.drivers.mock.ptx.reader import Reader

_VARIABLE_SPACES = frozenset({'.global', '.const', '.shared', '.local', '.param'})


class StatementReader(Reader):
    """Reads what stands between the braces of a function."""

    def block(self, depth: int = 0) -> model.Block:
        if depth > limits.NESTING:
            self.fail('blocks nested too deep')
        self.expect('{')
        block = model.Block()
        statements = block.statements
        while True:
            text, kind = self.texts[self.at], self.kinds[self.at]
            if kind == WORD:
                if text[0] == '.':
                    statements.extend(self._directive(text))
                elif self.texts[self.at + 1] == ':':
                    statements.append(self._label())
                else:
                    statements.append(self._instruction(None, self.starts[self.at]))
            elif text == '@':
                statements.append(self._guarded())
            elif text == '{':
                statements.append(self.block(depth + 1))
            elif text == '}':
                self.at += 1
                return block
            elif text == ';':
                self.at += 1
            else:
                self.fail(f'statement {self.quote()!r}: not supported')

    def _directive(self, word: str) -> list[model.Statement]:
        self.at += 1
        if word == '.reg':
            return list(self._registers())
        if word in _VARIABLE_SPACES:
            return list(self.variables(word, ''))
        if word in ('.loc', '.file'):
            self.skip_line()
            return []
        if word == '.pragma':
            while not self.accept(';'):
                if self.kinds[self.at] == '.':
                    self.fail('the text ends inside a directive')
                self.at += 1
            return []
        self.at -= 1
        self.fail(f'directive {self.quote()!r}: not supported')

    def _registers(self) -> list[model.Registers]:
        _align, lanes, scalar = self._attributes()
        found: list[model.Registers] = []
        while True:
            name, count = self.name(), None
            if self.accept('<'):
                count = self.integer()
                self.expect('>')
            found.append(model.Registers(name, scalar, count, lanes))
            if not self.accept(','):
                break
        self.expect(';')
        return found

    def _label(self) -> model.Statement:
        name = self.name()
        self.expect(':')
        word = self.texts[self.at]
        if word == '.branchtargets':
            self.at += 1
            labels = [self.name()]
            while self.accept(','):
                labels.append(self.name())
            self.expect(';')
            return model.Targets(name, tuple(labels))
        if word == '.callprototype':
            self.at += 1
            return self._prototype(name)
        if word == '.calltargets':
            self.fail('.calltargets: not supported')
        return model.Label(name)

    def _prototype(self, name: str) -> model.Prototype:
        returns = self._sizes() if self.texts[self.at] == '(' else ()
        self.name()
        params = self._sizes() if self.texts[self.at] == '(' else ()
        while self.texts[self.at] in ('.noreturn', '.abi_preserve', '.abi_preserve_control'):
            self.at += 1
        self.expect(';')
        return model.Prototype(name, returns, params)

    def _sizes(self) -> tuple[int, ...]:
        return tuple(variable.size for variable in self.parameters())

    def parameters(self) -> list[model.Variable]:
        """A parenthesised list of parameters."""
        self.expect('(')
        found: list[model.Variable] = []
        while not self.accept(')'):
            if found:
                self.expect(',')
            found.append(self.parameter())
            if len(found) > limits.PARAMETERS:
                self.fail('too many parameters')
        return found

    def _guarded(self) -> model.Instruction:
        start = self.starts[self.at]
        self.expect('@')
        negated = self.accept('!')
        return self._instruction(model.Name(self.name(), negated), start)

    def _instruction(self, guard: model.Name | None, start: int) -> model.Instruction:
        parts = self.name().split('.')
        operands: list[model.Operand] = []
        while not self.accept(';'):
            if operands:
                self.expect(',')
            operands.append(self.operand())
        end = self.starts[self.at - 1] + 1
        return model.Instruction(start, end, guard, parts[0], tuple(parts[1:]), tuple(operands))
