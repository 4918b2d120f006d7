# SPDX-License-Identifier: Apache-2.0
"""vGPU types that MIG backs: a GPU instance for each, on virtual functions with NVIDIA's VFIO driver and as mediated devices."""

import errno
import pathlib
from collections.abc import Callable
from typing import Any
from unittest import mock

import yaml

from accelpool import errors
from accelpool.drivers.nvidia import NvidiaDriver
from accelpool.partitions import Geometry
from accelpool.types import Device, Isolation
from tests.fakes.nvml import host
from tests.fakes.nvml.mdev import MediatedFunctions
from tests.fakes.nvml.vf import VirtualFunctions
from tests.functional.nvidia import CHANGES, SlicingCase, wanted

#: NVML's NVML_ERROR_FUNCTION_NOT_FOUND
FUNCTION_NOT_FOUND = 13


class Both:
    """What holds for both kinds of functions; the second A100 of the host is in MIG mode."""

    class Case(SlicingCase):
        functions: VirtualFunctions

        def setUp(self) -> None:
            super().setUp()
            self.strike: Callable[[str, bool], None] = lambda what, before: None
            self.describe('vgpu-mig')
            self.functions = self.make_functions(1)
            self.device = self.look()[1]

        def make_functions(self, index: int, count: int = 16) -> VirtualFunctions:
            raise NotImplementedError

        def start(self) -> NvidiaDriver:
            driver = super().start()
            driver.need_slicing()._ways['mdev']._kernel = self.write  # type: ignore[attr-defined]
            return driver

        def followed(self, ask: Callable[..., Any]) -> Callable[..., Any]:
            """Have ``strike`` hear of what is done to the GPU, before and afterwards."""
            followed = super().followed(ask)

            def struck(call: str, *arguments: Any, **named: Any) -> Any:
                if call not in CHANGES:
                    return followed(call, *arguments, **named)
                self.strike(call, True)
                try:
                    return followed(call, *arguments, **named)
                finally:
                    self.strike(call, False)

            return struck

        def write(self, path: pathlib.Path, text: str) -> None:
            self.strike('write', True)
            super().write(path, text)
            self.strike('write', False)

        def ask(self, identifier: str = 's1', name: str = 'nvidia-476', position: int | None = 4,
                device: Device | None = None) -> Any:
            device = device or self.device
            return self.carve(device, wanted(device, identifier, Isolation.PARTITION, template=name, position=position))

        def destroy(self, identifier: str = 's1') -> None:
            self.driver.need_slicing().destroy(identifier)

        def geometry(self) -> Geometry:
            partitions = self.look()[1].partitions
            assert partitions is not None
            return Geometry.from_dict(partitions)

        def somebody(self, profile: str, start: int) -> None:
            """Somebody else makes a GPU instance."""
            self.host.add_instance(1, profile, start)
            self.functions.offer()

        def give(self, index: int, number: int) -> None:
            """Somebody else makes a vGPU of a type on a function."""
            raise NotImplementedError

        def take(self, index: int) -> None:
            raise NotImplementedError

        def numbers(self) -> list[int]:
            """Return the types of the vGPUs that there are."""
            return sorted(self.functions.types().values())

        def test_types_are_partitions_with_the_places_of_their_profiles(self) -> None:
            self.assertEqual((Isolation.PARTITION,), self.device.modes)
            self.assertEqual([
                ('nvidia-474', 14, 4864, 1, (0, 1, 2, 3, 4, 5, 6), False),
                ('nvidia-706', 14, 4864, 1, (0, 1, 2, 3, 4, 5, 6), True),
                ('nvidia-475', 28, 9856, 2, (0, 2, 4), False),
                ('nvidia-476', 42, 19968, 4, (0, 4), False),
                ('nvidia-477', 57, 19968, 4, (0,), False),
                ('nvidia-478', 100, 40192, 8, (0,), False)], [
                (one.name, one.compute, one.memory, one.size, one.starts, one.special)
                for one in self.geometry().templates])
            chosen = self.scheduled(self.device, 's1', 30, 10000)
            self.assertEqual(('nvidia-476', 4, 19968), (chosen.template, chosen.position, chosen.memory))

        def test_made_once_and_taken_apart(self) -> None:
            carved = self.ask()
            self.assertEqual([('MIG 3g.20gb', 4, [])], self.host.instances(1), 'the guest makes compute instances')
            self.assertEqual([476], self.numbers())
            self.assertIn('inside the instance only', carved.no_sessions)
            writes = list(self.functions.writes)
            self.assertEqual(carved, self.ask())
            self.driver = self.start()  # a conductor that was killed
            self.assertEqual({'s1'}, self.slices())
            self.assertEqual(carved, self.ask(device=self.look()[1]))
            self.assertEqual(writes, self.functions.writes)
            self.assertEqual((), self.geometry().taken)
            self.destroy()
            self.destroy()
            self.assertEqual(([], [], set()), (self.host.instances(1), self.numbers(), self.slices()))

        def test_killed_at_any_moment(self) -> None:
            making = [('create_instance', True), ('create_instance', False), ('write', True), ('write', False)]
            unmaking = [('write', True), ('write', False), ('destroy_instance', True), ('destroy_instance', False)]
            for moment, later in zip(making, unmaking, strict=True):
                for again in (True, False):
                    with self.subTest(moment=moment, again=again):
                        self.kill(moment, self.ask)
                        if again:
                            self.ask(device=self.look()[1])
                            self.assertEqual([('MIG 3g.20gb', 4, [])], self.host.instances(1))
                            self.assertEqual(([476], {'s1'}), (self.numbers(), self.slices()))
                            self.kill(later, self.destroy)
                        self.destroy()
                        self.assertEqual(([], [], set()), (self.host.instances(1), self.numbers(), self.slices()))

        def kill(self, moment: tuple[str, bool], action: Callable[[], object]) -> None:
            """Kill the conductor before or after a step of something, and start another."""
            def strike(what: str, before: bool) -> None:
                if (what, before) == moment:
                    raise KeyboardInterrupt

            with mock.patch.object(self, 'strike', strike), self.assertRaises(KeyboardInterrupt):
                action()
            self.driver = self.start()

        def test_a_full_device(self) -> None:
            used: list[tuple[str, int | None]] = []
            for number in range(7):
                chosen = self.scheduled(self.device, f's{number}', used=tuple(used))
                self.carve(self.device, chosen)
                used.append((chosen.template or '', chosen.position))
            self.assertEqual(([474] * 7, 7), (self.numbers(), len(self.host.instances(1))))
            self.assertIsNone(self.geometry().choose(used, 1, 1))
            with self.assertRaisesRegex(errors.DriverError, '1g.5gb at 0 is another slice\'s'):
                self.ask('s7', 'nvidia-474', 0)
            self.assertEqual(([474] * 7, 7), (self.numbers(), len(self.host.instances(1))))
            for number in range(7):
                self.destroy(f's{number}')
            self.assertEqual(([], []), (self.numbers(), self.host.instances(1)))

        def test_places_that_overlap(self) -> None:
            self.ask('s1', 'nvidia-474', 1)
            with self.assertRaisesRegex(errors.DriverError, '2g.10gb at 0 cannot be made: .*: there is no room for it'):
                self.ask('s2', 'nvidia-475', 0)
            self.assertEqual(([474], {'s1'}), (self.numbers(), self.slices()))

        def test_what_others_made_takes_its_place_and_is_never_touched(self) -> None:
            self.somebody('MIG 3g.20gb', 4)
            self.give(0, 476)
            self.somebody('MIG 1g.5gb', 0)
            theirs = self.host.instances(1)
            self.assertEqual([(0, 1), (4, 4)], sorted((one.start, one.size) for one in self.geometry().taken))
            chosen = self.scheduled(self.look()[1], 's1', 25, 9000)
            self.assertEqual(('nvidia-475', 2), (chosen.template, chosen.position))
            with self.assertRaisesRegex(errors.DriverError, '3g.20gb at 4 cannot be made: somebody else has it'):
                self.ask()
            self.carve(self.device, chosen)
            self.assertEqual([475, 476], self.numbers())
            self.destroy()
            self.assertEqual((theirs, [476], set()), (self.host.instances(1), self.numbers(), self.slices()))

        def test_somebody_takes_ours_apart(self) -> None:
            carved = self.ask()
            self.take(0)
            self.assertEqual(set(), self.slices())
            self.assertEqual((carved, [476]), (self.ask(), self.numbers()))
            self.assertEqual({'s1'}, self.slices())
            self.take(0)
            self.host.destroy_instance(1, 4)
            self.functions.offer()
            with self.assertLogs('accelpool.drivers.book', 'WARNING') as logged:
                self.assertEqual(set(), self.slices())
            self.assertIn('is not there: somebody else took its vGPU away, or destroyed its MIG instance', logged.output[0])
            self.assertEqual(carved, self.ask())
            self.assertEqual(([476], ['MIG 3g.20gb'], {'s1'}), (
                self.numbers(), [one[0] for one in self.host.instances(1)], self.slices()))

        def test_only_the_instance_is_gone(self) -> None:
            """As after a reset of the GPU, or with a mediated device that no VM uses."""
            carved = self.ask()
            self.host.destroy_instance(1, 4)
            self.assertEqual(set(), self.slices())
            self.assertEqual(carved, self.ask())
            self.assertEqual(([('MIG 3g.20gb', 4, [])], [476], {'s1'}), (
                self.host.instances(1), self.numbers(), self.slices()))

        def test_somebody_has_the_place_after_ours_was_taken_apart(self) -> None:
            """As after a start of the host: the boot tells theirs from ours."""
            self.ask()
            self.take(0)
            self.host.destroy_instance(1, 4)
            self.boot = 'boot-2'
            self.somebody('MIG 3g.20gb', 4)
            self.assertEqual(set(), self.slices())
            with self.assertRaisesRegex(errors.DriverError, 'somebody else has it'):
                self.ask()
            self.destroy()
            self.assertEqual(['MIG 3g.20gb'], [one[0] for one in self.host.instances(1)])

        def test_what_a_guest_makes_in_its_instance_is_its_own(self) -> None:
            carved = self.ask()
            for offset in (0, 1):
                self.host.add_compute(1, 4, offset)
                self.assertEqual((carved, {'s1'}), (self.ask(), self.slices()))
            self.assertEqual([(4, 0, 1), (4, 1, 1)], self.host.computes(1))
            with self.host.failing('nvmlDeviceGetMigDeviceHandleByIndex', code=6):  # the host need not see a guest's
                self.assertEqual({'s1'}, self.slices())
                self.destroy()
            self.assertEqual([], self.host.instances(1))

        def test_a_refusal_leaves_nothing(self) -> None:
            self.refuse()
            with self.assertRaisesRegex(errors.DriverError, 'of type nvidia-476 cannot be made on 0000:ca:00.0: .*'
                                                            r'\[Errno 5\]'):
                self.ask()
            self.assertEqual(([], [], set()), (self.host.instances(1), self.numbers(), self.slices()))
            with self.host.failing('nvmlGpuInstanceDestroy', code=19), \
                    self.assertRaisesRegex(errors.DriverError, r'\[Errno 5\].*3g.20gb at 4 cannot be taken apart.*in use'):
                self.ask()
            self.assertEqual(['MIG 3g.20gb'], [one[0] for one in self.host.instances(1)])
            self.driver = self.start()
            self.destroy()
            self.assertEqual(([], set()), (self.host.instances(1), self.slices()), 'known all the time')

        def refuse(self) -> None:
            """From now on the kernel refuses every vGPU."""
            def strike(what: str, before: bool) -> None:
                if what == 'write' and before:
                    raise OSError(errno.EIO, 'Input/output error')

            self.strike = strike

        def test_no_function_is_free(self) -> None:
            self.functions.disable()
            self.functions = self.make_functions(1, count=1)
            self.ask()
            with self.assertRaisesRegex(errors.DriverError, 'nvidia-476 cannot be made on 0000:ca:00.0'):
                self.ask('s2', position=0)
            self.assertEqual((['MIG 3g.20gb'], {'s1'}), ([one[0] for one in self.host.instances(1)], self.slices()))

        def test_no_functions(self) -> None:
            self.functions.disable()
            device = self.look()[1]
            self.assertEqual((), device.modes)
            with self.assertRaisesRegex(errors.NotSupported, 'only as nothing'):
                self.ask(device=device)

        def test_a_driver_that_does_not_tell_of_profiles(self) -> None:
            with self.host.failing('nvmlVgpuTypeGetGpuInstanceProfileId', code=FUNCTION_NOT_FOUND):
                self.driver = self.start()
                device = self.look()[1]
                assert device.partitions is not None
                self.assertIn('3g.20gb', [one['name'] for one in device.partitions['templates']])
                self.assertNotIn('nvidia-476', [one['name'] for one in device.partitions['templates']])
                carved = self.ask(name='3g.20gb', device=device)
                self.assertIsNone(carved.handle)
                self.assertEqual([('MIG 3g.20gb', 4, [carved.env['CUDA_VISIBLE_DEVICES']])], self.host.instances(1))

        def test_a_driver_without_sessions(self) -> None:
            """As most hosts with A100 have it; nothing but instances needs a vGPU."""
            self.host.state.cuda = 12020
            self.driver = self.start()
            device = self.look()[1]
            self.assertEqual((Isolation.PARTITION,), device.modes)
            self.assertIsNotNone(self.ask(device=device).handle)

        def test_types_that_take_turns_on_an_instance_are_left_out(self) -> None:
            self.host.device(1).vgpus[6].most = 28
            self.driver = self.start()
            self.assertEqual(['nvidia-706', 'nvidia-475', 'nvidia-476', 'nvidia-477', 'nvidia-478'],
                             [one.name for one in self.geometry().templates])

        def test_without_mig_there_are_the_other_types(self) -> None:
            other = self.make_functions(0)
            plain = self.look()[0]
            assert plain.partitions is not None
            self.assertEqual({f'nvidia-{number}' for number in range(468, 474)},
                             {one['name'] for one in plain.partitions['templates']})
            chosen = self.scheduled(plain, 's1', 20, 8000)
            with mock.patch.object(self, 'functions', other):
                self.carve(plain, chosen)
            self.assertEqual([470], sorted(other.types().values()))
            self.assertEqual([], self.host.instances(0))


class OnVirtualFunctions(Both.Case):
    def make_functions(self, index: int, count: int = 16) -> VirtualFunctions:
        return VirtualFunctions(self.dir / 'sys', self.host.device(index), count)

    def give(self, index: int, number: int) -> None:
        self.functions.write(self.functions.path(index) / 'nvidia/current_vgpu_type', str(number))

    def take(self, index: int) -> None:
        self.give(index, 0)

    def test_handle(self) -> None:
        carved = self.ask()
        self.assertEqual({'type': 'PCI', 'uuid': None, 'info': {
            'domain': '0000', 'bus': 'ca', 'device': '00', 'function': '4'}}, carved.handle.to_dict())
        self.assertEqual({'0000:ca:00.4': 476}, self.functions.types())

    def test_a_vm_has_our_instance_and_ours_theirs(self) -> None:
        """The driver chooses among free instances: somebody's was the first one."""
        self.somebody('MIG 3g.20gb', 0)
        self.ask()
        self.give(1, 476)
        with self.assertRaisesRegex(errors.DriverError, '3g.20gb at 4 cannot be taken apart: .* it is in use'):
            self.destroy()
        self.assertEqual({'0000:ca:00.5': 476}, self.functions.types(), 'ours is gone, theirs is as it was')
        self.give(1, 0)
        self.destroy()
        self.assertEqual([('MIG 3g.20gb', 0)], [one[:2] for one in self.host.instances(1)])
        self.assertEqual(set(), self.slices())

    def test_the_host_starts_again(self) -> None:
        """Its functions are made after the conductor has started, which destroys instances."""
        before = self.ask()
        self.functions.disable()
        self.boot = 'boot-2'
        self.driver = self.start()
        self.assertEqual({'s1'}, self.slices(), 'not given up')
        self.assertEqual((before, []), (self.ask(device=self.look()[1]), self.host.instances(1)), 'nothing was made')
        self.functions.enable()
        self.assertEqual(set(), self.slices())
        self.ask('s2', position=0, device=self.look()[1])
        self.assertEqual(before, self.ask(device=self.look()[1]), 'the address that the VM knows')
        self.assertEqual(([('MIG 3g.20gb', 0, []), ('MIG 3g.20gb', 4, [])], [476, 476], {'s1', 's2'}), (
            self.host.instances(1), self.numbers(), self.slices()))

    def test_a_device_that_lost_its_functions_is_given_back(self) -> None:
        self.ask()
        self.functions.disable()
        self.destroy()
        self.assertEqual(set(), self.slices())


class AsMediatedDevices(Both.Case):
    functions: MediatedFunctions

    def make_functions(self, index: int, count: int = 8) -> MediatedFunctions:
        return MediatedFunctions(self.dir / 'sys', self.host.device(index), count)

    def give(self, index: int, number: int) -> None:
        self.functions.write(self.functions.path(index) / f'mdev_supported_types/nvidia-{number}/create',
                             f'0b1c7f5e-8a35-4c0e-9d6f-5a7f4d1f9a{index:02}')

    def take(self, index: int) -> None:
        name, = (path.name for path in self.functions.path(index).glob('mdev_supported_types/*/devices/*'))
        self.functions.write(self.dir / 'sys/bus/mdev/devices' / name / 'remove', '1')

    def test_handle(self) -> None:
        carved = self.ask()
        name, = self.functions.types()
        self.assertEqual({'type': 'MDEV', 'uuid': name, 'info': {
            'domain': '0000', 'bus': 'ca', 'device': '00', 'function': '4', 'asked_type': 'nvidia-476'}},
            carved.handle.to_dict())

    def test_a_vm_runs_in_another_slices_instance(self) -> None:
        """A mediated device gets its instance as late as its VM starts; the first free one is of the other slice."""
        self.ask()
        second = self.ask('s2', position=0)
        self.functions.start(second.handle.uuid)
        with self.assertRaisesRegex(errors.DriverError, '3g.20gb at 4 cannot be taken apart: .* it is in use'):
            self.destroy()
        self.assertEqual({'s2'}, self.slices())
        with self.assertRaisesRegex(errors.DriverError, 'a VM may still use it'):
            self.destroy('s2')
        self.functions.stop(second.handle.uuid)
        self.destroy()
        self.assertEqual({'s2'}, self.slices())
        self.destroy('s2')
        self.assertEqual(([], []), (self.host.instances(1), self.numbers()))


class StandIn(SlicingCase):
    """The stand-in offers a type only where an instance of its profile is free."""

    def test_creatable_types(self) -> None:
        self.describe('vgpu-mig')
        functions = VirtualFunctions(self.dir / 'sys', self.host.device(1))
        file = functions.path(0) / 'nvidia/creatable_vgpu_types'
        self.assertEqual('ID    : vGPU Name\n', file.read_text())
        self.host.add_instance(1, 'MIG 2g.10gb', 2)
        functions.offer()
        self.assertEqual('ID    : vGPU Name\n475   : GRID A100-2-10C\n', file.read_text())
        functions.write(functions.path(0) / 'nvidia/current_vgpu_type', '475')
        self.assertEqual('ID    : vGPU Name\n', file.read_text())

    def test_every_type_has_the_profile_of_its_name(self) -> None:
        described = yaml.safe_load((host.HERE / 'hosts/vgpu-mig.yaml').read_text())['devices'][1]
        self.describe('vgpu-mig')
        self.assertEqual({
            'GRID A100-1-5C': '1g.5gb', 'GRID A100-1-5CME': '1g.5gb+me', 'GRID A100-2-10C': '2g.10gb',
            'GRID A100-3-20C': '3g.20gb', 'GRID A100-4-20C': '4g.20gb', 'GRID A100-7-40C': '7g.40gb'},
            {kind['name']: kind['profile'] for kind in self.look()[1].options['vgpus'] if kind['profile'] is not None})
        self.assertEqual(len(described['vgpus']), len(self.look()[1].options['vgpus']))
