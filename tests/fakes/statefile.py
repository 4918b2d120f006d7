# SPDX-License-Identifier: Apache-2.0
"""A stand-in library and the state that it answers from: built from C, described in Python, mapped by both."""

import contextlib
import ctypes
import fcntl
import functools
import mmap
import pathlib
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from ctypes import c_char, c_int32, c_uint32, c_uint64
from typing import Any

import yaml

_NAMES = {c_uint32: 'uint32_t', c_int32: 'int32_t', c_uint64: 'uint64_t', c_char: 'char'}
ANY_DEVICE = 0xffffffff


def header(structures: Iterable[type[ctypes.Structure]], constants: Mapping[str, int]) -> str:
    """Return the C header of a state file's structures: ``struct state_<name>``, ``STATE_<CONSTANT>``."""
    lines = ['// Written by statefile.py', '#pragma once', '#include <stdint.h>', '']
    lines += [f'#define STATE_{name} {value}' for name, value in constants.items()]
    for structure in structures:
        lines += ['', f'struct state_{structure.__name__.lower()} {{']
        for name, kind in structure._fields_:
            length = ''
            if issubclass(kind, ctypes.Array):
                kind, length = kind._type_, f'[{kind._length_}]'
            lines.append(f'    {_NAMES.get(kind) or f"struct state_{kind.__name__.lower()}"} {name}{length};')
        lines += ['};', f'_Static_assert(sizeof(struct state_{structure.__name__.lower()}) == '
                        f'{ctypes.sizeof(structure)}, "layout");']
    return '\n'.join([*lines, ''])


def build(sources: pathlib.Path, target: pathlib.Path, text: str) -> None:
    """Build a library from the C files of a directory when they are newer; ``text`` becomes layout.h."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / 'lock').open('w') as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        _build(sources, target, text)


def _build(sources: pathlib.Path, target: pathlib.Path, text: str) -> None:
    newest = max(path.stat().st_mtime for path in [*sources.iterdir(), pathlib.Path(__file__)]
                 if path.suffix in {'.c', '.h', '.py'})
    if target.exists() and target.stat().st_mtime >= newest:
        return
    (target.parent / 'layout.h').write_text(text)
    fresh = target.with_suffix('.new')
    subprocess.run(
        ['gcc', '-std=c11', '-D_GNU_SOURCE', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared',
         '-fvisibility=hidden', '-pthread', f'-Wl,-soname,{target.name}', f'-I{target.parent}', f'-I{sources}',
         '-o', str(fresh), *sorted(str(path) for path in sources.glob('*.c'))], check=True)
    fresh.replace(target)


def describe(place: pathlib.Path, description: str | dict[str, Any]) -> dict[str, Any]:
    """Return the description of a host.

    :param description: the name of a file in ``hosts/`` of the stand-in's directory, or its content
    """
    if isinstance(description, str):
        description = yaml.safe_load((place / 'hosts' / f'{description}.yaml').read_text())
    assert isinstance(description, dict)
    return description


@functools.cache
def models(place: pathlib.Path) -> dict[str, Any]:
    """Return what a stand-in knows of its models (``models.yaml``)."""
    found: dict[str, Any] = yaml.safe_load((place / 'models.yaml').read_text())
    return found


class StateFile:
    """The state of one host, which a test changes while libraries answer from it.

    It has ``rules``: calls that fail or hang while a test wants them to.
    """

    def __init__(self, kind: type[ctypes.Structure], path: pathlib.Path) -> None:
        self.path = path
        path.write_bytes(bytes(ctypes.sizeof(kind)))
        self._file = path.open('r+b')
        self._map = mmap.mmap(self._file.fileno(), 0)
        self.state: Any = kind.from_buffer(self._map)

    def device(self, index: int) -> Any:
        return self.state.devices[index]

    @contextlib.contextmanager
    def failing(self, function: str = '', device: int = ANY_DEVICE, code: int = 999) -> Iterator[None]:
        """While this lasts a function, or all that concern a device, answer ``code``."""
        rule = self._rule(function, device)
        rule.code, rule.hang, rule.active = code & 0xffffffff, 0, 1
        try:
            yield
        finally:
            rule.active = 0

    @contextlib.contextmanager
    def hanging(self, function: str = '', device: int = ANY_DEVICE) -> Iterator[Any]:
        """While this lasts a function, or all that concern a device, do not return; ``met``: one has come."""
        rule = self._rule(function, device)
        rule.met, rule.hang, rule.active = 0, 1, 1
        try:
            yield rule
        finally:
            rule.active = 0

    def close(self) -> None:
        del self.state
        with contextlib.suppress(BufferError):  # a test may still hold a piece of it
            self._map.close()
        self._file.close()

    def _rule(self, function: str, device: int) -> Any:
        rule = next(rule for rule in self.state.rules if not rule.active)
        rule.function, rule.device = function.encode(), device
        return rule
