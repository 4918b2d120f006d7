# SPDX-License-Identifier: Apache-2.0
"""Looks for bytes in everything that processes have: their memory, their memory files, files in directories."""

import os
import pathlib
import re
from collections.abc import Iterable, Iterator

#: Private mappings above this are address ranges that are reserved, not memory.
_LARGEST = 2**30
_CHUNK = 4 * 2**20


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents: dict[int, int] = {}
    for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(') ')[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def holders(marker: bytes, pids: Iterable[int], *directories: pathlib.Path) -> list[str]:
    """Return where the marker is."""
    found = [f'{directory}: {path}' for directory in directories for path in directory.rglob('*')
             if path.is_file() and path.stat().st_size < _LARGEST and marker in path.read_bytes()]
    for pid in pids:
        found += [f'{pid}: {place}' for place, content in _contents(pid) if marker in content]
    return found


def _contents(pid: int) -> Iterator[tuple[str, bytes]]:
    try:
        yield from _files(pid)
        yield from _mappings(pid)
    except (FileNotFoundError, ProcessLookupError):
        return  # it has ended


def _files(pid: int) -> Iterator[tuple[str, bytes]]:
    """What is in memory files: only the parts that were ever written."""
    for entry in pathlib.Path(f'/proc/{pid}/fd').iterdir():
        name = os.readlink(entry)
        if 'memfd:' not in name and '/dev/shm' not in name:
            continue
        with entry.open('rb', buffering=0) as file:
            place, size = 0, os.fstat(file.fileno()).st_size
            while place < size:
                try:
                    place = os.lseek(file.fileno(), place, os.SEEK_DATA)
                except OSError:  # nothing more
                    break
                yield f'{name} at {place}', os.pread(file.fileno(), _CHUNK, place)
                place += _CHUNK


def _mappings(pid: int) -> Iterator[tuple[str, bytes]]:
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as memory:
        for line in pathlib.Path(f'/proc/{pid}/maps').read_text().splitlines():
            start, end = (int(part, 16) for part in line.split()[0].split('-'))
            if not re.match(r'\S+ r', line) or end - start > _LARGEST or line.endswith(('[vvar]', '[vsyscall]')):
                continue
            for place in range(start, end, _CHUNK):
                try:
                    memory.seek(place)
                    yield line, memory.read(min(_CHUNK, end - place))
                except (OSError, ValueError, OverflowError):
                    break
