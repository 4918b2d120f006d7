# SPDX-License-Identifier: Apache-2.0
"""Schedulers that race for the last slices: the database says no, nothing is oversold, nobody gives up early."""

import collections
import concurrent.futures
import datetime
import subprocess
import sys
import threading
import unittest

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import orm

from accelpool import errors, types
from accelpool.allocations.states import State
from accelpool.db import allocation, candidate, models, session
from accelpool.db import slice as db_slice
from accelpool.scheduler import placement
from accelpool.scheduler.service import SchedulerService
from tests.support import database

#: Races for the last slice.
ROUNDS = 2000


class _Nobody:
    """Conductors that hear nothing: claims are all that matters here."""

    def __init__(self, host: str) -> None:
        pass

    def bind(self, allocation_id: str) -> None:
        pass


def _release(identifier: str) -> None:
    def release(writer: object) -> None:
        allocation.release(writer, identifier)
        for one in allocation.get(writer, identifier).slices:
            allocation.release_slice(writer, one.id)
    session.retrying(release)


class Race(unittest.TestCase):
    def setUp(self) -> None:
        self.url = database.use(self)
        database.add_device('d1', memory=100)

    def test_two_schedulers_and_the_last_slice(self) -> None:
        """Both read, both decide for the same share, both claim: in each round exactly one of them gets it.

        Each has an engine of its own, so that nothing but the database stands between them.
        """
        request = types.Request(compute=100, memory=100)
        wanted = [database.add_allocation(request) for _ in range(2)]
        won: list[types.Slice] = []
        wins, conflicts = collections.Counter[int](), collections.Counter[type[Exception]]()

        def next_round() -> None:
            if not won:
                return
            self.assertEqual(1, len(won))
            with session.writer() as writer:
                self.assertEqual(won[0].id, writer.scalar(sa.select(models.Slice.id)))
                removed = db_slice.remove(writer, won.pop().id)
                self.assertIsNotNone(removed)
                db_slice.give_back(writer, [removed])
                writer.execute(sa.update(models.Allocation).values(state=State.PENDING))

        decided = threading.Barrier(2, timeout=60)
        done = threading.Barrier(2, action=next_round, timeout=60)

        def contend(number: int, engine: sa.Engine) -> None:
            writers = orm.sessionmaker(engine.execution_options(accelpool_writer=True))
            for _ in range(ROUNDS):
                with orm.Session(engine) as reader:
                    seen = candidate.look(reader, models.utcnow() - datetime.timedelta(hours=1))
                chosen = placement.place(request, wanted[number], placement.judge(request, seen))
                assert chosen is not None
                decided.wait()
                try:
                    with writers.begin() as writer:
                        allocation.claim(writer, wanted[number], chosen, {'d1': seen[0].generation})
                    won.extend(chosen)
                    wins[number] += 1
                except errors.ClaimConflict as conflict:
                    conflicts[type(conflict)] += 1
                done.wait()

        engines = [session.create_engine(self.url) for _ in range(2)]
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            for future in [threads.submit(contend, number, engine) for number, engine in enumerate(engines)]:
                future.result()
        for engine in engines:
            engine.dispose()
        self.assertEqual(ROUNDS, wins.total())
        self.assertEqual({errors.ClaimConflict: ROUNDS}, conflicts)
        self.assertEqual({'d1': (0, 0, 0)}, database.accounts())

    def test_loser_reads_again_and_says_why_there_is_nothing_left(self) -> None:
        """Whole services, as they run: one gets the last slice, the other one's allocation ends in error."""
        last = types.Request(compute=100, memory=100)
        services = [SchedulerService(_Nobody, down_after=3600) for _ in range(2)]
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            for _ in range(50):
                contested = [database.add_allocation(last) for _ in services]
                for future in [threads.submit(service.schedule, identifier)
                               for service, identifier in zip(services, contested, strict=True)]:
                    future.result()
                states = sorted(database.state_of(identifier) for identifier in contested)
                self.assertEqual([State.ERROR, State.SCHEDULED], states)
                self.assertEqual({'d1': (100, 100, 1)}, database.accounts())
                for identifier in contested:
                    _release(identifier)
        self.assertEqual({'d1': (0, 0, 0)}, database.accounts())

    def test_processes_share_a_device_exactly(self) -> None:
        """Two processes want 20 % four times, again and again; five fit, and the accounts are exact afterwards."""
        program = f'''
import sys
sys.path.insert(0, {str(sys.path[0])!r})
from accelpool import types
from accelpool.db import session
from accelpool.scheduler.service import SchedulerService
from tests.functional.test_race import _Nobody, _release
from tests.support import database
session.configure({self.url!r})
scheduler = SchedulerService(_Nobody, down_after=3600)
won = 0
for _ in range(20):
    mine = [database.add_allocation(types.Request(compute=20, memory=20)) for _ in range(4)]
    for one in mine:
        scheduler.schedule(one)
    won += sum(database.state_of(one) == 'scheduled' for one in mine)
    used = database.accounts()['d1']
    assert used[0] <= 100 and used[1] <= 100, used
    for one in mine:
        _release(one)
print(won)
'''
        workers = [subprocess.Popen([sys.executable, '-c', program], stdout=subprocess.PIPE, text=True)
                   for _ in range(2)]
        for worker in workers:
            output, _ = worker.communicate(timeout=120)
            self.assertEqual(0, worker.returncode)
            self.assertGreater(int(output), 0)
        self.assertEqual({'d1': (0, 0, 0)}, database.accounts())


class Accounts(unittest.TestCase):
    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.tuples(st.booleans(), st.integers(1, 60), st.integers(1, 600), st.integers(1, 2)),
                    min_size=1, max_size=12))
    def test_devices_are_charged_for_exactly_the_slices_there_are(
            self, steps: list[tuple[bool, int, int, int]]) -> None:
        database.use(self)
        database.add_device('d1')
        database.add_device('d2', on='host-b')
        scheduler = SchedulerService(_Nobody, down_after=3600)
        live: list[str] = []
        for create, compute, memory, count in steps:
            if create or not live:
                live.append(database.add_allocation(types.Request(compute=compute, memory=memory, count=count)))
                scheduler.schedule(live[-1])
            else:
                _release(live.pop(compute % len(live)))
            self.assertEqual(database.owed(), database.accounts())
            for used_compute, used_memory, _ in database.accounts().values():
                self.assertTrue(used_compute <= 100 and used_memory <= 1000)
        with session.reader() as reader:
            states = set(reader.scalars(models.Allocation.__table__.select().with_only_columns(
                models.Allocation.state)))
        self.assertLessEqual(states, {State.SCHEDULED, State.ERROR, State.RELEASED})
