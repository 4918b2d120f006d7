# SPDX-License-Identifier: Apache-2.0
"""Hosts, devices, pools, profiles, services and events as the API uses them."""
import datetime
import unittest

from accelpool import errors, types
from accelpool.db import candidate, device, event, host, models, pool, profile, service, session
from tests.support import database


class Pools(unittest.TestCase):
    def setUp(self) -> None:
        database.use(self)
        database.add_device('d1')

    def test_taken_name(self) -> None:
        with session.writer() as writer:
            pool.create(writer, name='one')
            pool.create(writer, name='two')
        for attempt in (lambda w: pool.create(w, name='one'), lambda w: pool.update(w, pool.get(w, 'two'), name='one')):
            with self.assertRaises(errors.Conflict) as caught, session.writer() as writer:
                attempt(writer)
            self.assertEqual('name', caught.exception.field)
            self.assertIn('one', caught.exception.detail)

    def test_membership_shows_at_once_and_changes_the_generation(self) -> None:
        with session.writer() as writer:
            found = pool.create(writer, name='one')
            before = found.generation
            for _ in range(2):
                pool.add_device(writer, found, device.get(writer, 'd1'))
            self.assertEqual(['d1'], [member.id for member in found.devices])
            self.assertEqual(before + 1, found.generation)
            pool.remove_device(writer, found, device.get(writer, 'd1'))
            self.assertEqual([], found.devices)
            self.assertRaises(errors.NotFound, pool.remove_device, writer, found, device.get(writer, 'd1'))

    def test_pool_that_a_profile_draws_from_stays(self) -> None:
        with session.writer() as writer:
            found = pool.create(writer, name='one')
            profile.create(writer, name='small', pool_id=found.id)
        with self.assertRaisesRegex(errors.Conflict, 'small'), session.writer() as writer:
            pool.delete(writer, pool.get(writer, 'one'))
        with session.writer() as writer:
            profile.delete(writer, profile.get(writer, 'small'))
            pool.delete(writer, pool.get(writer, 'one'))
            self.assertRaises(errors.NotFound, pool.get, writer, 'one')

    def test_devices_by_pool_and_host(self) -> None:
        database.add_device('d2', on='host-b')
        with session.writer() as writer:
            pool.add_device(writer, pool.create(writer, name='one'), device.get(writer, 'd2'))
        with session.reader() as reader:
            for filters, wanted in (({}, ['d1', 'd2']), ({'host': 'host-a'}, ['d1']), ({'pool': 'one'}, ['d2']),
                                    ({'pool': 'one', 'host': 'host-a'}, []), ({'health': 'failed'}, [])):
                with self.subTest(filters):
                    self.assertEqual(wanted, [d.id for d in device.list_page(reader, filters=filters)])


class Devices(unittest.TestCase):
    def setUp(self) -> None:
        database.use(self)
        database.add_device('d1', traits=('A',))

    def candidates(self) -> list[types.Candidate]:
        with session.reader() as reader:
            return candidate.look(reader, models.utcnow() - datetime.timedelta(minutes=1))

    def test_candidate_is_what_the_scheduler_must_know(self) -> None:
        with session.writer() as writer:
            other = pool.create(writer, name='one')
            pool.add_device(writer, other, device.get(writer, 'd1'))
        (found,) = self.candidates()
        self.assertEqual(('d1', 'host-a', ('A',), 100, 1000, True), (
            found.device_id, found.host, found.traits, found.free_compute, found.free_memory, found.enabled))
        self.assertEqual(2, len(found.pools))
        self.assertIn(other.id, found.pools)

    def test_disabled_or_silent_is_not_ready(self) -> None:
        with session.writer() as writer:
            device.update(writer, device.get(writer, 'd1'), enabled=False)
        self.assertFalse(self.candidates()[0].enabled)
        with session.writer() as writer:
            device.update(writer, device.get(writer, 'd1'), enabled=True)
            host.update(writer, host.get(writer, 'host-a'), last_seen=datetime.datetime(2000, 1, 1))
        self.assertFalse(self.candidates()[0].enabled)
        with session.writer() as writer:
            host.heard_of(writer, 'host-a')  # nothing was heard
        self.assertFalse(self.candidates()[0].enabled)
        with session.writer() as writer:
            host.heard_of(writer, 'host-a', [])
        self.assertTrue(self.candidates()[0].enabled)

    def test_change_by_an_operator_or_a_driver_invalidates_decisions(self) -> None:
        first = self.candidates()[0].generation
        with session.writer() as writer:
            device.update(writer, device.get(writer, 'd1'), enabled=False)
        second = self.candidates()[0].generation
        database.add_device('d1', health='failed')
        self.assertTrue(first < second < self.candidates()[0].generation)

    def test_what_a_driver_says_comes_back_as_it_was_said(self) -> None:
        said = types.Device(id='d2', driver='mock', vendor='v', model='m', memory=5, traits=('A', 'B'), numa_node=1,
                            fabric='f', pci_address='0000:01:00.0', options={'cc': '8.6'})
        with session.writer() as writer:
            device.save(writer, host.get(writer, 'host-a'), said)
        with session.reader() as reader:
            self.assertEqual(said, device.of_host(reader, 'host-a')['d2'])


class Services(unittest.TestCase):
    def test_a_service_is_registered_once(self) -> None:
        database.use(self)
        for _ in range(2):
            with session.writer() as writer:
                service.heard_of(writer, 'accelpool-scheduler', 'host-a', topic='t', version='1')
        with session.reader() as reader:
            (found,) = service.list_page(reader)
            self.assertEqual(found.id, service.get(reader, found.id).id)
            self.assertRaises(errors.NotFound, service.get, reader, 'nothing')


class Events(unittest.TestCase):
    def test_marker_is_an_event_of_this_allocation(self) -> None:
        database.use(self)
        mine, other = database.add_allocation(), database.add_allocation()
        with session.writer() as writer:
            event.add(writer, mine, 'noted', detail='something')
        with session.reader() as reader:
            first, second = event.list_page(reader, allocation_id=mine)
            self.assertEqual([second.id], [e.id for e in event.list_page(
                reader, allocation_id=mine, marker=str(first.id))])
            (foreign,) = event.list_page(reader, allocation_id=other)
            for marker in (str(foreign.id), 'x', '-1', '9' * 40, '٣', '999'):
                with self.subTest(marker), self.assertRaises(errors.InvalidRequest) as caught:
                    event.list_page(reader, allocation_id=mine, marker=marker)
                self.assertEqual('marker', caught.exception.field)
