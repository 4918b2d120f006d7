# SPDX-License-Identifier: Apache-2.0
"""NVIDIA devices in a pool: scheduler, database and conductor are real, the hardware and the agent are not."""

import threading
import uuid
from typing import Any
from unittest import mock

from oslo_config import cfg

from accelpool import errors, types
from accelpool.conductor.service import Conductor
from accelpool.consumers import instance as instances
from accelpool.db import allocation as db_allocation
from accelpool.db import arq as db_arq
from accelpool.db import device as db_device
from accelpool.db import event as db_event
from accelpool.db import pool as db_pool
from accelpool.db import session as db_session
from accelpool.drivers import mdev
from accelpool.rpc import client
from accelpool.scheduler.service import SchedulerService
from accelpool.types import ANY_ISOLATION, Health, Isolation
from tests.fakes.nvml import host as fake
from tests.fakes.nvml.vf import VirtualFunctions
from tests.functional import nvidia
from tests.support import database
from tests.unit.conductor.fake_agent import FakeAgent

HOST = 'host-n'


class Later:
    """Messages that are delivered when the test says so, as they are on a bus."""

    def __init__(self, host: str) -> None:
        self.waiting: list[str] = []

    def bind(self, allocation_id: str) -> None:
        pass

    def release(self, allocation_id: str) -> None:
        self.waiting.append(allocation_id)


class PoolCase(nvidia.NvidiaCase):
    def setUp(self) -> None:
        super().setUp()
        cfg.CONF([], project='accelpool', default_config_files=[], default_config_dirs=[])
        cfg.CONF.set_override('drivers', ['nvidia'], group='conductor')
        self.addCleanup(cfg.CONF.clear_override, 'drivers', group='conductor')
        libraries = self.dir / 'lib'
        libraries.mkdir()
        (libraries / 'libnvidia-ml.so.1').symlink_to(fake.library() / 'libnvidia-ml.so.1')
        (libraries / 'libcuda.so.1').touch()
        self.configure(library_dir=str(libraries))
        database.use(self)
        self.agent = FakeAgent(self.dir / 'agent.sock')
        self.agent.start()
        self.addCleanup(self.agent.stop)
        self.bus = Later(HOST)
        self.scheduler = SchedulerService(Later, 60)

    def serve(self, description: str) -> None:
        self.describe(description)
        self.conductor = self.new_conductor()
        self.conductor.sync_inventory()

    def new_conductor(self) -> Conductor:
        # The tests' own driver knows how to pretend; a conductor's is a new one each time, as after a restart.
        driver = self.start()
        with mock.patch('accelpool.drivers.base.load', return_value={'nvidia': driver}):
            conductor = Conductor(HOST, self.dir, self.agent.path)
        conductor._agent_seen.set()
        self.addCleanup(conductor.agent.close)
        patch = mock.patch.object(client, 'ConductorClient', lambda host: self.bus)
        patch.start()
        self.addCleanup(patch.stop)
        return conductor

    def ask(self, bind: bool = True, **values: Any) -> str:
        identifier = database.add_allocation(types.Request(**{'compute': 10, 'memory': 64, **values}))
        self.scheduler.schedule(identifier)
        if bind and database.state_of(identifier) == 'scheduled':
            self.conductor.allocations.bind(identifier)
            while self.bus.waiting:
                self.conductor.allocations.release(self.bus.waiting.pop())
        return identifier

    def allocation(self, identifier: str) -> Any:
        with db_session.reader() as session:
            return db_allocation.get(session, identifier)

    def slice_of(self, identifier: str) -> Any:
        found, = self.allocation(identifier).slices
        return found

    def give_back(self, identifier: str) -> None:
        with db_session.writer() as session:
            db_allocation.release(session, identifier)
        self.conductor.allocations.release(identifier)

    def events(self, identifier: str) -> list[tuple[str, str]]:
        with db_session.reader() as session:
            return [(one.event, one.detail or '') for one in db_event.list_page(session, allocation_id=identifier)]

    def enable(self, enabled: bool) -> None:
        """An operator enables or disables the first device."""
        with db_session.writer() as session:
            db_device.update(session, db_device.get(session, self.devices()[0].id), enabled=enabled)

    def devices(self) -> list[Any]:
        with db_session.reader() as session:
            return sorted(db_device.list_page(session), key=lambda one: one.pci_address)


class Partitions(PoolCase):
    def test_percent_and_mib_become_an_instance_and_back(self) -> None:
        self.serve('dgx-a100')
        identifier = self.ask(isolation=Isolation.PARTITION, compute=30, memory=10000)
        self.assertEqual('active', database.state_of(identifier))
        found = self.slice_of(identifier)
        self.assertEqual(('3g.20gb', 4, 42, 19968), (found.template, found.position, found.compute, found.memory))
        (name, start, uuids), = self.host.instances(6) or self.host.instances(7)
        self.assertEqual(('MIG 3g.20gb', 4), (name, start))
        described, = self.agent.devices.values()
        self.assertEqual(uuids[0], described['env']['CUDA_VISIBLE_DEVICES'])
        self.assertEqual((100, 19968), (described['compute'], described['memory']))
        self.give_back(identifier)
        self.assertEqual('released', database.state_of(identifier))
        self.assertEqual([], self.host.instances(6) + self.host.instances(7))

    def test_compute_instances_share_an_instance_by_name(self) -> None:
        self.serve('dgx-a100')
        made = [self.ask(isolation=Isolation.PARTITION, template='1c.3g.20gb', memory=None) for _ in range(4)]
        self.assertEqual(['active'] * 4, [database.state_of(one) for one in made])
        on = {device.id: number for number, device in enumerate(self.devices())}
        computes = [self.host.computes(number) for number in (6, 7)]
        self.assertEqual([4], [len(found) for found in computes if found], 'one device serves all')
        self.assertEqual([(4, 0, 1), (4, 1, 1), (4, 2, 1)], [one for found in computes for one in found if one[0] == 4])
        first = self.slice_of(made[0])
        self.assertEqual((14, 6656), (first.compute, first.memory))
        self.assertIn(on[first.device_id], (6, 7))
        for one in made:
            self.give_back(one)
        self.assertEqual([], self.host.instances(6) + self.host.instances(7))

    def test_the_scheduler_sees_what_really_remains(self) -> None:
        """Two 3g fill a device: 16 % and a seventh of the memory are free on paper, and nothing fits there."""
        self.serve('dgx-a100')
        made = [self.ask(isolation=Isolation.PARTITION, template='3g.20gb', compute=1, memory=None) for _ in range(4)]
        self.assertEqual(['active'] * 4, [database.state_of(one) for one in made])
        refused = self.ask(isolation=Isolation.PARTITION, compute=5, memory=100)
        self.assertEqual('error', database.state_of(refused))
        self.assertIn('there is no room for a partition 1g.5gb or 1g.10gb', self.allocation(refused).reason)
        self.give_back(made[0])
        self.assertEqual('active', database.state_of(self.ask(isolation=Isolation.PARTITION, compute=5, memory=100)))

    def test_more_threads_than_places(self) -> None:
        self.serve('dgx-a100')
        found: list[str] = []
        threads = [threading.Thread(target=lambda: found.append(
            self.ask(isolation=Isolation.PARTITION, template='2g.10gb', memory=None))) for _ in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(['active'] * 6 + ['error'] * 3, sorted(database.state_of(one) for one in found))
        self.assertEqual(6, len(self.host.instances(6) + self.host.instances(7)))

    def test_a_device_is_charged_the_overhead_of_its_shares_only(self) -> None:
        self.configure(session_overhead_mib=30000)
        self.serve('dgx-a100')
        with db_session.writer() as session:
            for device in db_device.list_page(session):
                db_device.update(session, device, enabled=device.pci_address in (
                    self.look()[0].pci_address, self.look()[6].pci_address))
        share = self.ask(memory=5000)
        cut = self.ask(isolation=Isolation.PARTITION, template='3g.20gb', memory=None)
        on = {one.id: one for one in self.devices()}
        self.assertEqual(40389 - 35000, on[self.slice_of(share).device_id].free_memory)
        self.assertEqual(40960 - 19968, on[self.slice_of(cut).device_id].free_memory)
        self.assertEqual({5000, 19968}, {told['memory'] for told in self.agent.slices.values()})
        refused = self.ask(memory=5000)
        self.assertIn('5389 MiB of its memory is free, less than 5000 MiB and 30000 MiB', self.allocation(refused).reason)
        self.give_back(share)
        whole = self.slice_of(self.ask(isolation=Isolation.WHOLE, memory=None))
        self.assertEqual((40389, 0), (whole.memory, whole.overhead))

    def test_any_isolation_takes_what_there_is(self) -> None:
        self.serve('dgx-a100')
        # The smallest partition wastes less than a share of a whole device would.
        self.assertEqual('partition', self.slice_of(self.ask(isolation=ANY_ISOLATION)).isolation)
        with db_session.writer() as session:
            for device in db_device.list_page(session):
                if device.partitions:
                    db_device.update(session, device, enabled=False)
        self.assertEqual('shared', self.slice_of(self.ask(isolation=ANY_ISOLATION)).isolation)

    def test_a_pool_says_which_isolations(self) -> None:
        self.serve('dgx-a100')
        with db_session.writer() as session:
            db_pool.update(session, db_pool.get(session, 'default'), isolations=['whole', 'partition'])
        refused = self.ask()
        self.assertEqual('error', database.state_of(refused))
        self.assertIn('it cannot do isolation shared, only whole', self.allocation(refused).reason)
        self.assertEqual('partition', self.slice_of(self.ask(isolation=ANY_ISOLATION)).isolation)

    def test_an_instance_of_somebody_else_takes_its_place(self) -> None:
        self.serve('dgx-a100')
        self.host.add_instance(6, 'MIG 7g.40gb', 0)
        self.host.add_instance(7, 'MIG 4g.20gb', 0)
        self.conductor.sync_inventory()
        identifier = self.ask(isolation=Isolation.PARTITION, compute=42, memory=100)
        self.assertEqual(('3g.20gb', 4), (self.slice_of(identifier).template, self.slice_of(identifier).position))
        self.assertEqual('error', database.state_of(self.ask(isolation=Isolation.PARTITION, compute=50, memory=1)))

    def test_an_instance_that_somebody_destroyed_is_made_again(self) -> None:
        self.serve('dgx-a100')
        identifier = self.ask(isolation=Isolation.PARTITION, compute=30, memory=10000)
        device = 6 if self.host.instances(6) else 7
        before = self.host.instances(device)
        self.host.destroy_instance(device, 4)
        told = len(self.events(identifier))
        for _ in range(2):
            self.conductor.reconcile()
        (event, detail), = self.events(identifier)[told:]
        self.assertEqual('device', event)
        self.assertIn('was not there any more: its sessions have ended, it is made again', detail)
        after = self.host.instances(device)
        self.assertEqual(before, after)
        described, = self.agent.devices.values()
        self.assertEqual(after[0][2][0], described['env']['CUDA_VISIBLE_DEVICES'])
        self.assertEqual('active', database.state_of(identifier))

    def test_an_instance_that_somebody_made_in_its_place_at_the_hosts_start(self) -> None:
        self.serve('dgx-a100')
        identifier = self.ask(isolation=Isolation.PARTITION, compute=30, memory=10000)
        device = 6 if self.host.instances(6) else 7
        self.host.destroy_instance(device, 4)
        self.host.add_instance(device, 'MIG 3g.20gb', 4)
        theirs, self.boot = self.host.instances(device), 'boot-2'
        self.conductor = self.new_conductor()
        self.conductor.sync_inventory()
        for _ in range(2):
            self.conductor.reconcile()
        self.assertIn('was not there any more: its sessions have ended', str(self.events(identifier)))
        self.assertEqual('error', database.state_of(identifier))
        self.assertIn('somebody else has it', self.allocation(identifier).reason)
        self.give_back(identifier)
        self.assertEqual(theirs, self.host.instances(device))

    def test_a_conductor_that_was_killed(self) -> None:
        self.serve('dgx-a100')
        identifier = self.ask(isolation=Isolation.PARTITION, compute=30, memory=10000)
        before = self.host.instances(6) + self.host.instances(7)
        self.conductor = self.new_conductor()
        self.conductor.sync_inventory()
        self.conductor.reconcile()
        self.assertEqual(before, self.host.instances(6) + self.host.instances(7))
        self.give_back(identifier)
        self.assertEqual([], self.host.instances(6) + self.host.instances(7))

    def test_lost_in_the_middle_of_a_bind(self) -> None:
        self.serve('dgx-a100')
        with self.host.failing('nvmlDeviceCreateGpuInstanceWithPlacement', code=15):
            identifier = self.ask(isolation=Isolation.PARTITION, compute=30, memory=10000)
        self.assertEqual('error', database.state_of(identifier))
        self.assertIn('the GPU is lost', self.allocation(identifier).reason)
        self.assertEqual({(0, 0, 0)}, set(database.accounts().values()))
        self.assertEqual('active', database.state_of(self.ask(isolation=Isolation.PARTITION, compute=30, memory=1)))


class Health_(PoolCase):
    def test_a_sick_device_is_drained_and_its_allocations_are_told(self) -> None:
        self.serve('h100')
        identifier = self.ask()
        self.assertEqual('active', database.state_of(identifier))
        self.conductor.sync_inventory()
        self.host.xid(0, 119)
        self.conductor.sync_inventory()
        device, = self.devices()
        self.assertEqual(Health.FAILED, device.health)
        self.assertIn('XID 119 (GSP RPC timeout)', device.health_reason)
        event, detail = self.events(identifier)[-1]
        self.assertEqual('device', event)
        self.assertIn('H100 80GB HBM3 on host-n is failed: XID 119', detail)
        self.assertEqual('active', database.state_of(identifier))
        refused = self.ask()
        self.assertIn('its health is failed', self.allocation(refused).reason)
        self.agent.sessions[self.slice_of(identifier).id] = 1
        self.enable(False)
        self.conductor.sync_inventory()
        self.assertEqual(2, len(self.host.held(0)), 'it is watched while it is used')
        del self.agent.sessions[self.slice_of(identifier).id]
        for _ in range(2):
            self.conductor.sync_inventory()
            self.assertEqual((Health.FAILED, device.health_reason), (self.devices()[0].health, self.devices()[0].health_reason))
        self.host.reset(0)
        self.enable(True)
        for _ in range(2):
            self.conductor.sync_inventory()
        self.assertEqual(('device', 'H100 80GB HBM3 on host-n is ok'), self.events(identifier)[-1])
        self.assertEqual('active', database.state_of(self.ask()))

    def test_nvml_that_hangs_stops_nothing_else(self) -> None:
        self.serve('h100')
        identifier = self.ask()
        with self.host.hanging():
            self.conductor.sync_inventory()
            self.conductor.heartbeat()
            self.conductor.reconcile()
            self.assertEqual(Health.FAILED, self.devices()[0].health)
            self.give_back(identifier)
            self.assertEqual('released', database.state_of(identifier))

    def test_a_mig_creation_that_hangs_leaves_the_other_gpus_to_be_cut(self) -> None:
        self.configure(mig_deadline=0.5, retry_interval=600.0)
        self.serve('dgx-a100')
        with self.host.hanging('nvmlDeviceCreateGpuInstanceWithPlacement', device=6), \
                self.host.hanging('nvmlDeviceCreateGpuInstanceWithPlacement', device=7) as other:
            hung = self.ask(isolation=Isolation.PARTITION, compute=30, memory=1)
            self.assertEqual('error', database.state_of(hung))
            self.assertIn('NVML did not answer within 0.5 s (create_instance)', self.allocation(hung).reason)
            index = 7 if other.met else 6
            self.conductor.sync_inventory()
            self.assertEqual([index], [number for number, one in enumerate(self.devices()) if one.health != Health.OK])
            self.assertIn('NVML did not answer within 0.5 s (create_instance)', self.devices()[index].health_reason)
        with self.host.hanging('nvmlDeviceCreateGpuInstanceWithPlacement', device=index):
            made = self.ask(isolation=Isolation.PARTITION, compute=30, memory=1)
            self.assertEqual('active', database.state_of(made), self.allocation(made).reason)
        self.assertEqual(1, len(self.host.instances(13 - index)))

    def test_a_foreign_process_on_a_shared_gpu(self) -> None:
        self.serve('h100')
        self.host.start_process(0, 4711)
        self.conductor.sync_inventory()
        self.assertIn('outside the pool (4711)', self.allocation(self.ask()).reason + self.devices()[0].health_reason)
        self.host.end_process(0, 4711)
        self.conductor.sync_inventory()
        self.assertEqual('active', database.state_of(self.ask()))

    def test_a_device_that_was_pulled_out_and_put_back(self) -> None:
        self.serve('dgx-a100')
        self.host.pull(2)
        self.conductor.sync_inventory()
        self.assertEqual(Health.MISSING, self.devices()[2].health)
        self.host.put_back(2)
        for _ in range(50):
            self.conductor.sync_inventory()
            if self.devices()[2].health == Health.OK:
                return
        self.fail('it did not come back')

    def test_without_libcuda_the_operator_is_told(self) -> None:
        self.serve('h100')
        (self.dir / 'lib/libcuda.so.1').unlink()
        refused = self.ask()
        self.assertEqual('error', database.state_of(refused))
        self.assertIn('install the driver, or name its directory in [nvidia] library_dir', self.allocation(refused).reason)

    def test_a_driver_that_is_too_old_for_sessions(self) -> None:
        """NVIDIA's driver names the kernels of a module from 550 on."""
        with self.assertLogs('accelpool.drivers.nvidia.inventory', 'ERROR') as logged:
            self.serve('mixed')
        self.assertIn('sessions need the NVIDIA driver 550 or later (CUDA 12.4), and this one is 535', logged.output[0])
        devices = self.devices()
        self.assertEqual([['whole'], ['whole'], []], [device.modes for device in devices[:3]])
        self.assertIn('550 or later', devices[0].options['no_sessions'])
        shared, partition, whole = (self.ask(isolation=one, memory=None) for one in ('shared', 'partition', 'whole'))
        self.assertEqual(['error', 'error', 'active'], [database.state_of(one) for one in (shared, partition, whole)])
        self.assertIn('it cannot do isolation shared, only whole', self.allocation(shared).reason)
        with self.assertRaisesRegex(errors.NotSupported, 'to an instance on its own host: .* driver 550 or later'):
            self.conductor.allocations.attach(whole)

    def test_what_was_placed_before_the_driver_was_replaced_by_an_older_one(self) -> None:
        self.serve('h100')
        shared = self.ask(bind=False)
        self.host.state.driver, self.host.state.cuda = b'535.183.01', 12020
        self.conductor.sync_inventory()
        self.conductor.allocations.bind(shared)
        self.assertEqual('error', database.state_of(shared))
        self.assertRegex(self.allocation(shared).reason, 'cannot be cut as shared: .* driver 550 or later')


class ComputeModes(PoolCase):
    """An operator says how many processes may compute on a GPU (``nvidia-smi -c``)."""

    def mode(self, mode: int) -> str:
        """Set the compute mode of the GPU; return the command that takes it back."""
        self.host.device(0).compute_mode = mode
        self.conductor.sync_inventory()
        return f'nvidia-smi -i {self.devices()[0].pci_address} -c 0'

    def test_no_process(self) -> None:
        self.serve('h100')
        placed = self.ask(bind=False)
        remedy = self.mode(2)
        self.assertEqual(['whole'], self.devices()[0].modes)
        self.conductor.allocations.bind(placed)
        self.assertEqual('error', database.state_of(placed))
        self.assertIn('cannot be cut as shared: its compute mode is PROHIBITED: ' + remedy, self.allocation(placed).reason)
        self.give_back(placed)
        whole = self.ask(isolation=Isolation.WHOLE, memory=None)
        self.assertEqual('active', database.state_of(whole), 'an instance can have it')
        with self.assertRaisesRegex(errors.NotSupported, f'PROHIBITED: {remedy}'):
            self.conductor.allocations.attach(whole)

    def test_one_process(self) -> None:
        self.configure(mps=True)
        self.serve('h100')
        placed = self.ask(bind=False)
        remedy = self.mode(3)
        self.assertEqual(['whole', 'mps'], self.devices()[0].modes, 'one program, or the server of MPS')
        self.conductor.allocations.bind(placed)
        self.assertEqual('error', database.state_of(placed))
        self.assertRegex(self.allocation(placed).reason, f'EXCLUSIVE_PROCESS, so one process .* may use it: {remedy}')
        self.give_back(placed)
        self.assertEqual('active', database.state_of(self.ask(isolation=Isolation.WHOLE, memory=None)))

    def test_a_gpu_in_mig_mode_has_one_for_each_instance(self) -> None:
        self.serve('dgx-a100')
        for mode in (2, 3):
            for index in (6, 7):
                self.host.device(index).compute_mode = mode
            self.conductor.sync_inventory()
            self.assertEqual('active', database.state_of(self.ask(isolation=Isolation.PARTITION, compute=10, memory=1)))


class ForInstances(PoolCase):
    """Slices that an instance of their own host gets need no sessions, and so nothing that only sessions need."""

    def setUp(self) -> None:
        super().setUp()
        (self.dir / 'lib/libcuda.so.1').unlink()

    def mediated(self) -> str:
        function = self.dir / 'sys/bus/pci/devices/0000:af:00.0'
        nvidia.vgpu_types(function)
        self.serve('l4')
        identifier = self.ask(bind=False, isolation=Isolation.PARTITION, template='nvidia-1116', memory=None)
        nvidia.mediated(function, self.slice_of(identifier).id)
        (self.dir / 'sys/bus/mdev/devices').mkdir(parents=True)
        self.conductor.allocations.bind(identifier)
        return identifier

    def test_a_mediated_device(self) -> None:
        identifier = self.mediated()
        self.assertEqual('active', database.state_of(identifier), self.allocation(identifier).reason)
        found = self.slice_of(identifier)
        self.assertEqual({'type': 'MDEV', 'uuid': str(uuid.uuid5(mdev.NAMESPACE, found.id)), 'info': {
            'domain': '0000', 'bus': 'af', 'device': '00', 'function': '0', 'asked_type': 'nvidia-1116'}}, found.handle)
        self.assertEqual({}, self.agent.slices)
        with self.assertRaisesRegex(errors.NotSupported, 'to an instance on its own host: a mediated device'):
            self.conductor.allocations.attach(identifier)
        self.give_back(identifier)
        self.assertEqual('released', database.state_of(identifier))
        self.assertEqual({}, self.conductor._slices.kept())

    def test_no_session_reaches_the_device_behind_a_mediated_one(self) -> None:
        (self.dir / 'lib/libcuda.so.1').touch()
        identifier = self.mediated()
        self.assertEqual('active', database.state_of(identifier))
        with self.assertRaises(errors.NotSupported):
            self.conductor.allocations.attach(identifier)
        self.assertEqual({}, self.agent.slices)

    def test_a_virtual_function(self) -> None:
        (self.dir / 'lib/libcuda.so.1').touch()
        self.describe('l4')
        self.functions = VirtualFunctions(self.dir / 'sys', self.host.device(1))
        self.conductor = self.new_conductor()
        self.conductor.sync_inventory()
        identifier = self.ask(isolation=Isolation.PARTITION, compute=5, memory=3000)
        self.assertEqual('active', database.state_of(identifier), self.allocation(identifier).reason)
        found = self.slice_of(identifier)
        self.assertEqual(('nvidia-1118', 4096), (found.template, found.memory))
        self.assertEqual({'type': 'PCI', 'uuid': None, 'info': {
            'domain': '0000', 'bus': 'af', 'device': '00', 'function': '4'}}, found.handle)
        self.assertEqual({'0000:af:00.4': 1118}, self.functions.types())
        with self.assertRaisesRegex(errors.NotSupported, 'to an instance on its own host: a virtual function with a vGPU'):
            self.conductor.allocations.attach(identifier)
        self.assertEqual({}, self.agent.slices, 'no session reaches the device behind it')
        self.conductor.sync_inventory()
        refused = self.ask(isolation=Isolation.PARTITION, template='nvidia-1116', memory=None)
        self.assertIn('there is no room for a partition nvidia-1116', self.allocation(refused).reason)
        self.give_back(identifier)
        self.assertEqual(('released', {}), (database.state_of(identifier), self.functions.types()))
        self.conductor.sync_inventory()
        self.assertEqual('active', database.state_of(self.ask(
            isolation=Isolation.PARTITION, template='nvidia-1116', memory=None)))

    def test_virtual_functions_after_the_host_has_restarted(self) -> None:
        """They are made after the conductor has started; the slice keeps its function and its allocation is told."""
        self.describe('l4')
        self.functions = VirtualFunctions(self.dir / 'sys', self.host.device(1))
        self.conductor = self.new_conductor()
        self.conductor.sync_inventory()
        identifier = self.ask(isolation=Isolation.PARTITION, template='nvidia-1116', memory=None)
        before = self.slice_of(identifier).handle
        self.functions.disable()
        self.conductor = self.new_conductor()
        told = len(self.events(identifier))
        self.conductor.sync_inventory()
        self.conductor.reconcile()
        self.assertEqual(('active', {}), (database.state_of(identifier), self.functions.types()))
        self.functions.enable()
        self.conductor.sync_inventory()
        self.conductor.reconcile()
        self.assertEqual({'0000:af:00.4': 1116}, self.functions.types())
        self.assertIn('was not there any more', self.events(identifier)[told:][0][1])
        self.assertEqual(('active', before), (database.state_of(identifier), self.slice_of(identifier).handle))

    def test_a_vgpu_that_mig_backs(self) -> None:
        self.describe('vgpu-mig')
        self.functions = VirtualFunctions(self.dir / 'sys', self.host.device(1))
        self.conductor = self.new_conductor()
        self.conductor.sync_inventory()
        identifier = self.ask(isolation=Isolation.PARTITION, compute=25, memory=9000)
        self.assertEqual('active', database.state_of(identifier), self.allocation(identifier).reason)
        found = self.slice_of(identifier)
        self.assertEqual(('nvidia-475', 9856), (found.template, found.memory))
        self.assertEqual({'type': 'PCI', 'uuid': None, 'info': {
            'domain': '0000', 'bus': 'ca', 'device': '00', 'function': '4'}}, found.handle)
        self.assertEqual([('MIG 2g.10gb', found.position, [])], self.host.instances(1))
        self.conductor = self.new_conductor()
        self.conductor.sync_inventory()
        self.conductor.reconcile()
        self.assertEqual(('active', {'0000:ca:00.4': 475}), (database.state_of(identifier), self.functions.types()))
        others = [self.ask(isolation=Isolation.PARTITION, compute=25, memory=9000) for _ in range(3)]
        self.assertEqual(['active', 'active'], [database.state_of(one) for one in others[:2]])
        self.assertIn('there is no room for a partition nvidia-475 or nvidia-476', self.allocation(others[2]).reason)
        for one in (identifier, *others[:2]):
            self.give_back(one)
        self.assertEqual(({}, []), (self.functions.types(), self.host.instances(1)))

    def test_a_whole_device(self) -> None:
        self.serve('h100')
        identifier = self.ask(isolation=Isolation.WHOLE, memory=None)
        self.assertEqual('active', database.state_of(identifier), self.allocation(identifier).reason)
        self.assertEqual({'type': 'PCI', 'uuid': None, 'info': {
            'domain': '0000', 'bus': '19', 'device': '00', 'function': '0'}}, self.slice_of(identifier).handle)
        with self.assertRaisesRegex(errors.NotSupported, 'to an instance on its own host: libcuda.so.1'):
            self.conductor.allocations.attach(identifier)
        (self.dir / 'lib/libcuda.so.1').touch()
        self.assertEqual(1, len(self.conductor.allocations.attach(identifier)))
        self.assertEqual({self.slice_of(identifier).id}, set(self.agent.slices))

    def test_a_whole_device_of_an_instance_is_let_go_of_before_nova_hears_of_it(self) -> None:
        self.serve('h100')
        with db_session.writer() as session:
            (request,) = db_arq.create(
                session, [(0, types.Request(compute=100, isolation=Isolation.WHOLE))], profile='whole', project_id='p',
                user_id='u')
        self.assertEqual(2, len(self.host.held(0)))
        with mock.patch('accelpool.rpc.later.cast', lambda function, identifier: None):
            instances.bind({request.id: instances.Binding(
                hostname=f'{HOST}.example.org', device_rp_uuid='r', instance_uuid='i')}, visible='p')

        note = db_allocation.bound

        def bound(*arguments: Any) -> bool:
            self.host.detach(0, self.dir / 'sys')  # Nova's libvirt driver may do so from now on
            return note(*arguments)

        with db_session.reader() as session:
            identifier = str(db_arq.show(session, request.id, 'p').allocation_id)
        with mock.patch.object(db_allocation, 'bound', bound):
            self.conductor.allocations.bind(identifier)
        self.assertEqual('active', database.state_of(identifier), self.allocation(identifier).reason)
        for conductor in (self.conductor, self.new_conductor()):
            conductor.let_go()
            for _ in range(2):
                conductor.sync_inventory()
                self.assertEqual([(Health.OK, None)], [(one.health, one.health_reason) for one in self.devices()])
        self.host.give_back(0, self.dir / 'sys')
        conductor.sync_inventory()
        self.assertEqual([], self.host.held(0))
        with db_session.writer() as session:
            db_allocation.release(session, identifier)
        conductor.allocations.release(identifier)
        for _ in range(2):
            conductor.sync_inventory()
        self.assertEqual(2, len(self.host.held(0)))
        self.assertEqual([Health.OK], [one.health for one in self.devices()])

    def test_it_is_not_bound_again_and_again(self) -> None:
        self.serve('h100')
        identifier = self.ask(isolation=Isolation.WHOLE, memory=None)
        for conductor, times in ((self.conductor, 0), (self.new_conductor(), 1)):
            conductor.sync_inventory()
            with mock.patch.object(conductor._slices, 'bind', wraps=conductor._slices.bind) as bind:
                conductor.reconcile()
                conductor.reconcile()
            self.assertEqual(times, bind.call_count)
        self.assertEqual('active', database.state_of(identifier))
