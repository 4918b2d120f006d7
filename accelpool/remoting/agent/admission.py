# SPDX-License-Identifier: Apache-2.0
"""Who may have a session or a fresh credential, or hold an allocation: the handshake of every connection that comes in.

An unauthenticated peer may send 4 KiB, take five seconds, and be one of so many; whatever it sends, it gets a refusal
at most.  What its credential says is looked at only after it has proved it.
"""

import asyncio
import collections
import contextlib
import hashlib
import ipaddress
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable

from accelpool import errors
from accelpool.remoting import handshake
from accelpool.remoting.agent import credential, frontdoor, secure
from accelpool.remoting.agent.refusal import BAD, BUSY, EXPIRED, MALFORMED, REVOKED, VERSION, Refused
from accelpool.remoting.agent.sessions import Sessions, SliceState
from accelpool.remoting.handshake import Transport

LOG = logging.getLogger(__name__)

#: Connections that may be in the handshake at a time, of each listener.  One more, and the oldest has to go: so peers
#: that say nothing cannot keep out those who do.
CONCURRENT = 128
#: Holder connections of one allocation.
HOLDERS = 16
_Peer = asyncio.Task[None]


class Admission:
    """Decides about connections; passes sessions on and keeps holders."""

    def __init__(self, host_key: bytes, sessions: Sessions, policy: secure.Policy, door: frontdoor.FrontDoor,
                 events: Callable[..., None]) -> None:
        self._key = host_key
        self._door = door
        self._policy = policy
        self._sessions = sessions
        self._events = events
        self._tasks: set[asyncio.Task[None]] = set()
        self._holders: collections.Counter[str] = collections.Counter()

    @property
    def holders(self) -> list[str]:
        """The allocations that have an open holder connection."""
        return list(self._holders)

    async def listen(self, listener: socket.socket) -> None:
        """Take connections for ever."""
        loop = asyncio.get_running_loop()
        unknown: collections.deque[_Peer] = collections.deque()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as failure:  # out of descriptors: those who are in finish first
                LOG.warning('Cannot accept a connection: %s', failure)
                await asyncio.sleep(0.1)
                continue
            if len(unknown) >= CONCURRENT:
                unknown.popleft().cancel('there are too many at a time; try again')
            task = asyncio.ensure_future(self._serve(connection, unknown))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            unknown.append(task)
            await asyncio.sleep(0)  # a flood of connections must not keep those who are in from their turn

    async def _serve(self, connection: socket.socket, unknown: collections.deque[_Peer]) -> None:
        with connection:
            connection.setblocking(False)
            if connection.family == socket.AF_INET:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                async with asyncio.timeout(handshake.MAX_SECONDS):
                    held = await self._greet(connection)
            except Refused as refused:
                _refuse(connection, refused.code, str(refused))
                return
            except TimeoutError:
                _refuse(connection, MALFORMED, f'the handshake took longer than {handshake.MAX_SECONDS:.0f} s')
                return
            except asyncio.CancelledError as cancelled:
                _refuse(connection, BUSY, str(cancelled) or 'the agent stops')
                return
            except (OSError, EOFError):
                return
            finally:
                with contextlib.suppress(ValueError):
                    unknown.remove(_this_task())
            if held is not None:
                await self._hold(connection, held)

    async def _greet(self, connection: socket.socket) -> str | None:
        """Do what the peer came for, and return the allocation if it is a holder."""
        try:
            opcode, payload = await _frame(connection, {handshake.HELLO, handshake.ROUTE}, handshake.MAX_BYTES)
            if opcode == handshake.HELLO:
                return await self._admit(connection, handshake.parse_hello(payload))
            await self._door.route(connection, payload)
            return None
        except handshake.OtherVersion as failure:
            raise Refused(VERSION, str(failure)) from failure
        except (handshake.Malformed, credential.Malformed) as failure:
            raise Refused(MALFORMED, str(failure)) from failure

    async def _admit(self, connection: socket.socket, hello: handshake.Hello) -> str | None:
        """Do the handshake; hand a session to its worker, send a fresh credential, or return a holder's allocation."""
        key = credential.derive(self._key, hello.claims)
        nonce = secrets.token_bytes(handshake.NONCE)
        transport = self._policy.choose(connection)
        await asyncio.get_running_loop().sock_sendall(connection, handshake.challenge(
            transport, nonce, handshake.agent_proof(key, transport, hello.nonce, nonce)))
        _, proof = await _frame(connection, {handshake.PROOF}, hashlib.sha256().digest_size)
        if not secrets.compare_digest(proof, handshake.client_proof(key, transport, hello.nonce, nonce)):
            raise Refused(BAD, 'this credential is not of this agent')
        claims = credential.Claims.parse(hello.claims)
        if claims.expires < time.time():
            raise Refused(EXPIRED, 'the credential has expired; ask for the attachment again')
        holds = hello.kind == handshake.KIND_HOLDER
        if holds != (claims.slice_id == credential.HOLDER):
            raise Refused(BAD, 'the credential is for something else')
        if holds:
            if transport != Transport.PLAIN:
                raise Refused(BAD, 'a holder connects on its own machine')
            if self._holders[claims.allocation_id] >= HOLDERS:
                raise Refused(BUSY, 'the allocation has as many holders as it can have')
            return claims.allocation_id
        state = self._sessions.slices.get(claims.slice_id)
        if state is None or state.slice.allocation_id != claims.allocation_id \
                or state.slice.generation != claims.generation:
            raise Refused(REVOKED, 'the slice is not yours any more')
        if hello.kind == handshake.KIND_RENEWAL:
            fresh = self._renew(state, claims)
            connection.send(handshake.renewed(
                key, hello.nonce, nonce, credential.mint(self._key, fresh), fresh.expires))
        else:
            self._start(connection, claims, self._policy.parameters(
                transport, handshake.tls_key(key, hello.nonce, nonce)))
        return None

    def _renew(self, state: SliceState, claims: credential.Claims) -> credential.Claims:
        now = int(time.time())
        if state.ending is not None:
            raise Refused(REVOKED, 'the slice is not yours any more')
        if claims.until < now:
            raise Refused(EXPIRED, 'the credential is renewed no more; ask for the attachment again')
        if not state.renew(time.monotonic()):
            raise Refused(BUSY, 'the credentials of this slice are renewed too often')
        return claims.renewed(now)

    def _start(self, connection: socket.socket, claims: credential.Claims, tls: dict[str, str]) -> None:
        try:
            self._sessions.start(claims.slice_id, connection, tls)
        except errors.Conflict as failure:
            raise Refused(BUSY, failure.detail) from failure
        if tls:  # to nobody but the client; its worker waits for the client's first message
            connection.send(handshake.frame(handshake.SECURE))

    async def _hold(self, connection: socket.socket, allocation_id: str) -> None:
        """Watch a holder's connection; its end is the holder's death."""
        loop = asyncio.get_running_loop()
        self._holders[allocation_id] += 1
        self._events('holder-open', allocation_id=allocation_id)
        try:
            await loop.sock_sendall(connection, handshake.frame(handshake.WELCOME))
            while await loop.sock_recv(connection, 64):
                pass
        except OSError:
            pass
        finally:
            self._holders[allocation_id] -= 1
            if not self._holders[allocation_id]:
                del self._holders[allocation_id]
                self._events('holder-closed', allocation_id=allocation_id)


def _this_task() -> _Peer:
    task = asyncio.current_task()
    assert task is not None
    return task


def _refuse(connection: socket.socket, code: int, message: str) -> None:
    """Say why, if the peer takes it at once, and that nothing more will come."""
    with contextlib.suppress(OSError):
        connection.send(handshake.refused(code, message))
        connection.shutdown(socket.SHUT_WR)


async def _frame(connection: socket.socket, wanted: set[int], longest: int) -> tuple[int, bytes]:
    """Return opcode and payload of the one frame that may come now."""
    length, opcode = handshake.parse_header(await _exactly(connection, handshake.HEADER.size))
    if opcode not in wanted or length > longest:
        raise handshake.Malformed(f'a frame {opcode} of {length} bytes where a frame {min(wanted)} was due')
    return opcode, await _exactly(connection, length)


async def _exactly(connection: socket.socket, size: int) -> bytes:
    """Read so many bytes and not one more: what follows belongs to the worker."""
    data = b''
    while len(data) < size:
        part = await asyncio.get_running_loop().sock_recv(connection, size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def listener(url: str) -> socket.socket:
    """Open a listening socket for ``tcp://a.b.c.d:port`` (port 0: a free one) or ``unix:///path``.

    :raises ValueError: no URL of these
    """
    scheme, _, where = url.partition('://')
    if scheme == 'unix':
        with contextlib.suppress(FileNotFoundError):
            os.unlink(where)
        opened = socket.socket(socket.AF_UNIX)
        opened.bind(where)
        os.chmod(where, 0o666)  # noqa: S103  the credential decides, not the file's mode
        opened.listen(CONCURRENT)
    elif scheme == 'tcp':
        host, _, port = where.rpartition(':')
        try:
            ipaddress.IPv4Address(host)
        except ValueError as failure:
            raise ValueError(f'{url}: an agent listens on tcp://<IPv4 address>:<port>') from failure
        if not port.isdecimal() or int(port) > 0xffff:
            raise ValueError(f'{url}: {port} is not a port')
        opened = socket.create_server((host, int(port)), backlog=CONCURRENT)
    else:
        raise ValueError(f'{url}: an agent listens on tcp:// or unix://')
    opened.setblocking(False)
    return opened
