# SPDX-License-Identifier: Apache-2.0
"""What a conductor does for an allocation: the methods here are what its topic offers.

Each one reads where the allocation stands and goes on from there, so a repeated or late message does no harm:
the scheduler's casts, the reconciler's repetitions and this host's own look come in any order.
"""

import threading
from collections.abc import Callable
from typing import Any

from oslo_log import log as logging

from accelpool import errors
from accelpool.allocations.states import Event, State
from accelpool.conductor.agentclient import Agent
from accelpool.conductor.slices import Slices
from accelpool.conductor.standing import Standing
from accelpool.db import allocation as db_allocation
from accelpool.db import session as db_session
from accelpool.db import slice as db_slice
from accelpool.types import Device, Isolation, Slice

LOG = logging.getLogger(__name__)

BINDABLE = (State.SCHEDULED, State.BINDING, State.ACTIVE)
GIVEN_BACK = (State.RELEASING, State.ERROR)

#: Locks that keep two threads from working on the same allocation; more of them collide less.
STRIPES = 64


class Allocations:
    """Serves ``accelpool.conductor`` on one host."""

    def __init__(self, host: str, slices: Slices, agent: Agent, *, device: Callable[[str], Device],
                 lifetime: int, release_on: Callable[[str, str], None], let_go: Callable[[], None]) -> None:
        """
        :param device: finds a device of this host by its id
        :param lifetime: seconds in which a credential must be used
        :param release_on: asks another host's conductor to release: (host, allocation id)
        :param let_go: has the drivers let go of what instances get, as the database says
        """
        self._host = host
        self._slices = slices
        self._agent = agent
        self._device = device
        self._lifetime = lifetime
        self._release_on = release_on
        self._let_go = let_go
        self._locks = tuple(threading.Lock() for _ in range(STRIPES))

    def bind(self, allocation_id: str) -> None:
        """Make this host's slices usable; the last host to do so makes the allocation active."""
        with self._lock(allocation_id):
            standing = self._begin_bind(allocation_id)
            if standing is None or not standing.slices:
                return
            handles: dict[str, dict[str, Any]] = {}
            try:
                for wanted in standing.slices:
                    carved = self._slices.bind(wanted, self._device(wanted.device_id), standing.project)
                    if carved.handle is not None:
                        handles[wanted.id] = carved.handle.to_dict()
            except errors.AgentUnavailable as error:
                LOG.warning('Allocation %s is bound when the agent is back: %s', allocation_id, error.detail)
                return
            except errors.AccelpoolError as error:
                LOG.error('Allocation %s cannot be bound: %s', allocation_id, error.detail)
                self._fail(allocation_id, error.detail)
                return
            if standing.state != State.ACTIVE:
                if any(wanted.isolation == Isolation.WHOLE for wanted in standing.slices):
                    self._let_go()  # an instance takes the device from the host's driver as soon as it is bound
                bound = [wanted.id for wanted in standing.slices]
                db_session.retrying(lambda session: db_allocation.bound(session, allocation_id, bound, handles))

    def release(self, allocation_id: str) -> None:
        """End the sessions on this host's slices and give them back; the last host finishes the allocation."""
        with self._lock(allocation_id):
            standing = self._standing(allocation_id)
            if standing is None or standing.state not in GIVEN_BACK or not standing.slices:
                return
            for wanted in standing.slices:
                self._slices.unbind(wanted.id, self._device(wanted.device_id))

            def give_back(session: Any) -> None:
                for wanted in standing.slices:
                    db_allocation.release_slice(session, wanted.id)

            db_session.retrying(give_back)

    def attach(self, allocation_id: str) -> list[dict[str, Any]]:
        """Return this host's devices of an attachment, with fresh credentials.

        :raises Conflict: the allocation is not active
        :raises NotSupported: a slice is only for an instance on this host
        """
        standing = self._standing(allocation_id)
        if standing is None or standing.state != State.ACTIVE:
            raise errors.Conflict(f'Allocation {allocation_id} is not active')
        return [self._attach(wanted, standing) for wanted in standing.slices]

    def holder(self, allocation_id: str) -> dict[str, Any]:
        """Return where and how a process of this host holds the allocation."""
        answer = self._agent.holder(allocation_id, self._lifetime)
        return {'url': answer['url'], 'credential': answer['credential']}

    def route(self, allocation_id: str, urls: list[dict[str, str]]) -> list[list[dict[str, str]]]:
        """Return, for each place (url, network), how a process of this host reaches it through this host's agent."""
        return self._agent.route(allocation_id, urls, self._lifetime)

    def usage(self, allocation_id: str) -> list[dict[str, Any]]:
        """Return what this host's slices of the allocation use."""
        with db_session.reader() as session:
            ours = {found.id for found in db_slice.of_allocation(session, allocation_id, self._host)}
        return [used for used in self._agent.slices() if used['slice_id'] in ours]

    def _attach(self, wanted: Slice, standing: Standing) -> dict[str, Any]:
        device = self._device(wanted.device_id)
        try:
            answer = self._agent.attach(wanted, self._lifetime)
        except errors.NotFound:  # an agent that has just been started again
            self._slices.bind(wanted, device, standing.project)
            self._slices.need_sessions(wanted.id)
            answer = self._agent.attach(wanted, self._lifetime)
        return {
            'ordinal': wanted.ordinal, 'slice': wanted.id, 'interface': self._slices.interface(device),
            'urls': answer['urls'], 'credential': answer['credential'], 'expires': answer['expires'],
        }

    def _lock(self, allocation_id: str) -> threading.Lock:
        return self._locks[hash(allocation_id) % STRIPES]

    def _begin_bind(self, allocation_id: str) -> Standing | None:
        """Read the allocation and move it to binding, if it is not; None when there is nothing to bind."""
        while True:
            standing = self._standing(allocation_id)
            if standing is None or standing.state not in BINDABLE:
                return None
            if standing.state != State.SCHEDULED:
                return standing
            try:
                db_session.retrying(lambda session: db_allocation.transition(
                    session, allocation_id, Event.BIND, expected=[State.SCHEDULED]))
                return standing
            except errors.StateConflict:  # another host began; it is not scheduled any more
                continue

    def _fail(self, allocation_id: str, reason: str) -> None:
        """Put an allocation in error and have every host give its part back."""
        try:
            db_session.retrying(lambda session: db_allocation.transition(
                session, allocation_id, Event.FAIL, detail=f'{self._host}: {reason}'))
        except errors.StateConflict as error:
            LOG.info('Not failed: %s', error.detail)
        with db_session.reader() as session:
            hosts = {found.host for found in db_slice.of_allocation(session, allocation_id)}
        for host in hosts:
            self._release_on(host, allocation_id)

    def _standing(self, allocation_id: str) -> Standing | None:
        with db_session.reader() as session:
            return Standing.read(session, allocation_id, self._host)
