# SPDX-License-Identifier: Apache-2.0
"""One conductor with a real database and driver, a fake agent, and messages delivered on the spot."""

import json
import pathlib
import tempfile
import time
import unittest
from collections.abc import Callable
from unittest import mock

import prometheus_client
from oslo_config import cfg

from accelpool import conf, errors, types
from accelpool.allocations.states import Event
from accelpool.conductor import metrics
from accelpool.conductor.service import Conductor
from accelpool.conf import mock as mock_options
from accelpool.consumers import instance as instances
from accelpool.db import allocation as db_allocation
from accelpool.db import arq as db_arq
from accelpool.db import event as db_event
from accelpool.db import host as db_host
from accelpool.db import models
from accelpool.db import session as db_session
from accelpool.rpc import client
from accelpool.scheduler.service import SchedulerService
from tests.support import database
from tests.unit.conductor.fake_agent import FakeAgent

HOST = 'host-service'


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError('not within 30 s')
        time.sleep(0.01)


class Silent:
    """Other services' clients: messages are lost."""

    def __init__(self, host: str) -> None:
        pass

    def bind(self, allocation_id: str) -> None:
        pass

    def release(self, allocation_id: str) -> None:
        pass


class Service(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.dir = pathlib.Path(place.name)
        conf.register_all()
        cfg.CONF([], project='accelpool', default_config_files=[], default_config_dirs=[])
        mock_options.for_host(HOST)
        cfg.CONF.set_override('devices', ['gpu-emu:1GiB:1'], group=f'mock:{HOST}')
        self.addCleanup(cfg.CONF.clear_override, 'devices', group=f'mock:{HOST}')
        database.use(self)
        self.agent = FakeAgent(self.dir / 'agent.sock')
        self.agent.start()
        self.addCleanup(self.agent.stop)
        self.conductor = self.new_conductor()
        self.conductor.sync_inventory()
        self.scheduler = SchedulerService(Silent, 60)

    def new_conductor(self) -> Conductor:
        conductor = Conductor(HOST, self.dir, self.agent.path)
        conductor._agent_seen.set()
        self.addCleanup(conductor.agent.close)
        patch = mock.patch.object(client, 'ConductorClient', lambda host: conductor.allocations)
        patch.start()
        self.addCleanup(patch.stop)
        return conductor

    def scheduled(self, **values: object) -> str:
        identifier = database.add_allocation(types.Request(compute=10, memory=64), **values)
        self.scheduler.schedule(identifier)
        self.assertEqual('scheduled', database.state_of(identifier))
        return identifier

    def active(self, **values: object) -> str:
        identifier = self.scheduled(**values)
        self.conductor.allocations.bind(identifier)
        self.assertEqual('active', database.state_of(identifier))
        return identifier

    def begin_release(self, identifier: str) -> None:
        with db_session.writer() as session:
            db_allocation.release(session, identifier)

    def whole(self) -> bool:
        return (set(database.accounts().values()) == {(0, 0, 0)} and not self.agent.slices
                and not json.loads((self.dir / 'mock-slices.json').read_text()))

    def test_bind_attach_release_each_of_them_twice(self) -> None:
        identifier = self.active()
        self.conductor.allocations.bind(identifier)
        (device,) = self.conductor.allocations.attach(identifier)
        self.assertEqual('cuda', device['interface'])
        described = self.agent.devices[device['slice']]
        self.assertIn('ACCELPOOL_EMU_DEVICE', described['env'])
        self.assertEqual(1024, described['memory'])
        self.begin_release(identifier)
        with self.assertRaises(errors.Conflict):
            self.conductor.allocations.attach(identifier)
        self.conductor.allocations.release(identifier)
        self.conductor.allocations.release(identifier)
        self.assertEqual('released', database.state_of(identifier))
        self.assertTrue(self.whole())

    def test_a_late_bind_does_not_revive_what_was_released(self) -> None:
        identifier = self.scheduled()
        self.begin_release(identifier)
        self.conductor.allocations.bind(identifier)
        self.assertEqual({}, self.agent.slices)
        self.conductor.allocations.release(identifier)
        self.conductor.allocations.bind(identifier)
        self.assertEqual('released', database.state_of(identifier))

    def test_what_cannot_be_bound_is_an_error_that_holds_nothing(self) -> None:
        identifier = self.scheduled()
        self.agent.refuse['bind'] = ('driver-error', 'the vendor library is broken')
        with mock.patch.object(self.conductor.allocations, '_release_on') as release:
            self.conductor.allocations.bind(identifier)
        release.assert_called_once_with(HOST, identifier)
        self.conductor.allocations.release(identifier)
        self.assertEqual('error', database.state_of(identifier))
        with db_session.reader() as session:
            self.assertIn('the vendor library is broken', db_allocation.get(session, identifier).reason)
        self.assertTrue(self.whole())

    def test_a_slice_of_an_instance_that_cannot_be_carved_is_an_event_and_refuses_its_sessions(self) -> None:
        with db_session.writer() as session:
            (request,) = db_arq.create(session, [(0, types.Request(compute=10, memory=64))], profile='small',
                                       project_id='p', user_id='u')
        self.agent.refuse['bind'] = ('driver-error', 'the vendor library is broken')
        with mock.patch.object(self.conductor.allocations, '_release_on') as release:
            instances.bind({request.id: instances.Binding(
                hostname=HOST, device_rp_uuid='r', instance_uuid='i')}, visible='p')
            with db_session.reader() as session:
                bound = db_arq.show(session, request.id, 'p')
            self.assertEqual(db_arq.State.BOUND, bound.shown_state())  # before its conductor has heard of it
            wait_for(lambda: release.called)
        identifier = str(bound.allocation_id)
        self.conductor.allocations.release(identifier)
        with db_session.reader() as session:
            self.assertEqual(db_arq.State.BOUND, db_arq.show(session, request.id, 'p').shown_state())
            self.assertEqual([], db_arq.unsettled(session))  # Nova is told nothing
            failed = db_event.list_page(session, allocation_id=identifier)[-1]
        self.assertEqual((Event.FAIL, 'binding', 'error'), (failed.event, failed.from_state, failed.to_state))
        self.assertEqual(f'{HOST}: the vendor library is broken', failed.detail)
        with self.assertRaises(errors.Conflict):
            self.conductor.allocations.attach(identifier)
        self.assertTrue(self.whole())

    def test_without_an_agent_binding_waits_for_one(self) -> None:
        self.agent.stop()
        identifier = self.scheduled()
        self.conductor.allocations.bind(identifier)
        self.assertEqual('binding', database.state_of(identifier))
        self.agent.start()
        self.conductor.reconcile()
        self.assertEqual('active', database.state_of(identifier))

    def test_without_an_agent_nothing_is_given_back(self) -> None:
        """Its sessions may still live."""
        identifier = self.active()
        self.agent.stop()
        self.begin_release(identifier)
        with self.assertRaises(errors.AgentUnavailable):
            self.conductor.allocations.release(identifier)
        self.assertEqual({(10, 64, 1)}, set(database.accounts().values()))
        self.agent.start()
        self.conductor.reconcile()
        self.assertEqual('released', database.state_of(identifier))
        self.assertTrue(self.whole())

    def test_an_attachment_from_an_agent_that_forgot(self) -> None:
        identifier = self.active()
        self.agent.stop()
        self.agent.start()
        self.assertEqual(1, len(self.conductor.allocations.attach(identifier)))

    def test_a_new_conductor_finds_what_its_predecessor_left(self) -> None:
        kept, half, going = self.active(), self.scheduled(), self.active()
        with db_session.writer() as session:  # died between two steps of a bind
            db_allocation.transition(session, half, Event.BIND)
        self.begin_release(going)
        self.agent._bind({'id': 'orphan', 'generation': 1}, 'p', {})
        conductor = self.conductor = self.new_conductor()
        conductor.sync_inventory()
        conductor._slices._drivers['mock'].need_slicing().carve(
            next(iter(conductor.devices().values())),
            types.Slice(id='stray', allocation_id='x', device_id='d', host=HOST, compute=1, memory=1))
        conductor.reconcile()
        self.assertEqual(['active', 'active', 'released'], [database.state_of(i) for i in (kept, half, going)])
        self.assertEqual(2, len(self.agent.slices))
        self.assertEqual(self.agent.slices.keys(), conductor._slices.carved().keys())
        self.assertEqual(database.owed(), database.accounts())

    def test_devices_come_and_go(self) -> None:
        (device,) = self.conductor.devices().values()
        (self.dir / 'mock-health.json').write_text(json.dumps({device.id: 'missing'}))
        self.conductor.sync_inventory()
        with db_session.reader() as session:
            self.assertEqual('missing', session.get(models.Device, device.id).health)
        (self.dir / 'mock-health.json').unlink()
        before = self._generation(device.id)
        self.conductor.sync_inventory()
        self.assertEqual(before + 1, self._generation(device.id))
        self.conductor.sync_inventory()
        self.assertEqual(before + 1, self._generation(device.id))

    def _generation(self, device_id: str) -> int:
        with db_session.reader() as session:
            return session.get(models.Device, device_id).generation

    def test_a_live_session_or_holder_keeps_an_allocation(self) -> None:
        used, held, idle = (self.active(ttl=3600) for _ in range(3))
        before = {i: self._expires(i) for i in (used, held, idle)}
        with db_session.reader() as session:
            (piece,) = db_allocation.get(session, used).slices
        self.agent.sessions[piece.id] = 1
        self.agent.holders.append(held)
        self.conductor.heartbeat()
        self.assertEqual([True, True, False], [self._expires(i) > before[i] for i in (used, held, idle)])

    def _expires(self, identifier: str) -> object:
        with db_session.reader() as session:
            return db_allocation.get(session, identifier).expires_at

    def test_a_host_without_an_agent_is_not_heard_of(self) -> None:
        def seen() -> object:
            with db_session.reader() as session:
                return db_host.get(session, HOST).last_seen

        before = seen()
        self.conductor.heartbeat()
        self.assertGreater(seen(), before)
        self.agent.stop()
        before = seen()
        self.conductor.heartbeat()
        self.assertEqual(before, seen())
        self.agent.start()

    def test_death_of_a_holder_releases_at_once(self) -> None:
        identifier = self.active()
        self.conductor._watch.start()
        self.addCleanup(self.conductor._watch.join)
        self.addCleanup(self.conductor.agent.close)
        self.addCleanup(self.conductor._stopped.set)
        wait_for(self.agent.watched)
        self.agent.event(event='holder-closed', allocation_id=identifier)
        wait_for(lambda: database.state_of(identifier) == 'released')
        wait_for(self.whole)

    def test_metrics_tell_devices_and_slices(self) -> None:
        self.active()
        registry = prometheus_client.CollectorRegistry()
        registry.register(metrics.Collector(HOST, self.conductor))
        text = prometheus_client.generate_latest(registry).decode()
        (device,) = self.conductor.devices()
        (piece,) = self.agent.slices
        self.assertIn(f'accelpool_device_memory_mib{{device="{device}",host="{HOST}"}} 1024.0', text)
        self.assertIn(f'accelpool_slice_sessions{{host="{HOST}",slice="{piece}"}} 0.0', text)
        self.agent.stop()
        self.assertIn('accelpool_device_health', prometheus_client.generate_latest(registry).decode())
        self.agent.start()
