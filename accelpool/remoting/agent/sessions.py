# SPDX-License-Identifier: Apache-2.0
"""Slices of this host and the sessions on them: what workers ask, the ledgers and arbiters answer.

Everything here runs on the event loop's thread, so ledgers and arbiters need no locks.
"""

import asyncio
import collections
import itertools
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from accelpool import errors
from accelpool.remoting.agent import arbiter, content, exports, ledger, packets
from accelpool.remoting.agent.forkserver import ForkServer
from accelpool.remoting.agent.touch import Broken, TouchAccount
from accelpool.remoting.agent.translator import Translator
from accelpool.remoting.agent.uids import Uids
from accelpool.remoting.agent.utilization import Utilization
from accelpool.types import Slice

LOG = logging.getLogger(__name__)

MIB = 1 << 20
#: How much a client may have sent and not seen acknowledged.
WINDOW_BYTES = 16 * MIB
#: Sessions that one slice may have at a time.
SESSIONS = 64
#: Renewals of one slice's credentials in so many seconds: each of its users' guests asks twice a minute at most.
RENEWALS, RENEWALS_PERIOD = 120, 60.0
#: Sessions that the host may have at a time.
HOST_SESSIONS = 510
#: Connections that may be passed on at a time.
PASSING = 256
#: Seconds that a session has to end by itself.
GRACE = 1.0
#: Modules that one session may have waiting for the translator.
TRANSLATIONS = 16
#: Images of one session that are looked at to be kept, at a time.
KEEPING = 4

#: What the kernel takes for no group id at all.
NO_GROUP = 0xffffffff

Events = Callable[..., None]


class DeviceState:
    """A device that has slices here: its arbiter and the timer that the arbiter wants."""

    def __init__(self) -> None:
        self.arbiter = arbiter.Arbiter()
        self.timer: asyncio.TimerHandle | None = None


class SliceState:
    """A slice that may have sessions."""

    def __init__(self, wanted: Slice, project: str, device: dict[str, Any]) -> None:
        self.slice = wanted
        self.project = project
        self.device = device
        self.ledger = ledger.Ledger(wanted.memory * MIB)
        self.utilization = Utilization(time.monotonic_ns())
        self.exports = exports.Exports()
        self.sessions: dict[int, Session] = {}
        self.launches = 0
        self.renewals = 0
        self._renewed: collections.deque[float] = collections.deque(maxlen=RENEWALS)
        self.timer: asyncio.TimerHandle | None = None
        self.ending: asyncio.Future[int] | None = None  # it is being unbound

    @property
    def no_sessions(self) -> str:
        """Why it can have no sessions now; empty: it can."""
        said, remedy = str(self.device.get('no_sessions', '')), str(self.device.get('remedy', ''))
        if said or not remedy:
            return said
        missing = [node for node in dict.fromkeys(self.device['nodes']) if not os.path.exists(node)]
        return f'the device lacks {", ".join(missing)}: {remedy}' if missing else ''

    def renew(self, now: float) -> bool:
        """Count a renewal of its credentials, a sign of life; False: there were too many.

        :param now: seconds of a monotonic clock
        """
        if len(self._renewed) == RENEWALS and self._renewed[0] > now - RENEWALS_PERIOD:
            return False
        self._renewed.append(now)
        self.renewals += 1
        return True


class Session:
    """One worker."""

    def __init__(self, number: int, state: SliceState, uid: int | None) -> None:
        self.number = number
        self.state = state
        self.uid = uid
        self.allocated = 0
        self.ended = asyncio.Event()
        self.starting: asyncio.TimerHandle | None = None
        self.channel: packets.Channel
        self.translations: set[asyncio.Task[None]] = set()
        self.keeping: set[asyncio.Task[None]] = set()
        self.translating = asyncio.Lock()  # one at a time, so that nobody fills the translator's queue

    def got_ready(self) -> None:
        """Nobody waits for it any more, or it is over."""
        if self.starting is not None:
            self.starting.cancel()


class Sessions:
    """All slices, devices and sessions of this host."""

    def __init__(self, translator: Translator, touch: TouchAccount, uids: Uids, events: Events,
                 stop: Callable[[], None], start_timeout: float) -> None:
        """
        :param start_timeout: seconds from a worker's start to its READY
        :param events: told what happens: name, then fields
        :param stop: called when the fork server has died: nothing works without it
        """
        self.slices: dict[str, SliceState] = {}
        self._devices: dict[str, DeviceState] = {}
        self._sessions: dict[int, Session] = {}
        self._start_timeout = start_timeout
        self._passing: dict[int, int | None] = {}  # uid of each process that passes bytes on
        self._numbers = itertools.count(1)
        self._translator = translator
        self._touch = touch
        self._uids = uids
        self._content = content.ContentCache()
        self._events = events
        self._forkserver = ForkServer(self._exited, stop)

    # --- slices ---

    async def bind(self, wanted: Slice, project: str, device: dict[str, Any]) -> None:
        """Admit sessions to a slice; one that is known takes the new share and size.

        A higher generation ends the sessions that were admitted before it.

        :raises InvalidRequest: the slice or the device lacks something
        :raises Conflict: the slice is on another device, has a higher generation already or is being unbound
        """
        _check(wanted, device)
        known = self.slices.get(wanted.id)
        if known is None:
            self.slices[wanted.id] = SliceState(wanted, project, device)
        else:
            before = known.slice
            if known.ending is not None or before.generation > wanted.generation \
                    or before.device_id != wanted.device_id or before.allocation_id != wanted.allocation_id:
                raise errors.Conflict(f'Slice {wanted.id} is bound otherwise, or is being unbound')
            known.slice, known.device = wanted, device
            self._tell(known.ledger.resize(wanted.memory * MIB), known)
            if before.generation < wanted.generation:
                await self.end(known.sessions.values(), packets.END_UNBOUND)
        on = self._devices.setdefault(wanted.device_id, DeviceState())
        on.arbiter.add_slice(wanted.id, wanted.compute, wanted.strict, time.monotonic_ns())

    async def unbind(self, slice_id: str) -> int:
        """End a slice's sessions and forget it; returns how many sessions there were.

        Whoever asks again meanwhile waits too: when it returns no worker of the slice is left.

        :raises NotFound: the slice is not bound
        """
        state = self.slices.get(slice_id)
        if state is None:
            raise errors.NotFound(f'Slice {slice_id} is not bound here')
        if state.ending is None:
            state.ending = asyncio.ensure_future(self._unbind(state))
        return await asyncio.shield(state.ending)

    async def _unbind(self, state: SliceState) -> int:
        ending = list(state.sessions.values())
        await self.end(ending, packets.END_UNBOUND)
        self._devices[state.slice.device_id].arbiter.remove_slice(state.slice.id)
        if state.timer is not None:
            state.timer.cancel()
        del self.slices[state.slice.id]
        return len(ending)

    async def end(self, ending: Iterable[Session], reason: int) -> None:
        """End sessions; those that do not by themselves are killed.  Returns when their workers are dead."""
        chosen = list(ending)
        for session in chosen:
            self._send(session, packets.END, a=reason)
        waiting = [asyncio.ensure_future(session.ended.wait()) for session in chosen]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=GRACE)
            for session in chosen:
                if not session.ended.is_set():
                    self._forkserver.kill(session.number)
            if late:
                await asyncio.wait(late)

    async def close(self) -> None:
        await self.end(list(self._sessions.values()), packets.END_SHUTDOWN)
        self._forkserver.close()
        self._content.close()

    # --- sessions ---

    def start(self, slice_id: str, connection: socket.socket, tls: Mapping[str, str]) -> None:
        """Start a worker for an authenticated connection; the worker says WELCOME.

        :param tls: the worker's parameters for its end of it; empty: plaintext
        :raises Conflict: the slice, or the host, has as many sessions as it can have, the slice has no memory for the
            context of one more, can have no sessions at all, or is being unbound
        """
        state = self.slices[slice_id]
        if state.no_sessions:  # known only since the credential was made
            raise errors.Conflict(state.no_sessions)
        if state.ending is not None:
            raise errors.Conflict('the slice is not yours any more')
        uid = self._uids.take()
        full = len(state.sessions) >= SESSIONS or len(self._sessions) >= HOST_SESSIONS
        if full or (uid is None and self._uids.available):
            self._uids.give(uid)
            raise errors.Conflict('there are as many sessions as there can be')
        number = next(self._numbers)
        if not state.ledger.join(number, state.slice.overhead * MIB):
            self._uids.give(uid)
            raise errors.Conflict(f'the context of one more session takes {state.slice.overhead} MiB of the slice, and '
                                  f'{state.ledger.free // MIB} MiB of it are free')
        session = Session(number, state, uid)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        session.channel = packets.Channel(
            ours, lambda packet: self._packet(session, packet), lambda: self._forkserver.kill(number))
        self._sessions[number] = state.sessions[number] = session
        self._touch.join(number)
        self._devices[state.slice.device_id].arbiter.join(number, slice_id)
        with theirs:
            started = self._forkserver.spawn(number, self._parameters(session) | dict(tls), [
                connection.fileno(), theirs.fileno()])
        self._event('session-open', state)
        if started:
            session.starting = asyncio.get_running_loop().call_later(
                self._start_timeout, self._give_up, session)
        else:
            self._exited(number, -1)

    def pass_on(self, consumer: socket.socket, onwards: socket.socket) -> bool:
        """Start a process that passes bytes on between two sockets; False: there are as many as there can be."""
        if len(self._passing) >= PASSING:
            return False
        uid = self._uids.take()
        if uid is None and self._uids.available:
            return False
        number = next(self._numbers)
        identity = {} if uid is None else {'uid': str(uid), 'gid': str(uid)}
        if not self._forkserver.spawn(number, {'task': 'forward', **identity}, [consumer.fileno(), onwards.fileno()]):
            self._uids.give(uid)
            return False
        self._passing[number] = uid
        return True

    def _give_up(self, session: Session) -> None:
        LOG.warning('Session %d on slice %s was not ready within %g s', session.number, session.state.slice.id,
                    self._start_timeout)
        self._forkserver.kill(session.number)

    @staticmethod
    def _parameters(session: Session) -> dict[str, str]:
        state, wanted, device = session.state, session.state.slice, session.state.device
        identity = {} if session.uid is None else {'uid': str(session.uid), 'gid': str(session.uid)}
        if session.uid is not None and device.get('group') is not None:
            identity['group'] = str(device['group'])
        return {
            'interface': device['interface'], 'library': device['library'], 'slice': wanted.id,
            'allocation': wanted.allocation_id, 'project': state.project,
            'memory_limit': str(wanted.memory * MIB), 'compute': str(wanted.compute),
            'strict': str(int(wanted.strict)), 'window_bytes': str(WINDOW_BYTES), **identity,
            **{f'env:{name}': str(value) for name, value in device.get('env', {}).items()}}

    def _exited(self, number: int, status: int) -> None:
        """A worker is dead: everything that it held is free."""
        if number in self._passing:
            self._uids.give(self._passing.pop(number))
        session = self._sessions.pop(number, None)
        if session is None:
            return
        state = session.state
        if status not in {0, 9}:
            LOG.warning('Session %d on slice %s ended with wait status %d', number, state.slice.id, status)
        session.got_ready()
        session.channel.drain()  # its last report
        session.channel.close()
        for task in session.translations:
            task.cancel()
        self._touch.leave(number)
        self._uids.give(session.uid)
        del state.sessions[number]
        state.exports.leave(number)
        self._tell(state.ledger.leave(number), state)
        on = self._devices[state.slice.device_id]
        self._instruct(on, on.arbiter.leave(number, time.monotonic_ns()))
        session.ended.set()
        self._event('session-end', state)

    def _event(self, name: str, state: SliceState) -> None:
        self._events(name, allocation_id=state.slice.allocation_id, slice_id=state.slice.id)

    # --- what workers say ---

    def _packet(self, session: Session, packet: packets.Packet) -> None:
        try:
            self._answer(session, packet)
        except (ledger.ProtocolError, Broken, ValueError) as failure:
            LOG.warning('Session %d breaks the rules: %s', session.number, failure)
            self._forkserver.kill(session.number)
        finally:
            for descriptor in packet.descriptors:
                os.close(descriptor)

    def _answer(self, session: Session, packet: packets.Packet) -> None:
        state, now = session.state, time.monotonic_ns()
        on = self._devices[state.slice.device_id]
        match packet.type:
            case packets.READY:
                session.got_ready()
            case packets.RESERVE:
                self._tell(state.ledger.reserve(session.number, packet.id, packet.a, packet.b, now), state)
            case packets.RELEASE:
                self._tell(state.ledger.release(session.number, packet.a, bool(packet.b)), state)
            case packets.WANT:
                self._instruct(on, on.arbiter.want(session.number, now))
            case packets.YIELD:
                self._instruct(on, on.arbiter.give(session.number, packet.a, bool(packet.b), now))
                state.utilization.note(on.arbiter.used(state.slice.id), now)
            case packets.USAGE:
                state.launches += packet.c
                session.allocated = min(packet.b, state.ledger.held_by(session.number))
                self._instruct(on, on.arbiter.use(session.number, packet.a, now))
                state.utilization.note(on.arbiter.used(state.slice.id), now)
            case packets.MEMINFO:
                self._send(session, packets.MEMINFO, packet.id, state.ledger.free, state.ledger.limit,
                           state.utilization.percent(on.arbiter.used(state.slice.id), now))
            case packets.TOUCH:
                self._send(session, packets.TOUCH, packet.id, self._touch.allow(session.number, packet.a, packet.b))
            case packets.UNTOUCH:
                self._touch.give_back(session.number, packet.a)
            case packets.TRANSLATE | packets.CONTENT_FIND | packets.CONTENT_KEEP:
                self._answer_module(session, packet)
            case packets.EXPORT | packets.EXPORT_ALLOW | packets.EXPORT_END | packets.IMPORT:
                self._answer_export(session, packet)
            case _:
                raise ValueError(f'a packet of type {packet.type}')

    def _answer_export(self, session: Session, packet: packets.Packet) -> None:
        known, blob = session.state.exports, packet.blob
        match packet.type:
            case packets.EXPORT:
                key = known.add(session.number, exports.Memory(packet.a, packet.b, blob), bool(packet.c),
                                packet.descriptors[0] if packet.descriptors else None)
                self._send(session, packets.EXPORT, packet.id, bool(key), blob=key)
            case packets.EXPORT_ALLOW:
                self._send(session, packets.EXPORT_ALLOW, packet.id, known.allow(session.number, blob))
            case packets.EXPORT_END:
                self._send(session, packets.EXPORT_END, packet.id, known.end(session.number, blob))
            case packets.IMPORT:
                memory, descriptor = known.find(blob, packet.a) or (exports.Memory(0, 0, b''), None)
                self._send(session, packets.IMPORT, packet.id, memory.size, memory.offset, blob=memory.numbers,
                           descriptors=[] if descriptor is None else [descriptor])

    def _answer_module(self, session: Session, packet: packets.Packet) -> None:
        match packet.type:
            case packets.TRANSLATE:
                if len(session.translations) >= TRANSLATIONS:
                    raise ValueError('too many modules at a time')
                if not packet.descriptors:
                    raise ValueError('a module without its text')
                text = os.dup(packet.descriptors[0])
                task = asyncio.ensure_future(self._translate(session, packet, text))
                session.translations.add(task)
                task.add_done_callback(session.translations.discard)
                task.add_done_callback(lambda _: os.close(text))
            case packets.CONTENT_FIND:
                found = self._content.find(session.state.project, packet.blob)
                self._send(session, packets.CONTENT_FIND, packet.id, found[1] if found else 0,
                           descriptors=[found[0]] if found else [])
            case packets.CONTENT_KEEP:
                if not packet.descriptors:
                    raise ValueError('content without a file')
                if len(session.keeping) < KEEPING:  # it is a favour: the next run uploads again
                    self._spawn_keep(session, packet)

    def _spawn_keep(self, session: Session, packet: packets.Packet) -> None:
        image = os.dup(packet.descriptors[0])
        task = asyncio.ensure_future(self._keep(session.state.project, packet, image))
        session.keeping.add(task)
        task.add_done_callback(session.keeping.discard)
        task.add_done_callback(lambda _: os.close(image))

    async def _keep(self, project: str, packet: packets.Packet, image: int) -> None:
        # On a thread: hashing takes a while, and the loop is the arbiter's clock.
        if await asyncio.to_thread(content.is_genuine, image, packet.blob, packet.a):
            self._content.keep(project, packet.blob, image, packet.a)
        else:
            LOG.warning('A worker of project %s sent content that is not what it says', project)

    async def _translate(self, session: Session, packet: packets.Packet, text: int) -> None:
        async with session.translating:
            status, log, module = await self._translator.translate(text, packet.a)
        try:
            self._send(session, packets.TRANSLATE, packet.id, status, blob=log,
                       descriptors=[module] if module >= 0 else [])
        finally:
            if module >= 0:
                os.close(module)

    def _send(self, session: Session, kind: int, number: int = 0, a: int = 0, b: int = 0, c: int = 0, *,
              blob: bytes = b'', descriptors: Sequence[int] = ()) -> None:
        """Send a packet; a worker that lets its packets pile up would miss one, and dies instead."""
        if not session.channel.send(kind, number, a, b, c, blob=blob, descriptors=descriptors):
            self._forkserver.kill(session.number)

    def _tell(self, actions: Iterable[ledger.Action], state: SliceState) -> None:
        """Send a ledger's decisions; keep its timer."""
        for action in actions:
            session = self._sessions.get(action.session)
            if session is None:
                continue
            if isinstance(action, ledger.Answer):
                self._send(session, packets.RESERVE, action.question, action.granted)
            else:
                self._send(session, packets.RECALL, a=action.wanted)
        if state.timer is not None:
            state.timer.cancel()
        due = state.ledger.deadline
        state.timer = None if due is None else self._at(
            due, lambda: self._tell(state.ledger.expire(time.monotonic_ns()), state))

    def _instruct(self, on: DeviceState, instructions: Iterable[arbiter.Instruction]) -> None:
        """Send an arbiter's decisions; keep its timer."""
        for instruction in instructions:
            session = self._sessions.get(instruction.session)
            if session is None:
                continue
            if isinstance(instruction, arbiter.Grant):
                self._send(session, packets.GRANT, a=instruction.budget)
            else:
                self._send(session, packets.REVOKE)
        if on.timer is not None:
            on.timer.cancel()
        due = on.arbiter.deadline()
        on.timer = None if due is None else self._at(
            due, lambda: self._instruct(on, on.arbiter.tick(time.monotonic_ns())))

    @staticmethod
    def _at(due: int, act: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(max(0.0, (due - time.monotonic_ns()) / 1e9), act)

    # --- reports ---

    def report(self) -> list[dict[str, Any]]:
        """Return every slice with what it uses: bytes, nanoseconds of device time, launches."""
        return [{
            'slice_id': state.slice.id, 'allocation_id': state.slice.allocation_id,
            'generation': state.slice.generation, 'sessions': len(state.sessions), 'renewals': state.renewals,
            'allocated_bytes': sum(session.allocated for session in state.sessions.values()),
            'charged_bytes': state.ledger.reserved, 'peak_bytes': state.ledger.peak,
            'limit_bytes': state.ledger.limit, 'launches': state.launches,
            'device_ns': self._devices[state.slice.device_id].arbiter.used(state.slice.id),
        } for state in self.slices.values()]

    def usage(self) -> dict[str, Any]:
        """Return what slices, devices and the host use."""
        return {
            'slices': self.report(),
            'devices': [{'device_id': name, 'busy_ns': on.arbiter.busy_ns, 'grants': on.arbiter.grants}
                        for name, on in self._devices.items()],
            'touched_bytes': self._touch.total, 'touched_limit': self._touch.limit,
        }


def _check(wanted: Slice, device: dict[str, Any]) -> None:
    """:raises InvalidRequest: what a worker would choke on later"""
    if not (1 <= wanted.compute <= 100 and wanted.memory > 0):
        raise errors.InvalidRequest(f'Slice {wanted.id} has {wanted.compute} % and {wanted.memory} MiB')
    names = (device.get('interface'), device.get('library'), wanted.id, wanted.allocation_id)
    texts = [text for pair in device.get('env', {}).items() for text in pair]
    if not all(names) or not all(isinstance(text, str) and '\0' not in text for text in (*names, *texts)):
        raise errors.InvalidRequest(f'Slice {wanted.id}: the device has no interface, no library or an odd environment')
    group = device.get('group')
    if group is not None and (not isinstance(group, int) or not 0 < group < NO_GROUP):
        raise errors.InvalidRequest(f'Slice {wanted.id}: sessions cannot be in the group {group}')
