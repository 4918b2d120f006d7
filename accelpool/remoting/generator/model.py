# SPDX-License-Identifier: Apache-2.0
"""An interface description (``interfaces/<name>.yaml``) as checked values.

Whatever a description gets wrong is found here, with the function's name, so that the emitters can take
everything for granted.  What the words mean is said at the top of ``interfaces/cuda.yaml``.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

#: Opcodes below belong to the protocol itself (native/common/wire.h).
FIRST_OPCODE: Final = 64
LAST_OPCODE: Final = 0xFFFF

#: Scalars on the wire: C type on both sides.
SCALARS: Final[Mapping[str, str]] = {
    'u8': 'uint8_t', 'u16': 'uint16_t', 'u32': 'uint32_t', 'u64': 'uint64_t',
    'i32': 'int32_t', 'i64': 'int64_t', 'f32': 'float', 'f64': 'double',
}
#: Handles that a generated call may name (``enum handle_kind`` of the worker).
HANDLES: Final = frozenset({'stream', 'event'})
#: Undescribed functions whose result is no code: a value or a pointer (0), or a number whose "none" is -1.
NO_CODE: Final[Mapping[int | str, str]] = {'value': 'NULL', 'undefined': '(void *)-1'}
#: Suffixes of the variants for per-thread default streams.
VARIANTS: Final = ('ptds', 'ptsz')
_FRAMES: Final = frozenset({
    'LEASE', 'LEASE_RETURN', 'MEMINFO', 'MODULE_OFFER', 'MODULE_DATA', 'MODULE_UNLOAD', 'LINK_CREATE', 'LINK_ADD',
    'LINK_COMPLETE', 'LINK_DESTROY', 'LAUNCH', 'COPY_IN', 'COPY_OUT', 'KERNEL_SET'})
_SYMBOL: Final = re.compile(r'[A-Za-z][A-Za-z0-9]*(_v\d+)?')
_SUFFIX: Final = re.compile(r'(_v\d+)?(_ptds|_ptsz)?$')


class DescriptionError(ValueError):
    """The description contradicts itself or says something that the generator does not know."""


@dataclasses.dataclass(frozen=True)
class Argument:
    """One parameter of a function."""

    name: str
    ctype: str
    creates: str = ''       # handle kind
    destroys: str = ''      # handle kind
    reads: str = ''         # expression: bytes from this device address
    writes: str = ''
    returns: str = ''       # wire scalar

    @property
    def is_output(self) -> bool:
        return bool(self.creates or self.returns)

    @property
    def pointee(self) -> str:
        """What an output points to."""
        return self.ctype.removesuffix('*').rstrip()


@dataclasses.dataclass(frozen=True)
class Function:
    """One exported symbol that the client answers."""

    name: str
    reply: str
    version: int = 0
    custom: str = ''
    result: str = ''        # nothing: the interface's
    opcode: int = 0         # 0: no frame of its own
    frames: tuple[str, ...] = ()
    variants: Mapping[str, int] = dataclasses.field(default_factory=dict)   # suffix -> ABI version
    older: str = ''         # what the same call is named in a vendor's library that has not got this name
    blocks: bool = False
    work: bool = False
    idle: bool = False
    args: tuple[Argument, ...] = ()
    refuse: Mapping[str, str] = dataclasses.field(default_factory=dict)     # C condition -> name of an error

    @property
    def by_hand(self) -> bool:
        """Client, worker and the frame between them: the arguments say nothing about the wire."""
        return self.custom == 'both'

    @property
    def generated_client(self) -> bool:
        return bool(self.opcode) and self.custom not in {'client', 'both'}

    @property
    def generated_worker(self) -> bool:
        return bool(self.opcode) and self.custom not in {'worker', 'both'}

    @property
    def stream(self) -> Argument | None:
        """The stream that a per-thread variant replaces."""
        return next((a for a in self.args if a.ctype == 'CUstream' and not a.destroys), None)


@dataclasses.dataclass(frozen=True)
class Symbol:
    """What cuGetProcAddress looks up."""

    base: str
    version: int
    per_thread: bool
    name: str


@dataclasses.dataclass(frozen=True)
class Interface:
    """A whole vendor API."""

    name: str
    result: str
    errors: Mapping[str, int]
    stream_literals: int                    # streams 0 to this number are the same on both sides
    types: Mapping[str, str]                # C type -> wire scalar or handle kind
    functions: tuple[Function, ...]
    undescribed: Mapping[str, int | str]    # symbol -> ABI version, or a name of NO_CODE: its result is no code
    lookup: bool = True                     # there is a function that looks symbols up by name and ABI version

    def wire(self, argument: Argument) -> str:
        """Wire scalar or handle kind of an input argument."""
        return self.types[argument.ctype]

    @property
    def calls(self) -> list[Function]:
        """Functions with a frame of their own, by opcode."""
        return sorted((f for f in self.functions if f.opcode), key=lambda f: f.opcode)

    @property
    def symbols(self) -> list[Symbol]:
        """Every exported symbol, described or not, by base name."""
        versions: dict[str, int] = {f.name: f.version for f in self.functions}
        versions |= {f'{f.name}_{suffix}': v for f in self.functions for suffix, v in f.variants.items()}
        versions |= {name: int(version) for name, version in self.undescribed.items() if version not in NO_CODE}
        return sorted((Symbol(_SUFFIX.sub('', name), version, name.endswith(VARIANTS), name)
                       for name, version in versions.items()), key=lambda s: (s.base, s.version, s.name))


def load(path: pathlib.Path) -> Interface:
    """Read and check a description.  Raises DescriptionError, OSError."""
    try:
        return parse(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as failure:
        raise DescriptionError(f'{path.name}: {failure}') from failure
    except DescriptionError as failure:
        raise DescriptionError(f'{path.name}: {failure}') from None


def parse(document: Any) -> Interface:
    """Check a description that YAML has read.  Raises DescriptionError."""
    known = {f.name for f in dataclasses.fields(Interface)} - {'name'} | {'interface'}
    if not isinstance(document, dict) or document.keys() | {'lookup'} != known:
        raise DescriptionError(f'the keys of a description are {", ".join(sorted(known))}')
    interface = Interface(
        name=document['interface'], result=document['result'], errors=document['errors'],
        stream_literals=document['stream_literals'], types=document['types'],
        functions=tuple(_function(entry) for entry in document['functions']),
        undescribed=document['undescribed'] or {}, lookup=document.get('lookup', True))
    _check(interface)
    return interface


def _function(entry: Any) -> Function:
    name = entry.get('name') if isinstance(entry, dict) else None
    if not isinstance(name, str) or not _SYMBOL.fullmatch(name):
        raise DescriptionError(f'not a function with a name: {entry!r}')
    values = dict(entry)
    variants = {suffix: values.pop(suffix) for suffix in VARIANTS if suffix in values}
    unknown = values.keys() - {f.name for f in dataclasses.fields(Function)} | values.keys() & {'variants'}
    if unknown:
        raise DescriptionError(f'{name}: unknown key {", ".join(sorted(unknown))}')
    values['args'] = tuple(_argument(name, key, value) for key, value in values.get('args', {}).items())
    values['frames'] = tuple(values.get('frames', ()))
    try:
        return Function(**values, variants=variants)
    except TypeError as failure:
        raise DescriptionError(f'{name}: name and reply must be there') from failure


def _argument(function: str, name: str, value: Any) -> Argument:
    try:
        return Argument(name, value) if isinstance(value, str) else Argument(name, value.pop('type'), **value)
    except (TypeError, KeyError, AttributeError):
        raise DescriptionError(f'{function}: argument {name} makes no sense: {value!r}') from None


def _unique(what: str, values: Iterable[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise DescriptionError(f'{what} {value} is used twice')
        seen.add(value)


def _check(interface: Interface) -> None:
    for ctype, wire in interface.types.items():
        if wire not in SCALARS.keys() | HANDLES:
            raise DescriptionError(f'type {ctype}: {wire} is neither a wire scalar nor a handle kind')
    _unique('symbol', [*interface.undescribed, *(f.name for f in interface.functions),
                       *(f'{f.name}_{suffix}' for f in interface.functions for suffix in f.variants)])
    _unique('opcode', (f.opcode for f in interface.functions if f.opcode))
    known = {f.name: f for f in interface.functions}
    for function in interface.functions:
        problem = _problem(interface, function, known)
        if problem:
            raise DescriptionError(f'{function.name}: {problem}')


def _problem(interface: Interface, f: Function, known: Mapping[str, Function]) -> str:
    """What is wrong with one function, or nothing."""
    rules = {
        f'reply {f.reply!r} is not none, wait or local': f.reply not in {'none', 'wait', 'local'},
        f'custom {f.custom!r} is not client, worker or both': f.custom not in {'', 'client', 'worker', 'both'},
        f'opcode {f.opcode} is not within {FIRST_OPCODE}-{LAST_OPCODE}':
            bool(f.opcode) and not FIRST_OPCODE <= f.opcode <= LAST_OPCODE,
        'a local function sends nothing and is written by hand anyway':
            f.reply == 'local' and bool(f.opcode or f.custom),
        'it needs an opcode, or custom: client':
            f.reply != 'local' and not f.opcode and f.custom != 'client',
        'it names an unknown frame': not set(f.frames) <= _FRAMES | known.keys(),
        'it answers with an unknown error': not set(f.refuse.values()) <= interface.errors.keys(),
        f'{f.older} is not the same call':
            bool(f.older) and not (f.generated_worker and f.older in known and _types(known[f.older]) == _types(f)),
        'only a call that waits may block': f.blocks and f.reply != 'wait',
        'a generated call returns values or creates one handle':
            sum(bool(a.creates) for a in f.args) + any(a.returns for a in f.args) > 1,
    }
    problem = next((text for text, broken in rules.items() if broken), '')
    if problem or not f.opcode or f.by_hand:
        return problem
    return next(filter(None, (_argument_problem(interface, f, a) for a in f.args)), '')


def _types(f: Function) -> list[str]:
    return [a.ctype for a in f.args]


def _argument_problem(interface: Interface, f: Function, a: Argument) -> str:
    words = [a.creates, a.destroys, a.reads, a.writes, a.returns]
    if sum(map(bool, words)) > 1:
        return f'argument {a.name} plays two roles'
    if {a.creates, a.destroys} - HANDLES - {''}:
        return f'argument {a.name}: unknown handle kind'
    if a.returns and (a.returns not in SCALARS or f.reply != 'wait'):
        return f'argument {a.name}: only a call that waits returns something, and only a wire scalar'
    if a.is_output:
        return '' if a.ctype.endswith('*') else f'argument {a.name} is an output but no pointer'
    if a.ctype not in interface.types:
        return f'argument {a.name}: {a.ctype} has no wire type'
    if (a.reads or a.writes) and interface.wire(a) != 'u64':
        return f'argument {a.name} is no device address'
    return ''
