# SPDX-License-Identifier: Apache-2.0
"""PTX text to tokens."""

import bisect
import re
from dataclasses import dataclass, field

from accelpool.drivers.mock.ptx import limits
from accelpool.drivers.mock.ptx.errors import PtxError

WORD, NUMBER, FLOAT, STRING, PUNCTUATION, END = 'wnfsp.'

_TOKEN = re.compile(
    r"""
      (?P<skip>[ \t\r\n\f\v]+|//[^\n]*|/\*.*?\*/|\#[^\n]*)
    | (?P<f>0[fF][0-9a-fA-F]{8}(?![\w$])|0[dD][0-9a-fA-F]{16}(?![\w$])
        |\d+\.\d*(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
    | (?P<n>(?:0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)U?)
    | (?P<w>\.[\w$]+|[%$_A-Za-z](?:[\w$.%]|::)*)
    | (?P<s>"[^"\n]*")
    | (?P<unended>/\*|")
    | (?P<p>[-+*/&|^~!?:<>=,;@(){}\[\]])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


@dataclass(slots=True)
class Source:
    """One text: what messages quote and how positions become line numbers."""

    text: str
    _lines: list[int] = field(default_factory=list)

    def line(self, position: int) -> int:
        if not self._lines:
            self._lines = [match.start() for match in re.finditer('\n', self.text)] or [len(self.text)]
        return bisect.bisect_left(self._lines, position) + 1

    def quote(self, start: int, end: int) -> str:
        """The text of one statement on one printable line."""
        text = ' '.join(self.text[start:min(end, start + 4 * limits.DIAGNOSTIC_BYTES)].split())
        if len(text) > limits.DIAGNOSTIC_BYTES:
            text = text[:limits.DIAGNOSTIC_BYTES] + '...'
        return ''.join(c if ' ' <= c <= '~' else '?' for c in text)


@dataclass(slots=True)
class Tokens:
    """Parallel lists, ended by one END token."""

    source: Source
    kinds: list[str]
    texts: list[str]
    starts: list[int]


def tokenize(text: str) -> Tokens:
    """Raises PtxError for a character that PTX does not have or a text beyond the limits."""
    if len(text) > limits.INPUT_BYTES:
        raise PtxError(f'more than {limits.INPUT_BYTES} bytes of PTX')
    source = Source(text)
    kinds: list[str] = []
    texts: list[str] = []
    starts: list[int] = []
    position, length, match = 0, len(text), _TOKEN.match
    while position < length:
        found = match(text, position)
        if found is None or found.lastgroup == 'unended':  # never looked at twice: reading stays linear
            raise PtxError(f'unexpected character {text[position]!a}', source.line(position))
        kind = found.lastgroup
        if kind != 'skip' and kind is not None:
            kinds.append(kind)
            texts.append(found.group())
            starts.append(position)
            if kind == 'w' and found.end() - position > limits.IDENTIFIER_BYTES:
                raise PtxError('identifier too long', source.line(position))
        position = found.end()
    if len(kinds) > limits.TOKENS:
        raise PtxError('module too large')
    kinds.append(END)
    texts.append('')
    starts.append(length)
    return Tokens(source, kinds, texts, starts)
