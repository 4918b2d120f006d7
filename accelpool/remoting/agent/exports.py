# SPDX-License-Identifier: Apache-2.0
"""What sessions of one slice share with each other: which key stands for which memory or event, and who may have it.

The vendor's library gives each granule a number that any process of the host can map it by, and an event a handle; only
workers can use them, and only those of the same slice learn them.
"""

import dataclasses
import os
import secrets
import struct

#: Exports of one slice at a time.
EXPORTS = 1 << 14
#: Bytes of a key: text, 64 hexadecimal digits.
KEY = 64
#: Processes that one export may name.
PROCESSES = 4096


@dataclasses.dataclass(frozen=True)
class Memory:
    """``size`` bytes from ``offset`` on in granules with these numbers (u64 each); 0 bytes: an event's handle."""

    size: int
    offset: int
    numbers: bytes


@dataclasses.dataclass
class _Export:
    session: int
    memory: Memory
    processes: set[int] | None      # None: every process of the slice


class Exports:
    """Exports of one slice."""

    def __init__(self) -> None:
        self._exports: dict[bytes, _Export] = {}
        self._files: dict[int, int] = {}  # by session: what belongs to the numbers, for emulated devices

    def add(self, session: int, memory: Memory, for_all: bool, descriptor: int | None) -> bytes:
        """Return the key of memory that a session shares; nothing: there are as many exports as there can be.

        The descriptor stays the caller's; a session has one for all that it shares.

        :raises ValueError: memory that is none
        """
        if not memory.numbers or len(memory.numbers) % 8:
            raise ValueError('an export of nothing')
        if len(self._exports) >= EXPORTS:
            return b''
        if descriptor is not None and session not in self._files:
            self._files[session] = os.dup(descriptor)
        key = secrets.token_hex(KEY // 2).encode()
        self._exports[key] = _Export(session, memory, None if for_all else set())
        return key

    def allow(self, session: int, key_and_processes: bytes) -> bool:
        """Name processes (i32 each behind the key) that may have it.

        False: it is not this session's, or they are too many.

        :raises ValueError: half a number
        """
        export, named = self._exports.get(key_and_processes[:KEY]), key_and_processes[KEY:]
        if len(named) % 4:
            raise ValueError('half the number of a process')
        if export is None or export.session != session:
            return False
        if export.processes is None:
            return True
        together = export.processes | {process for process, in struct.iter_unpack('<i', named)}
        if len(together) > PROCESSES:
            return False
        export.processes = together
        return True

    def find(self, key: bytes, process: int) -> tuple[Memory, int | None] | None:
        """Return what a process gets for a key, with the descriptor that belongs to it (not the caller's)."""
        export = self._exports.get(key)
        if export is None or (export.processes is not None and process not in export.processes):
            return None
        return export.memory, self._files.get(export.session)

    def end(self, session: int, key: bytes) -> bool:
        """Nobody gets it any more; False: it is not this session's."""
        export = self._exports.get(key)
        if export is None or export.session != session:
            return False
        del self._exports[key]
        return True

    def leave(self, session: int) -> None:
        """A session is over, and its exports with it."""
        self._exports = {key: export for key, export in self._exports.items() if export.session != session}
        descriptor = self._files.pop(session, None)
        if descriptor is not None:
            os.close(descriptor)
