# SPDX-License-Identifier: Apache-2.0
"""Finishes or undoes what a crash, a lost message or an ended time to live has left.

:func:`decide` is pure; :class:`Reconciler` looks, asks it, and sends the same messages that the first attempt
would have sent.  Each of them may be repeated without harm, so several reconcilers may run at once.
"""

import dataclasses
import datetime
import enum
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

import sqlalchemy as sa

from accelpool import errors
from accelpool.allocations.states import State
from accelpool.db import allocation as db_allocation
from accelpool.db import clock as db_clock
from accelpool.db import models
from accelpool.db import session as db_session

LOG = logging.getLogger(__name__)


class Step(enum.StrEnum):
    """What can be done about an allocation."""

    SCHEDULE = 'schedule'   # ask the scheduler
    BIND = 'bind'           # ask the conductors of its hosts
    RELEASE = 'release'     # ask the conductors of its hosts to give everything back
    FINISH = 'finish'       # it holds nothing any more
    EXPIRE = 'expire'       # its time to live has ended


@dataclasses.dataclass(frozen=True)
class Seen:
    """An allocation as the reconciler sees it."""

    id: str
    state: State
    updated_at: datetime.datetime
    expires_at: datetime.datetime | None = None
    hosts: frozenset[str] = frozenset()      # where it has slices


@dataclasses.dataclass(frozen=True)
class Action:
    """One step for one allocation, on these hosts."""

    step: Step
    allocation_id: str
    hosts: frozenset[str] = frozenset()


def decide(seen: Iterable[Seen], now: datetime.datetime, patience: datetime.timedelta) -> list[Action]:
    """Return what must be done now.

    :param patience: how long an allocation may stay in a state that it should leave by itself
    """
    actions = []
    for one in seen:
        step = _step(one, now, now - one.updated_at > patience)
        if step is not None:
            actions.append(Action(step, one.id, one.hosts))
    return actions


def _step(one: Seen, now: datetime.datetime, stuck: bool) -> Step | None:
    if one.state == State.RELEASED:
        return None
    if one.state != State.RELEASING and one.expires_at is not None and one.expires_at <= now:
        return Step.EXPIRE
    if not stuck:
        return None
    if one.state == State.PENDING:
        return Step.SCHEDULE
    if one.state in {State.SCHEDULED, State.BINDING}:
        return Step.BIND
    if one.state == State.RELEASING:
        return Step.RELEASE if one.hosts else Step.FINISH
    if one.state == State.ERROR and one.hosts:
        return Step.RELEASE
    return None


class Scheduler(Protocol):
    """What the reconciler says to a scheduler."""

    def schedule(self, allocation_id: str) -> None: ...


class Conductor(Protocol):
    """What the reconciler says to a host's conductor."""

    def bind(self, allocation_id: str) -> None: ...

    def release(self, allocation_id: str) -> None: ...


class Reconciler:
    """Looks at all allocations that are not settled; call :meth:`run` every ``interval`` seconds."""

    def __init__(self, scheduler: Scheduler, conductor: Callable[[str], Conductor], interval: float) -> None:
        self._scheduler = scheduler
        self._conductor = conductor
        self._interval = datetime.timedelta(seconds=interval)

    def run(self) -> list[Action]:
        """Do what must be done now; returns it."""
        now = models.utcnow()
        moved = db_session.retrying(lambda session: db_clock.tick(session, now, 4 * self._interval))
        if moved:
            LOG.warning('The control plane was silent for %s; times to live were moved by that', moved)
        actions = decide(self._look(), now, self._interval)
        for action in actions:
            LOG.info('Allocation %s: %s', action.allocation_id, action.step)
            try:
                self._act(action)
            except errors.StateConflict as conflict:
                LOG.info('Overtaken: %s', conflict.detail)
        return actions

    def _look(self) -> list[Seen]:
        hosts: dict[str, set[str]] = {}
        with db_session.reader() as session:
            unsettled = sa.select(
                models.Allocation.id, models.Allocation.state, models.Allocation.updated_at,
                models.Allocation.expires_at,
            ).where(models.Allocation.state != State.RELEASED)
            rows = session.execute(unsettled).all()
            for one in session.execute(sa.select(models.Slice.allocation_id, models.Slice.host)):
                hosts.setdefault(one.allocation_id, set()).add(one.host)
        return [Seen(row.id, State(row.state), row.updated_at, row.expires_at, frozenset(hosts.get(row.id, ())))
                for row in rows]

    def _act(self, action: Action) -> None:
        identifier = action.allocation_id
        match action.step:
            case Step.SCHEDULE:
                self._scheduler.schedule(identifier)
            case Step.BIND:
                for host in action.hosts:
                    self._conductor(host).bind(identifier)
            case Step.FINISH:
                db_session.retrying(lambda session: db_allocation.finish_if_empty(session, identifier))
            case Step.EXPIRE:
                db_session.retrying(lambda session: db_allocation.release(
                    session, identifier, 'its time to live has ended'))
                self._release(action)
            case Step.RELEASE:
                self._release(action)

    def _release(self, action: Action) -> None:
        for host in action.hosts:
            self._conductor(host).release(action.allocation_id)
