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
from sqlalchemy import orm

from accelpool import errors
from accelpool.allocations.states import LIVE, Event, State
from accelpool.db import allocation as db_allocation
from accelpool.db import clock as db_clock
from accelpool.db import models
from accelpool.db import session as db_session

LOG = logging.getLogger(__name__)

#: States that an allocation should leave by itself; an error should at least hold nothing.
UNSETTLED = frozenset({State.PENDING, State.SCHEDULED, State.BINDING, State.RELEASING, State.ERROR})
#: Ids in one query.
BATCH = 500


class Step(enum.StrEnum):
    """What can be done about an allocation."""

    SCHEDULE = 'schedule'   # ask the scheduler
    BIND = 'bind'           # ask the conductors of its hosts
    RELEASE = 'release'     # ask the conductors of its hosts to give everything back
    FINISH = 'finish'       # it holds nothing any more
    EXPIRE = 'expire'       # its time to live has ended
    GIVE_UP = 'give-up'     # a host of it does not bind


@dataclasses.dataclass(frozen=True)
class Seen:
    """An allocation as the reconciler sees it."""

    id: str
    state: State
    updated_at: datetime.datetime
    expires_at: datetime.datetime | None = None
    hosts: frozenset[str] = frozenset()      # where it has slices
    heard: datetime.datetime | None = None   # since then every host that may know of a use of it has spoken


@dataclasses.dataclass(frozen=True)
class Action:
    """One step for one allocation, on these hosts."""

    step: Step
    allocation_id: str
    hosts: frozenset[str] = frozenset()


def decide(seen: Iterable[Seen], now: datetime.datetime, patience: datetime.timedelta,
           bind_timeout: datetime.timedelta) -> list[Action]:
    """Return what must be done now.

    :param patience: how long an allocation may stay in a state that it should leave by itself
    :param bind_timeout: how long its hosts may take to bind it, with all repetitions
    """
    actions = []
    for one in seen:
        age = now - one.updated_at
        step = _step(one, now, age > patience, age > bind_timeout)
        if step is not None:
            actions.append(Action(step, one.id, one.hosts))
    return actions


def _step(one: Seen, now: datetime.datetime, stuck: bool, hopeless: bool) -> Step | None:
    if one.state in LIVE and _expired(one, now):
        return Step.EXPIRE
    if not stuck:
        return None
    if one.state == State.PENDING:
        return Step.SCHEDULE
    if one.state in {State.SCHEDULED, State.BINDING}:
        return Step.GIVE_UP if hopeless else Step.BIND
    if one.state == State.RELEASING:
        return Step.RELEASE if one.hosts else Step.FINISH
    if one.state == State.ERROR and one.hosts:
        return Step.RELEASE
    return None


def _expired(one: Seen, now: datetime.datetime) -> bool:
    """Whether its time has ended and nobody uses it.

    A use (session or holder) shows as a later expiry, which its host writes whenever it speaks.  So silence of a
    host proves nothing: what runs there goes on without the control plane.
    """
    if one.expires_at is None or one.expires_at > now:
        return False
    return one.heard is None or one.heard >= one.expires_at


class Scheduler(Protocol):
    """What the reconciler says to a scheduler."""

    def schedule(self, allocation_id: str) -> None: ...


class Conductor(Protocol):
    """What the reconciler says to a host's conductor."""

    def bind(self, allocation_id: str) -> None: ...

    def release(self, allocation_id: str) -> None: ...


class Reconciler:
    """Looks at all allocations that are not settled; call :meth:`run` every ``interval`` seconds."""

    def __init__(self, scheduler: Scheduler, conductor: Callable[[str], Conductor], interval: float,
                 bind_timeout: float) -> None:
        self._scheduler = scheduler
        self._conductor = conductor
        self._interval = datetime.timedelta(seconds=interval)
        self._bind_timeout = datetime.timedelta(seconds=bind_timeout)

    def run(self) -> list[Action]:
        """Do what must be done now; returns it."""
        now = models.utcnow()
        moved = db_session.retrying(lambda session: db_clock.tick(session, now, 2 * self._interval))
        if moved:
            LOG.warning('The control plane was silent for %s; times to live were moved by that', moved)
        with db_session.reader() as session:
            seen = look(session, now, self._interval)
        actions = decide(seen, now, self._interval, self._bind_timeout)
        for action in actions:
            LOG.info('Allocation %s: %s', action.allocation_id, action.step)
            try:
                self._act(action, now)
            except errors.AccelpoolError as error:
                # Overtaken, or the bus is away: the others still get their turn, this one the next time.
                LOG.info('Allocation %s: %s not done: %s', action.allocation_id, action.step, error.detail)
        return actions

    def _act(self, action: Action, now: datetime.datetime) -> None:
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
                if db_session.retrying(lambda session: db_allocation.expire(session, identifier, now)):
                    self._release(action)
            case Step.GIVE_UP:
                db_session.retrying(lambda session: db_allocation.transition(
                    session, identifier, Event.FAIL, expected=[State.SCHEDULED, State.BINDING],
                    detail=f'not bound within {self._bind_timeout.total_seconds():g} s by '
                           f'{", ".join(sorted(action.hosts)) or "any host"}'))
                self._release(action)
            case Step.RELEASE:
                self._release(action)

    def _release(self, action: Action) -> None:
        for host in action.hosts:
            self._conductor(host).release(action.allocation_id)


def look(session: orm.Session, now: datetime.datetime, patience: datetime.timedelta) -> list[Seen]:
    """Read the allocations about which there may be something to do."""
    a, s, h = models.Allocation, models.Slice, models.Host
    rows = session.execute(
        sa.select(a.id, a.state, a.updated_at, a.expires_at, a.consumer_host).where(sa.or_(
            sa.and_(a.state.in_(UNSETTLED), a.updated_at < now - patience),
            sa.and_(a.state.in_(LIVE), a.expires_at <= now)))).all()
    hosts: dict[str, set[str]] = {row.id: set() for row in rows}
    for start in range(0, len(rows), BATCH):
        some = [row.id for row in rows[start:start + BATCH]]
        for one in session.execute(sa.select(s.allocation_id, s.host).where(s.allocation_id.in_(some))):
            hosts[one.allocation_id].add(one.host)
    # A host that an operator has disabled is not waited for.
    last_seen: dict[str, datetime.datetime] = {
        name: seen for name, seen in session.execute(sa.select(h.name, h.last_seen).where(h.enabled.is_(True)))}
    return [Seen(
        row.id, State(row.state), row.updated_at, row.expires_at, frozenset(hosts[row.id]),
        min((last_seen[host] for host in hosts[row.id] | {row.consumer_host} if host in last_seen), default=None),
    ) for row in rows]
