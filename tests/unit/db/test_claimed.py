# SPDX-License-Identifier: Apache-2.0
"""Allocations that are claimed when they are created, and given back before anything of them was bound."""

import threading
import unittest
from collections.abc import Mapping

from accelpool import errors, types
from accelpool.allocations.states import Event, State
from accelpool.db import allocation, event, models, quota, session
from tests.support import database

REQUEST = types.Request(compute=10, memory=100, count=2)
ROUNDS = 20
#: Generations of devices where only the shares matter.
ANY = {'d': None, 'e': None}


class Claimed(unittest.TestCase):
    def setUp(self) -> None:
        database.use(self)
        for name in ('d', 'e'):
            database.add_device(name, overhead=7)

    def slices(self, identifier: str) -> list[types.Slice]:
        return [types.Slice(id=models.new_id(), allocation_id=identifier, device_id=name, host='host-a', compute=10,
                            memory=100, overhead=7, isolation='shared', ordinal=place)
                for place, name in enumerate(('e', 'd'))]

    def create(self, *, begun: bool = False, generations: Mapping[str, int | None] = ANY) -> str:
        identifier = models.new_id()
        with session.writer() as writer:
            allocation.create_claimed(
                writer, request=REQUEST, slices=self.slices(identifier), generations=generations,
                begun=begun, project_id='p', user_id='u', profile='small', consumer_type='instance', consumer_id='i')
        return identifier

    def seen(self, identifier: str) -> tuple[object, ...]:
        """What there is to see of an allocation, less what is its own."""
        with session.reader() as reader:
            found = allocation.get(reader, identifier)
            project = quota.find(reader, 'p')
            return (
                found.state, found.request, found.charged_slices, found.charged_compute, found.charged_memory,
                [(one.device_id, one.compute, one.memory, one.overhead, one.bound) for one in found.slices],
                [(one.event, one.from_state, one.to_state, one.detail)
                 for one in event.list_page(reader, allocation_id=identifier)],
                (project.used_slices, project.used_compute, project.used_memory), database.accounts(reader))

    def test_it_is_what_two_steps_make(self) -> None:
        self.assert_same(False)

    def test_begun_it_is_what_three_steps_make(self) -> None:
        self.assert_same(True)

    def assert_same(self, begun: bool) -> None:
        at_once = self.seen(self.create(begun=begun))
        self.assertEqual({'d': (10, 107, 1), 'e': (10, 107, 1)}, at_once[-1])
        database.use(self)
        for name in ('d', 'e'):
            database.add_device(name, overhead=7)
        identifier = database.add_allocation(REQUEST, profile='small', consumer_type='instance', consumer_id='i')
        with session.writer() as writer:
            allocation.claim(writer, identifier, self.slices(identifier), ANY)
            if begun:
                allocation.transition(writer, identifier, Event.BIND)
        self.assertEqual(self.seen(identifier), at_once)

    def test_nothing_is_left_where_it_cannot_be(self) -> None:
        with session.writer() as writer:
            quota.limit(writer, 'p', {'memory': 199})
        with self.assertRaises(errors.QuotaExceeded):
            self.create()
        with session.writer() as writer:
            quota.limit(writer, 'p', {'memory': None})
        for _ in range(9):
            self.create()
        with self.assertRaises(errors.ClaimConflict):
            self.create()
        with session.reader() as reader:
            self.assertEqual(9, len(reader.query(models.Allocation).all()))
        self.assertEqual(database.owed(), database.accounts())

    def test_given_back_before_it_is_bound(self) -> None:
        identifier = self.create()
        with session.writer() as writer:
            self.assertTrue(allocation.abandon(writer, identifier, 'the instance is gone'))
            self.assertFalse(allocation.abandon(writer, identifier, 'again'))
        state, _, *charged, slices, events, used, accounts = self.seen(identifier)
        self.assertEqual((State.RELEASED, [0, 0, 0], [], (0, 0, 0)), (state, charged, slices, used))
        self.assertEqual({'d': (0, 0, 0), 'e': (0, 0, 0)}, accounts)
        self.assertEqual([('release', 'scheduled', 'releasing', 'the instance is gone'),
                          ('finish', 'releasing', 'released', None)], events[2:])

    def test_giving_back_spoils_no_decision_and_taking_does(self) -> None:
        held = self.create()
        with session.reader() as reader:
            seen = {one.id: one.generation for one in reader.query(models.Device).all()}
        with session.writer() as writer:
            self.assertTrue(allocation.abandon(writer, held, 'the instance is gone'))
        self.create(generations=seen)
        with self.assertRaises(errors.ClaimConflict):
            self.create(generations=seen)
        self.assertEqual(database.owed(), database.accounts())

    def test_what_is_being_bound_is_not_given_back(self) -> None:
        identifier = self.create()
        with session.writer() as writer:
            allocation.transition(writer, identifier, Event.BIND)
        before = self.seen(identifier)
        with session.writer() as writer:
            self.assertFalse(allocation.abandon(writer, identifier, 'too late'))
        self.assertEqual(before, self.seen(identifier))

    def test_one_of_both_is_first(self) -> None:
        for _ in range(ROUNDS):
            identifier, start = self.create(), threading.Barrier(2)
            told: list[str] = []

            def bind(identifier: str = identifier, start: threading.Barrier = start, told: list[str] = told) -> None:
                start.wait()
                try:
                    session.retrying(lambda writer: allocation.transition(
                        writer, identifier, Event.BIND, expected=[State.SCHEDULED]))
                    told.append('bound')
                except errors.StateConflict:
                    pass

            other = threading.Thread(target=bind)
            other.start()
            start.wait()
            if session.retrying(lambda writer, one=identifier: allocation.abandon(writer, one, 'gone')):
                told.append('given back')
            other.join()
            self.assertEqual(1, len(told), told)
            self.assertEqual(State.BINDING if told == ['bound'] else State.RELEASED, database.state_of(identifier))
            self.assertEqual(database.owed(), database.accounts())
            if told == ['bound']:
                with session.writer() as writer:
                    allocation.release(writer, identifier)
                    for one in allocation.get(writer, identifier).slices:
                        allocation.release_slice(writer, one.id)
