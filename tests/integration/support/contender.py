# SPDX-License-Identifier: Apache-2.0
"""Clients that contend for one device through a scheduler of their own process, and what came of it."""

import collections
import concurrent.futures
import dataclasses
import multiprocessing
import random
from multiprocessing.sharedctypes import Synchronized

from accelpool import types
from accelpool.allocations.states import State
from accelpool.db import allocation, session
from accelpool.scheduler.service import SchedulerService

#: Processes, each with a scheduler; clients of all of them together.
SCHEDULERS, CLIENTS = 2, 16


class Nobody:
    """Conductors that hear nothing: claims are all that matters here."""

    def __init__(self, host: str) -> None:
        pass

    def bind(self, allocation_id: str) -> None:
        pass


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the clients of all schedulers saw."""

    granted: int
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
    return Outcome(seen['granted'], seen['refused'], seen['over'], seen['lost'], seen['gave up'], frozenset(left))


_held: _Held


def _initialize(url: str, shared: 'Synchronized[int]', capacity: int) -> None:
    global _held
    session.configure(url)
    _held = _Held(shared, capacity)


def _scheduler(claims: int, capacity: int) -> tuple[collections.Counter[str], set[str]]:
    scheduler = SchedulerService(Nobody, down_after=86400)
    clients = CLIENTS // SCHEDULERS
    with concurrent.futures.ThreadPoolExecutor(clients) as threads:
        done = list(threads.map(lambda _: _client(scheduler, claims // clients, capacity), range(clients)))
    return sum((counted for counted, _ in done), collections.Counter()), set[str]().union(*(left for _, left in done))


def _client(scheduler: SchedulerService, claims: int, capacity: int) -> tuple[collections.Counter[str], set[str]]:
    seen: collections.Counter[str] = collections.Counter()
    mine: list[str] = []
    wanted = 2 * capacity // CLIENTS + 1  # together about twice what there is
    for _ in range(claims):
        identifier = session.retrying(lambda writer: allocation.create(
            writer, request=types.Request(compute=100 // capacity, memory=1), project_id='p', user_id='u')).id
        scheduler.schedule(identifier)
        with session.reader() as reader:
            found = allocation.get(reader, identifier)
        if found.state == State.SCHEDULED and len(found.slices) == 1:
            seen['granted'] += 1
            mine.append(identifier)
            seen['over'] += _held.more()
        elif found.state == State.ERROR and found.reason:
            seen['refused'] += 1
            seen['gave up'] += 'try again' in found.reason
        else:
            seen['lost'] += 1
        if len(mine) >= wanted or found.state == State.ERROR:
            random.shuffle(mine)
            for _ in range(random.randint(0, len(mine))):
                _held.less()
                release(mine.pop())
    return seen, set(mine)


def release(identifier: str) -> None:
    """Give everything of an allocation back, as its conductor does."""
    def work(writer: object) -> None:
        allocation.release(writer, identifier)
        for one in allocation.get(writer, identifier).slices:
            allocation.release_slice(writer, one.id)
    session.retrying(work)
