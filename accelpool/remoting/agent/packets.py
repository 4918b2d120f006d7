# SPDX-License-Identifier: Apache-2.0
"""Packets between agent, fork server and workers; the C twin is native/worker/control.h."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

_LAYOUT = struct.Struct('<IIQQQ')
BLOB_MAX = 60 << 10

READY, RESERVE, RELEASE, WANT, YIELD, USAGE, TRANSLATE, MEMINFO = range(1, 9)
GRANT, REVOKE, RECALL, END = 4, 5, 9, 10
CONTENT_FIND, CONTENT_KEEP, TOUCH, UNTOUCH = 11, 12, 13, 14
EXPORT, EXPORT_ALLOW, EXPORT_END, IMPORT = 20, 21, 22, 23
SPAWN, SPAWNED, FAILED, EXITED, KILL = 32, 33, 34, 35, 36

END_UNBOUND, END_SHUTDOWN, END_REFUSED = 1, 2, 3


class Packet(NamedTuple):
    """One packet with what came along; whoever takes it closes the descriptors."""

    type: int
    id: int
    a: int
    b: int
    c: int
    blob: bytes
    descriptors: tuple[int, ...]


class Channel:
    """One end of a SEQPACKET socket pair, read by the event loop."""

    def __init__(self, connection: socket.socket, on_packet: Callable[[Packet], None],
                 on_close: Callable[[], None]) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._on_packet = on_packet
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection, self._read)

    def send(self, kind: int, number: int = 0, a: int = 0, b: int = 0, c: int = 0, *, blob: bytes = b'',
             descriptors: Sequence[int] = ()) -> bool:
        """Send one packet; False when the other end is gone or does not read (then it is as good as gone)."""
        data = [_LAYOUT.pack(kind, number, a, b, c) + blob[:BLOB_MAX]]
        try:
            if descriptors:
                socket.send_fds(self._connection, data, list(descriptors))
            else:
                self._connection.send(data[0])
        except OSError:
            return False
        return True

    def drain(self) -> None:
        """Take at once what the other end has sent before its end."""
        while self._connection.fileno() >= 0 and self._read():
            pass

    def close(self) -> None:
        if self._connection.fileno() >= 0:
            self._loop.remove_reader(self._connection)
            self._connection.close()

    def _read(self) -> bool:
        """Take one packet; False: there is none now."""
        try:
            data, descriptors, _flags, _ = socket.recv_fds(self._connection, _LAYOUT.size + BLOB_MAX, 3)
        except BlockingIOError:
            return False
        except OSError:
            data, descriptors = b'', []
        if len(data) < _LAYOUT.size:
            for descriptor in descriptors:
                os.close(descriptor)
            self.close()
            self._on_close()
            return False
        kind, number, a, b, c = _LAYOUT.unpack_from(data)
        self._on_packet(Packet(kind, number, a, b, c, data[_LAYOUT.size:], tuple(descriptors)))
        return True
