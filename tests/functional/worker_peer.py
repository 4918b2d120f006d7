# SPDX-License-Identifier: Apache-2.0
"""Both ends that a worker talks to: a client that speaks frames, and an agent that keeps a ledger."""

import dataclasses
import hashlib
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Final, Self

from accelpool.remoting.agent import exports

ROOT: Final = pathlib.Path(__file__).parents[2]
WANT_REPLY: Final = 1
REPLY: Final = 2
MORE: Final = 4
HEADER: Final = struct.Struct('<IHHQ')
CONTROL: Final = struct.Struct('<IIQQQ')
GRANULE: Final = 2 << 20
BASE: Final = 0x7e90_0000_0000  # neither sanitizer has anything there
MIB: Final = 1 << 20

WELCOME, REFUSED, ACK, RECALL, BYE, RANGE, LEASE, LEASE_RETURN, MEMINFO, DATA, BARRIER = range(4, 15)
MODULE_OFFER, MODULE_DATA, MODULE_UNLOAD, LINK_CREATE, LINK_ADD, LINK_COMPLETE, LINK_DESTROY = range(15, 22)
LAUNCH, COPY_IN, COPY_OUT, KERNEL_SET = range(22, 26)
SESSION_USAGE = 29
GLOBAL, KERNEL, OUTPUT = 31, 32, 33

READY, RESERVE, RELEASE, WANT, YIELD, USAGE, TRANSLATE, AGENT_MEMINFO, AGENT_RECALL, END, FIND, KEEP, TOUCH = range(1, 14)
GRANT, REVOKE = 4, 5
EXPORT, EXPORT_ALLOW, EXPORT_END, IMPORT = range(20, 24)


def build(target: str, sanitizer: str = '') -> pathlib.Path:
    """Directory with what tests/native/worker.mk made."""
    subprocess.run(['make', '-s', '-f', 'tests/native/worker.mk', target, f'SAN={sanitizer}', f'PYTHON={sys.executable}'],
                   cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return ROOT / 'build/tests' / f'worker{"-" + sanitizer if sanitizer else ""}'


def module_call(image: bytes, number: int, digest: bytes | None = None, kind: int = 1, flags: int = 1) -> bytes:
    """struct wire_module_call of a library (1; 2: kernels may be told later) of a kind: 1 PTX, 2 a cubin, 3 a fat binary."""
    return struct.pack('<IIQ32sII', number, kind, len(image), digest or hashlib.sha256(image).digest(), flags, 0) + bytes(128)


class Ended(Exception):
    """The worker has closed the connection."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """All frames of one reply, joined."""

    status: int
    sticky: int
    body: bytes


class Agent:
    """The other end of the control socket; answers on a thread of its own."""

    def __init__(self, connection: socket.socket, free: int) -> None:
        self.free = self.limit = free
        self.translate: Callable[[bytes], pathlib.Path] | None = None
        self.grants = True
        self.content: dict[bytes, int] = {}
        self.exports = exports.Exports()
        self.packets: list[tuple[int, int, int, int]] = []
        self.changed = threading.Condition()
        self._connection = connection
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def send(self, kind: int, ident: int = 0, a: int = 0, b: int = 0) -> None:
        """One packet to the worker."""
        self._connection.send(CONTROL.pack(kind, ident, a, b, 0))

    def wait_for(self, kind: int, count: int = 1) -> list[tuple[int, int, int, int]]:
        """The packets of a kind as soon as there are that many of them; (kind, a, b, c) each."""
        def seen() -> list[tuple[int, int, int, int]]:
            return [packet for packet in self.packets if packet[0] == kind]

        with self.changed:
            if not self.changed.wait_for(lambda: len(seen()) >= count, 20):
                raise AssertionError(f'no packet {kind}: {self.packets}')
            return seen()

    def _run(self) -> None:
        while received := self._receive():
            data, descriptors = received
            kind, ident, a, b, c = CONTROL.unpack(data[:CONTROL.size])
            blob = data[CONTROL.size:]
            with self.changed:
                self.packets.append((kind, a, b, c))
                if kind == RESERVE:
                    granted = 0 if a > self.free else min(a + b, self.free)
                    self.free -= granted
                    self.send(RESERVE, ident, granted)
                elif kind == RELEASE:
                    self.free += a
                elif kind == AGENT_MEMINFO:
                    self.send(AGENT_MEMINFO, ident, self.free, self.limit)
                elif kind == TOUCH:
                    self.send(TOUCH, ident, a + b)
                elif kind == TRANSLATE:
                    self._translate(ident, os.pread(descriptors[0], a, 0))
                elif kind == FIND:
                    self._find(ident, blob)
                elif kind == KEEP:
                    self.content[blob] = os.dup(descriptors[0])
                elif kind in {EXPORT, EXPORT_ALLOW, EXPORT_END, IMPORT}:
                    self._share(kind, ident, exports.Memory(a, b, blob), bool(c), descriptors[0] if descriptors else None)
                elif kind == WANT and self.grants:
                    self.send(GRANT, 0, 10_000_000)
                self.changed.notify_all()
            for descriptor in descriptors:
                os.close(descriptor)

    def _receive(self) -> tuple[bytes, list[int]] | None:
        try:
            data, descriptors, _flags, _address = socket.recv_fds(self._connection, 65536, 2)
        except OSError:
            return None
        return (data, descriptors) if data else None

    def _share(self, kind: int, ident: int, memory: exports.Memory, for_all: bool, descriptor: int | None) -> None:
        """Memory that a session shares; the process that it is for is this one."""
        if kind == IMPORT:
            found, file = self.exports.find(memory.numbers, memory.size) or (exports.Memory(0, 0, b''), None)
            socket.send_fds(self._connection, [CONTROL.pack(kind, ident, found.size, found.offset, 0) + found.numbers],
                            [] if file is None else [file])
            return
        key = self.exports.add(0, memory, for_all, descriptor) if kind == EXPORT else b''
        done = key or (kind == EXPORT_ALLOW and self.exports.allow(0, memory.numbers)) or (
            kind == EXPORT_END and self.exports.end(0, memory.numbers))
        self._connection.send(CONTROL.pack(kind, ident, bool(done), 0, 0) + key)

    def _find(self, ident: int, digest: bytes) -> None:
        known = self.content.get(digest)
        size = os.fstat(known).st_size if known is not None else 0
        socket.send_fds(self._connection, [CONTROL.pack(FIND, ident, size, 0, 0)], [] if known is None else [known])

    def _translate(self, ident: int, text: bytes) -> None:
        if self.translate is None:
            self.send(TRANSLATE, ident, 218)
            return
        with open(self.translate(text), 'rb') as module:
            socket.send_fds(self._connection, [CONTROL.pack(TRANSLATE, ident, 0, 0, 0)], [module.fileno()])

    def close(self) -> None:
        """The agent dies."""
        if self._connection.fileno() < 0:
            return
        self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()
        self.exports.leave(0)
        for descriptor in self.content.values():
            os.close(descriptor)


class Session:
    """A worker process with an agreed address range, seen from the client."""

    def __init__(self, directory: pathlib.Path, library: pathlib.Path, *, limit: int = 256 * MIB,
                 window: int = 4 * MIB, interface: str = 'cuda') -> None:
        client, self.connection = socket.socketpair()
        control, agent = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with client, control:
            descriptors = (client.fileno(), control.fileno())
            command = [str(part) for part in (directory / 'worker_harness', library, limit, window, *descriptors)]
            self.process = subprocess.Popen(command, pass_fds=descriptors, stderr=subprocess.PIPE, text=True,
                                            env=os.environ | {'TSAN_OPTIONS': f'suppressions={ROOT}/tests/native/worker.tsan',
                                                              'WORKER_INTERFACE': interface})
        self.agent = Agent(agent, limit)
        self.connection.settimeout(30)
        self.sequence = 0
        self.limit = limit
        self.acknowledged = 0
        self.deferred: list[int] = []
        self.others: list[tuple[int, bytes]] = []
        opcode, _flags, _sequence, self.welcome = self.frame()
        if opcode != WELCOME:
            raise Ended(self.welcome)
        self.granule, self.range_size = struct.unpack_from('<QQ', self.welcome, 16)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def reserve_range(self) -> Self:
        """Agrees on the addresses at BASE."""
        answer = self.call(RANGE, struct.pack('<QQ', BASE, self.range_size))
        if answer.status:
            raise AssertionError(answer)
        return self

    def close(self) -> str:
        """Ends the session; what the worker said on stderr."""
        self.connection.close()
        _out, errors = self.process.communicate(timeout=30)
        self.agent.close()
        return errors

    def send(self, opcode: int, payload: bytes = b'', flags: int = 0, sequence: int | None = None) -> int:
        """One frame; its sequence number."""
        self.sequence = self.sequence + 1 if sequence is None else sequence
        self.raw(HEADER.pack(len(payload), opcode, flags, self.sequence) + payload)
        return self.sequence

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        try:
            self.connection.sendall(data)
        except OSError as failure:
            raise Ended from failure

    def frame(self) -> tuple[int, int, int, bytes]:
        """The next frame of the worker: opcode, flags, sequence, payload."""
        length, opcode, flags, sequence = HEADER.unpack(self._exactly(HEADER.size))
        return opcode, flags, sequence, self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            try:
                got = self.connection.recv_into(view)
            except OSError as failure:
                raise Ended from failure
            if got == 0:
                raise Ended
            view = view[got:]
        return bytes(data)

    def reply(self, wanted: int) -> Answer:
        """Reads until the reply to that frame is complete; notes everything else."""
        body = bytearray()
        while True:
            opcode, flags, sequence, payload = self.frame()
            if opcode == ACK:
                self.acknowledged, sticky, _zero = struct.unpack('<QiI', payload)
                if sticky:
                    self.deferred.append(sticky)
            elif flags & REPLY and sequence == wanted:
                status, sticky = struct.unpack_from('<ii', payload)
                body += payload[8:]
                if not flags & MORE:
                    return Answer(status, sticky, bytes(body))
            else:
                self.others.append((opcode, payload))

    def call(self, opcode: int, payload: bytes = b'') -> Answer:
        """A call that waits."""
        return self.reply(self.send(opcode, payload, WANT_REPLY))

    def lease(self, address: int, length: int, need: int, extra: int = 0) -> Answer:
        """LEASE."""
        return self.call(LEASE, struct.pack('<4Q', address, length, need, extra))

    def load(self, image: bytes, number: int, kind: int = 1, flags: int = 1) -> Answer:
        """OFFER of a library, and DATA when the worker does not know it."""
        call = module_call(image, number, kind=kind, flags=flags)
        answer = self.call(MODULE_OFFER, call)
        if answer.status or struct.unpack_from('<I', answer.body)[0]:
            return answer
        sent = self.send(MODULE_DATA, call, WANT_REPLY)
        for at in range(0, len(image), MIB):
            self.send(DATA, image[at:at + MIB])
        return self.reply(sent)

    def copy_in(self, address: int, data: bytes, *, stream: int = 0, chunk: int = MIB) -> None:
        """COPY_IN, inline or followed by DATA."""
        head = struct.pack('<3Q', address, len(data), stream)
        if len(data) <= 65536:
            self.send(COPY_IN, head + data)
            return
        self.send(COPY_IN, head)
        for at in range(0, len(data), chunk):
            self.send(DATA, data[at:at + chunk])

    def copy_out(self, address: int, length: int, stream: int = 0) -> Answer:
        """COPY_OUT."""
        return self.call(COPY_OUT, struct.pack('<3Q', address, length, stream))
