# SPDX-License-Identifier: Apache-2.0
"""Clients that contend for one device, and what came of it.

Each of them claims in both ways that there are, at random: through a scheduler of its own process, and as Nova does, whose
PATCH claims where it is served.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import random
from multiprocessing.sharedctypes import Synchronized
from unittest import mock

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy import orm

from accelpool import conf, errors, types
from accelpool.allocations.states import State
from accelpool.consumers import instance as instances
from accelpool.db import allocation, arq, models, session
from accelpool.rpc import client
from accelpool.scheduler.service import SchedulerService

#: Processes, each with a scheduler; clients of all of them together.
SCHEDULERS, CLIENTS = 2, 16
#: Seconds of silence after which a host counts as down: nobody is heard of here.
PATIENCE = 86400
#: States of what was refused: as :meth:`SchedulerService.schedule` leaves it, and as a binding does.
REFUSED = (State.ERROR, State.RELEASED)


class Nobody:
    """Conductors that hear nothing: claims are all that matters here."""

    def __init__(self, host: str) -> None:
        pass

    def bind(self, allocation_id: str) -> None:
        pass

    def release(self, allocation_id: str) -> None:
        pass


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the clients of all schedulers saw."""

    granted: int
    bound: int     # of those, what Nova's way was granted
    refused: int
    over: int      # grants with more than the capacity in use at that moment
    lost: int      # neither granted nor refused with a reason
    gave_up: int   # refused although there may have been room
    left: frozenset[str]  # granted and never given back


class _Held:
    """How much the clients of all processes hold: raised after a grant, lowered before a release."""

    def __init__(self, shared: 'Synchronized[int]', capacity: int) -> None:
        self._shared, self._capacity = shared, capacity

    def more(self) -> bool:
        """Returns whether it is too much: what is counted here is never more than what was really granted."""
        with self._shared.get_lock():
            self._shared.value += 1
            return self._shared.value > self._capacity

    def less(self) -> None:
        with self._shared.get_lock():
            self._shared.value -= 1


def contend(url: str, capacity: int, claims: int) -> Outcome:
    """Let all clients claim and release shares of the one device in the database until they have claimed so often."""
    context = multiprocessing.get_context('spawn')
    held = context.Value('i', 0)
    with concurrent.futures.ProcessPoolExecutor(
            SCHEDULERS, mp_context=context, initializer=_initialize, initargs=(url, held, capacity)) as processes:
        share = [claims // SCHEDULERS] * SCHEDULERS
        seen: collections.Counter[str] = collections.Counter()
        left: set[str] = set()
        for counted, theirs in processes.map(_scheduler, share, [capacity] * SCHEDULERS):
            seen += counted
            left |= theirs
    return Outcome(seen['granted'], seen['bound'], seen['refused'], seen['over'], seen['lost'], seen['gave up'],
                   frozenset(left))


def without_conductors() -> contextlib.AbstractContextManager[object]:
    """Return what lets this process do what the API does for Nova, as configured here; no conductor hears of it."""
    conf.register_all()
    cfg.CONF.set_override('down_after', PATIENCE, 'scheduler')
    return mock.patch.object(client, 'ConductorClient', Nobody)


_held: _Held


def _initialize(url: str, shared: 'Synchronized[int]', capacity: int) -> None:
    global _held
    session.configure(url)
    without_conductors().__enter__()  # until the process ends
    _held = _Held(shared, capacity)


def _scheduler(claims: int, capacity: int) -> tuple[collections.Counter[str], set[str]]:
    scheduler = SchedulerService(Nobody, down_after=PATIENCE)
    clients = CLIENTS // SCHEDULERS
    with concurrent.futures.ThreadPoolExecutor(clients) as threads:
        done = list(threads.map(lambda _: _client(scheduler, claims // clients, capacity), range(clients)))
    return sum((counted for counted, _ in done), collections.Counter()), set[str]().union(*(left for _, left in done))


def _client(scheduler: SchedulerService, claims: int, capacity: int) -> tuple[collections.Counter[str], set[str]]:
    seen: collections.Counter[str] = collections.Counter()
    mine: list[str] = []
    wanted = 2 * capacity // CLIENTS + 1  # together about twice what there is
    for _ in range(claims):
        request = types.Request(compute=100 // capacity, memory=1)
        found = _bound(request) if random.random() < 0.5 else _asked(scheduler, request)
        if found.state == State.SCHEDULED and len(found.slices) == 1:
            seen['granted'] += 1
            seen['bound'] += found.consumer_type == 'instance'
            mine.append(found.id)
            seen['over'] += _held.more()
        elif found.state in REFUSED and found.reason:
            seen['refused'] += 1
            seen['gave up'] += 'try again' in found.reason
        else:
            seen['lost'] += 1
        if len(mine) >= wanted or found.state in REFUSED:
            random.shuffle(mine)
            for _ in range(random.randint(0, len(mine))):
                _held.less()
                release(mine.pop())
    return seen, set(mine)


def _asked(scheduler: SchedulerService, request: types.Request) -> models.Allocation:
    """Ask as users of ``/v1`` do."""
    identifier = session.retrying(lambda writer: allocation.create(
        writer, request=request, project_id='p', user_id='u')).id
    scheduler.schedule(identifier)
    return _found(models.Allocation.id == identifier)


def _bound(request: types.Request) -> models.Allocation:
    """Ask as Nova does for an instance; what is refused leaves an allocation with the reason."""
    instance = models.new_id()
    with contextlib.suppress(errors.NoCandidates, errors.ClaimConflict):
        bind(request, instance, 'host-a', models.new_id())
    return _found(models.Allocation.consumer_id == instance)


def bind(request: types.Request, instance: str, host: str, provider: str) -> None:
    """Make an accelerator request for an instance and bind it; it is deleted when that fails, which Nova does.

    :raises NoCandidates, ClaimConflict: Nova's answer is a 409
    """
    (one,) = session.retrying(lambda writer: arq.create(
        writer, [(0, request)], profile='profile', project_id='p', user_id='u'))
    try:
        instances.bind({one.id: instances.Binding(
            hostname=host, device_rp_uuid=provider, instance_uuid=instance)}, visible='p')
    except errors.AccelpoolError:
        instances.delete([one.id], visible='p')
        raise


def _found(which: sa.ColumnElement[bool]) -> models.Allocation:
    with session.reader() as reader:
        return reader.scalars(sa.select(models.Allocation).where(which).options(
            orm.selectinload(models.Allocation.slices))).one()


def release(identifier: str) -> None:
    """Give everything of an allocation back, as its owner and its conductor do."""
    owner = _found(models.Allocation.id == identifier)
    if owner.consumer_type == 'instance':
        instances.delete_of_instance(owner.consumer_id)

    def work(writer: orm.Session) -> None:
        if allocation.release(writer, identifier) == State.RELEASING:
            for one in allocation.get(writer, identifier).slices:
                allocation.release_slice(writer, one.id)
    session.retrying(work)
