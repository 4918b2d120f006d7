# SPDX-License-Identifier: Apache-2.0
"""vGPU types for instances: mediated devices, and virtual functions with NVIDIA's own VFIO driver."""

import errno
import pathlib
import re
import threading
from unittest import mock

from accelpool import errors
from accelpool.partitions import Geometry
from accelpool.types import Device, Isolation
from tests.fakes.nvml.vf import VirtualFunctions
from tests.functional import nvidia
from tests.functional.nvidia import SlicingCase, wanted


class MdevSlices(SlicingCase):
    """Sysfs is a directory here: what the kernel does on a write is done by the test."""

    def setUp(self) -> None:
        super().setUp()
        self.describe('l4')
        self.function = self.dir / 'sys/bus/pci/devices/0000:af:00.0'
        nvidia.vgpu_types(self.function)
        self.plain, self.device = self.look()

    def made(self, kind: str = 'nvidia-1116') -> str:
        """Do what the kernel does after a write to create; return the UUID."""
        path = self.function / 'mdev_supported_types' / kind / 'create'
        identifier = path.read_text()
        if identifier:
            (self.dir / 'sys/bus/mdev/devices' / identifier).mkdir(parents=True, exist_ok=True)
        return identifier

    def test_types_are_partitions(self) -> None:
        self.assertEqual((Isolation.PARTITION,), self.device.modes)
        self.assertEqual((Isolation.WHOLE, Isolation.SHARED), self.plain.modes)
        chosen = self.scheduled(self.device, 's1', 5, 2000)
        self.assertEqual(('nvidia-1116', None, 2048), (chosen.template, chosen.position, chosen.memory))

    def test_made_once_and_removed(self) -> None:
        chosen = self.scheduled(self.device, 's1', 5, 2000)
        carved = self.carve(self.device, chosen)
        assert carved.handle is not None
        self.assertEqual(self.made(), carved.handle.uuid)
        self.assertEqual(('MDEV', '0000:af:00.0', 'nvidia-1116'), (
            carved.handle.type, carved.handle.address, carved.handle.asked_type))
        (self.function / 'mdev_supported_types/nvidia-1116/create').write_text('')
        self.assertEqual(carved, self.carve(self.device, chosen))
        self.assertEqual('', self.made())  # nothing was made twice
        self.assertEqual({'s1'}, self.slices())
        self.driver.need_slicing().destroy('s1')
        self.assertEqual('1', (self.dir / 'sys/bus/mdev/devices' / carved.handle.uuid / 'remove').read_text())

    def test_virtual_functions(self) -> None:
        real = self.function.with_name('0000:af:00.4')
        self.function.rename(real)
        self.function.mkdir()
        (self.function / 'virtfn0').symlink_to(real)
        device = self.look()[1]
        self.assertEqual((Isolation.PARTITION,), device.modes)
        identifier = nvidia.mediated(real, 's1')
        carved = self.carve(device, self.scheduled(device, 's1', 5, 2000))
        self.assertEqual(identifier, (real / 'mdev_supported_types/nvidia-1116/create').read_text())
        assert carved.handle is not None
        self.assertEqual({'type': 'MDEV', 'uuid': identifier, 'info': {
            'domain': '0000', 'bus': 'af', 'device': '00', 'function': '4', 'asked_type': 'nvidia-1116'}},
            carved.handle.to_dict())

    def test_those_of_others_are_counted_and_not_sold(self) -> None:
        kind = self.function / 'mdev_supported_types/nvidia-1116'
        (kind / 'devices/0b1c7f5e-8a35-4c0e-9d6f-5a7f4d1f9a11').mkdir()
        (kind / 'available_instances').write_text('11\n')
        self.carve(self.device, self.scheduled(self.device, 's1', 5, 2000))
        nvidia.mediated(self.function, 's1')
        self.made()
        (kind / 'available_instances').write_text('10\n')
        partitions = self.look()[1].partitions
        assert partitions is not None
        geometry = Geometry.from_dict(partitions)
        self.assertEqual([{'nvidia-1116': 1, 'memory': 2048}], [span.needs for span in geometry.taken])
        self.assertIsNotNone(geometry.choose([('nvidia-1116', None)] * 10, 5, 2000))
        self.assertIsNone(geometry.choose([('nvidia-1116', None)] * 11, 5, 2000))

    def test_a_type_that_is_not_there(self) -> None:
        with self.assertRaisesRegex(errors.DriverError, 'see mdevctl types'):
            self.carve(self.device, wanted(self.device, 's1', Isolation.PARTITION, template='nvidia-1'))
        self.assertEqual(set(), self.slices())


class VfSlices(SlicingCase):
    """Virtual functions with NVIDIA's own VFIO driver, as on Ubuntu 24.04."""

    def setUp(self) -> None:
        super().setUp()
        self.describe('l4')
        self.functions: VirtualFunctions = VirtualFunctions(self.dir / 'sys', self.host.device(1))
        self.device = self.look()[1]

    def types(self) -> dict[str, tuple[int, int]]:
        """Return of each type how many the pool could have, and how many others have."""
        partitions = self.look()[1].partitions
        assert partitions is not None
        foreign = [name for span in partitions['taken'] for name in span['needs'] if name != 'memory']
        return {one['name']: (partitions['capacity'][one['name']] - foreign.count(one['name']), foreign.count(one['name']))
                for one in partitions['templates']}

    def somebody(self, index: int, number: int) -> None:
        """Somebody else gives a function a type, or takes it away."""
        self.functions.write(self.functions.path(index) / 'nvidia/current_vgpu_type', str(number))

    def ask(self, identifier: str = 's1', name: str = 'nvidia-1116', device: Device | None = None):
        return self.carve(device or self.device, wanted(self.device, identifier, Isolation.PARTITION, template=name))

    def test_types_are_partitions(self) -> None:
        self.assertEqual((Isolation.PARTITION,), self.device.modes)
        assert self.device.partitions is not None
        self.assertEqual([('nvidia-1116', 8, 2048), ('nvidia-1118', 16, 4096), ('nvidia-1122', 100, 23034)], [
            (one['name'], one['compute'], one['memory']) for one in self.device.partitions['templates']])
        self.assertEqual({'nvidia-1116': (12, 0), 'nvidia-1118': (6, 0), 'nvidia-1122': (1, 0)}, self.types())
        chosen = self.scheduled(self.device, 's1', 5, 3000)
        self.assertEqual(('nvidia-1118', None, 4096), (chosen.template, chosen.position, chosen.memory))

    def test_a_type_is_given_and_taken_away(self) -> None:
        carved = self.ask()
        assert carved.handle is not None
        self.assertEqual({'type': 'PCI', 'uuid': None, 'info': {
            'domain': '0000', 'bus': 'af', 'device': '00', 'function': '4'}}, carved.handle.to_dict())
        self.assertEqual({'0000:af:00.4': 1116}, self.functions.types())
        self.assertEqual(carved, self.ask())
        self.driver = self.start()  # a conductor that was killed
        self.assertEqual({'s1'}, self.slices())
        self.assertEqual(carved, self.ask(device=self.look()[1]))
        self.assertEqual([('0000:af:00.4', '1116')], self.functions.writes, 'once')
        self.driver.need_slicing().destroy('s1')
        self.driver.need_slicing().destroy('s1')
        self.assertEqual(({}, set()), (self.functions.types(), self.slices()))

    def test_killed_before_and_after_the_kernel_had_it(self) -> None:
        for before in (True, False):
            with self.subTest(before=before):
                def die(path: pathlib.Path, text: str, before: bool = before) -> None:
                    if not before:
                        self.functions.write(path, text)
                    raise KeyboardInterrupt

                with mock.patch.object(self.driver.need_slicing()._ways['vf'], '_kernel', die), \
                        self.assertRaises(KeyboardInterrupt):
                    self.ask()
                self.driver = self.start()
                carved = self.ask(device=self.look()[1])
                assert carved.handle is not None
                self.assertEqual({carved.handle.address: 1116}, self.functions.types())
                self.driver.need_slicing().destroy('s1')
                self.assertEqual({}, self.functions.types())

    def test_as_many_as_the_host_offers(self) -> None:
        self.ask('s0')
        self.assertEqual({'nvidia-1116': (12, 0), 'nvidia-1118': (0, 0), 'nvidia-1122': (0, 0)}, self.types(),
                         'other sizes are excluded')
        for number in range(1, 12):
            self.ask(f's{number}')
        self.assertEqual(12, len(self.functions.types()))
        used = [('nvidia-1116', None)] * 12
        partitions = self.look()[1].partitions
        assert partitions is not None
        self.assertIsNone(Geometry.from_dict(partitions).choose(used, 1, 1))
        with self.assertRaisesRegex(errors.DriverError, 'nvidia-1116 cannot be made on 0000:af:00.0: no free virtual '
                                    'function offers it now: it is full, or what it carries excludes this type'):
            self.ask('s12')
        for number in range(12):
            self.driver.need_slicing().destroy(f's{number}')
        self.assertEqual({'nvidia-1116': (12, 0), 'nvidia-1118': (6, 0), 'nvidia-1122': (1, 0)}, self.types())

    def test_a_type_that_is_not_creatable_any_more(self) -> None:
        chosen = self.scheduled(self.device, 's1', 5, 3000)
        self.somebody(0, 1116)
        with self.assertRaisesRegex(errors.DriverError, 'what it carries excludes this type'):
            self.carve(self.device, chosen)
        self.assertEqual(({'0000:af:00.4': 1116}, set()), (self.functions.types(), self.slices()))

    def test_functions_of_others_are_counted_and_never_touched(self) -> None:
        for index in (0, 1, 3):
            self.somebody(index, 1116)
        theirs = self.functions.types()
        self.assertEqual({'nvidia-1116': (9, 3), 'nvidia-1118': (0, 0), 'nvidia-1122': (0, 0)}, self.types())
        first, second = self.ask('s1'), self.ask('s2')
        assert first.handle is not None and second.handle is not None
        self.assertEqual(('0000:af:00.6', '0000:af:01.0'), (first.handle.address, second.handle.address))
        self.assertEqual({'nvidia-1116': (9, 3), 'nvidia-1118': (0, 0), 'nvidia-1122': (0, 0)}, self.types())
        for name in ('s1', 's2'):
            self.driver.need_slicing().destroy(name)
        self.assertEqual(theirs, self.functions.types())

    def test_somebody_takes_the_function_first(self) -> None:
        def late(path: pathlib.Path, text: str) -> None:
            if not self.functions.types():
                self.somebody(0, 1116)
            self.functions.write(path, text)

        with mock.patch.object(self.driver.need_slicing()._ways['vf'], '_kernel', late):
            carved = self.ask()
        assert carved.handle is not None
        self.assertEqual('0000:af:00.5', carved.handle.address)
        self.driver.need_slicing().destroy('s1')
        self.assertEqual({'0000:af:00.4': 1116}, self.functions.types(), 'theirs')

    def test_what_the_kernel_refuses(self) -> None:
        for code in (errno.EINVAL, errno.EBUSY, errno.EIO):
            with self.subTest(errno.errorcode[code]):
                self.functions.refuse = {self.functions.address(0): code}
                carved = self.ask()
                assert carved.handle is not None
                self.assertEqual('0000:af:00.5', carved.handle.address, 'the next one')
                self.driver.need_slicing().destroy('s1')
                self.functions.refuse = {self.functions.address(index): code for index in range(16)}
                with self.assertRaisesRegex(errors.DriverError, re.escape(
                        f'A vGPU of type nvidia-1116 cannot be made on 0000:af:00.0: the kernel refused: [Errno {code}]')):
                    self.ask()
                self.assertEqual(({}, set()), (self.functions.types(), self.slices()))
                self.functions.refuse = {}

    def test_a_vm_still_uses_it(self) -> None:
        carved = self.ask()
        assert carved.handle is not None
        self.functions.opened.add(carved.handle.address)
        with self.assertRaisesRegex(errors.DriverError, 'cannot be taken from 0000:af:00.4: .*a VM may still use it'):
            self.driver.need_slicing().destroy('s1')
        self.assertEqual({'s1'}, self.slices())
        self.functions.opened.clear()
        self.driver.need_slicing().destroy('s1')
        self.assertEqual(({}, set()), (self.functions.types(), self.slices()))

    def test_functions_that_vanish_and_come_back(self) -> None:
        """As with a restart of the host: they are made again, without types, after the conductor has started."""
        self.ask('s1')
        before = self.ask('s2')
        self.driver.need_slicing().destroy('s1')
        self.functions.disable()
        self.driver = self.start()
        device = self.look()[1]
        self.assertEqual(((), None), (device.modes, device.partitions))
        self.assertEqual({'s2'}, self.slices(), 'not given up')
        with self.assertRaisesRegex(errors.NotSupported, 'only as nothing'):
            self.ask('s3', device=device)
        self.assertEqual(before, self.ask('s2'))
        with self.assertRaisesRegex(errors.DriverError, 'it has no virtual functions: make them'):
            self.driver.need_slicing()._ways['vf'].make({'pci': '0000:af:00.0', 'type': 'nvidia-1116', 'function': None})
        self.functions.enable()
        with self.assertLogs('accelpool.drivers.book', 'WARNING') as logged:
            self.assertEqual(set(), self.slices())  # so the reconciler binds again
        self.assertIn('is not there: somebody else took the type from its virtual function', logged.output[0])
        device = self.look()[1]
        self.ask('s4', device=device)
        self.assertEqual(before, self.ask('s2', device=device), 'the address that the VM knows')
        self.assertEqual({'s2', 's4'}, self.slices())

    def test_a_function_that_vanished_is_given_back(self) -> None:
        self.ask()
        self.functions.disable()
        self.driver.need_slicing().destroy('s1')
        self.assertEqual(set(), self.slices())

    def test_somebody_gave_our_function_another_type(self) -> None:
        self.ask()
        self.somebody(0, 0)
        self.somebody(0, 1118)
        self.assertEqual(set(), self.slices())
        with self.assertRaisesRegex(errors.DriverError, 'again: somebody else gave it type nvidia-1118'):
            self.ask()
        self.driver.need_slicing().destroy('s1')
        self.assertEqual({'0000:af:00.4': 1118}, self.functions.types())

    def test_many_threads(self) -> None:
        threads = [threading.Thread(target=self.ask, args=(f's{number % 6}',)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(6, len(self.functions.types()))
        self.assertEqual({f's{number}' for number in range(6)}, self.slices())
