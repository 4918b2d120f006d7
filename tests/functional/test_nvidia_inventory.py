# SPDX-License-Identifier: Apache-2.0
"""The NVIDIA inventory over the stand-in of NVML: what is found, what falls ill, what gets well."""

import contextlib
import itertools
import threading
import time
import unittest
from typing import Any
from unittest import mock

import os_traits

from accelpool.conf import conductor
from accelpool.conf import nvidia as options
from accelpool.drivers.nvidia import describe
from accelpool.types import Health, Isolation
from tests.functional import nvidia


class Found(nvidia.NvidiaCase):
    def test_a_host_like_a_dgx(self) -> None:
        self.describe('dgx-a100')
        devices = self.look()
        self.assertEqual(8, len(devices))
        first = devices[0]
        self.assertEqual(('nvidia', 'A100-SXM4-40GB', 40960 - 571, '0000:07:00.0', 3, Health.OK, None),
                         (first.vendor, first.model, first.memory, first.pci_address, first.numa_node, first.health,
                          first.health_reason))
        self.assertEqual(['host-n/nvlink-07:00.0'] * 6 + [None] * 2, [device.fabric for device in devices],
                         'the last two are in MIG mode')
        self.assertLessEqual({
            'HW_GPU_CUDA_SDK_V10_0', 'CUSTOM_GPU_CUDA_SDK_V12_8', 'CUSTOM_GPU_CUDA_COMPUTE_CAPABILITY_V8_0',
            'CUSTOM_NVIDIA_AMPERE', 'CUSTOM_NVIDIA_A100_SXM4_40GB', 'CUSTOM_GPU_ECC', 'CUSTOM_GPU_MIG_CAPABLE',
            'CUSTOM_GPU_NVLINK'}, set(first.traits))
        options = first.options
        self.assertEqual(('8.0', 108, '48-63', '570.124.06', '12.8', 12, 0, False), (
            options['cc'], options['sm'], options['cpus'], options['driver'], options['cuda'], options['links'],
            options['minor'], options['mig']))
        self.assertEqual((Isolation.WHOLE, Isolation.SHARED), first.modes)
        self.assertIsNone(first.partitions)
        self.assertEqual((Isolation.PARTITION,), devices[6].modes)
        assert devices[6].partitions is not None
        templates = {one['name']: one for one in devices[6].partitions['templates']}
        self.assertEqual({'1g.5gb', '1g.5gb+me', '1g.10gb', '2g.10gb', '3g.20gb', '4g.20gb', '7g.40gb'}
                         | {'1c.2g.10gb', '1c.3g.20gb', '2c.3g.20gb', '1c.4g.20gb', '2c.4g.20gb'}
                         | {f'{length}c.7g.40gb' for length in (1, 2, 3, 4)}, set(templates))
        part = templates['2c.7g.40gb']
        self.assertEqual((28, 40192 * 2 // 7, '7g.40gb', [0, 2, 4], True), tuple(
            part[name] for name in ('compute', 'memory', 'within', 'offsets', 'special')))
        self.assertIn('CUSTOM_GPU_MIG_ENABLED', devices[6].traits)
        self.assertEqual(devices, self.look())

    def test_other_hosts(self) -> None:
        self.describe('h100')
        device, = self.look()
        self.assertEqual(('H100 80GB HBM3', 81559 - 551, None), (device.model, device.memory, device.fabric))
        self.assertIn('CUSTOM_NVIDIA_HOPPER', device.traits)
        self.assertEqual(132, device.options['sm'])

    def test_what_a_device_is(self) -> None:
        names = ('serial', 'architecture', 'clock_max', 'memory_clock_max', 'power_limit_watts', 'persistence', 'ecc',
                 'mig_capable', 'virtualization')
        for host, expected in (
                ('dgx-a100', {0: ('1564920035071', 'ampere', 1410, 1215, 400.0, True, True, True, 0)}),
                ('h100', {0: ('1654323012345', 'hopper', 1980, 2619, 700.0, True, True, True, 0)}),
                ('l4', {0: ('1322623077001', 'ada', 2040, 6251, 72.0, True, True, False, 0),
                        1: ('1322623077002', 'ada', 2040, 6251, 60.0, False, False, False, 3)})):
            with self.subTest(host):
                self.describe(host)
                devices = self.look()
                self.assertEqual(expected, {
                    index: tuple(devices[index].options[name] for name in names) for index in expected})
                self.assertEqual(len(devices), len({one.options['serial'] for one in devices}))
                (self.dir / 'nvidia-devices.json').unlink()

    def test_what_serves_vgpus(self) -> None:
        self.describe('l4')
        plain, serving = self.look()
        self.assertEqual([], plain.options['vgpus'])
        self.assertEqual([
            {'id': 1116, 'name': 'NVIDIA L4-2Q', 'memory': 2048, 'most': 12, 'profile': None},
            {'id': 1118, 'name': 'NVIDIA L4-4Q', 'memory': 4096, 'most': 6, 'profile': None},
            {'id': 1122, 'name': 'NVIDIA L4-24Q', 'memory': 24576, 'most': 1, 'profile': None}], serving.options['vgpus'])
        self.assertEqual({'CUSTOM_GPU_ECC'}, set(plain.traits) - set(serving.traits))
        self.assertEqual({'CUSTOM_GPU_VGPU'}, set(serving.traits) - set(plain.traits))

    def test_what_a_device_without_these_is_told_of(self) -> None:
        """A board of a consumer: NVML does not know most of it."""
        self.describe('l4')
        silent = ('nvmlDeviceGetSerial', 'nvmlDeviceGetMigMode', 'nvmlDeviceGetEccMode', 'nvmlDeviceGetPersistenceMode',
                  'nvmlDeviceGetEnforcedPowerLimit', 'nvmlDeviceGetMaxClockInfo', 'nvmlDeviceGetVirtualizationMode',
                  'nvmlDeviceGetArchitecture')
        with contextlib.ExitStack() as failing:
            for function in silent:
                failing.enter_context(self.host.failing(function, code=3))
            device = self.look()[0]
        self.assertEqual(Health.OK, device.health)
        self.assertEqual([None, None, None, None, None, None, False, False, False, False], [device.options[name] for name in (
            'serial', 'architecture', 'clock_max', 'memory_clock_max', 'power_limit_watts', 'virtualization',
            'ecc', 'persistence', 'mig', 'mig_capable')])

    def test_numa_node(self) -> None:
        for numa, expected in ((0, 0), (7, 7), (70, 70), (-1, None)):
            with self.subTest(numa):
                self.describe({'driver': '570.124.06', 'nvml': '12.570.124.06', 'cuda': 12080, 'devices': [
                    {'model': 'l4', 'bus': 0x3B, 'numa': numa, 'cpus': [0, 31]}]})
                self.assertEqual([expected], [device.numa_node for device in self.look()])
                (self.dir / 'nvidia-devices.json').unlink()

    def test_what_the_driver_reserves_is_not_sold(self) -> None:
        gpus = [{'model': 'h100-80gb', 'bus': 0x19, 'numa': 0, 'cpus': [0, 55]},
                {'model': 'h100-80gb', 'bus': 0x3B, 'numa': 0, 'cpus': [0, 55], 'mig': True},
                {'model': 'l4', 'bus': 0x5E, 'numa': 0, 'cpus': [0, 55], 'virtualization': 3}]
        for driver, reserved in (('580.65.06', 551), ('470.57.02', 0)):  # which counts it as used
            with self.subTest(driver):
                self.describe({'driver': driver, 'nvml': f'13.{driver}', 'cuda': 13000, 'devices': gpus})
                self.host.start_process(0, 99, memory=1000)
                found = self.look()
                self.assertEqual([81559 - reserved, 81559, 23034], [device.memory for device in found],
                                 'MIG instances and vGPUs are sold up to the total')
                whole = found[1].partitions and max(one['memory'] for one in found[1].partitions['templates'])
                self.assertLessEqual(81559 - 551, whole or 0)
                seen = self.driver.inventory.metrics()[found[0].id]
                self.assertEqual((1000 + 551 - reserved, 81559 - 551 - 1000),
                                 (seen['memory_used_mib'], seen['memory_free_mib']))
                (self.dir / 'nvidia-devices.json').unlink()

    def test_overhead_of_sessions_is_told_beside_the_memory(self) -> None:
        self.configure(session_overhead_mib=300)
        self.describe('dgx-a100')
        shared, mig = (self.look()[index] for index in (0, 6))
        self.assertEqual((40960 - 571, 300), (shared.memory, shared.overhead))
        self.assertEqual((40960, 0), (mig.memory, mig.overhead), 'a partition has its contexts in its own memory')
        assert mig.partitions is not None
        memory = {one['name']: one['memory'] for one in mig.partitions['templates']}
        self.assertEqual((19968, 6656 - 300), (memory['3g.20gb'], memory['1c.3g.20gb']), 'three share one memory')

    def test_ids_survive_a_restart_and_a_move_to_another_index(self) -> None:
        self.describe('dgx-a100')
        before = {device.pci_address: device.id for device in self.look()}
        self.host.pull(0)
        self.driver = self.start()
        after = {device.pci_address: device.id for device in self.look()}
        self.assertEqual(7, len(after))
        self.assertEqual(after, {key: before[key] for key in after})

    def test_metrics(self) -> None:
        self.describe('h100')
        self.host.start_process(0, 99, memory=1000)
        self.host.device(0).utilization, self.host.device(0).utilization_memory = 80, 35
        self.host.device(0).clock_sm, self.host.device(0).clock_memory = 1755, 2612
        self.host.device(0).throttle = 0x40
        self.host.device(0).ecc_corrected = 5
        device, = self.look()
        seen = self.driver.inventory.metrics()[device.id]
        self.assertEqual((38.0, 61.0, 80.0, 1.0, 1.0), tuple(seen[name] for name in (
            'temperature_celsius', 'power_watts', 'utilization_percent', 'throttled', 'processes')))
        self.assertEqual((35.0, 1755.0, 2612.0), tuple(seen[name] for name in (
            'memory_utilization_percent', 'clock_mhz', 'memory_clock_mhz')))
        self.assertEqual({'throttled_thermal_hardware'}, {
            name for name, value in seen.items() if name.startswith('throttled_') and value})
        self.assertEqual((5.0, 0.0), (seen['ecc_corrected_errors'], seen['ecc_uncorrected_errors']))
        self.assertEqual(1000, seen['memory_used_mib'])
        self.assertEqual(81559 - 551 - 1000, seen['memory_free_mib'])
        self.assertEqual(0, seen['xid'])
        self.host.xid(0, 43)
        self.look()
        self.assertEqual(43, self.driver.inventory.metrics()[device.id]['xid'])

    def test_a_profile_that_a_device_has_no_place_for_is_left_out(self) -> None:
        self.describe('mixed')
        self.host.state.cuda = 12080
        self.host.device(2).profiles[7].starts_count = 0
        device = self.look()[2]
        assert device.partitions is not None
        self.assertEqual({'1g.6gb', '2g.12gb', '2g.12gb+me', '4g.24gb'},
                         {one['name'] for one in device.partitions['templates'] if not one['within']})
        for profile in self.host.device(2).profiles:
            profile.starts_count = 0
        self.driver = self.start()
        found = self.look()
        self.assertEqual(3, len(found), 'the others are looked at')
        self.assertEqual([], (found[2].partitions or {})['templates'])
        self.assertEqual((Health.OK, (Isolation.PARTITION,)), (found[2].health, found[2].modes))

    def test_a_vgpu_type_that_a_device_cannot_have_is_left_out(self) -> None:
        self.describe('l4')
        with self.host.failing('nvmlVgpuTypeGetMaxInstances', code=2):
            device = self.look()[1]
        self.assertEqual((Health.OK, []), (device.health, device.options['vgpus']))

    def test_drivers_of_years_ago(self) -> None:
        """They lack functions, and those before 535.98 tell of processes in a structure that was changed afterwards."""
        pids = [4711, 4712, 4713, 4714, 4715]
        for driver, seen in (('450.80.02', []), ('470.57.02', pids), ('535.54.03', pids), ('535.98', pids)):
            with self.subTest(driver):
                self.describe({'driver': driver, 'nvml': f'11.{driver}', 'cuda': 11040, 'devices': [
                    {'model': 'l4', 'bus': 0x3B, 'numa': 0, 'cpus': [0, 31]}]})
                for pid in pids:
                    self.host.start_process(0, pid)
                self.host.device(0).throttle = 0x40
                device, = self.look()
                self.assertEqual('' if not seen else f'used by processes outside the pool ({", ".join(map(str, seen[:4]))}): '
                                 'end them, or disable the device', device.health_reason or '')
                metrics = self.driver.inventory.metrics()[device.id]
                self.assertEqual((len(seen), 1.0), (metrics['processes'], metrics['throttled_thermal_hardware']))
                (self.dir / 'nvidia-devices.json').unlink()

    def test_what_cannot_be_understood_is_no_gpu_that_hangs(self) -> None:
        self.describe('h100')
        self.look()
        self.host.device(0).serial = b'\xff'
        self.driver = self.start()
        device, = self.look()
        self.assertEqual(Health.FAILED, device.health)
        self.assertIn('UnicodeDecodeError', device.health_reason or '')

    def test_a_client_of_mps_with_a_context_of_its_own(self) -> None:
        """What nvidia-smi calls M+C: it is in both lists."""
        self.describe('h100')
        self.host.start_process(0, 99, memory=300)
        self.host.start_process(0, 99, memory=300, kind=2)
        device, = self.look()
        seen = self.driver.inventory.condition(device.options['uuid'])  # type: ignore[attr-defined]
        self.assertEqual([(99, True)], [(one['pid'], one['mps']) for one in seen['processes']])

    def test_direct_links_make_islands(self) -> None:
        self.describe('mixed')
        first, second, third, *_ = self.look()
        self.assertEqual('host-n/nvlink-1a:00.0', first.fabric)
        self.assertEqual(first.fabric, second.fabric)
        self.assertIsNone(third.fabric)


    def test_what_a_device_is_may_change(self) -> None:
        self.describe('mixed')
        for device in (0, 1):
            for link in self.host.device(device).links:
                link.active = 0
        self.assertEqual([None, None], [one.fabric for one in self.look()[:2]])
        for device in (0, 1):
            for link in self.host.device(device).links:
                link.active = link.present
        self.host.device(2).power_limit = 100_000
        found = self.until(lambda found: found[0].fabric is not None and found[2].options['power_limit_watts'] == 100.0)
        self.assertEqual(['host-n/nvlink-1a:00.0'] * 2, [one.fabric for one in found[:2]])

    def test_each_look_asks_one_device_at_most_what_it_is(self) -> None:
        self.describe('dgx-a100')
        self.look()
        channel: Any = self.driver.inventory._channel  # type: ignore[attr-defined]
        with mock.patch.object(channel, 'ask', wraps=channel.ask) as asked:
            for _ in range(30):
                self.look()
        anew = [[uuid for uuid, wanted in call.args[1].items() if wanted]
                for call in asked.call_args_list if call.args[0] == 'looks']
        self.assertEqual({0, 1}, {len(one) for one in anew})
        self.assertEqual(sorted(self.host.uuid(index) for index in range(8)), sorted(uuid for one in anew for uuid in one))


class Traits(unittest.TestCase):
    def test_placement_knows_every_standard_trait(self) -> None:
        """Of all devices and drivers: each HW_ trait is one of os-traits, and none of its CUDA traits is left out."""
        known = set(os_traits.get_traits('HW_GPU_CUDA_'))
        found: set[str] = set()
        for major, minor in itertools.product(range(1, 13), range(10)):
            for cuda in (0, 6050, 10000, 13000):
                traits = describe.traits(
                    {'compute_capability': f'{major}.{minor}', 'name': 'NVIDIA X (1/2)', 'architecture': 99, 'links': [1],
                     'virtualization': describe.HOST_VGPU},
                    {'ecc': 1, 'mig': major % 2}, cuda)
                found |= {one for one in traits if one.startswith('HW_')}
                for one in traits:
                    self.assertRegex(one, '^(HW|CUSTOM)_[A-Z0-9_]+$')
                spelled = f'CUDA_COMPUTE_CAPABILITY_V{major}_{minor}'
                self.assertIn(f'HW_GPU_{spelled}' if f'HW_GPU_{spelled}' in known else f'CUSTOM_GPU_{spelled}', traits)
        self.assertEqual(known, found)


class Health_(nvidia.NvidiaCase):
    def test_what_happens_is_seen_within_five_seconds(self) -> None:
        """A look begins at most this late, and devices that hang make it this long."""
        default = {option.name: option.default for option in (*conductor.OPTS, *options.OPTS)}
        self.assertLessEqual(default['inventory_interval'] + 2 * default['deadline'], 5.0)

    def setUp(self) -> None:
        super().setUp()
        self.describe('dgx-a100')
        self.look()  # events count from here

    def health(self, index: int = 0) -> tuple[str, str]:
        device = self.look()[index]
        return device.health, device.health_reason or ''

    def test_what_may_be_ignored_is_ignored(self) -> None:
        for code in (63, 43, 92, 106, 154):
            self.host.xid(0, code)
        self.assertEqual((Health.OK, ''), self.health())

    def test_restart_application_is_over_when_its_processes_are(self) -> None:
        self.programs[77] = 'accelpool-worker'
        self.host.start_process(0, 77)
        self.host.xid(0, 94)
        health, reason = self.health()
        self.assertEqual(Health.DEGRADED, health)
        self.assertEqual('XID 94 (contained memory error): restart the programs that use it', reason)
        self.assertEqual(Health.DEGRADED, self.health()[0])
        self.assertEqual(Health.OK, self.health(1)[0])
        self.host.end_process(0, 77)
        self.assertEqual((Health.OK, ''), self.health())

    def test_restart_application_does_not_wait_for_other_tenants(self) -> None:
        for pid in (77, 78, 79):
            self.programs[pid] = 'accelpool-worker'
            self.host.start_process(0, pid)
        self.assertEqual((Health.OK, ''), self.health())
        self.host.xid(0, 31)
        self.host.end_process(0, 77)  # it died of it before anybody looked
        self.assertEqual(Health.DEGRADED, self.health()[0], 'it is told')
        self.assertEqual((Health.OK, ''), self.health())
        self.host.xid(0, 31)
        for _ in range(3):
            self.assertEqual(Health.DEGRADED, self.health()[0])
        self.host.end_process(0, 78)
        self.assertEqual((Health.OK, ''), self.health())

    def test_restart_application_in_a_mig_instance_is_over_when_its_processes_are(self) -> None:
        self.host.add_instance(6, 'MIG 3g.20gb', 0)
        self.host.add_instance(6, 'MIG 3g.20gb', 4)
        for pid, instance in ((77, 1), (78, 2)):
            self.host.start_process(6, pid, instance=instance)
        self.host.xid(6, 31, instance=1)
        self.assertEqual(Health.DEGRADED, self.health(6)[0])
        self.host.end_process(6, 78)
        self.assertEqual(Health.DEGRADED, self.health(6)[0], 'it is in another instance')
        self.host.end_process(6, 77)
        self.assertEqual((Health.OK, ''), self.health(6))

    def test_the_application_that_died_of_it_needs_no_restart(self) -> None:
        self.host.xid(0, 31)
        self.assertEqual(Health.DEGRADED, self.health()[0])
        self.assertEqual(Health.OK, self.health()[0])

    def test_reset_gpu_lasts_until_the_reset(self) -> None:
        self.host.xid(0, 109)
        health, reason = self.health()
        self.assertEqual(Health.FAILED, health)
        self.assertIn('XID 109 (context switch timeout error): disable it, end all programs on it and reset it', reason)
        self.driver = self.start()  # a conductor that starts again has not forgotten it
        self.assertEqual(Health.FAILED, self.health()[0])
        self.reset(0)
        self.assertEqual((Health.OK, ''), self.health())

    def test_restart_host_lasts_until_the_host_was_started_again(self) -> None:
        self.host.xid(0, 79)
        self.assertEqual((Health.FAILED, 'XID 79 (GPU has fallen off the bus): restart the host'), self.health())
        self.reset(0)
        self.assertEqual(Health.FAILED, self.health()[0])
        self.boot = 'boot-2'
        self.driver = self.start()
        self.assertEqual(Health.OK, self.health()[0])

    def test_contact_support_drains(self) -> None:
        self.host.xid(0, 58)
        health, reason = self.health()
        self.assertEqual(Health.DEGRADED, health)
        self.assertIn('contact the vendor', reason)
        self.host.xid(0, 9999)  # the catalogue knows no such code
        self.assertIn('XID 9999', self.health()[1])

    def test_contained_memory_errors_are_over_when_their_program_is(self) -> None:
        self.programs[77] = 'accelpool-worker'
        self.host.start_process(2, 77)
        self.host.ecc(2)
        self.assertEqual((Health.DEGRADED, 'uncorrectable memory error: restart the programs that use it'), self.health(2))
        self.host.end_process(2, 77)
        self.assertEqual((Health.OK, ''), self.health(2))

    def test_memory_errors_for_which_the_driver_asks_for_a_reset(self) -> None:
        self.host.ecc(2)
        self.host.device(2).recovery = 1
        health, reason = self.health(2)
        self.assertEqual(Health.FAILED, health)
        self.assertIn('its driver asks for recovery: disable it, end all programs on it and reset it', reason)
        self.reset(2)
        self.assertEqual((Health.OK, ''), self.health(2))

    def test_memory_errors_of_a_driver_that_knows_of_no_recovery(self) -> None:
        (self.dir / 'nvidia-devices.json').unlink()
        self.describe('mixed')
        self.look()
        self.host.ecc(0)
        health, reason = self.health()
        self.assertEqual(Health.FAILED, health)
        self.assertIn('uncorrectable memory error: disable it, end all programs on it and reset it', reason)
        self.reset(0)
        self.assertEqual((Health.OK, ''), self.health())

    def test_what_the_driver_itself_asks_for(self) -> None:
        self.host.device(0).recovery = 1
        self.assertEqual(Health.FAILED, self.health()[0])
        self.assertIn('its driver asks for recovery', self.health()[1])
        self.host.device(0).recovery = 0
        self.assertEqual(Health.OK, self.health()[0])

    def test_a_recovery_that_does_not_end_what_runs(self) -> None:
        for action, advice in ((3, 'end the programs on it that reach other GPUs directly'), (4, 'what runs may finish; then disable it'),
                               (5, 'IMEX domain')):
            self.host.device(0).recovery = action
            health, reason = self.health()
            self.assertEqual(Health.DEGRADED, health)
            self.assertIn(advice, reason)

    def test_a_recovery_that_the_driver_asks_for_only_later_is_over_when_it_is(self) -> None:
        """NVML tells no energy here, so nothing else shows the reset."""
        self.host.xid(0, 109)
        with self.host.failing('nvmlDeviceGetTotalEnergyConsumption', code=3, device=0):
            for recovery in (0, 1):
                self.host.device(0).recovery = recovery
                self.assertEqual(Health.FAILED, self.health()[0])
            self.driver = self.start()
            self.assertEqual(Health.FAILED, self.health()[0])
            self.host.device(0).recovery = 0
            self.assertEqual((Health.OK, ''), self.health())

    def test_a_mig_instance_is_named(self) -> None:
        self.host.add_instance(6, 'MIG 3g.20gb', 4)
        self.host.xid(6, 46, instance=1)
        self.assertIn('XID 46 (GPU stopped processing) in MIG instance 1', self.health(6)[1])

    def test_fallen_off_the_bus_and_back(self) -> None:
        self.host.lose(3)
        health, reason = self.health(3)
        self.assertEqual(Health.FAILED, health)
        self.assertIn('the GPU is lost (fallen off the bus): reset it', reason)
        self.assertEqual(8, len(self.look()))
        self.driver = self.start()
        self.assertEqual(Health.FAILED, self.health(3)[0])
        self.reset(3)
        self.until(lambda found: found[3].health == Health.OK)

    def test_a_lost_gpu_that_answers_with_an_unknown_error_is_not_forgotten(self) -> None:
        for functions in (['nvmlDeviceGetUUID'], ['nvmlDeviceGetUUID', 'nvmlDeviceGetHandleByPciBusId_v2']):
            with self.subTest(functions=functions), contextlib.ExitStack() as failing:
                for function in functions:
                    device = {'device': 3} if function == 'nvmlDeviceGetUUID' else {}
                    failing.enter_context(self.host.failing(function, code=999, **device))
                health, reason = self.health(3)
                self.assertEqual(Health.FAILED, health)
                self.assertIn('has mostly fallen off the bus: look at the log', reason)
                self.assertEqual(8, len(self.look()))
        self.until(lambda found: found[3].health == Health.OK)

    def test_the_others_are_heard_of_when_one_has_fallen_off_the_bus(self) -> None:
        self.host.xid(3, 79)
        self.host.lose(3)
        with self.assertLogs('accelpool.drivers.nvidia.inventory', 'WARNING') as logged:
            self.assertEqual(Health.FAILED, self.health(3)[0])
        self.assertIn('XID 79 (GPU has fallen off the bus)', ''.join(logged.output), 'it is told itself')
        self.host.xid(0, 109)
        self.assertIn('XID 109', self.health(0)[1])
        self.host.lose(4)
        self.look()
        self.host.xid(1, 109)
        self.assertIn('XID 109', self.health(1)[1])
        self.reset(3)
        self.until(lambda found: 'is lost' not in (found[3].health_reason or ''))
        self.host.xid(3, 119)
        self.assertIn('XID 119', self.health(3)[1], 'it is heard of again')

    def test_a_sensor_that_fails_does_not_fail_its_device(self) -> None:
        sensors = {
            'nvmlDeviceGetTemperature': 'temperature_celsius', 'nvmlDeviceGetPowerUsage': 'power_watts',
            'nvmlDeviceGetClockInfo': 'clock_mhz', 'nvmlDeviceGetUtilizationRates': 'utilization_percent',
            'nvmlDeviceGetTotalEnergyConsumption': None, 'nvmlDeviceGetCurrentClocksEventReasons': None,
            'nvmlDeviceGetPersistenceMode': None, 'nvmlDeviceGetComputeMode': None}
        for code in (999, 10, 27, 7):
            for function, metric in sensors.items():
                with self.subTest(function, code=code), self.host.failing(function, device=0, code=code):
                    device = self.look()[0]
                    self.assertEqual((Health.OK, None), (device.health, device.health_reason))
                    self.assertNotIn(metric, self.driver.inventory.metrics()[device.id])
        for function in ('nvmlDeviceGetTotalEccErrors', 'nvmlDeviceGetMemoryInfo_v2'):
            with self.host.failing(function, device=0, code=999):
                self.assertEqual(Health.FAILED, self.health()[0])
        with self.host.failing('nvmlDeviceGetTemperature', device=0, code=15):
            self.assertIn('the GPU is lost', self.health()[1])

    def test_hot_removal_and_return(self) -> None:
        before = self.look()
        self.host.pull(3)
        self.assertEqual([device.id for device in before if device != before[3]],
                         [device.id for device in self.look()])
        self.host.put_back(3)
        self.until(lambda found: [device.id for device in found] == [device.id for device in before])

    def test_the_last_one_is_removed_and_comes_back(self) -> None:
        before = self.look()
        for index in range(8):
            self.host.pull(index)
        self.driver = self.start()
        with self.assertLogs('accelpool.drivers.nvidia.inventory') as logged:
            self.assertEqual([], self.look())
        self.assertEqual(8, sum('was removed' in line for line in logged.output), logged.output)
        for index in range(8):
            self.host.put_back(index)
        self.until(lambda found: [device.id for device in found] == [device.id for device in before])

    def test_a_call_that_hangs_fails_its_device_only(self) -> None:
        with self.host.hanging('nvmlDeviceGetTemperature', device=5):
            found = self.look()
            self.assertEqual([Health.OK] * 5 + [Health.FAILED] + [Health.OK] * 2, [device.health for device in found])
            self.assertIn('NVML did not answer within 2 s', found[5].health_reason or '')
            self.assertEqual(found[5].traits, found[4].traits)
        self.until(lambda found: found[5].health == Health.OK)

    def test_a_call_that_is_late_fails_no_device(self) -> None:
        """Calls of everybody wait for each other inside the kernel's driver."""
        with contextlib.ExitStack() as hang:
            hang.enter_context(self.host.hanging('nvmlDeviceGetTemperature'))
            late = threading.Timer(1.5, hang.close)
            late.start()
            self.assertEqual([Health.OK] * 8, [device.health for device in self.look()])
            late.join()

    def test_a_gpu_that_hangs_whatever_it_is_asked_fails_alone(self) -> None:
        """Its handle and its UUID, too: after the first call that hangs these are what a new process asks."""
        slicing = self.driver.need_slicing()
        with self.host.hanging(device=5):
            for _ in range(2):  # the second time a conductor starts meanwhile
                for _ in range(3):
                    found = self.look()
                    self.assertEqual([Health.OK] * 5 + [Health.FAILED] + [Health.OK] * 2, [one.health for one in found])
                    self.assertIn('NVML did not answer within 1 s for the GPU of index 5', found[5].health_reason or '')
                slicing.carve(found[0], nvidia.wanted(found[0], 'share'))
                slicing.carve(found[6], nvidia.wanted(
                    found[6], 'instance', Isolation.PARTITION, template='3g.20gb', position=4))
                self.assertEqual({'share', 'instance'}, {one.slice_id for one in slicing.list()})
                self.driver = self.start()
                slicing = self.driver.need_slicing()
            self.assertEqual(1, len(self.host.instances(6)))
            self.look()
            self.host.xid(1, 109)
            self.assertEqual(Health.FAILED, self.health(1)[0], 'the others are heard of')
            slicing.destroy('instance')
            self.assertEqual([], self.host.instances(6))
        self.until(lambda found: found[5].health == Health.OK)

    def test_a_gpu_that_hangs_and_was_never_seen_is_told_of_by_its_index(self) -> None:
        (self.dir / 'nvidia-devices.json').unlink()
        self.driver = self.start()
        with self.host.hanging('nvmlDeviceGetHandleByIndex_v2', device=5):
            with self.assertLogs('accelpool.drivers.nvidia.inventory', 'ERROR') as logged:
                self.assertEqual([[Health.OK] * 7] * 2, [[one.health for one in self.look()] for _ in range(2)])
            line, = logged.output
            self.assertIn('NVML did not answer within 1 s for the GPU of index 5', line)
        self.until(lambda found: [one.health for one in found] == [Health.OK] * 8)

    def test_a_gpu_that_was_pulled_while_another_hangs(self) -> None:
        before = [one.id for one in self.look()]
        with self.host.hanging(device=5):
            self.host.pull(3)
            found = self.look()
            self.assertEqual(before[:3] + before[4:], [one.id for one in found])
            self.assertEqual([4], [index for index, one in enumerate(found) if one.health == Health.FAILED])
        self.until(lambda found: [one.health for one in found] == [Health.OK] * 7)

    def test_several_that_hang_are_seen_by_the_same_look(self) -> None:
        with contextlib.ExitStack() as hanging:
            for index in (1, 2, 4, 5):
                hanging.enter_context(self.host.hanging('nvmlDeviceGetTemperature', device=index))
            channel: Any = self.driver.inventory._channel  # type: ignore[attr-defined]
            with mock.patch.object(channel, 'ask', wraps=channel.ask) as asked:
                found = self.look()
            self.assertEqual(['host', 'looks'], [call.args[0] for call in asked.call_args_list], 'two deadlines for all')
            self.assertEqual([1, 2, 4, 5], [index for index, one in enumerate(found) if one.health == Health.FAILED])
            self.assertEqual(found[0].traits, found[1].traits)
            self.host.lose(3)
            self.assertEqual(Health.FAILED, self.health(3)[0])
        self.reset(3)
        self.until(lambda found: all(one.health == Health.OK for one in found))

    def test_what_happens_around_a_hang_is_not_lost(self) -> None:
        with self.host.hanging('nvmlDeviceGetTemperature', device=5):
            self.assertEqual(Health.FAILED, self.health(5)[0])
            self.host.xid(0, 109)
            self.host.xid(5, 109)
            self.host.xid(1, 9999)
        found = self.until(lambda found: 'XID' in (found[5].health_reason or ''))
        self.assertEqual([Health.FAILED, Health.DEGRADED, *[Health.OK] * 3, Health.FAILED, *[Health.OK] * 2],
                         [device.health for device in found])
        for index in (0, 5):
            self.assertIn('XID 109', found[index].health_reason or '')
            self.reset(index)
        self.until(lambda found: (found[0].health, found[5].health) == (Health.OK, Health.OK))

    def test_what_happens_to_a_device_while_it_hangs_is_over_with_its_reset(self) -> None:
        with self.host.hanging('nvmlDeviceGetTemperature', device=5):
            self.assertEqual(Health.FAILED, self.health(5)[0])
            self.host.xid(5, 109)
            self.look()  # it is told now, though the device does not answer
            self.reset(5)
        self.until(lambda found: found[5].health == Health.OK)

    def test_what_happens_while_another_process_begins_to_watch(self) -> None:
        """A device that comes back makes a new process necessary; it watches before the old one stops."""
        self.host.pull(3)
        self.look()
        self.host.put_back(3)
        self.host.xid(0, 109)
        found = self.until(lambda found: len(found) == 8)
        self.assertEqual(Health.FAILED, found[0].health)
        self.host.xid(3, 109)
        self.assertEqual(Health.FAILED, self.health(3)[0])

    def test_what_happens_after_a_driver_was_reloaded_is_seen(self) -> None:
        with self.host.failing('nvmlDeviceGetCount_v2', code=9):
            self.look()
        self.until(lambda found: found[0].health == Health.OK)
        self.host.xid(0, 109)
        self.assertEqual(Health.FAILED, self.health()[0])

    def test_a_library_that_hangs_as_a_whole(self) -> None:
        with self.host.hanging('nvmlDeviceGetCount_v2'):
            found = self.look()
            self.assertEqual([Health.FAILED] * 8, [device.health for device in found])
        self.until(lambda found: all(device.health == Health.OK for device in found))

    def test_a_start_that_takes_longer_than_a_call_may(self) -> None:
        """Without persistence the driver initialises every GPU when it is opened."""
        self.configure(deadline=0.3, open_deadline=30.0)
        self.driver = self.start()
        hang = contextlib.ExitStack()
        hang.enter_context(self.host.hanging('nvmlDeviceGetHandleByIndex_v2'))
        late = threading.Timer(1.0, hang.close)
        late.start()
        self.addCleanup(late.join)
        self.assertEqual([Health.OK] * 8, [device.health for device in self.look()])

    def test_a_gpu_that_is_slow_to_be_initialised_is_not_begun_anew(self) -> None:
        self.configure(open_deadline=10.0)
        with self.host.hanging('nvmlDeviceGetHandleByIndex_v2', device=5):
            self.driver = self.start()
            self.assertEqual([5], [index for index, one in enumerate(self.look()) if one.health != Health.OK])
            channel: Any = self.driver.inventory._channel  # type: ignore[attr-defined]
            process = channel._process
            for _ in range(3):
                time.sleep(0.15)  # longer than the retry_interval
                self.assertEqual(8, len(self.look()))
        self.until(lambda found: found[5].health == Health.OK)
        self.assertIs(process, channel._process)

    def test_a_driver_that_is_unloaded_and_loaded(self) -> None:
        self.host.xid(0, 109)
        self.assertEqual(Health.FAILED, self.health()[0])
        self.rest(*range(8))
        self.assertEqual([], self.look())
        self.host.reload()
        self.host.state.init_code = 9
        self.rest()
        health, reason = self.health()
        self.assertEqual(Health.FAILED, health)
        self.assertIn('modprobe nvidia', reason)
        self.assertEqual(8, len(self.look()))
        self.host.state.init_code = 0
        self.until(lambda found: all(device.health == Health.OK for device in found))
        self.host.xid(1, 109)
        self.assertEqual(Health.FAILED, self.health(1)[0])

    def test_foreign_processes_drain_a_shared_device(self) -> None:
        self.host.start_process(1, 4711)
        health, reason = self.health(1)
        self.assertEqual(Health.DEGRADED, health)
        self.assertIn('used by processes outside the pool (4711)', reason)
        self.host.end_process(1, 4711)
        self.assertEqual(Health.OK, self.health(1)[0])

    def test_programs_that_draw_on_a_shared_device_are_foreign_too(self) -> None:
        self.host.start_process(1, 4711, kind=1)
        self.assertEqual((Health.DEGRADED, 'used by processes outside the pool (4711): end them, or disable the device'),
                         self.health(1))
        self.host.start_process(1, 4711)  # it computes, too
        self.assertIn('(4711)', self.health(1)[1])
        self.assertEqual(1.0, self.driver.inventory.metrics()[self.look()[1].id]['processes'])
        self.host.end_process(1, 4711)
        self.assertEqual(Health.OK, self.health(1)[0])

    def test_processes_on_a_device_that_serves_vgpus_are_those_of_vms(self) -> None:
        (self.dir / 'nvidia-devices.json').unlink()
        self.describe('l4')
        self.host.start_process(1, 4711)
        self.assertEqual((Health.OK, ''), self.health(1))

    def test_processes_on_a_whole_device_are_its_consumers(self) -> None:
        device = self.look()[1]
        self.driver.need_slicing().carve(device, nvidia.wanted(device, isolation=Isolation.WHOLE))
        self.host.start_process(1, 4711)
        self.assertEqual(Health.OK, self.health(1)[0])


class WhileNoConductorRan(nvidia.NvidiaCase):
    """NVML tells an event only to who listens then; what is still to be seen of it is read back."""

    def health(self) -> tuple[str, str]:
        device = self.look()[0]
        return device.health, device.health_reason or ''

    def test_what_the_driver_asks_for(self) -> None:
        self.describe('dgx-a100')
        self.assertEqual((Health.OK, ''), self.health())
        self.host.xid(0, 109)
        self.host.device(0).recovery = 1
        for _ in range(2):
            self.driver = self.start()
            self.assertEqual(Health.FAILED, self.health()[0])
            self.assertIn('its driver asks for recovery: disable it, end all programs on it and reset it', self.health()[1])
        self.reset(0)
        self.assertEqual((Health.OK, ''), self.health())

    def test_memory_errors_of_a_driver_that_asks_for_nothing(self) -> None:
        self.describe('mixed')
        self.host.device(0).ecc_uncorrected = 3  # of a time that nobody knows of
        self.assertEqual((Health.OK, ''), self.health())
        self.driver = self.start()
        self.assertEqual((Health.OK, ''), self.health())
        self.host.ecc(0)
        for _ in range(2):
            self.driver = self.start()
            health, reason = self.health()
            self.assertEqual(Health.FAILED, health)
            self.assertIn('uncorrectable memory error while the conductor did not run: disable it, end all programs on it', reason)
        self.reset(0)
        self.assertEqual((Health.OK, ''), self.health())
        self.driver = self.start()
        self.assertEqual((Health.OK, ''), self.health())

    def test_a_lost_gpu(self) -> None:
        self.describe('dgx-a100')
        self.assertEqual((Health.OK, ''), self.health())
        self.host.xid(0, 79)
        self.host.lose(0)
        self.driver = self.start()
        self.assertEqual(Health.FAILED, self.health()[0])
        self.assertIn('the GPU is lost (fallen off the bus)', self.health()[1])


class Broken(nvidia.NvidiaCase):
    def test_a_mixed_and_broken_host(self) -> None:
        self.describe('mixed')
        found = self.look()
        self.assertEqual([Health.OK, Health.FAILED, Health.OK], [device.health for device in found])
        self.assertIn('replace the GPU', found[1].health_reason or '')
        assert found[2].partitions is not None
        self.assertEqual([(2, 2)], [(one['start'], one['size']) for one in found[2].partitions['taken']])

    def test_no_device(self) -> None:
        self.describe({'driver': '570.1', 'nvml': '12.570', 'cuda': 12080})
        with self.assertLogs('accelpool.drivers.nvidia.inventory', 'ERROR') as logged:
            self.assertEqual([], self.look())
            self.assertEqual([], self.look())
        line, = logged.output
        self.assertIn('the driver is loaded and finds no GPU: see whether the host has one (lspci', line)

    def test_no_driver_no_library_wrong_library(self) -> None:
        for code, remedy in ((4, 'run the conductor as root'), (9, 'modprobe nvidia'), (12, 'install the NVIDIA driver'), (18, 'different versions')):
            with self.subTest(code=code):
                self.describe({'driver': '570.1', 'nvml': '12.570', 'cuda': 12080, 'init_code': code})
                with self.assertLogs('accelpool.drivers.nvidia.inventory', 'INFO') as logged:
                    self.assertEqual([], self.look())
                    self.assertEqual([], self.look())
                self.assertEqual(1, len(logged.output))
                self.assertIn(remedy, logged.output[0])

    def test_a_host_without_the_library(self) -> None:
        self.describe('h100')
        self.configure(library_dir=str(self.dir))
        self.driver = self.start()
        with self.assertLogs('accelpool.drivers.nvidia.inventory', 'INFO') as logged:
            self.assertEqual([], self.look())
        self.assertIn('libnvidia-ml.so.1 is not installed', logged.output[0])
