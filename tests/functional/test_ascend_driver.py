# SPDX-License-Identifier: Apache-2.0
"""The Ascend driver over the stand-in of DCMI: chips found, watched and cut."""

import os
import pathlib
import tempfile
import unittest
from typing import Any
from unittest import mock

from oslo_config import cfg

from accelpool import conf, errors
from accelpool.drivers.ascend import AscendDriver
from accelpool.partitions import Geometry
from accelpool.types import Device, Health, Isolation, Slice
from tests.fakes.dcmi.host import Host


class AscendCase(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.dir = pathlib.Path(place.name)
        self.programs: dict[int, str] = {}
        conf.register_all()
        self.sysfs = self.dir / 'sys'
        for name, value in (('deadline', 1.0), ('vnpu_deadline', 2.0), ('retry_interval', 0.1),
                            ('sysfs', str(self.sysfs)), ('npu_smi', str(self.dir / 'npu-smi'))):
            cfg.CONF.set_override(name, value, group='ascend')
            self.addCleanup(cfg.CONF.clear_override, name, group='ascend')

    def describe(self, description: str | dict[str, Any]) -> None:
        self.host = Host(description, self.dir / 'dcmi-state')
        self.addCleanup(self.host.close)
        patched = mock.patch.dict(os.environ, self.host.env)
        patched.start()
        self.addCleanup(patched.stop)
        self.driver = self.start()

    def start(self) -> AscendDriver:
        driver = AscendDriver('host-a', self.dir)
        inventory: Any = driver.inventory
        inventory._program = lambda pid: self.programs.get(pid, 'python3')
        self.addCleanup(inventory._channel.close)
        self.addCleanup(inventory._smi.channel.close)
        self.addCleanup(driver.need_slicing()._ways['vnpu']._channel.close)  # type: ignore[attr-defined]
        return driver

    def look(self) -> list[Device]:
        return sorted(self.driver.inventory.discover(), key=lambda one: one.options['phy_id'])

    def until_well(self, index: int) -> None:
        for _ in range(100):
            if self.look()[index].health == Health.OK:
                return
        raise AssertionError('it does not get well')

    def carve(self, device: Device, identifier: str = 's1', isolation: str = Isolation.PARTITION, **values: Any):
        return self.driver.need_slicing().carve(device, Slice(**{
            'id': identifier, 'allocation_id': 'a', 'device_id': device.id, 'host': 'host-a', 'compute': 10,
            'memory': 64, 'isolation': isolation, **values}))

    def slices(self) -> set[str]:
        return {carved.slice_id for carved in self.driver.need_slicing().list()}


class Inventory(AscendCase):
    def test_a_host_of_910b(self) -> None:
        self.describe('atlas-800t-a2')
        devices = self.look()
        self.assertEqual(8, len(devices))
        first = devices[0]
        self.assertEqual(('huawei', 'Ascend 910B3', 65536, '0000:c1:00.0', Health.OK), (
            first.vendor, first.model, first.memory, first.pci_address, first.health))
        self.assertEqual(('CUSTOM_ASCEND', 'CUSTOM_ASCEND_910B', 'CUSTOM_ASCEND_910B3', 'CUSTOM_NPU_API_ACL'),
                         first.traits)
        self.assertEqual((0, 0, 20, 7, '144-167', '25.5.0', 'container'), tuple(first.options[name] for name in (
            'phy_id', 'logic_id', 'aicore', 'aicpu', 'cpus', 'driver', 'vnpu_mode')))
        assert first.partitions is not None
        self.assertEqual(['vir05_1c_16g', 'vir10_3c_32g'], [one['name'] for one in first.partitions['templates']])
        self.assertEqual(devices, self.look())
        self.driver = self.start()
        self.assertEqual(devices, self.look())

    def test_hosts_of_950_are_asked_by_functions_of_their_own(self) -> None:
        self.describe('atlas-950')
        first, second = self.look()
        self.assertEqual(('Ascend 950PR', 131072, '0000:11:00.0', Health.OK, 0, '26.0.0'), (
            first.model, first.memory, first.pci_address, first.health, first.options['phy_id'],
            first.options['driver']))
        self.assertIn('CUSTOM_ASCEND_950', first.traits)
        self.assertIsNone(first.options['vnpu_recover'])
        self.assertNotEqual(first.id, second.id)
        self.assertEqual(68.3, self.driver.inventory.metrics()[first.id]['power_watts'])
        self.host.device(1).health, self.host.device(1).errors[0] = 2, 0x80E18005
        self.assertIn('major alarm 80E18005: end the programs on it and reset it', self.look()[1].health_reason or '')
        self.host.start_process(0, 77)
        self.assertIn('outside the pool (77)', self.look()[0].health_reason or '')
        self.host.device(0).gone = 1
        self.assertEqual([second.id], [one.id for one in self.look()])

    def test_hccs_islands_and_numa_nodes(self) -> None:
        for node, cpus in ((0, '0-47'), (1, '48-95'), (2, '96-143'), (3, '144-191')):
            place = self.sysfs / f'devices/system/node/node{node}'
            place.mkdir(parents=True)
            (place / 'cpulist').write_text(f'{cpus}\n')
        self.describe('atlas-800t-a2')
        for index in range(4, 8):
            self.host.device(index).island = 2 if index < 7 else 0
        devices = self.look()
        self.assertEqual(['host-a/hccs-0000:81:00.0'] * 4 + ['host-a/hccs-0000:01:00.0'] * 3 + [None],
                         [one.fabric for one in devices])
        self.assertEqual([3, 3, 2, 2, 0, 0, 1, 1], [one.numa_node for one in devices])
        self.driver = self.start()
        with self.host.hanging('dcmi_get_topo_info_by_device_id'), \
                self.assertLogs('accelpool.drivers.ascend.inventory', 'WARNING'):
            self.assertEqual([Health.OK] * 8, [one.health for one in self.look()])
        for _ in range(100):
            if self.look()[0].fabric:
                break
        self.assertEqual(devices, self.look())
        with self.host.failing('dcmi_get_topo_info_by_device_id', code=-8255):
            self.driver = self.start()
            self.assertEqual({None}, {one.fabric for one in self.look()})

    def test_a_restarted_conductor_knows_the_chips(self) -> None:
        """One that is lost meanwhile is failed; one that was taken out is not there."""
        self.describe('atlas-300i-duo')
        before = self.look()
        self.host.state.init_code = -8005
        self.driver = self.start()
        self.assertEqual([Health.FAILED] * 2, [one.health for one in self.look()])
        self.assertIn('load them, or restart the host', self.look()[0].health_reason or '')
        self.host.state.init_code = 0
        self.assertEqual(before, self.look())
        self.driver = self.start()
        with self.host.failing('dcmi_get_device_chip_info_v2', device=1, code=-8010):
            self.assertEqual([Health.OK, Health.FAILED], [one.health for one in self.look()])
        self.driver = self.start()
        (self.sysfs / 'bus/pci/devices/0000:02:00.0').mkdir(parents=True)
        self.host.device(0).gone = self.host.device(1).gone = 1
        lost, = self.look()
        self.assertEqual((before[1].id, Health.FAILED), (lost.id, lost.health))
        self.assertIn('though it is on the PCI bus', lost.health_reason or '')
        self.host.device(0).gone = self.host.device(1).gone = 0
        self.assertEqual(before, self.look())
        (self.dir / 'ascend-devices.json').write_text('[{')
        with self.assertLogs('accelpool.drivers.ascend.inventory', 'ERROR'):
            self.driver = self.start()
        self.assertEqual(before, self.look())

    def test_two_chips_of_one_card(self) -> None:
        self.describe('atlas-300i-duo')
        first, second = self.look()
        self.assertNotEqual(first.id, second.id)
        self.assertEqual((21527, 'Ascend 310P3'), (first.memory, first.model))

    def test_a3_is_told_by_its_pci_id_and_has_no_vnpus(self) -> None:
        self.describe({'driver': '25.5', 'dcmi': '1', 'devices': [{'model': '910c', 'card': 0, 'bus': 1}]})
        device, = self.look()
        self.assertEqual('Ascend 910 (A3)', device.model)
        self.assertIn('CUSTOM_ASCEND_A3', device.traits)
        self.assertIsNone(device.partitions)
        self.assertEqual((Isolation.WHOLE, Isolation.SHARED), self.driver.need_slicing().modes(device))

    def test_health(self) -> None:
        self.describe('atlas-800t-a2')
        self.look()
        for code, error, health, said in (
                (1, 0x80E18005, Health.FAILED, 'minor alarm 80E18005: end the programs on it and reset it'),
                (2, 0x12345678, Health.FAILED, 'major alarm (12345678)'), (3, 0, Health.FAILED, 'critical alarm: '),
                (1, 0x12345678, Health.DEGRADED, 'minor alarm (12345678): npu-smi'),
                (0, 0x80E01801, Health.DEGRADED, '80E01801: restart the programs that use it'),
                (2, 0x80E01801, Health.FAILED, 'major alarm 80E01801: restart the programs that use it'),
                (2, 0x80E21007, Health.FAILED, 'major alarm (80E21007)')):
            self.host.device(1).health, self.host.device(1).errors[0] = code, error
            device = self.look()[1]
            self.assertEqual(health, device.health)
            self.assertIn(said, device.health_reason or '')
        for code, error in ((0, 0), (0, 0x80E21007), (1, 0x80E21007), (0, 0x12345678)):  # harmless, as the vendor has it
            self.host.device(1).health, self.host.device(1).errors[0] = code, error
            self.assertEqual((Health.OK, None), (self.look()[1].health, self.look()[1].health_reason))
        self.host.device(1).health = 0xffffffff
        self.assertEqual(7, len(self.look()))

    def test_the_gravest_of_several_errors_counts(self) -> None:
        self.describe('atlas-800t-a2')
        self.host.device(1).health = 1
        self.host.device(1).errors[:3] = 0x80E21007, 0x80E01801, 0x80E18005  # harmless, restart programs, reset
        device = self.look()[1]
        self.assertEqual(Health.FAILED, device.health)
        self.assertIn('minor alarm 80E18005: end the programs on it and reset it', device.health_reason or '')

    def test_what_is_no_npu_is_no_device(self) -> None:
        """A card has a microcontroller at a place of a chip; and inside a vNPU there are no chips to offer."""
        self.describe({'driver': '25.5', 'dcmi': '1', 'devices': [
            {'model': '310p3', 'card': 0, 'chip': 0, 'bus': 1}, {'model': '310p3', 'card': 0, 'chip': 1, 'bus': 2, 'unit': 1}]})
        self.assertEqual(['0000:01:00.0'], [one.pci_address for one in self.look()])
        self.describe({'driver': '25.5', 'dcmi': '1', 'devices': [
            {'model': '310p3', 'card': 0, 'chip': 0, 'bus': 1, 'name': 'Ascend310Pvir04'}]})
        self.assertEqual([], self.look())

    def test_the_load_of_a_split_chip_is_not_told(self) -> None:
        """DCMI sets a bit in it then: it is not 582 percent."""
        self.describe('atlas-300i-duo')
        self.host.device(0).utilization = 70
        self.host.add_vdevice(0, 'vir02')
        device = self.look()[0]
        self.assertEqual(0.0, self.driver.inventory.metrics()[device.id]['utilization_percent'])

    def test_an_a3_has_the_templates_that_its_host_lists(self) -> None:
        rows = {'vir06_1c_16g': [6, 1, 7, 16384], 'vir12_3c_32g': [12, 3, 14, 32768]}
        self.describe({'driver': '25.5', 'dcmi': '1', 'devices': [{'model': '910c', 'card': 0, 'bus': 1, 'templates': rows}]})
        self.assertIsNone(self.look()[0].partitions)  # npu-smi is not there
        self.host.smi()
        self.driver = self.start()
        device = self.look()[0]
        assert device.partitions is not None
        self.assertEqual([('vir06_1c_16g', 25, 16384), ('vir12_3c_32g', 50, 32768)], [
            (one['name'], one['compute'], one['memory']) for one in device.partitions['templates']])
        self.carve(device, template='vir12_3c_32g')
        self.assertEqual([('vir12_3c_32g', 100)], self.host.vdevices(0))

    def test_a_call_that_hangs_fails_its_chip_only(self) -> None:
        self.describe('atlas-800t-a2')
        self.look()
        with self.host.hanging('dcmi_get_device_health', device=3):
            self.assertEqual([Health.OK] * 3 + [Health.FAILED] + [Health.OK] * 4, [one.health for one in self.look()])
        self.until_well(3)

    def test_hot_removal_and_return(self) -> None:
        self.describe('atlas-800t-a2')
        before = self.look()
        self.host.device(7).gone = 1
        self.assertEqual(before[:7], self.look())
        self.host.device(7).gone = 0
        self.assertEqual(before, self.look())

    def test_foreign_processes(self) -> None:
        self.describe('atlas-800t-a2')
        self.host.start_process(0, 77)
        self.assertIn('outside the pool (77)', self.look()[0].health_reason or '')
        self.programs[77] = 'accelpool-worker'
        self.assertEqual(Health.OK, self.look()[0].health)

    def test_metrics(self) -> None:
        self.describe('atlas-800t-a2')
        self.host.device(0).utilization = 70
        device = self.look()[0]
        self.assertEqual({'temperature_celsius': 45.0, 'power_watts': 68.3, 'utilization_percent': 70.0,
                          'memory_used_mib': 0.0, 'memory_free_mib': 65536.0}, self.driver.inventory.metrics()[device.id])

    def test_no_driver_and_a_driver_that_fails(self) -> None:
        self.describe({'driver': '25.5', 'dcmi': '1', 'init_code': -8005})
        with self.assertLogs('accelpool.drivers.ascend.inventory', 'INFO') as logged:
            self.assertEqual([], self.look())
            self.assertEqual([], self.look())
        self.assertEqual(1, len(logged.output))
        self.assertIn('the kernel modules of the Ascend driver do not answer', logged.output[0])
        with mock.patch.dict(os.environ, {'LD_LIBRARY_PATH': str(self.dir)}):
            self.driver = self.start()
            with self.assertLogs('accelpool.drivers.ascend.inventory', 'INFO') as logged:
                self.assertEqual([], self.look())
        self.assertIn('install the Ascend driver', logged.output[0])

    def test_npu_smi_where_there_is_no_libdcmi(self) -> None:
        for description in ('atlas-800t-a2', 'atlas-300i-duo'):
            self.describe(description)
            self.host.device(1).utilization = 30
            self.host.start_process(1, 77)
            before, sensors = self.look(), self.driver.inventory.metrics()
            self.host.smi()
            with mock.patch.dict(os.environ, {'LD_LIBRARY_PATH': str(self.dir)}):
                self.driver = self.start()
                seen = self.look()
                self.assertEqual(sensors, self.driver.inventory.metrics())
                self.host.device(1).health = 2
                self.host.end_process(1, 77)
                self.assertEqual([Health.OK, Health.FAILED], [one.health for one in self.look()][:2])
                self.host.add_vdevice(0, self.host.device(0).templates[0].name.decode())
                self.assertNotIn(Isolation.WHOLE, self.driver.need_slicing().modes(self.look()[0]))
            for one, other in zip(before, seen, strict=True):
                self.assertIsNone(other.partitions)
                for name in ('id', 'model', 'memory', 'traits', 'pci_address', 'health', 'health_reason'):
                    self.assertEqual(getattr(one, name), getattr(other, name))
                for name in ('card', 'chip', 'die', 'logic_id', 'phy_id', 'aicore', 'pci_id', 'driver'):
                    self.assertEqual(one.options[name], other.options[name])
            (self.dir / 'npu-smi').unlink()

    def test_an_npu_smi_that_is_not_understood_is_said_once(self) -> None:
        """Not: no chips, or sick ones."""
        self.describe('atlas-300i-duo')
        program = self.host.smi()
        with mock.patch.dict(os.environ, {'LD_LIBRARY_PATH': str(self.dir)}):
            self.assertEqual(2, len(self.start().inventory.discover()))
            (self.dir / 'ascend-devices.json').unlink()
            for change in ('s/ OK /正常/', 's/ NPU / 卡 /;s/^| \\([0-9]\\) .* OK /| 卡 \\1 | OK /'):
                self.host.smi()
                program.write_text(program.read_text().replace('exec ', '').replace('"$@"', f'"$@" | sed "{change}"'))
                self.driver = self.start()
                with self.assertLogs('accelpool.drivers.ascend.inventory', 'ERROR') as logged:
                    self.assertEqual([], self.look())
                    self.assertEqual([], self.look())
                said, = logged.output
                self.assertIn(f'the chips that {program} info lists: not understood: another language', said)

    def test_templates_of_the_host_win_over_the_table(self) -> None:
        self.describe('atlas-800t-a2')
        self.host.smi()
        for index in range(8):
            self.host.device(index).templates[0].name = b'vir05_2c_16g'
            self.host.device(index).templates[0].aicpu = 2
            self.host.device(index).templates[0].memory = 16384
        device = self.look()[0]
        assert device.partitions is not None
        self.assertEqual([('vir05_2c_16g', 16384, 2), ('vir10_3c_32g', 30720, 3)], [
            (one['name'], one['memory'], one['needs']['aicpu']) for one in device.partitions['templates']])
        self.carve(device, template='vir05_2c_16g')
        self.assertEqual([('vir05_2c_16g', 100)], self.host.vdevices(0))

    def test_a_driver_that_goes_away_and_comes_back(self) -> None:
        self.describe('atlas-300i-duo')
        self.look()
        with self.host.failing('dcmi_get_card_list', code=-8012):
            self.assertEqual([Health.FAILED] * 2, [one.health for one in self.look()])
        self.assertEqual([Health.OK] * 2, [one.health for one in self.look()])


class Slicing(AscendCase):
    def setUp(self) -> None:
        super().setUp()
        self.describe('atlas-300i-duo')
        self.device = self.look()[0]

    def test_a_vnpu_is_made_and_taken_apart(self) -> None:
        carved = self.carve(self.device, template='vir02')
        self.assertEqual([('vir02', 100)], self.host.vdevices(0))
        self.assertEqual(('/dev/vdavinci100',), carved.nodes)
        self.assertEqual(carved, self.carve(self.device, template='vir02'))
        self.assertEqual(1, len(self.host.vdevices(0)))
        self.driver = self.start()
        self.assertEqual({'s1'}, self.slices())
        self.driver.need_slicing().destroy('s1')
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([], self.host.vdevices(0))

    def test_what_the_scheduler_thinks_fits_does_and_what_it_does_not_does_not(self) -> None:
        """AI CPUs run out before AI cores: 4 + 3 of 7, and a template with fewer of them fits beside."""
        assert self.device.partitions is not None
        geometry = Geometry.from_dict(self.device.partitions)
        used: list[tuple[str, int | None]] = [('vir04', None)]
        self.carve(self.device, 's1', template='vir04')
        self.assertIsNone(geometry.choose(used, 50, 12288))
        with self.assertRaisesRegex(errors.DriverError, 'cannot be made'):
            self.carve(self.device, 's2', template='vir04')
        self.assertIsNone(geometry.choose(used, 50, None, 'vir04_3c'))  # 12288 + 12288 MB are more than the chip has
        chosen = geometry.choose(used, 20, 6000)
        assert chosen is not None
        self.assertEqual('vir02', chosen.template.name)
        self.carve(self.device, 's3', template='vir02')
        self.assertEqual({'s1', 's3'}, self.slices())

    def test_split_by_somebody_else(self) -> None:
        self.host.add_vdevice(0, 'vir04')
        device = self.look()[0]
        assert device.partitions is not None
        self.assertEqual([4], [one['needs']['aicore'] for one in device.partitions['taken']])
        self.assertEqual((Isolation.PARTITION,), self.driver.need_slicing().modes(device))
        with self.assertRaisesRegex(errors.NotSupported, 'only as partition'):
            self.carve(device, isolation=Isolation.SHARED)
        self.carve(device, template='vir02')
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([('vir04', 100)], self.host.vdevices(0))

    def test_a_split_chip_has_no_other_use(self) -> None:
        self.carve(self.device, 's1', template='vir01')
        for isolation in (Isolation.WHOLE, Isolation.SHARED):
            with self.assertRaises(errors.NotSupported):
                self.carve(self.device, 's2', isolation)
        other = self.look()[1]
        self.carve(other, 's3', Isolation.SHARED)
        with self.assertRaisesRegex(errors.NotSupported, 'carries slices as shared'):
            self.carve(other, 's4', template='vir01')

    def killed_while_it_made(self, template: str) -> None:
        """A conductor writes the slice s9 down, and no more."""
        way: Any = self.driver.need_slicing()._ways['vnpu']  # type: ignore[attr-defined]
        plan = way.plan(self.device, Slice(id='s9', allocation_id='a', device_id=self.device.id, host='h', compute=1,
                                           memory=1, template=template))
        way._book.put('s9', {'way': 'vnpu', 'device': self.device.id, 'isolation': 'partition', **plan, 'slice': 's9'})

    def test_killed_after_it_was_made_and_before_it_was_written_down(self) -> None:
        with self.host.failing('dcmi_create_vdevice', code=-8006), self.assertRaises(errors.DriverError):
            self.carve(self.device, template='vir02')
        self.assertEqual(set(), self.slices())
        self.killed_while_it_made('vir02')
        self.host.add_vdevice(0, 'vir02')  # what the killed one made
        self.driver = self.start()
        self.carve(self.device, 's9', template='vir02')
        self.assertEqual(1, len(self.host.vdevices(0)))
        self.driver.need_slicing().destroy('s9')
        self.assertEqual([], self.host.vdevices(0))

    def test_somebody_destroyed_it(self) -> None:
        self.carve(self.device, template='vir02')
        self.host.destroy_vdevice(0, 100)
        self.assertEqual(set(), self.slices())
        self.driver.need_slicing().destroy('s1')

    def test_somebodys_of_another_template_under_our_number(self) -> None:
        self.carve(self.device, template='vir02')
        self.host.destroy_vdevice(0, 100)
        self.assertEqual(100, self.host.add_vdevice(0, 'vir01'))
        self.assertEqual(set(), self.slices())
        device = self.look()[0]
        assert device.partitions is not None
        self.assertEqual(([1], True), (
            [one['needs']['aicore'] for one in device.partitions['taken']], device.options['split']))
        self.assertEqual(('/dev/vdavinci101',), self.carve(device, template='vir02').nodes)
        self.host.destroy_vdevice(0, 101)
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([('vir01', 100)], self.host.vdevices(0))

    def test_somebodys_is_left_alone_by_the_destruction_of_ours(self) -> None:
        self.carve(self.device, template='vir02')
        self.host.destroy_vdevice(0, 100)
        self.host.add_vdevice(0, 'vir01')
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([('vir01', 100)], self.host.vdevices(0))

    def test_somebodys_of_another_template_is_not_adopted(self) -> None:
        self.killed_while_it_made('vir02')
        self.host.add_vdevice(0, 'vir01')
        self.assertEqual(('/dev/vdavinci101',), self.carve(self.device, 's9', template='vir02').nodes)
        self.driver.need_slicing().destroy('s9')
        self.killed_while_it_made('vir02')
        self.host.add_vdevice(0, 'vir01')
        self.driver.need_slicing().destroy('s9')
        self.assertEqual([('vir01', 100), ('vir01', 101)], self.host.vdevices(0))

    def test_in_use(self) -> None:
        self.carve(self.device, template='vir02')
        self.host.use_vdevice(0, 100)
        with self.assertRaisesRegex(errors.DriverError, 'it is in use'):
            self.driver.need_slicing().destroy('s1')
        self.host.use_vdevice(0, 100, 0)
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([], self.host.vdevices(0))

    def test_a_host_whose_vnpus_are_for_vms(self) -> None:
        self.host.state.mode = 1
        device = self.look()[0]
        self.assertEqual('vm', device.options['vnpu_mode'])
        self.assertIsNone(device.partitions)

    def test_whole_comes_with_a_handle(self) -> None:
        carved = self.carve(self.device, isolation=Isolation.WHOLE)
        assert carved.handle is not None
        self.assertEqual(('PCI', '0000:01:00.0'), (carved.handle.type, carved.handle.address))

    def test_endpoint(self) -> None:
        (self.dir / 'libascendcl.so').touch()
        cfg.CONF.set_override('library_dir', str(self.dir), group='ascend')
        self.addCleanup(cfg.CONF.clear_override, 'library_dir', group='ascend')
        self.driver = self.start()
        endpoint = self.driver.need_remoting().endpoint(self.look()[1])
        self.assertEqual(('acl', '1', '/dev/davinci1'), (
            endpoint.interface, endpoint.env['ASCEND_RT_VISIBLE_DEVICES'], endpoint.nodes[0]))
