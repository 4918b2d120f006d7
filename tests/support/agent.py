# SPDX-License-Identifier: Apache-2.0
"""A real agent process with real workers for tests, and both kinds of client that it has.

The workers run tests/native/agent/stub_session.c, which obeys one-line orders: see there.
"""

import atexit
import functools
import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable, Sequence
from typing import Any

from accelpool.remoting import handshake
from accelpool.types import Slice

ROOT = pathlib.Path(__file__).parents[2]
WORKER = ROOT / 'accelpool/remoting/native/worker'
STUB = ROOT / 'tests/native/agent/stub_session.c'
PARTS = ('main', 'forkserver', 'forward', 'confine', 'parameters', 'control', 'sandbox')
#: Seconds after which a test gives up.
PATIENCE = 30


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true value."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f'{what}: not within {PATIENCE} s')
        time.sleep(0.01)
    return value


@functools.cache
def native() -> pathlib.Path:
    """Build the worker with the stub; return the directory for ``ACCELPOOL_NATIVE``."""
    place = pathlib.Path(tempfile.mkdtemp(prefix='accelpool-stub-'))
    atexit.register(shutil.rmtree, place)
    (place / 'bin').mkdir()
    place.chmod(0o755)
    subprocess.run(
        [os.environ.get('CC', 'gcc'), '-std=c11', '-D_GNU_SOURCE', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-pthread',
         f'-I{WORKER}', f'-I{WORKER.parent}/common', '-o', place / 'bin/accelpool-worker',
         *(WORKER / f'{part}.c' for part in PARTS), STUB, '-lseccomp'], check=True)
    return place


class Refused(Exception):
    """The agent refused a connection."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class ControlError(Exception):
    """The agent answered a request with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Control:
    """A conductor's connection."""

    def __init__(self, path: pathlib.Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile('rb')
        self._number = 0

    def ask(self, method: str, **params: Any) -> Any:
        self._number += 1
        self.socket.sendall(json.dumps({'v': 1, 'id': self._number, 'method': method, 'params': params}).encode() + b'\n')
        answer = self.line()
        assert answer['id'] == self._number
        if 'error' in answer:
            raise ControlError(answer['error']['code'], answer['error']['message'])
        return answer['result']

    def line(self) -> dict[str, Any]:
        return json.loads(self.lines.readline())

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


def connect(url: str) -> socket.socket:
    scheme, _, where = url.partition('://')
    if scheme == 'unix':
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(where)
        return connection
    host, _, port = where.rpartition(':')
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def receive(connection: socket.socket, size: int) -> bytes:
    data = b''
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def frame(connection: socket.socket) -> tuple[int, bytes]:
    length, opcode = handshake.parse_header(receive(connection, handshake.HEADER.size))
    return opcode, receive(connection, length)


def expect(connection: socket.socket, opcode: int) -> bytes:
    """Return the payload of the next frame.  :raises Refused: it is a refusal"""
    found, payload = frame(connection)
    if found == handshake.REFUSED:
        raise Refused(*handshake.parse_refused(payload))
    assert found == opcode, found
    return payload


def admit(url: str, credential: str, kind: int = handshake.KIND_SESSION) -> socket.socket:
    """Connect and do the handshake up to WELCOME.  :raises Refused: the agent says no"""
    secret = handshake.Credential.parse(credential)
    connection = connect(url)
    try:
        nonce = secrets.token_bytes(handshake.NONCE)
        connection.sendall(handshake.hello(kind, secret.claims, nonce))
        transport, theirs, _proof = handshake.parse_challenge(expect(connection, handshake.CHALLENGE))
        connection.sendall(handshake.frame(
            handshake.PROOF, handshake.client_proof(secret.key, transport, nonce, theirs)))
        expect(connection, handshake.WELCOME)
    except BaseException:
        connection.close()
        raise
    return connection


class Session:
    """A client of the stub."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.lines = connection.makefile('r')

    def order(self, text: str) -> str:
        """Send one order and return the answer to it."""
        self.send(text)
        return self.hear()

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode() + b'\n')

    def hear(self) -> str:
        """Return the next line; '' at the end."""
        try:
            return self.lines.readline().rstrip('\n')
        except ConnectionResetError:
            return ''

    def packet(self, kind: int, number: int = 0, a: int = 0, b: int = 0, c: int = 0) -> None:
        """Have the worker send a packet to the agent."""
        assert self.order(f'packet {kind} {number} {a} {b} {c}') == 'sent'

    def said(self) -> tuple[int, int, int, int]:
        """Return type, id, a, b of the next packet that the agent sent to the worker."""
        words = self.hear().split()
        assert words[:1] == ['agent'], words
        return int(words[1]), int(words[2]), int(words[3]), int(words[4])

    def ask(self, kind: int, number: int = 0, a: int = 0, b: int = 0) -> tuple[int, int, int, int]:
        self.packet(kind, number, a, b)
        return self.said()

    def facts(self) -> dict[str, Any]:
        return json.loads(self.order('facts'))

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


class Agent:
    """An agent process; its state directory outlives it."""

    def __init__(self, case: unittest.TestCase, *, worker: pathlib.Path | None = None, listen: str = 'tcp://127.0.0.9:0',
                 place: pathlib.Path | None = None,
                 command: Sequence[str] = (sys.executable, '-m', 'accelpool.cmd.agent'), user: int | None = None,
                 arguments: Sequence[str] = ()) -> None:
        """
        :param arguments: of the agent, besides the usual ones
        :param worker: directory of the native parts; None: with the stub
        :param user: uid to become instead of the test's, after everything has been imported
        """
        self._case = case
        if place is None:
            made = tempfile.TemporaryDirectory(prefix='accelpool-agent-')
            case.addCleanup(made.cleanup)
            place = pathlib.Path(made.name)
        self.place = place
        if user is not None:
            os.chown(place, user, user)
            command = [sys.executable, '-c', 'import os, sys; from accelpool.cmd import agent; os.setgroups([]); '
                       f'os.setresgid(*[{user}] * 3); os.setresuid(*[{user}] * 3); sys.exit(agent.main())']
        (place / 'agent.json').unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [*command, '--host', 'test', '--state-dir', str(place),
             '--listen', listen, '--touched-limit-mib', '64', *arguments],
            cwd=ROOT, env=os.environ | {'ACCELPOOL_NATIVE': str(worker or native()), 'SECRET_OF_THE_AGENT': 'x'},
            stderr=(place / 'log').open('ab'))
        case.addCleanup(self.stop)
        wait_for(lambda: (place / 'agent.json').exists() or self.process.poll() is not None, 'agent.json')
        if self.process.poll() is not None:
            raise AssertionError((place / 'log').read_text())
        self.control = self.connect()
        self.about = self.control.ask('hello')
        self.url = self.about['advertise'][0]['url']

    def connect(self) -> Control:
        control = Control(self.place / 'agent.sock')
        self._case.addCleanup(control.close)
        return control

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)

    def log(self) -> str:
        return (self.place / 'log').read_text()

    def bind(self, name: str = 'slice-1', *, compute: int = 30, memory: int = 512, strict: bool = False,
             generation: int = 1, device: str = 'device-1', library: str = '/etc/hostname', interface: str = 'cuda',
             overhead: int = 0, nodes: Sequence[str] = (), remedy: str = '', **env: str) -> None:
        wanted = Slice(id=name, allocation_id=f'of-{name}', device_id=device, host='test', compute=compute,
                       memory=memory, overhead=overhead, strict=strict, generation=generation)
        self.control.ask('bind', slice=wanted.to_dict(), project='project', device={
            'id': device, 'memory': 30720, 'compute': 100, 'interface': interface, 'library': library,
            'env': {'GREETING': 'hello world', **env}, 'nodes': list(nodes), 'remedy': remedy})

    def credential(self, name: str = 'slice-1', *, generation: int = 1, lifetime: int = 300) -> str:
        answer = self.control.ask('attach', slice_id=name, allocation_id=f'of-{name}', generation=generation,
                                  lifetime=lifetime)
        return answer['credential']

    def session(self, name: str = 'slice-1', url: str | None = None) -> Session:
        session = Session(admit(url or self.url, self.credential(name)))
        self._case.addCleanup(session.close)
        return session

    def slice(self, name: str = 'slice-1') -> dict[str, Any]:
        return next(found for found in self.control.ask('slices') if found['slice_id'] == name)
