# SPDX-License-Identifier: Apache-2.0
"""Cutting NVIDIA devices over the stand-in of NVML: made, found again, taken apart, and what stands in the way."""

import os
import signal
import stat
import threading
import time
from unittest import mock

from accelpool import errors
from accelpool.drivers.book import Book
from accelpool.drivers.nvidia import mig
from accelpool.partitions import Geometry, split
from accelpool.types import Device, Health, Isolation
from tests.fakes import statefile
from tests.fakes.mps import host as mps
from tests.fakes.nvml import host, nvidia_smi
from tests.functional import nvidia
from tests.functional.nvidia import SlicingCase, wanted


class Whole(SlicingCase):
    def test_a_whole_device_that_is_not_there_is_gone(self) -> None:
        self.describe('h100')
        device, = self.look()
        self.carve(device, wanted(device, isolation=Isolation.WHOLE))
        self.host.pull(0)
        self.assertEqual([], self.look())


class Resting(SlicingCase):
    """A GPU that rests is nobody's: it can be reset, or be detached from the driver."""

    def setUp(self) -> None:
        super().setUp()
        self.describe('dgx-a100')
        self.before = self.look()

    def test_who_looks_holds_what_he_sees(self) -> None:
        self.assertEqual([2] * 8, [len(self.host.held(index)) for index in range(8)], 'for the looks, and for the events')
        with self.assertRaisesRegex(AssertionError, 'In use by another client'):
            self.host.reset(3)

    def test_the_others_are_looked_at(self) -> None:
        self.host.xid(0, 109)
        self.rest(3)
        self.host.xid(1, 109)
        for _ in range(2):
            found = self.look()
            self.assertEqual([], self.host.held(3))
            self.assertEqual([one.id for one in self.before if one != self.before[3]], [one.id for one in found])
            self.assertEqual([Health.FAILED] * 2 + [Health.OK] * 5, [one.health for one in found], 'no event is lost')
        self.assertEqual(7, len(self.driver.inventory.metrics()))
        self.rest()
        self.assertEqual([one.id for one in self.before], [one.id for one in self.look()])

    def test_a_guest_has_it_meanwhile(self) -> None:
        self.rest(3)
        self.host.detach(3, self.dir / 'sys')
        self.assertEqual(7, len(self.look()))
        self.driver = self.start()
        self.rest(3)
        self.assertEqual(7, len(self.look()))
        self.host.give_back(3, self.dir / 'sys')
        self.assertEqual(7, len(self.look()))
        self.assertEqual([], self.host.held(3))
        self.rest()
        self.assertEqual(self.before, self.look())

    def test_all_of_them(self) -> None:
        self.rest(*range(8))
        self.assertEqual([], self.look())
        self.assertEqual([], [index for index in range(8) if self.host.held(index)])
        self.assertEqual({}, self.driver.inventory.metrics())
        self.host.reload()
        self.rest()
        self.assertEqual(self.before, self.look())
        self.host.xid(5, 109)
        self.assertEqual(Health.FAILED, self.look()[5].health)

    def test_one_hangs_that_does_not_rest(self) -> None:
        self.rest(3)
        with self.host.hanging(device=5):
            found = self.look()
            self.assertEqual([Health.OK] * 4 + [Health.FAILED] + [Health.OK] * 2, [one.health for one in found])
            self.driver = self.start()
            self.rest(3)
            found = self.look()
            self.assertEqual([Health.OK] * 4 + [Health.FAILED] + [Health.OK] * 2, [one.health for one in found])
            self.assertIn('NVML did not answer within 1 s for the GPU at 0000:90:00.0', found[4].health_reason or '')
        self.until(lambda found: len(found) == 7 and all(one.health == Health.OK for one in found))

    def test_the_operators_word_counts_where_no_reset_can_be_seen(self) -> None:
        with self.host.failing('nvmlDeviceGetTotalEnergyConsumption', code=3):
            self.host.xid(3, 109)
            self.assertEqual(Health.FAILED, self.look()[3].health)
            self.rest(3)
            self.look()
            self.driver = self.start()
            self.rest(3)
            self.rest()
            self.assertEqual(Health.OK, self.look()[3].health)
            self.host.xid(3, 79)
            self.rest(3)
            self.rest()
            self.assertEqual(Health.FAILED, self.look()[3].health, 'the host was not restarted')

    def test_who_cuts_lets_go_too(self) -> None:
        chosen = self.scheduled(self.before[6], 's1', 30)
        self.carve(self.before[6], chosen)
        self.assertEqual(3, len(self.host.held(6)))
        self.assertEqual(2, len(self.host.held(7)), 'who cuts a GPU has no other open')
        self.rest(6)
        self.assertEqual({'s1'}, self.slices(), 'nobody looks')
        self.assertEqual([], self.host.held(6))
        self.host.destroy_instance(6, 4)
        self.host.reset(6)
        self.rest()
        self.look()
        self.assertEqual(set(), self.slices())
        self.carve(self.before[6], chosen)
        self.assertEqual(1, len(self.host.instances(6)))

    def test_a_slice_is_given_back_meanwhile(self) -> None:
        self.carve(self.before[6], self.scheduled(self.before[6], 's1', 30))
        self.rest(6)
        self.driver.need_slicing().destroy('s1')
        self.assertEqual(([], []), (self.host.instances(6), self.host.held(6)))

    def test_a_process_that_cuts_sees_a_gpu_as_it_was_until_a_new_one_does(self) -> None:
        self.carve(self.before[6], self.scheduled(self.before[6], 's1', 30))
        before = set(self.host.held(6))
        self.host.lose(6)
        with self.assertRaisesRegex(errors.DriverError, 'fallen off the bus'):
            self.driver.need_slicing().destroy('s1')
        self.host.device(6).lost = 0
        self.driver.need_slicing().destroy('s1')
        self.assertEqual(1, len(set(self.host.held(6)) - before))


class MigSlices(SlicingCase):
    def setUp(self) -> None:
        super().setUp()
        self.describe('dgx-a100')
        self.device = self.look()[6]

    def mig(self) -> mig.Mig:
        found = self.driver.need_slicing()._ways['mig']  # type: ignore[attr-defined]
        assert isinstance(found, mig.Mig)
        return found

    def test_an_instance_is_made_where_the_scheduler_says(self) -> None:
        carved = self.carve(self.device, self.scheduled(self.device, 's1', 30))
        (name, start, uuids), = self.host.instances(6)
        self.assertEqual(('MIG 3g.20gb', 4), (name, start))
        self.assertEqual({'CUDA_VISIBLE_DEVICES': uuids[0]}, carved.env)
        self.assertEqual({'s1'}, self.slices())
        self.assertEqual(carved, self.carve(self.device, self.scheduled(self.device, 's1', 30)))
        self.assertEqual(1, len(self.host.instances(6)))
        self.driver.need_slicing().destroy('s1')
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([], self.host.instances(6))
        self.assertEqual(set(), self.slices())

    def test_an_instance_of_one_slice_has_all_its_multiprocessors(self) -> None:
        self.describe({'driver': '580.65.06', 'nvml': '13.580.65.06', 'cuda': 13000, 'devices': [
            {'model': 'h100-80gb', 'bus': 0x19, 'numa': 0, 'cpus': [0, 55], 'mig': True}]})
        device, = self.look()
        for name, expected in (('1g.20gb', 26), ('1g.10gb', 16), ('1c.2g.20gb', 16), ('3g.40gb', 60)):
            with self.subTest(name):
                self.carve(device, self.scheduled(device, name, name=name))
                one, = (one for one in self.host.device(0).instances if one.used)
                compute, = (compute for compute in one.computes if compute.used)
                self.assertEqual(expected, nvidia_smi.multiprocessors(
                    self.host.device(0), self.host.device(0).profiles[one.profile], compute))
                self.driver.need_slicing().destroy(name)

    def test_slices_that_share_an_instance(self) -> None:
        used: list[tuple[str, int | None]] = []
        carved = []
        for number in range(3):
            chosen = self.scheduled(self.device, f's{number}', name='1c.3g.20gb', used=tuple(used))
            used.append((chosen.template or '', chosen.position))
            carved.append(self.carve(self.device, chosen))
        (name, start, uuids), = self.host.instances(6)
        self.assertEqual(('MIG 3g.20gb', 4), (name, start))
        self.assertEqual(sorted(uuids), sorted(one.env['CUDA_VISIBLE_DEVICES'] for one in carved))
        self.driver = self.start()  # a conductor that was killed
        device = self.look()[6]
        assert device.partitions is not None
        self.assertEqual([], device.partitions['taken'])
        self.assertEqual({'s0', 's1', 's2'}, self.slices())
        self.driver.need_slicing().destroy('s1')
        self.assertEqual(2, len(self.host.computes(6)))
        self.assertEqual({'s0', 's2'}, self.slices())
        self.carve(device, self.scheduled(device, 's3', name='1c.3g.20gb', used=(used[0], used[2])))
        self.assertEqual(1, len(self.host.instances(6)))
        for identifier in ('s0', 's2', 's3'):
            self.driver.need_slicing().destroy(identifier)
        self.assertEqual([], self.host.instances(6))

    def test_a_part_that_cannot_be_made_leaves_the_instance_of_the_others(self) -> None:
        first = self.scheduled(self.device, 's0', name='1c.3g.20gb')
        self.carve(self.device, first)
        second = self.scheduled(self.device, 's1', name='1c.3g.20gb', used=((first.template, first.position),))
        with self.host.failing('nvmlGpuInstanceCreateComputeInstanceWithPlacement', code=23), \
                self.assertRaisesRegex(errors.DriverError, '1c.3g.20gb at 4/'):
            self.carve(self.device, second)
        self.assertEqual(1, len(self.host.computes(6)))
        self.assertEqual({'s0'}, self.slices())

    def test_what_others_made_in_an_instance_of_ours_stays(self) -> None:
        chosen = self.scheduled(self.device, 's0', name='1c.3g.20gb')
        self.carve(self.device, chosen)
        (_, ours, _), = self.host.computes(6)
        self.host.add_compute(6, 4, {0, 1, 2}.difference({ours}).pop())
        with self.assertRaisesRegex(errors.DriverError, 'it is in use'):
            self.driver.need_slicing().destroy('s0')
        self.assertEqual(1, len(self.host.computes(6)), 'theirs')

    def test_somebody_made_the_same_instance_first(self) -> None:
        for name in ('3g.20gb', '1c.3g.20gb'):
            with self.subTest(name):
                chosen = self.scheduled(self.device, 's1', name=name)
                self.host.add_instance(6, 'MIG 3g.20gb', 4)
                with self.assertRaisesRegex(errors.DriverError, 'somebody else'):
                    self.carve(self.device, chosen)
                self.driver.need_slicing().destroy('s1')
                self.assertEqual([('MIG 3g.20gb', 4)], [one[:2] for one in self.host.instances(6)])
                self.assertEqual(set(), self.slices())
                self.host.destroy_instance(6, 4)

    def test_seven_small_ones_and_no_more(self) -> None:
        used: list[tuple[str, int | None]] = []
        for number in range(7):
            chosen = self.scheduled(self.device, f's{number}', used=tuple(used))
            self.carve(self.device, chosen)
            used.append((chosen.template or '', chosen.position))
        self.assertEqual(7, len(self.host.instances(6)))
        assert self.device.partitions is not None
        self.assertIsNone(Geometry.from_dict(self.device.partitions).choose(used, 1, 1))

    def test_who_looks_neither_holds_instances_nor_fails_when_they_go(self) -> None:
        for _ in range(2):
            self.carve(self.device, self.scheduled(self.device, 's1', 30))
            self.host.add_instance(6, 'MIG 1g.5gb', 0)
            self.driver = self.start()
            device = self.look()[6]
            assert device.partitions is not None
            self.assertEqual([0], [one['start'] for one in device.partitions['taken']])
            self.driver.need_slicing().destroy('s1')
            self.host.destroy_instance(6, 0)
            device = self.look()[6]
            assert device.partitions is not None
            self.assertEqual((Health.OK, []), (device.health, device.partitions['taken']))

    def test_what_goes_while_it_is_listed_is_not_there(self) -> None:
        self.host.add_instance(6, 'MIG 3g.20gb', 4)
        for function in ('nvmlGpuInstanceGetInfo', 'nvmlComputeInstanceGetInfo_v2', 'nvmlGpuInstanceGetComputeInstances'):
            for code in (2, 6):
                with self.subTest(function, code=code), self.host.failing(function, code=code):
                    self.assertEqual(Health.OK, self.look()[6].health)

    def test_what_others_made_since_is_listed_by_a_new_process(self) -> None:
        self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.host.add_instance(6, 'MIG 1g.5gb', 0)
        self.assertEqual({'s1'}, self.slices())
        self.carve(self.device, self.scheduled(self.device, 's2', name='1g.5gb', used=(('1g.5gb', 0), ('3g.20gb', 4))))
        self.assertEqual({'s1', 's2'}, self.slices())

    def test_without_a_uuid_nothing_is_given_up(self) -> None:
        self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.driver = self.start()
        with self.host.failing('nvmlDeviceGetMigDeviceHandleByIndex', code=6):
            self.assertEqual({'s1'}, self.slices())
            with self.assertRaisesRegex(errors.DriverError, 'lists no MIG device for the instance 3g.20gb at 4'):
                self.driver.need_slicing().destroy('s1')
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([], self.host.instances(6))

    def test_a_uuid_that_is_not_told_at_once_is_asked_for_again(self) -> None:
        chosen = self.scheduled(self.device, 's1', 30)
        with self.host.failing('nvmlDeviceGetMigDeviceHandleByIndex', code=6), \
                self.assertRaisesRegex(errors.DriverError, 'lists no MIG device'):
            self.carve(self.device, chosen)
        self.assertEqual(1, len(self.host.instances(6)))
        carved = self.carve(self.device, chosen)
        self.assertEqual([carved.env['CUDA_VISIBLE_DEVICES']], self.host.instances(6)[0][2])
        self.assertEqual({'s1'}, self.slices())

    def test_uuids_of_others_are_not_needed(self) -> None:
        self.host.add_instance(6, 'MIG 3g.20gb', 4)
        with self.host.failing('nvmlDeviceGetMigDeviceHandleByIndex', code=6):
            with self.assertRaisesRegex(errors.DriverError, 'somebody else has it'):
                self.carve(self.device, self.scheduled(self.device, 's1', 30))
            self.assertEqual(set(), self.slices())

    def test_capability_nodes(self) -> None:
        minors, nodes, asked = self.dir / 'mig-minors', self.dir / 'nvidia-caps', self.dir / 'asked'
        minors.write_text('config 1\nmonitor 2\ngpu6/gi1/access 3\ngpu6/gi1/ci0/access 4\ngpu6/gi2/access 12\n')
        nodes.mkdir()
        (nodes / 'nvidia-cap3').touch()
        program = self.dir / 'nvidia-modprobe'
        program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\ntouch {nodes}/nvidia-cap4\n')
        program.chmod(0o755)
        self.enterContext(mock.patch.dict(os.environ, {'PATH': f'{self.dir}:{os.environ["PATH"]}'}))
        self.mig()._minors, self.mig()._nodes = minors, nodes
        carved = self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.assertEqual((f'{nodes}/nvidia-cap3', f'{nodes}/nvidia-cap4'), carved.nodes[-2:])
        self.assertIn('/dev/nvidia6', carved.nodes)
        self.assertEqual('-f /proc/driver/nvidia/capabilities/gpu6/mig/gi1/ci0/access\n', asked.read_text(),
                         'those that are there are not made')
        (nodes / 'nvidia-cap4').unlink()
        program.unlink()
        with self.assertLogs('accelpool.drivers.nvidia.mig', 'WARNING') as logged:
            self.assertEqual(carved, self.carve(self.device, self.scheduled(self.device, 's1', 30)))
        line, = logged.output
        self.assertIn('nvidia-cap4, which opens a MIG instance, is missing', line)
        self.assertIn('nvidia-modprobe -f /proc/driver/nvidia/capabilities/gpu6/mig/gi1/ci0/access (', line)

    def test_survives_a_restart_by_reading_nvml_back(self) -> None:
        carved = self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.driver = self.start()
        device = self.look()[6]
        self.assertEqual({'s1'}, self.slices())
        assert device.partitions is not None
        self.assertEqual([], device.partitions['taken'])
        self.assertEqual(carved, self.carve(device, self.scheduled(self.device, 's1', 30)))

    def test_killed_between_instance_and_compute_instance(self) -> None:
        slice_ = self.scheduled(self.device, 's1', 30)
        with self.host.failing('nvmlGpuInstanceCreateComputeInstance', code=999), \
                self.host.failing('nvmlGpuInstanceDestroy', code=999), self.assertRaises(errors.DriverError):
            self.carve(self.device, slice_)
        self.assertEqual([('MIG 3g.20gb', 4, [])], self.host.instances(6))
        self.driver = self.start()
        self.carve(self.device, slice_)
        self.assertEqual(1, len(self.host.instances(6)[0][2]))
        self.assertEqual(1, len(self.host.instances(6)))

    def test_a_failure_leaves_nothing(self) -> None:
        with self.host.failing('nvmlGpuInstanceCreateComputeInstance', code=23), self.assertRaises(errors.DriverError):
            self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.assertEqual([], self.host.instances(6))
        self.assertEqual(set(), self.slices())

    def test_instances_of_others_are_seen_and_never_touched(self) -> None:
        self.host.add_instance(6, 'MIG 3g.20gb', 4)
        device = self.look()[6]
        assert device.partitions is not None
        self.assertEqual([4], [one['start'] for one in device.partitions['taken']])
        self.assertEqual(set(), self.slices())
        chosen = self.scheduled(device, 's1', 50)
        self.assertEqual(0, chosen.position)
        self.carve(device, chosen)
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([('MIG 3g.20gb', 4)], [one[:2] for one in self.host.instances(6)])

    def test_somebody_took_the_place_first(self) -> None:
        chosen = self.scheduled(self.device, 's1', 30)
        self.host.add_instance(6, 'MIG 1g.5gb', 5)
        with self.assertRaisesRegex(errors.DriverError, 'somebody else has made or left MIG instances'):
            self.carve(self.device, chosen)
        self.assertEqual([('MIG 1g.5gb', 5)], [one[:2] for one in self.host.instances(6)])
        self.assertEqual(set(), self.slices())

    def test_somebody_destroyed_an_instance(self) -> None:
        chosen = self.scheduled(self.device, 's1', 30)
        before = self.carve(self.device, chosen)
        self.host.destroy_instance(6, 4)
        with self.assertLogs('accelpool.drivers.book', 'WARNING') as logged:
            self.assertEqual(set(), self.slices())  # so the reconciler binds again
            self.assertEqual(set(), self.slices())
        line, = logged.output
        self.assertIn(f'Slice s1 of device {self.device.id} is not there: somebody else destroyed its MIG instance', line)
        self.assertEqual(before, self.carve(self.device, chosen), 'the driver gives the same UUID at the same place')
        self.assertEqual({'s1'}, self.slices())

    def test_somebody_made_the_same_instance_after_the_host_started_again(self) -> None:
        """As nvidia-mig-parted does at each start: none of the pool's instances has outlived that."""
        for name in ('3g.20gb', '1c.3g.20gb'):
            with self.subTest(name):
                chosen = self.scheduled(self.device, 's1', name=name)
                self.carve(self.device, chosen)
                self.host.destroy_instance(6, 4)
                self.host.add_instance(6, 'MIG 3g.20gb', 4)
                self.boot += '+'
                self.driver = self.start()
                self.look()
                self.assertEqual(set(), self.slices())
                theirs = self.host.instances(6)
                with self.assertRaisesRegex(errors.DriverError, 'somebody else has it'):
                    self.carve(self.device, chosen)
                self.driver.need_slicing().destroy('s1')
                self.assertEqual(theirs, self.host.instances(6))
                self.host.destroy_instance(6, 4)

    def test_somebody_made_the_same_instance_and_its_uuid_tells(self) -> None:
        self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.host.destroy_instance(6, 4)
        self.host.add_instance(6, 'MIG 3g.20gb', 4)
        theirs, = (one for one in self.host.device(6).instances if one.used)
        theirs.computes[0].uuid = b'MIG-a65afc88-50b5-5ccf-b0a8-f93b3247ae9e'
        self.assertEqual(set(), self.slices())
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([('MIG 3g.20gb', 4)], [one[:2] for one in self.host.instances(6)])

    def test_slices_are_made_again_when_the_host_has_started_again(self) -> None:
        used: list[tuple[str, int | None]] = []
        chosen = []
        for number in range(2):
            chosen.append(self.scheduled(self.device, f's{number}', name='1c.3g.20gb', used=tuple(used)))
            used.append((chosen[-1].template or '', chosen[-1].position))
            self.carve(self.device, chosen[-1])
        self.host.destroy_instance(6, 4)
        self.boot = 'boot-2'
        self.driver = self.start()
        device = self.look()[6]
        self.assertEqual(set(), self.slices())
        for one in chosen:
            self.carve(device, one)
        self.assertEqual((1, 2), (len(self.host.instances(6)), len(self.host.computes(6))))
        self.assertEqual({'s0', 's1'}, self.slices())
        for one in chosen:
            self.driver.need_slicing().destroy(one.id)
        self.assertEqual([], self.host.instances(6))

    def test_a_lost_device_is_no_reason_to_carve_or_destroy(self) -> None:
        self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.host.lose(6)
        self.assertEqual({'s1'}, self.slices())
        with self.assertRaisesRegex(errors.DriverError, 'fallen off the bus'):
            self.driver.need_slicing().destroy('s1')
        self.reset(6)
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([], self.host.instances(6))

    def test_lost_in_the_middle_of_a_bind(self) -> None:
        with self.host.failing('nvmlDeviceCreateGpuInstanceWithPlacement', device=6, code=15), \
                self.assertRaisesRegex(errors.DriverError, 'fallen off the bus'):
            self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.assertEqual(set(), self.slices())
        self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.assertEqual(1, len(self.host.instances(6)))

    def test_permission_denied(self) -> None:
        with self.host.failing('nvmlDeviceCreateGpuInstanceWithPlacement', code=4), \
                self.assertRaisesRegex(errors.DriverError, 'run the conductor as root'):
            self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.assertEqual(set(), self.slices())

    def test_in_use(self) -> None:
        self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.host.start_process(6, 50, instance=1)
        with self.assertRaisesRegex(errors.DriverError, 'end the programs on it first'):
            self.driver.need_slicing().destroy('s1')
        self.assertEqual({'s1'}, self.slices())
        self.host.end_process(6, 50)
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([], self.host.instances(6))

    def test_processes_inside_an_instance_of_ours_are_its_consumers(self) -> None:
        self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.host.start_process(6, 50, instance=1)
        self.assertEqual('ok', self.look()[6].health)

    def test_a_creation_that_hangs(self) -> None:
        self.configure(mig_deadline=0.5)
        self.driver = self.start()
        with self.host.hanging('nvmlDeviceCreateGpuInstanceWithPlacement'), \
                self.assertRaisesRegex(errors.DriverError, 'did not answer within 0.5 s'):
            self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.carve(self.device, self.scheduled(self.device, 's1', 30))
        self.assertEqual(1, len(self.host.instances(6)))

    def test_a_gpu_that_hangs_does_not_keep_another_from_being_cut(self) -> None:
        self.configure(deadline=0.5, mig_deadline=600.0)  # who waits as long for an answer does not end
        self.driver = self.start()
        used: list[tuple[str, int | None]] = []
        for number in range(4):
            chosen = self.scheduled(self.device, f's{number}', used=tuple(used))
            self.carve(self.device, chosen)
            used.append((chosen.template or '', chosen.position))
        asked: list[str] = []
        channel = self.mig()._channels[self.host.uuid(6)]
        ask = channel.ask
        channel.ask = lambda call, *arguments, **named: (asked.append(arguments[0]), ask(call, *arguments, **named))[1]
        other = self.look()[7]
        with self.host.hanging('nvmlDeviceGetTemperature', device=6):
            self.assertEqual({'s0', 's1', 's2', 's3'}, self.slices())
            self.assertEqual([self.host.uuid(6)], asked, 'once for four slices')
            self.carve(other, self.scheduled(other, 'other', 30))
            self.assertEqual({'s0', 's1', 's2', 's3', 'other'}, self.slices())
        self.assertEqual({'s0', 's1', 's2', 's3', 'other'}, self.slices())
        self.assertEqual((4, 1), (len(self.host.instances(6)), len(self.host.instances(7))))

    def test_a_creation_that_hangs_keeps_no_other_gpu_from_being_cut(self) -> None:
        self.configure(mig_deadline=600.0)  # who waits as long for an answer does not end
        self.driver = self.start()
        other, one = self.look()[7], self.scheduled(self.device, 's1', 30)
        with self.host.hanging('nvmlDeviceCreateGpuInstanceWithPlacement', device=6) as hanging:
            hangs = threading.Thread(target=self.carve, args=(self.device, one))
            hangs.start()
            while not hanging.met:
                time.sleep(0.01)
            self.carve(other, self.scheduled(other, 'other', 30))
            self.driver.need_slicing().destroy('other')
            self.carve(other, self.scheduled(other, 'another', 30))
            self.assertEqual((0, 1), (len(self.host.instances(6)), len(self.host.instances(7))))
        hangs.join()
        self.assertEqual({'s1', 'another'}, self.slices())

    def test_a_creation_that_hangs_is_told_as_its_devices_health(self) -> None:
        self.configure(mig_deadline=0.5, retry_interval=600.0)
        self.driver = self.start()
        chosen = self.scheduled(self.device, 's1', 30)
        with self.host.hanging('nvmlDeviceCreateGpuInstanceWithPlacement', device=6), \
                self.assertRaisesRegex(errors.DriverError, 'did not answer within 0.5 s'):
            self.carve(self.device, chosen)
        found = self.look()
        self.assertEqual([Health.OK] * 6 + [Health.FAILED, Health.OK], [one.health for one in found])
        reason = found[6].health_reason or ''
        self.assertIn('NVML did not answer within 0.5 s (create_instance): look at the log of the kernel (dmesg', reason)
        self.assertIn('nvidia-smi --gpu-reset', reason)
        self.mig()._clock = lambda: time.monotonic() + 600.0
        self.assertEqual([Health.OK] * 8, [one.health for one in self.look()])
        self.carve(self.device, chosen)
        self.assertEqual(1, len(self.host.instances(6)))

    def test_a_cut_that_takes_long_keeps_nobody_from_another_device(self) -> None:
        slicing, other = self.driver.need_slicing(), self.look()[0]
        with slicing._locks[self.device.id]:  # type: ignore[attr-defined]
            self.carve(other, wanted(other, 'other'))
            slicing.destroy('other')

    def test_many_threads(self) -> None:
        used: list[tuple[str, int | None]] = []
        chosen = []
        for number in range(7):
            one = self.scheduled(self.device, f's{number}', used=tuple(used))
            used.append((one.template or '', one.position))
            chosen.append(one)
        threads = [threading.Thread(target=self.carve, args=(self.device, one)) for one in chosen * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(7, len(self.host.instances(6)))
        self.assertEqual({one.id for one in chosen}, self.slices())


#: Of each model that can be cut: how many profiles NVIDIA's MIG User Guide has, and how many places these have together.
MODELS = {'a100-40gb': (7, 25), 'a100-80gb': (7, 25), 'a30': (5, 13), 'h100-80gb': (7, 25)}


class EveryModel(SlicingCase):
    """What NVIDIA's tables say of each model that can be cut is what can be carved of it."""

    def test_no_model_is_left_out(self) -> None:
        self.assertEqual(set(MODELS), {name for name, model in statefile.models(host.HERE).items() if 'mig' in model})

    def test_every_profile_at_every_place(self) -> None:
        for model, (profiles, places) in MODELS.items():
            with self.subTest(model):
                self.describe({'driver': '570.124.06', 'nvml': '12.570.124.06', 'cuda': 12080, 'devices': [
                    {'model': model, 'bus': 0x3D, 'numa': 0, 'cpus': [0, 15], 'mig': True}]})
                device, = self.look()
                assert device.partitions is not None
                whole = {one.name: one for one in Geometry.from_dict(device.partitions).templates if not one.within}
                table = {row[1].removeprefix('MIG '): row for row in statefile.models(host.HERE)[model]['mig']['profiles'].values()}
                self.assertEqual({name: (row[9], row[10], tuple(row[11])) for name, row in table.items()},
                                 {name: (one.memory, one.size, one.starts) for name, one in whole.items()})
                made = self.every_place(device)
                self.assertEqual((profiles, places), (len(whole), made))
                (self.dir / 'nvidia-devices.json').unlink()

    def every_place(self, device: Device) -> int:
        """Carve each template at each place; return at how many places there were GPU instances as a whole."""
        assert device.partitions is not None
        geometry, whole = Geometry.from_dict(device.partitions), 0
        for one in geometry.templates:
            for position in geometry.places(one, []):
                self.carve(device, wanted(device, 's', Isolation.PARTITION, template=one.name, position=position))
                assert position is not None
                start, offset = split(position)
                self.assertEqual([(f'MIG {one.within or one.name}', start)],
                                 [(name, place) for name, place, _ in self.host.instances(0)])
                self.assertEqual([(start, offset, one.length or int(one.name[0]))], self.host.computes(0))
                self.driver.need_slicing().destroy('s')
                self.assertEqual([], self.host.instances(0))
                whole += not one.within
        return whole


class MpsSlices(SlicingCase):
    def setUp(self) -> None:
        super().setUp()
        self.mps = mps.Mps(self.dir)
        self.addCleanup(self.mps.end)
        self.configure(mps=True, mps_control=str(self.mps.control), mps_directory=str(self.mps.pipes))
        self.describe('h100')
        self.device, = self.look()

    def pid(self) -> int | None:
        return self.mps.daemon(self.host.uuid(0))

    def options(self) -> list[str]:
        found: list[str] = self.mps.state(self.host.uuid(0))['options']
        return found

    def test_one_daemon_for_a_device_and_limits_for_each_client(self) -> None:
        self.assertEqual((Isolation.WHOLE, Isolation.SHARED, Isolation.MPS), self.device.modes)
        first = self.carve(self.device, wanted(self.device, 's1', Isolation.MPS, compute=30, memory=2048, overhead=512))
        pid = self.pid()
        second = self.carve(self.device, wanted(self.device, 's2', Isolation.MPS, compute=20, memory=512))
        self.assertEqual(pid, self.pid())
        self.assertEqual(('30', '0=2560M'), (first.env['CUDA_MPS_ACTIVE_THREAD_PERCENTAGE'],
                                             first.env['CUDA_MPS_PINNED_DEVICE_MEM_LIMIT']))
        self.assertEqual(first.env['CUDA_MPS_PIPE_DIRECTORY'], second.env['CUDA_MPS_PIPE_DIRECTORY'])
        self.driver.need_slicing().destroy('s1')
        self.assertIsNotNone(self.pid())
        self.driver.need_slicing().destroy('s2')
        self.assertIsNone(self.pid())

    def test_sessions_of_any_uid_come_to_the_daemon(self) -> None:
        self.addCleanup(os.umask, os.umask(0o077))
        carved = self.carve(self.device, wanted(self.device, 's1', Isolation.MPS))
        pipe = self.mps.pipes / self.host.uuid(0) / 'pipe'
        self.assertEqual({'ACCELPOOL_NEEDS_MPS': '1', 'CUDA_MPS_PIPE_DIRECTORY': str(pipe)}.items(), {
            item for item in carved.env.items() if item[0] in ('ACCELPOOL_NEEDS_MPS', 'CUDA_MPS_PIPE_DIRECTORY')})
        for path in (pipe, pipe.parent, self.mps.pipes):
            self.assertEqual(0o711, stat.S_IMODE(path.stat().st_mode), path)
        self.assertEqual(['-M'], self.options())

    def test_a_control_program_that_has_another_word_for_it(self) -> None:
        self.mps.know('-multiuser-server')
        self.carve(self.device, wanted(self.device, 's1', Isolation.MPS))
        self.assertEqual(['-multiuser-server'], self.options())

    def test_a_control_program_that_serves_one_user_only(self) -> None:
        self.mps.know()
        with self.assertLogs('accelpool.drivers.nvidia.mps', 'WARNING') as logs:
            self.carve(self.device, wanted(self.device, 's1', Isolation.MPS))
        self.assertIn('serves one user at a time', logs.output[0])
        self.assertEqual([], self.options())

    def test_a_place_that_cannot_be_made(self) -> None:
        (self.dir / 'file').touch()
        self.configure(mps_directory=str(self.dir / 'file/mps'))
        self.driver = self.start()
        with self.assertRaisesRegex(errors.DriverError, r'name another in \[nvidia\] mps_directory'):
            self.carve(self.device, wanted(self.device, 's1', Isolation.MPS))
        self.assertEqual(set(), self.slices())

    def test_a_place_that_sessions_cannot_pass_through(self) -> None:
        self.mps.pipes.mkdir(mode=0o700)
        with self.assertRaisesRegex(errors.DriverError, 'chmod o.x it'):
            self.carve(self.device, wanted(self.device, 's1', Isolation.MPS))
        self.assertEqual(0o700, stat.S_IMODE(self.mps.pipes.stat().st_mode))

    def test_a_daemon_that_was_killed_is_started_again(self) -> None:
        slice_ = wanted(self.device, 's1', Isolation.MPS)
        self.carve(self.device, slice_)
        self.assertEqual({'s1'}, self.slices())
        pid = self.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with self.assertLogs('accelpool.drivers.book', 'WARNING') as logged:
            for _ in range(100):  # it dies when the kernel gets to it
                if not self.slices():
                    break
            self.assertEqual(set(), self.slices())  # so the reconciler binds again
        line, = logged.output
        self.assertTrue(line.endswith(
            f'Slice s1 of device {self.device.id} is not there: the MPS daemon of the device has ended or was killed '
            f'(see {self.mps.pipes}/*/log/control.log).  It is made again; its sessions have ended'), line)
        self.assertEqual(1, len(list(self.mps.pipes.glob('*/log'))), 'where the message sends the operator')
        self.carve(self.device, slice_)
        self.assertNotEqual(pid, self.pid())
        self.assertEqual({'s1'}, self.slices())

    def test_a_daemon_that_does_not_answer_is_not_taken_for_a_dead_one(self) -> None:
        self.carve(self.device, wanted(self.device, 's1', Isolation.MPS))
        self.mps.kill(self.host.uuid(0), signal.SIGSTOP)
        self.enterContext(mock.patch('accelpool.drivers.nvidia.mps.TIMEOUT', 1.0))
        self.assertEqual({'s1'}, self.slices())
        with self.assertRaisesRegex(errors.DriverError, 'did not return within 1 s; end the MPS daemon of GPU-'):
            self.driver.need_slicing().destroy('s1')
        self.mps.kill(self.host.uuid(0), signal.SIGKILL)
        self.driver.need_slicing().destroy('s1')
        self.assertEqual((set(), []), (self.slices(), list(self.mps.pipes.glob('*/pipe'))))

    def test_mps_and_metered_shares_exclude_each_other(self) -> None:
        self.carve(self.device, wanted(self.device, 's1', Isolation.MPS))
        with self.assertRaisesRegex(errors.NotSupported, 'do not go together with shared'):
            self.carve(self.device, wanted(self.device, 's2'))

    def test_without_the_control_program(self) -> None:
        self.mps.control.unlink()
        with self.assertRaisesRegex(errors.DriverError, 'is not installed; it comes with the NVIDIA driver'):
            self.carve(self.device, wanted(self.device, 's1', Isolation.MPS))
        self.assertEqual(set(), self.slices())

    def test_a_control_program_that_fails(self) -> None:
        self.mps.control.write_text('#!/bin/sh\necho cannot lock /tmp >&2\nexit 3\n')
        with self.assertRaisesRegex(errors.DriverError, 'cannot lock /tmp'):
            self.carve(self.device, wanted(self.device, 's1', Isolation.MPS))


class TheBook(nvidia.NvidiaCase):
    def test_is_replaced_in_one_step(self) -> None:
        book = Book(self.dir / 'book.json')
        book.put('a', {'device': 'd1', 'isolation': 'whole'})
        book.put('b', {'device': 'd2', 'isolation': 'shared'})
        book.drop('a')
        self.assertEqual({'b': {'device': 'd2', 'isolation': 'shared'}}, Book(self.dir / 'book.json').entries)
        self.assertEqual((set(), {'shared'}), (book.isolations('d1'), book.isolations('d2')))
