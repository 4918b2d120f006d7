# SPDX-License-Identifier: Apache-2.0
"""Just enough of an agent, in one thread, to put a real client library in front of a real worker.

It admits everybody who holds its one credential, grants all memory up to the slice's limit and all of the device,
and translates PTX where the worker cannot.  Tests of admission, metering and sharing use the real agent.
"""

import array
import collections
import contextlib
import json
import os
import pathlib
import secrets
import selectors
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator

from accelpool.drivers.mock import ptx
from accelpool.remoting import artefacts, handshake
from accelpool.remoting.agent import exports

LIMIT = 512 << 20
PACKET = struct.Struct('<IIQQQ')
RESERVE, RELEASE, WANT, TRANSLATE, MEMINFO, GRANT, CONTENT_FIND, TOUCH = 2, 3, 4, 7, 8, 4, 11, 13
EXPORT, EXPORT_ALLOW, EXPORT_END, IMPORT = 20, 21, 22, 23
FOREVER_NS = 1 << 60
#: Percent that every slice is told of.
UTILIZATION = 37
DEVICE = 'name=loop-back device;uuid=00112233445566778899aabbccddeeff;memory_mib=30720;cc=8.6;sm=16;pci=0000:01:00.0'

class Loopback:
    """A listening stand-in agent; sessions live as long as it does."""

    def __init__(self, place: pathlib.Path, *, limit: int = LIMIT, tcp: bool = False, devices: int = 1,
                 transport: handshake.Transport = handshake.Transport.PLAIN, interface: str = 'cuda',
                 listener: socket.socket | None = None) -> None:
        self.limit, self._place, self._transport, self._interface = limit, place, transport, interface
        self._reserved: collections.Counter[int] = collections.Counter()
        self._exports = exports.Exports()
        self._key = secrets.token_bytes(32)
        self._claims = f'v2:allocation:slice:1:{int(time.time()) + 3600}:300:0'
        if listener is None:
            listener = socket.create_server(('127.0.0.1', 0)) if tcp else socket.socket(socket.AF_UNIX)
        self._listener = listener
        if listener.family == socket.AF_INET:
            self.url = 'tcp://{}:{}'.format(*self._listener.getsockname())
        else:
            self._listener.bind(str(place / 'agent.sock'))
            self._listener.listen()
            self.url = f'unix://{place}/agent.sock'
        self.attachment = place / 'attachment.json'
        self._write_attachment(devices)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server = ours
        self.sessions: dict[int, socket.socket] = {}
        self.pids: dict[int, int] = {}
        self._process = subprocess.Popen([str(artefacts.worker()), '--fork-server'], pass_fds=[3], close_fds=True,
                                         preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
        theirs.close()
        self._stop, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _write_attachment(self, devices: int) -> None:
        """Each device is a session of its own; all of them are charged to the one slice."""
        text = json.dumps({'version': 1, 'technique': 'interpose', 'allocation': 'allocation', 'holder': None,
                           'devices': [{'ordinal': ordinal, 'slice': 'slice', 'interface': self._interface, 'expires': 0,
                                        'urls': [{'url': self.url, 'network': 'default'}],
                                        'credential': f'{self._claims}:{self._key.hex()}'}
                                       for ordinal in range(devices)]})
        descriptor = os.open(self.attachment, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, 'w') as file:
            file.write(text)

    @property
    def environment(self) -> dict[str, str]:
        """For a program that shall use the slice."""
        library = str(artefacts.client_library_dir(self._interface))
        inherited = {k: v for k, v in os.environ.items() if k not in {'LD_PRELOAD'}}
        return inherited | {'ACCELPOOL_ATTACHMENT': str(self.attachment), 'LD_LIBRARY_PATH': library}

    def settle(self) -> None:
        """Wait until nobody has memory of the slice: a worker ends a little after its program."""
        deadline = time.monotonic() + 30
        while self._reserved.total():
            assert time.monotonic() < deadline, self._reserved
            time.sleep(0.01)

    def close(self) -> None:
        self._stop.close()
        self._thread.join()
        self._server.close()
        self._process.wait(10)
        self._listener.close()

    # --- the one thread ---

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            self._selector = selector
            selector.register(self._listener, selectors.EVENT_READ, self._admit)
            selector.register(self._server, selectors.EVENT_READ, self._report)
            selector.register(self._wake, selectors.EVENT_READ, None)
            while True:
                for key, _events in selector.select():
                    if key.data is None:
                        return
                    key.data()

    def _report(self) -> None:
        data = self._server.recv(65536)
        if not data:
            self._selector.unregister(self._server)
            return
        kind, session, a, _b, _c = PACKET.unpack_from(data)
        if kind == 33:
            self.pids[session] = a

    def _admit(self) -> None:
        connection, _ = self._listener.accept()
        with contextlib.closing(connection), contextlib.suppress(ConnectionError):
            connection.settimeout(5)
            if connection.family == socket.AF_INET:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            hello = handshake.parse_hello(self._frame(connection))
            nonce = secrets.token_bytes(handshake.NONCE)
            if hello.claims != self._claims:
                connection.sendall(handshake.refused(1, 'this credential is not for this agent'))
                return
            said = self._transport
            connection.sendall(handshake.challenge(
                said, nonce, handshake.agent_proof(self._key, said, hello.nonce, nonce)))
            if self._frame(connection) != handshake.client_proof(self._key, said, hello.nonce, nonce):
                connection.sendall(handshake.refused(1, 'wrong proof'))
                return
            secure = {}
            if said == handshake.Transport.TLS_PSK:
                secure = {'transport': str(int(said)),
                          'tls_key': handshake.tls_key(self._key, hello.nonce, nonce).hex()}
                connection.sendall(handshake.frame(handshake.SECURE))
            self._spawn(connection, secure)

    def _frame(self, connection: socket.socket) -> bytes:
        length, _opcode = handshake.parse_header(self._exactly(connection, handshake.HEADER.size))
        return self._exactly(connection, length)

    @staticmethod
    def _exactly(connection: socket.socket, length: int) -> bytes:
        data = b''
        while len(data) < length:
            part = connection.recv(length - len(data))
            if not part:
                raise ConnectionError
            data += part
        return data

    def _spawn(self, connection: socket.socket, secure: dict[str, str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        session = len(self.sessions) + 1
        self.sessions[session] = ours
        parameters = {'interface': self._interface, 'library': str(artefacts.emulated_library(self._interface)),
                      'slice': 'slice',
                      'allocation': 'allocation', 'project': 'test', 'memory_limit': str(self.limit),
                      'compute': '100', 'strict': '0', 'window_bytes': str(4 << 20),
                      'env:ACCELPOOL_EMU_DEVICE': DEVICE, **secure}
        blob = b''.join(f'{k}\0{v}\0'.encode() for k, v in parameters.items())
        connection.settimeout(None)
        self._send(self._server, PACKET.pack(32, session, 0, 0, 0) + blob, [connection.fileno(), theirs.fileno()])
        theirs.close()
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._serve(session, ours))

    @staticmethod
    def _send(to: socket.socket, data: bytes, descriptors: list[int]) -> None:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', descriptors))
        to.sendmsg([data], [rights] if descriptors else [])

    def _serve(self, session: int, control: socket.socket) -> None:
        try:
            data, descriptors, _flags, _address = socket.recv_fds(control, 65536, 1)
        except ConnectionError:
            data, descriptors = b'', []
        if not data:
            self._selector.unregister(control)
            del self._reserved[session]
            self._exports.leave(session)
            return
        free = self.limit - self._reserved.total()
        kind, question, a, b, c = PACKET.unpack_from(data)
        if kind == RESERVE:
            granted = min(a + b, free) if a <= free else 0
            self._reserved[session] += granted
            self._send(control, PACKET.pack(RESERVE, question, granted, 0, 0), [])
        elif kind == RELEASE:
            self._reserved[session] -= a
        elif kind == WANT:
            self._send(control, PACKET.pack(GRANT, 0, FOREVER_NS, 0, 0), [])
        elif kind == MEMINFO:
            self._send(control, PACKET.pack(MEMINFO, question, free, self.limit, UTILIZATION), [])
        elif kind == TOUCH:
            self._send(control, PACKET.pack(TOUCH, question, a + b, 0, 0), [])
        elif kind == CONTENT_FIND:  # every run uploads
            self._send(control, PACKET.pack(CONTENT_FIND, question, 0, 0, 0), [])
        elif kind == TRANSLATE:
            self._answer_translation(control, question, descriptors[0], a)
        elif kind in {EXPORT, EXPORT_ALLOW, EXPORT_END, IMPORT}:
            memory = exports.Memory(a, b, data[PACKET.size:])
            self._share(session, control, (kind, question), memory, c, descriptors[0] if descriptors else None)
        for descriptor in descriptors:
            os.close(descriptor)

    def _share(self, session: int, control: socket.socket, head: tuple[int, int], memory: exports.Memory, for_all: int,
               descriptor: int | None) -> None:
        """Memory that sessions share; all of them are of one slice here."""
        known, kind, blob = self._exports, head[0], memory.numbers
        if kind == IMPORT:
            found, file = known.find(blob, memory.size) or (exports.Memory(0, 0, b''), None)
            self._send(control, PACKET.pack(*head, found.size, found.offset, 0) + found.numbers,
                       [] if file is None else [file])
            return
        key = known.add(session, memory, bool(for_all), descriptor) if kind == EXPORT else b''
        done = key or (known.allow(session, blob) if kind == EXPORT_ALLOW else kind == EXPORT_END and known.end(session, blob))
        self._send(control, PACKET.pack(*head, bool(done), 0, 0) + key, [])

    def _answer_translation(self, control: socket.socket, question: int, descriptor: int, length: int) -> None:
        module = self._place / 'module.so'
        try:
            ptx.compile_module(os.pread(descriptor, length, 0).rstrip(b'\0'), module)
        except ptx.PtxError as failure:
            self._send(control, PACKET.pack(TRANSLATE, question, 218, 0, 0) + str(failure).encode(), [])
            return
        with open(module, 'rb') as file:
            self._send(control, PACKET.pack(TRANSLATE, question, 0, 0, 0), [file.fileno()])
        module.unlink()


@contextlib.contextmanager
def running(*, limit: int = LIMIT, tcp: bool = False, devices: int = 1,
            transport: handshake.Transport = handshake.Transport.PLAIN, interface: str = 'cuda',
            listener: socket.socket | None = None) -> Iterator[Loopback]:
    """A stand-in agent for the length of a with block."""
    with tempfile.TemporaryDirectory() as place:
        agent = Loopback(pathlib.Path(place), limit=limit, tcp=tcp, devices=devices, transport=transport, interface=interface,
                         listener=listener)
        try:
            yield agent
        finally:
            agent.close()
