# SPDX-License-Identifier: Apache-2.0
"""Cutting devices: made, found again, taken apart, and what stands in the way."""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping

from accelpool import errors
from accelpool.drivers.nvidia import remoting
from accelpool.partitions import Geometry
from accelpool.types import Device, Isolation, Slice
from tests.hardware import host, support
from tests.hardware.host import wanted

#: Says how many multiprocessors it sees, and how many MiB it could allocate.
CLIENT = """
import ctypes, json
cuda = ctypes.CDLL('libcuda.so.1')
context, multiprocessors, address, granule = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_uint64(), 32 << 20
assert not cuda.cuInit(0)
assert not cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
assert not cuda.cuCtxSetCurrent(context)
assert not cuda.cuDeviceGetAttribute(ctypes.byref(multiprocessors), 16, 0)
got = 0
while got < 4096 and not cuda.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(granule)):
    got += 32
print(json.dumps([multiprocessors.value, got]))
"""


class SlicingCase(host.HostCase):
    def carve(self, device: Device, slice_: Slice):
        return self.driver.need_slicing().carve(device, slice_)

    def slices(self) -> set[str]:
        return {carved.slice_id for carved in self.driver.need_slicing().list()}

    def destroy(self, *names: str) -> None:
        for name in names:
            self.driver.need_slicing().destroy(name)


class WholeAndShared(SlicingCase):
    def test_whole_comes_with_its_nodes(self) -> None:
        device = self.offering(Isolation.WHOLE)
        gpu = next(gpu for gpu in self.said().findall('gpu') if gpu.findtext('uuid') == device.options['uuid'])
        carved = self.carve(device, wanted(device, isolation=Isolation.WHOLE))
        nodes = (f'/dev/nvidia{gpu.findtext("minor_number")}', '/dev/nvidiactl', '/dev/nvidia-uvm')
        self.assertEqual((nodes, {'CUDA_VISIBLE_DEVICES': gpu.findtext('uuid')}), (carved.nodes, carved.env))
        assert carved.handle is not None
        self.assertEqual(('PCI', gpu.get('id', '').lower()[-12:]), (carved.handle.type, carved.handle.address))
        self.assertEqual({'s1'}, self.slices())
        self.destroy('s1')
        self.assertEqual(set(), self.slices())

    def test_nodes_are_there(self) -> None:
        if not pathlib.Path('/dev/nvidiactl').exists():
            self.skipTest('the stand-in has no device nodes')
        device = self.offering(Isolation.WHOLE)
        carved = self.carve(device, wanted(device, isolation=Isolation.WHOLE))
        self.assertEqual([], [node for node in carved.nodes[:2] if not pathlib.Path(node).is_char_device()])

    def test_a_device_that_rests_is_open_nowhere(self) -> None:
        before = self.devices()
        device = self.offering(Isolation.SHARED)
        self.assertNotEqual(set(), self.held(device))
        self.driver.inventory.rest({device.id})
        self.assertEqual(set(), self.held(device))
        self.assertEqual(before.keys() - {device.options['uuid']}, self.devices().keys())
        self.assertEqual(set(), self.held(device))
        self.driver.inventory.rest(set())
        self.assertEqual(before, self.devices())

    def test_shared_changes_nothing_and_survives_a_restart(self) -> None:
        device = self.offering(Isolation.SHARED)
        first = self.carve(device, wanted(device, 's1'))
        self.assertEqual(first, self.carve(device, wanted(device, 's1')))
        self.carve(device, wanted(device, 's2'))
        self.driver = self.start()
        self.assertEqual(device, self.devices()[device.options['uuid']])
        self.assertEqual({'s1', 's2'}, self.slices())
        self.destroy('s1', 's1', 'never')
        self.assertEqual({'s2'}, self.slices())

    def test_whole_and_shared_exclude_each_other(self) -> None:
        device = self.offering(Isolation.SHARED)
        self.carve(device, wanted(device, 's1'))
        with self.assertRaisesRegex(errors.NotSupported, 'is in use as shared'):
            self.carve(device, wanted(device, 's2', Isolation.WHOLE))
        self.destroy('s1')
        self.carve(device, wanted(device, 's2', Isolation.WHOLE))
        with self.assertRaisesRegex(errors.NotSupported, 'is in use as whole'):
            self.carve(device, wanted(device, 's3'))

    def test_a_device_that_is_not_partitioned_has_no_partitions(self) -> None:
        device = self.offering(Isolation.SHARED)
        with self.assertRaisesRegex(errors.NotSupported, 'only as whole, shared'):
            self.carve(device, wanted(device, 's1', Isolation.PARTITION, template='1g.5gb', position=0))
        with self.assertRaisesRegex(errors.NotSupported, 'cannot be cut as mps, only as whole, shared'):
            self.carve(device, wanted(device, 's1', Isolation.MPS))
        self.assertEqual(set(), self.slices())

    def test_a_damaged_book_is_not_taken_for_an_empty_one(self) -> None:
        (self.dir / 'nvidia-slices.json').write_text('{')
        with self.assertRaisesRegex(errors.DriverError, 'cannot be told from others'):
            self.start()


class MigSlices(SlicingCase):
    def partitioned(self) -> list[Device]:
        found = [device for device in self.driver.inventory.discover()
                 if device.partitions and self.driver.need_slicing().modes(device)]
        if not found:
            self.skipTest('MIG is off on every device (nvidia-smi -mig 1 turns it on), or the driver is older than 550')
        return found

    def test_modes_that_mig_excludes(self) -> None:
        for device in self.partitioned():
            for isolation in (Isolation.WHOLE, Isolation.SHARED, Isolation.MPS):
                with self.assertRaisesRegex(errors.NotSupported, 'MIG is enabled on it'):
                    self.carve(device, wanted(device, isolation=isolation))

    def test_instances_of_every_profile(self) -> None:
        self.need_mutation()
        for device in self.partitioned():
            assert device.partitions is not None
            geometry = Geometry.from_dict(device.partitions)
            for template in geometry.templates:
                for position in geometry.places(template, []):
                    with self.subTest(template=template.name, position=position):
                        self.carve(device, wanted(device, 's1', Isolation.PARTITION, template=template.name,
                                                  position=position))
                        self.assertEqual({'s1'}, self.slices())
                        self.destroy('s1')
                        self.assertEqual(set(), self.slices())


    def test_a_conductor_that_was_killed_finds_its_instance(self) -> None:
        self.need_mutation()
        device = self.partitioned()[0]
        assert device.partitions is not None
        geometry = Geometry.from_dict(device.partitions)
        template = geometry.templates[0]
        chosen = wanted(device, 's1', Isolation.PARTITION, template=template.name,
                        position=next(iter(geometry.places(template, []))))
        carved = self.carve(device, chosen)
        self.addCleanup(self.destroy, 's1')
        self.driver = self.start()
        again = self.devices()[device.options['uuid']]
        self.assertEqual(device.partitions, again.partitions, 'it is not taken for somebody else\'s')
        self.assertEqual(({'s1'}, carved), (self.slices(), self.carve(again, chosen)))
        self.assertIn(f'(UUID: {carved.env["CUDA_VISIBLE_DEVICES"]})', self.smi('-L'))


class MpsSlices(SlicingCase):
    def setUp(self) -> None:
        super().setUp()
        self.need_mutation()
        self.configure(mps=True)
        if self.control is None:
            self.skipTest('nvidia-cuda-mps-control is not installed')
        self.driver = self.start()
        self.device = self.offering(Isolation.MPS)

    def client(self, env: Mapping[str, str]) -> tuple[int, int]:
        """Run a program on the device itself, natively or as a client; return its multiprocessors and MiB."""
        done = subprocess.run(
            [sys.executable, '-c', CLIENT], capture_output=True, text=True, check=True, env={
                **os.environ, 'LD_LIBRARY_PATH': str(remoting.library(self.libraries).parent),
                'CUDA_VISIBLE_DEVICES': self.device.options['uuid'], **env})
        multiprocessors, memory = json.loads(done.stdout)
        return multiprocessors, memory

    def test_clients_have_shares_of_their_own(self) -> None:
        whole, _ = self.client({})
        for name, compute, memory in (('s1', 25, 1024), ('s2', 50, 2048)):
            carved = self.carve(self.device, wanted(self.device, name, Isolation.MPS, compute=compute, memory=memory))
            self.addCleanup(self.destroy, name)
            multiprocessors, got = self.client(carved.env)
            support.note(f'mps {compute} %', native=whole, multiprocessors=multiprocessors, memory=memory, got=got)
            self.assertAlmostEqual(whole * compute / 100, multiprocessors, delta=2)
            self.assertTrue(memory / 2 < got <= memory, got)
        self.assertEqual({'s1', 's2'}, self.slices())
        self.driver = self.start()
        self.assertEqual({'s1', 's2'}, self.slices(), 'the daemon lives on')
        self.destroy('s1', 's2')
        self.assertEqual((set(), []), (self.slices(), list(self.dir.glob('mps/*/pipe'))))

    def test_a_limit_on_threads_costs_work(self) -> None:
        if self.description is not None:
            self.skipTest('the stand-in has no speed')
        if support.missing():
            self.skipTest(support.missing())
        carved = self.carve(self.device, wanted(self.device, 's1', Isolation.MPS, compute=30, memory=2048))
        self.addCleanup(self.destroy, 's1')
        full, limited = support.native('triad', 5), support.native('triad', 5, extra=carved.env)
        self.assertEqual((True, True), (full['right'], limited['right']))
        support.note('mps work at 30 %', native=full['work'] / full['seconds'],
                     limited=limited['work'] / limited['seconds'])
