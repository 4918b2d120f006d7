# SPDX-License-Identifier: Apache-2.0

import hashlib
import importlib
import threading
import unittest
from typing import Any

from oslo_config import cfg, fixture

from accelpool import conf, errors, notifications, types
from accelpool.allocations.states import Event
from accelpool.db import allocation, changes, device, payloads, session
from accelpool.db import host as db_host
from accelpool.rpc import transport
from tests.support import database

# After accelpool.rpc, which chooses the threads of oslo.messaging.
sent = importlib.import_module('oslo_messaging.notify._impl_test')


class Case(unittest.TestCase):
    def setUp(self) -> None:
        conf.register_all()
        cfg.CONF([], project='accelpool', default_config_files=[], default_config_dirs=[])
        database.use(self)
        for cached in (notifications.outbox, notifications.notifier_of, notifications._bus):
            cached.cache_clear()
            self.addCleanup(cached.cache_clear)
        self.addCleanup(changes.listen, 'notifications', None)
        self.conf = self.enterContext(fixture.Config(cfg.CONF))
        transport.use_memory()
        self.addCleanup(transport.get.cache_clear)
        notifications._bus()
        self.conf.config(driver=['test'], group='oslo_messaging_notifications')
        notifications.setup('accelpool-scheduler', 'here')
        # Before the database goes: what is sent later fails, and tells so in the middle of another test.
        self.addCleanup(lambda: notifications.outbox().flush(300))
        sent.reset()

    def told(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Return what was sent: event type, priority, data."""
        notifications.outbox().flush(300)  # however slow the machine is
        notifications.outbox.cache_clear()
        notifications.setup('accelpool-scheduler', 'here')
        found = [(message['event_type'], priority.lower(), message['payload']['accelpool_object.data'])
                 for _, message, priority, _ in sent.NOTIFICATIONS]
        sent.reset()
        return found


class Told(Case):
    """What happens is told, in order, and nothing else."""

    def test_the_life_of_an_allocation(self) -> None:
        database.add_device('d')
        self.told()
        identifier = database.add_allocation(types.Request(compute=10, memory=100), name='mine')
        with session.writer() as writer:
            generation = device.get(writer, 'd').generation
            allocation.claim(writer, identifier, [types.Slice(
                id='s', allocation_id=identifier, device_id='d', host='host-a', compute=10, memory=100,
                isolation='shared')], {'d': generation})
        with session.writer() as writer:
            allocation.extend(writer, identifier, 60)
        with session.writer() as writer:
            allocation.release(writer, identifier)
        with session.writer() as writer:
            allocation.release_slice(writer, 's')
        told = self.told()
        self.assertEqual(
            [('allocation.create', 'pending', None), ('allocation.claim', 'scheduled', 'pending'),
             ('allocation.release', 'releasing', 'scheduled'), ('allocation.finish', 'released', 'releasing')],
            [(event, data['state'], data['previous_state']) for event, _, data in told if event != 'allocation.extend'])
        self.assertEqual(['allocation.extend'], [event for event, _, _ in told[2:3]])
        self.assertEqual({(identifier, 'mine', 'p', 'u')},
                         {(data['id'], data['name'], data['project_id'], data['user_id']) for _, _, data in told})

    def test_a_failure_has_its_reason_and_priority(self) -> None:
        identifier = database.add_allocation()
        with session.writer() as writer:
            allocation.transition(writer, identifier, Event.FAIL, detail='nothing fits')
        (_, (event, priority, data)) = self.told()
        self.assertEqual(('allocation.fail', 'error', 'error', 'nothing fits'),
                         (event, priority, data['state'], data['reason']))

    def test_what_is_rolled_back_is_not_told(self) -> None:
        with self.assertRaises(errors.Conflict), session.writer() as writer:
            allocation.create(writer, request=types.Request(compute=1, memory=1), project_id='p', user_id='u')
            raise errors.Conflict('no')
        self.assertEqual([], self.told())

    def test_devices(self) -> None:
        database.add_device('d')
        with session.writer() as writer:
            host = db_host.get(writer, 'host-a')
            device.save(writer, host, types.Device(
                id='d', driver='mock', vendor='accelpool', model='emu', memory=1000, health='failed',
                health_reason='it burns'))
        with session.writer() as writer:
            device.update(writer, device.get(writer, 'd'), enabled=False)
        told = self.told()
        self.assertEqual(
            [('device.create', []), ('device.update', ['health', 'health_reason']), ('device.update', ['enabled'])],
            [(event, data['changed']) for event, _, data in told])
        self.assertEqual({'host-a'}, {data['host'] for _, _, data in told})


class Form(Case):
    """A changed form is a new version: change both, and say in the documentation what changed."""

    FORMS = {'AllocationPayload 1.0': '3812', 'DevicePayload 1.0': 'e43b', 'SlicePayload 1.0': '4dfe'}

    def test_versions(self) -> None:
        database.add_device('d')
        identifier = database.add_allocation(types.Request(compute=10, memory=100))
        with session.writer() as writer:
            allocation.claim(writer, identifier, [types.Slice(
                id='s', allocation_id=identifier, device_id='d', host='host-a', compute=10, memory=100,
                isolation='shared')], {'d': device.get(writer, 'd').generation})
        found: dict[str, str] = {}
        for change in (changes.Change('allocation', 'claim', identifier),
                       changes.Change('device', 'update', 'd', {'changed': []})):
            self.note(found, payloads.of(change))
        self.assertEqual(self.FORMS, found)

    def note(self, found: dict[str, str], payload: Any) -> None:
        self.assertEqual('accelpool', payload['accelpool_object.namespace'])
        data = payload['accelpool_object.data']
        found[f'{payload["accelpool_object.name"]} {payload["accelpool_object.version"]}'] = hashlib.sha256(
            ' '.join(sorted(data)).encode()).hexdigest()[:4]
        for item in data.get('slices') or [] if isinstance(data.get('slices'), list) else []:
            self.note(found, item)


class Outbox(unittest.TestCase):
    def test_what_is_too_much_is_dropped_and_said(self) -> None:
        box = notifications.Outbox(2)
        gate = threading.Event()
        started = threading.Event()
        done: list[int] = []

        def hold() -> None:
            started.set()
            gate.wait()

        box.put(hold)
        started.wait()
        for number in range(5):
            box.put(lambda number=number: done.append(number))
        with self.assertLogs('accelpool.notifications', 'WARNING') as logs:
            gate.set()
            box.flush(30)
        self.assertEqual([0, 1], done)
        self.assertIn('3 notifications were dropped', logs.output[0])

    def test_what_a_process_that_ends_could_not_send_is_said(self) -> None:
        box = notifications.Outbox(10)
        gate = threading.Event()
        self.addCleanup(gate.set)
        box.put(lambda: gate.wait() and None)
        with self.assertLogs('accelpool.notifications', 'WARNING') as logs:
            box.flush(0.01)
        self.assertIn('were not sent', logs.output[0])

    def test_a_failure_stops_nothing(self) -> None:
        box = notifications.Outbox(10)
        done: list[int] = []
        with self.assertLogs('accelpool.notifications', 'ERROR'):
            box.put(lambda: 1 / 0 and None)
            box.put(lambda: done.append(1))
            box.flush(30)
        self.assertEqual([1], done)
