# SPDX-License-Identifier: Apache-2.0
"""PTX text to compilation units. Several texts one after the other, each with its `.version`, are linked together."""

from accelpool.drivers.mock.ptx import limits
from accelpool.drivers.mock.ptx.ast import model
from accelpool.drivers.mock.ptx.lexer import FLOAT, NUMBER, WORD, tokenize
from accelpool.drivers.mock.ptx.statements import StatementReader

_LINKAGE = frozenset({'.extern', '.visible', '.weak', '.common'})
_VARIABLE_SPACES = frozenset({'.global', '.const', '.shared', '.local', '.param'})
_DIMENSIONS = frozenset({'.maxntid', '.reqntid', '.minnctapersm', '.maxnreg', '.maxnctapersm', '.reqnctapercluster',
                         '.maxclusterrank'})
_FLAGS = frozenset({'.noreturn', '.explicitcluster', '.blocksareclusters', '.unified'})


class _ModuleReader(StatementReader):
    def units(self) -> list[model.Unit]:
        units: list[model.Unit] = []
        while self.kinds[self.at] != '.':
            if self.accept(';'):
                continue
            word = self.word()
            if word == '.version':
                units.append(model.Unit(self._version(), 0))
            elif not units:
                self.at -= 1
                self.fail('the text does not start with .version')
            else:
                self._directive_of(units[-1], word)
        return units

    def _version(self) -> int:
        if self.kinds[self.at] not in (FLOAT, NUMBER):
            self.fail('.version without a number')
        major, _, minor = self.texts[self.at].partition('.')
        self.at += 1
        if not major.isdigit() or not 1 <= int(major) <= 99 or (minor and not minor.isdigit()):
            self.fail('.version is not a number')
        return int(major) * 10 + int(minor[:1] or 0)

    def _directive_of(self, unit: model.Unit, word: str) -> None:
        if word == '.target':
            unit.target = self._target()
        elif word == '.address_size':
            if self.integer() != 64:
                self.fail('.address_size 32: not supported')
        elif word in ('.file', '.loc'):
            self.skip_line()
        elif word == '.section':
            while self.texts[self.at] != '{':
                self.at += 1
                if self.kinds[self.at] == '.':
                    self.fail('.section without braces')
            self.skip_braces()
        elif word in ('.pragma', '.alias'):
            self._aside(unit, word)
        else:
            self._declaration(unit, word)

    def _aside(self, unit: model.Unit, word: str) -> None:
        if word == '.alias':
            alias = self.name()
            self.expect(',')
            unit.aliases[alias] = self.name()
            self.expect(';')
            return
        while not self.accept(';'):
            if self.kinds[self.at] == '.':
                self.fail('the text ends inside a directive')
            self.at += 1

    def _target(self) -> int:
        target = 0
        while True:
            word = self.word()
            digits = ''.join(c for c in word.removeprefix('sm_') if c.isdigit())
            if word.startswith('sm_') and digits and len(digits) < 5:
                target = int(digits)
            if not self.accept(','):
                return target

    def _declaration(self, unit: model.Unit, word: str) -> None:
        linkage = ''
        while word in _LINKAGE:
            linkage = word[1:]
            word = self.word()
        if word in _VARIABLE_SPACES:
            unit.variables.extend(self.variables(word, linkage))
        elif word in ('.entry', '.func'):
            unit.functions.append(self._function(word == '.entry', linkage))
            if len(unit.functions) > limits.FUNCTIONS:
                self.fail('too many functions')
        else:
            self.at -= 1
            self.fail(f'directive {self.quote()!r}: not supported')

    def _function(self, entry: bool, linkage: str) -> model.Function:
        position = self.starts[self.at]
        directives: dict[str, tuple[int, ...]] = {}
        self._directives(directives)
        returns = self.parameters() if self.texts[self.at] == '(' else []
        self._directives(directives)
        name = self.name()
        params = self.parameters() if self.texts[self.at] == '(' else []
        self._directives(directives)
        body = None
        if not self.accept(';'):
            body = self.block()
        return model.Function(name, entry, linkage, returns, params, body, directives, position)

    def _directives(self, found: dict[str, tuple[int, ...]]) -> None:
        while self.kinds[self.at] == WORD and self.texts[self.at][0] == '.':
            word = self.word()
            if word in _DIMENSIONS:
                values = [self.integer()]
                while self.accept(','):
                    values.append(self.integer())
                found[word[1:]] = tuple(values)
            elif word in ('.attribute', '.abi_preserve', '.abi_preserve_control'):
                if self.texts[self.at] == '(':
                    self._parentheses()
                else:
                    self.integer()
            elif word == '.pragma':
                self.at += 1
                self.accept(';')
            elif word not in _FLAGS:
                self.at -= 1
                self.fail(f'directive {self.quote()!r}: not supported')


def parse(text: str) -> list[model.Unit]:
    """Raises PtxError with the line for anything that is not PTX as this translator knows it."""
    return _ModuleReader(tokenize(text)).units()
