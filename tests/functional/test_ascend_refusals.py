# SPDX-License-Identifier: Apache-2.0
"""The Ascend driver over the stand-in of DCMI: what cannot be split, and vNPUs for VMs."""

from typing import Any

from oslo_config import cfg

from accelpool import errors
from accelpool.drivers.ascend.remedies import remedy
from accelpool.partitions import Geometry
from accelpool.types import Health, Isolation
from tests.functional import test_ascend_driver as ascend


class Refusals(ascend.AscendCase):
    """What the hardware refuses is refused before it is asked, with the reason."""

    def refused(self, model: str, reason: str, **values: Any) -> None:
        self.describe({'driver': '25.5', 'dcmi': '1', **values,
                       'devices': [{'model': model, 'card': 0, 'bus': 1, 'smp': int(model == '910a')}]})
        device, = self.look()
        self.assertIsNone(device.partitions)
        with self.host.hanging('dcmi_create_vdevice'), self.assertRaisesRegex(errors.NotSupported, reason):
            self.carve(device, template='vir02')
        self.carve(device, isolation=Isolation.WHOLE)
        self.driver.need_slicing().destroy('s1')

    def test_310_and_310b(self) -> None:
        self.refused('310', 'an Ascend 310 has no vNPUs')
        self.refused('310b', 'an Ascend 310B has no vNPUs')

    def test_910a_in_smp_mode(self) -> None:
        self.refused('910a', 'SMP mode')
        self.host.device(0).smp = 0
        self.driver = self.start()
        self.carve(self.look()[0], template='vir02')
        self.assertEqual([('vir02', 100)], self.host.vdevices(0))

    def test_a3_for_vms_and_950_for_containers(self) -> None:
        self.refused('910c', 'an A3 has no vNPUs for VMs', mode=1)
        self.refused('950', 'a 950 has vNPUs for VMs only', v2=1)

    def test_a_split_chip_is_not_used_whole(self) -> None:
        self.describe('atlas-800t-a2')
        self.host.add_vdevice(0, 'vir05_1c_16g')
        device = self.look()[0]
        with self.assertRaisesRegex(errors.NotSupported, 'split into vNPUs by somebody else'):
            self.carve(device, isolation=Isolation.WHOLE)

    def test_a_vnpu_has_no_part_in_collectives(self) -> None:
        self.describe('atlas-800t-a2')
        devices = self.look()
        self.carve(devices[0], template='vir05_1c_16g')
        self.host.add_vdevice(1, 'vir05_1c_16g')
        self.assertEqual([None, None] + [devices[2].fabric] * 6, [one.fabric for one in self.look()])
        self.driver.need_slicing().destroy('s1')
        self.assertEqual(devices[0], self.look()[0])

    def test_every_error_of_dcmi_says_what_to_do(self) -> None:
        self.describe('atlas-300i-duo')
        device = self.look()[0]
        for code in [*range(-8023, -8000), -8255]:
            with self.subTest(code), self.host.failing('dcmi_create_vdevice', code=code), \
                    self.assertRaises(errors.DriverError) as caught:
                self.carve(device, template='vir02')
            self.assertIn(f'answered {code}: {remedy(code)}', caught.exception.detail)
            self.assertEqual(set(), self.slices())

    def test_every_error_of_dcmi_fails_its_chip_only_and_says_what_to_do(self) -> None:
        self.describe('atlas-300i-duo')
        well = self.look()
        for code in [*range(-8023, -8000), -8255]:
            with self.subTest(code), self.host.failing('dcmi_get_device_health', device=0, code=code):
                sick, other = self.look()
                self.assertEqual((Health.FAILED, well[1]), (sick.health, other))
                self.assertIn(f'answered {code}: {remedy(code)}', sick.health_reason or '')
        self.assertEqual(well, self.look())


class ForVms(ascend.AscendCase):
    """The host's vNPUs are mediated devices."""

    def setUp(self) -> None:
        super().setUp()
        self.function = self.sysfs / 'bus/pci/devices/0000:01:00.0'
        for name, cores, memory, free in (('vir02', 2, 6, 3), ('vir04', 4, 12, 1)):
            self.offer(name, cores, memory, free)
        self.describe({'driver': '25.5', 'dcmi': '1', 'mode': 1,
                       'devices': [{'model': '310p3', 'card': 0, 'bus': 1}]})

    def offer(self, name: str, cores: int, memory: int, free: int) -> None:
        kind = self.function / f'mdev_supported_types/vnpu-{name}'
        (kind / 'devices').mkdir(parents=True)
        (kind / 'description').write_text(f'aicore num: {cores}\nmemory size: {memory}GB\n')
        (kind / 'available_instances').write_text(f'{free}\n')
        (kind / 'create').touch()

    def made(self, kind: str, identifier: str | None = None) -> str:
        """Do what the kernel does after a write to create, or after somebody's; return the UUID."""
        path = self.function / f'mdev_supported_types/vnpu-{kind}'
        identifier = identifier or (path / 'create').read_text()
        (self.sysfs / 'bus/mdev/devices' / identifier).mkdir(parents=True)
        (path / 'devices' / identifier).mkdir()
        free = int((path / 'available_instances').read_text())
        (path / 'available_instances').write_text(f'{free - 1}\n')
        return identifier

    def test_made_for_a_vm_and_removed(self) -> None:
        device = self.look()[0]
        assert device.partitions is not None
        self.assertEqual('vm', device.options['vnpu_mode'])
        self.assertEqual([('vir02', 25, 6144), ('vir04', 50, 12288)], [
            (one['name'], one['compute'], one['memory']) for one in device.partitions['templates']])
        chosen = Geometry.from_dict(device.partitions).choose([], 40, 8000)
        assert chosen is not None
        carved = self.carve(device, template=chosen.template.name)
        assert carved.handle is not None
        self.assertIn('given to an instance', carved.no_sessions)
        self.assertEqual(('MDEV', '0000:01:00.0', 'vnpu-vir04', self.made('vir04')), (
            carved.handle.type, carved.handle.address, carved.handle.asked_type, carved.handle.uuid))
        self.driver = self.start()
        self.assertEqual({'s1'}, self.slices())
        again = self.look()[0]
        assert again.partitions is not None
        self.assertIsNone(Geometry.from_dict(again.partitions).choose([('vir04', None)], 50, None))
        self.assertFalse(again.options['split'])  # by the pool itself, not by somebody else
        self.driver.need_slicing().destroy('s1')
        self.assertEqual('1', (self.sysfs / f'bus/mdev/devices/{carved.handle.uuid}/remove').read_text())

    def test_the_host_was_restarted(self) -> None:
        """Its mediated devices are gone: what is made again is the one that the instance's definition names."""
        carved = self.carve(self.look()[0], template='vir02')
        identifier = self.made('vir02')
        (self.function / f'mdev_supported_types/vnpu-vir02/devices/{identifier}').rmdir()
        (self.sysfs / 'bus/mdev/devices' / identifier).rmdir()
        (self.function / 'mdev_supported_types/vnpu-vir02/create').write_text('')
        self.driver = self.start()
        with self.assertLogs('accelpool.drivers.book', 'WARNING'):
            self.assertEqual(set(), self.slices())
        self.assertEqual(carved, self.carve(self.look()[0], template='vir02'))
        self.assertEqual(identifier, self.made('vir02'))

    def test_a_950_has_them_when_the_kernel_offers_them(self) -> None:
        (self.function / 'mdev_supported_types/vnpu-vir04').rename(
            self.function / 'mdev_supported_types/vnpu-vir16_7c_60g')
        (self.function / 'mdev_supported_types/vnpu-vir16_7c_60g/description').write_text(
            'aicore num: 16\nmemory size: 60GB\n')
        self.describe({'driver': '26.0', 'dcmi': '2', 'v2': 1, 'devices': [{'model': '950', 'card': 0, 'bus': 1}]})
        device = self.look()[0]
        carved = self.carve(device, template='vir16_7c_60g')
        assert carved.handle is not None
        self.assertEqual(('MDEV', 'vnpu-vir16_7c_60g', None), (
            carved.handle.type, carved.handle.asked_type, device.options['no_vnpus']))

    def geometry(self) -> Geometry:
        found = self.look()[0].partitions
        assert found is not None
        return Geometry.from_dict(found)

    def test_the_second_functions_types_are_of_the_same_templates(self) -> None:
        types = self.function / 'mdev_supported_types'
        (types / 'vnpu-vir04').rename(types / 'vnpu-p1_vir04')
        (types / 'vnpu-vir02/available_instances').write_text('0\n')
        self.offer('p1_vir02', 2, 6, 3)
        geometry = self.geometry()
        self.assertEqual({'vir02': 3, 'vir04': 1}, {one.name: geometry.capacity[one.name] for one in geometry.templates})
        for name in ('vir02', 'vir04'):
            carved = self.carve(self.look()[0], f's-{name}', template=name)
            assert carved.handle is not None
            self.assertEqual((f'vnpu-p1_{name}', carved.handle.uuid), (carved.handle.asked_type, self.made(f'p1_{name}')))
        self.assertEqual({'s-vir02', 's-vir04'}, self.slices())
        self.assertEqual({'vir02': 3, 'vir04': 1}, {name: self.geometry().capacity[name] for name in ('vir02', 'vir04')})

    def test_a_template_without_decoders_is_only_for_who_names_it(self) -> None:
        (self.function / 'mdev_supported_types/vnpu-vir04/available_instances').write_text('0\n')
        self.offer('vir04_3c_ndvpp', 4, 12, 1)
        geometry = self.geometry()
        self.assertIsNone(geometry.choose([], 40, 8000))
        self.assertIsNotNone(geometry.choose([], 40, 8000, 'vir04_3c_ndvpp'))

    def test_sixteen_at_most(self) -> None:
        self.offer('vir01', 0, 1, 40)
        kinds = {one.name: one for one in self.geometry().templates}
        self.assertEqual(16, self.geometry().remaining(kinds['vir01'], []))

    def test_somebody_elses(self) -> None:
        self.made('vir04', '6f2d9e1c-0000-4000-8000-000000000001')
        device = self.look()[0]
        assert device.partitions is not None
        self.assertEqual([4], [one['needs']['aicore'] for one in device.partitions['taken']])
        self.assertIsNone(Geometry.from_dict(device.partitions).choose([], 50, None))
        with self.assertRaisesRegex(errors.NotSupported, 'split into vNPUs by somebody else'):
            self.carve(device, isolation=Isolation.WHOLE)

    def wanted_mode(self, mode: str) -> None:
        cfg.CONF.set_override('vnpu_mode', mode, group='ascend')
        self.addCleanup(cfg.CONF.clear_override, 'vnpu_mode', group='ascend')
        self.driver = self.start()

    def test_the_mode_is_not_switched_while_vnpus_of_the_other_are_there(self) -> None:
        identifier = self.made('vir02', '6f2d9e1c-0000-4000-8000-000000000002')
        self.wanted_mode('container')
        device = self.look()[0]
        self.assertEqual((1, 'vm'), (self.host.state.mode, device.options['vnpu_mode']))
        with self.assertRaisesRegex(errors.NotSupported, r'wants vNPUs for container.*others \(card 0\): destroy them'):
            self.carve(device, template='vir02')
        (self.function / f'mdev_supported_types/vnpu-vir02/devices/{identifier}').rmdir()
        self.assertEqual('container', self.look()[0].options['vnpu_mode'])
        self.assertEqual(0, self.host.state.mode)
        self.carve(self.look()[0], template='vir02')
        self.wanted_mode('vm')
        self.assertIn('wants vNPUs for vm', self.look()[0].options['no_vnpus'])
        self.driver.need_slicing().destroy('s1')
        self.assertEqual(('vm', None), tuple(self.look()[0].options[name] for name in ('vnpu_mode', 'no_vnpus')))
        self.assertEqual(1, self.host.state.mode)

    def test_a_switch_that_the_driver_refuses(self) -> None:
        self.wanted_mode('container')
        with self.host.failing('dcmi_set_vdevice_mode', code=-8002):
            self.assertIn('run the conductor as root', self.look()[0].options['no_vnpus'])
        self.assertEqual('container', self.look()[0].options['vnpu_mode'])
