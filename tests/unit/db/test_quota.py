# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import contextlib
import datetime
import random
import unittest

from oslo_config import cfg, fixture

from accelpool import errors, types
from accelpool.allocations.states import Event, State
from accelpool.db import allocation, models, quota, session
from accelpool.quota.amounts import Amounts, Limits
from tests.support import database

REQUEST = types.Request(compute=10, memory=100)
ONE = Amounts(1, 10, 100)


def used(project: str = 'p') -> Amounts:
    """What a project uses; it must be what its allocations are charged."""
    with session.reader() as reader:
        row = quota.find(reader, project)
        sums = [0, 0, 0]
        for found in reader.query(models.Allocation).filter_by(project_id=project):
            charged = (found.charged_slices or 0, found.charged_compute or 0, found.charged_memory or 0)
            sums = [a + b for a, b in zip(sums, charged, strict=True)]
    amounts = Amounts() if row is None else Amounts(row.used_slices, row.used_compute, row.used_memory)
    assert amounts == Amounts(*sums), (amounts, sums)
    return amounts


def limit(project: str = 'p', **values: int | None) -> None:
    session.retrying(lambda writer: quota.limit(writer, project, values) and None)


def place(identifier: str, memory: int = 100, devices: tuple[str, ...] = ('d',)) -> list[types.Slice]:
    slices = [types.Slice(id=models.new_id(), allocation_id=identifier, device_id=name, host='host-a', compute=10,
                          memory=memory, isolation='shared') for name in devices]
    with session.writer() as writer:
        seen = {found.id: found.generation for found in writer.query(models.Device)}
        allocation.claim(writer, identifier, slices, seen)
    return slices


class Charges(unittest.TestCase):
    """A project is charged from the first moment of an allocation to its last."""

    def setUp(self) -> None:
        database.use(self)
        for name in ('d', 'e'):
            database.add_device(name, memory=100000)
        self.conf = self.enterContext(fixture.Config(cfg.CONF))

    def test_from_creation_to_release(self) -> None:
        identifier = database.add_allocation(REQUEST)
        self.assertEqual(ONE, used())
        (slice_,) = place(identifier)
        self.assertEqual(ONE, used())
        with session.writer() as writer:
            allocation.release(writer, identifier)
        self.assertEqual(ONE, used(), 'as long as the device is charged, so is the project')
        with session.writer() as writer:
            allocation.release_slice(writer, slice_.id)
        self.assertEqual(Amounts(), used())

    def test_released_before_it_was_scheduled(self) -> None:
        identifier = database.add_allocation(REQUEST)
        for _ in range(2):
            with session.writer() as writer:
                allocation.release(writer, identifier)
        self.assertEqual(Amounts(), used())

    def test_what_cannot_be_placed_costs_nothing(self) -> None:
        identifier = database.add_allocation(REQUEST)
        with session.writer() as writer:
            allocation.transition(writer, identifier, Event.FAIL, detail='no device')
        self.assertEqual(Amounts(), used())
        with session.writer() as writer:
            allocation.release(writer, identifier)
        self.assertEqual(Amounts(), used(), 'nothing is given back twice')

    def test_a_failure_costs_until_its_last_slice_is_back(self) -> None:
        identifier = database.add_allocation(types.Request(count=2, compute=10, memory=100))
        slices = place(identifier, devices=('d', 'e'))
        with session.writer() as writer:
            allocation.transition(writer, identifier, Event.BIND)
            allocation.transition(writer, identifier, Event.FAIL, detail='broken')
        for slice_ in slices:
            self.assertEqual(Amounts(2, 20, 200), used())
            with session.writer() as writer:
                allocation.release_slice(writer, slice_.id)
        self.assertEqual(Amounts(), used())
        with session.writer() as writer:
            self.assertEqual(State.RELEASED, allocation.release(writer, identifier))
        self.assertEqual(Amounts(), used())

    def test_the_claim_corrects_what_was_not_known(self) -> None:
        identifier = database.add_allocation(types.Request(isolation='whole', compute=10, memory=None))
        self.assertEqual(Amounts(1, 10, 0), used())
        (slice_,) = place(identifier, memory=5000)
        self.assertEqual(Amounts(1, 10, 5000), used())
        with session.writer() as writer:
            allocation.release(writer, identifier)
            allocation.release_slice(writer, slice_.id)
        self.assertEqual(Amounts(), used())

    def test_a_claim_that_is_more_than_allowed_changes_nothing(self) -> None:
        identifier = database.add_allocation(types.Request(isolation='whole', compute=10, memory=None))
        limit(memory=4999)
        with self.assertRaises(errors.QuotaExceeded) as raised:
            place(identifier, memory=5000)
        self.assertEqual('memory', raised.exception.field)
        self.assertEqual(State.PENDING, database.state_of(identifier))
        self.assertEqual({'d': (0, 0, 0), 'e': (0, 0, 0)}, database.accounts())
        self.assertEqual(Amounts(1, 10, 0), used())

    def test_purged_allocations_are_not_given_back_again(self) -> None:
        identifier = database.add_allocation(REQUEST)
        with session.writer() as writer:
            allocation.release(writer, identifier)
            allocation.purge(writer, 9, before=models.utcnow() + datetime.timedelta(days=1))
        self.assertEqual(Amounts(), used())

    def test_every_limit_is_a_limit(self) -> None:
        for name, most in (('slices', 1), ('compute', 19), ('memory', 199)):
            with self.subTest(name):
                limit(name, **{name: most})
                create(name)
                with self.assertRaises(errors.QuotaExceeded) as raised:
                    create(name)
                self.assertEqual(name, raised.exception.field)
                self.assertIn(f'limit of {most}', raised.exception.detail)
                self.assertEqual(ONE, used(name))

    def test_keystone_goes_before_the_own_limit_and_this_before_the_default(self) -> None:
        self.conf.config(slices=0, group='quota')
        with self.assertRaises(errors.QuotaExceeded):
            create('p')
        limit(slices=1)
        create('p')
        with self.assertRaises(errors.QuotaExceeded):
            create('p')
        create('p', given=Limits(slices=2))
        create('p', given=Limits(slices=-1))
        limit(slices=None)
        with self.assertRaises(errors.QuotaExceeded):
            create('p')

    def test_a_limit_below_what_is_used_stops_no_release(self) -> None:
        identifier = database.add_allocation(REQUEST)
        limit(slices=0)
        with session.writer() as writer:
            allocation.release(writer, identifier)
        self.assertEqual(Amounts(), used())

    def test_projects_do_not_share(self) -> None:
        limit('a', slices=1)
        create('a')
        create('b')
        self.assertEqual(ONE, used('a'))
        self.assertEqual(ONE, used('b'))

    def test_allocations_of_a_former_release_are_charged_in_batches(self) -> None:
        waiting = [database.add_allocation(REQUEST) for _ in range(3)]
        place(waiting[0])
        gone = database.add_allocation(REQUEST)
        with session.writer() as writer:
            allocation.release(writer, gone)
        with session.writer() as writer:  # as that release would have left it
            writer.query(models.Allocation).update({
                'charged_slices': None, 'charged_compute': None, 'charged_memory': None})
            writer.query(models.Quota).delete()
        done = []
        while not done or done[-1]:
            done.append(session.retrying(lambda writer: quota.fill(writer, 3)))
        self.assertEqual([3, 1, 0], done)
        self.assertEqual(Amounts(3, 30, 300), used())
        for identifier in waiting[1:]:
            with session.writer() as writer:
                allocation.release(writer, identifier)
        self.assertEqual(ONE, used())


class Contention(unittest.TestCase):
    """A project never has more than it may, whoever asks at the same time."""

    CLIENTS = 8
    ROUNDS = 25

    def test_a_limit_holds_against_threads(self) -> None:
        database.use(self)
        limit(slices=5, memory=700)
        self.most = 0
        with concurrent.futures.ThreadPoolExecutor(self.CLIENTS) as pool:
            refused = sum(pool.map(self.client, range(self.CLIENTS)))
        self.assertGreater(refused, 0)
        self.assertEqual(5, self.most)
        self.assertEqual(Amounts(), used())

    def client(self, number: int) -> int:
        """Take and give back, at random; returns how often it was refused."""
        chance = random.Random(number)
        mine: list[str] = []
        refused = 0
        for _ in range(self.ROUNDS):
            if mine and chance.random() < 0.4:
                identifier = mine.pop(chance.randrange(len(mine)))
                session.retrying(lambda writer, gone=identifier: allocation.release(writer, gone))
            else:
                try:
                    mine.append(create('p'))
                except errors.QuotaExceeded:
                    refused += 1
            with session.reader() as reader:
                row = quota.find(reader, 'p')
                self.most = max(self.most, row.used_slices)
        for identifier in mine:
            session.retrying(lambda writer, gone=identifier: allocation.release(writer, gone))
        return refused

    def test_the_first_allocations_of_a_project_at_the_same_time(self) -> None:
        database.use(self)
        for project in range(5):
            with concurrent.futures.ThreadPoolExecutor(self.CLIENTS) as pool:
                list(pool.map(create, [f'project-{project}'] * self.CLIENTS))
            self.assertEqual(Amounts(8, 80, 800), used(f'project-{project}'))


class Random(unittest.TestCase):
    """Whatever happens in whatever order, a project is charged for what it holds."""

    def test_random_histories(self) -> None:
        database.use(self)
        database.add_device('d', memory=1000000)
        limit(slices=6)
        for seed in range(20):
            with self.subTest(seed=seed):
                self.history(random.Random(seed))

    def history(self, chance: random.Random) -> None:
        live: list[str] = []
        for _ in range(30):
            step = chance.choice(['create', 'create', 'claim', 'fail', 'release', 'give back', 'expire'])
            one = chance.choice(live) if live else None
            if step == 'create':
                with contextlib.suppress(errors.QuotaExceeded):
                    live.append(create('p'))
            elif one is not None:
                with contextlib.suppress(errors.StateConflict, errors.QuotaExceeded, errors.ClaimConflict):
                    self.do(step, one)
            self.assertLessEqual(used().slices, 6)
        for one in live:
            self.do('release', one)
            self.do('give back', one)
        self.assertEqual(Amounts(), used())

    def do(self, step: str, one: str) -> None:
        if step == 'claim':
            place(one, memory=150)
            return
        with session.writer() as writer:
            if step == 'fail':
                allocation.transition(writer, one, Event.FAIL, detail='x')
            elif step == 'release':
                allocation.release(writer, one)
            elif step == 'expire':
                allocation.expire(writer, one, models.utcnow())
            else:
                state = allocation.state(writer, one)
                if state in {State.RELEASING, State.ERROR}:
                    for found in writer.query(models.Slice).filter_by(allocation_id=one).all():
                        allocation.release_slice(writer, found.id)


def create(project: str, given: Limits | None = None) -> str:
    return session.retrying(lambda writer: allocation.create(
        writer, request=REQUEST, project_id=project, user_id='u', **({'given': given} if given else {})).id)
