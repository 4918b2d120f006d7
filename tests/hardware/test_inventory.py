# SPDX-License-Identifier: Apache-2.0
"""The inventory against what NVIDIA's own tool says."""

import pathlib
import shutil
import subprocess
import tempfile
from xml.etree import ElementTree

from oslo_config import cfg

from accelpool import conf
from accelpool.drivers.nvidia import NvidiaDriver
from accelpool.partitions import Geometry
from accelpool.types import Isolation, Slice
from tests.hardware import smi, support


class DriverCase(support.HardwareCase):
    def setUp(self) -> None:
        super().setUp()
        self.need_real()
        conf.register_all()
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.dir = pathlib.Path(place.name)
        self.driver = self.start()

    def start(self) -> NvidiaDriver:
        driver = NvidiaDriver(support.HOST, self.dir)
        self.addCleanup(driver.inventory._channel.close)  # type: ignore[attr-defined]
        self.addCleanup(driver.inventory._watch.close)  # type: ignore[attr-defined]
        return driver


class Inventory(DriverCase):
    def test_equals_nvidia_smi(self) -> None:
        said = ElementTree.fromstring(subprocess.run(
            ['nvidia-smi', '-q', '-x'], capture_output=True, text=True, check=True).stdout)
        devices = {device.options['uuid']: device for device in self.driver.inventory.discover()}
        self.assertEqual({gpu.findtext('uuid') for gpu in said.findall('gpu')}, set(devices))
        capabilities = self.capabilities()
        for gpu in said.findall('gpu'):
            uuid = gpu.findtext('uuid') or ''
            device = devices[uuid]
            with self.subTest(device.model):
                self.assertEqual({}, smi.differences(said, gpu, capabilities.get(uuid), device))
                node = pathlib.Path('/sys/bus/pci/devices', device.pci_address or '', 'numa_node')
                if node.exists():
                    self.assertIn(int(node.read_text()), {-1, device.numa_node})
        support.note('inventory', models=[device.model for device in devices.values()],
                     driver=said.findtext('driver_version'),
                     compared=sorted({name for gpu in said.findall('gpu') for name in smi.compared(
                         said, gpu, devices[gpu.findtext('uuid') or ''])}))

    def capabilities(self) -> dict[str, str]:
        """Return UUID -> compute capability; it is not among what ``-q -x`` tells, and nvidia-smi before 510 has none."""
        done = subprocess.run(['nvidia-smi', '--query-gpu=uuid,compute_cap', '--format=csv,noheader'],
                              capture_output=True, text=True, check=False)
        rows = [line.split(', ') for line in done.stdout.splitlines()] if done.returncode == 0 else []
        return {row[0]: row[1].strip() for row in rows if len(row) == 2}

    def test_metrics_are_plausible(self) -> None:
        for device in self.driver.inventory.discover():
            seen = self.driver.inventory.metrics()[device.id]
            self.assertTrue(10 < seen['temperature_celsius'] < 100, seen)

    def test_whole_and_shared_are_carved_and_given_back(self) -> None:
        slicing = self.driver.need_slicing()
        for device in self.driver.inventory.discover():
            for isolation in slicing.modes(device):
                if isolation not in (Isolation.WHOLE, Isolation.SHARED):
                    continue
                carved = slicing.carve(device, Slice(
                    id='hw', allocation_id='hw', device_id=device.id, host=support.HOST, compute=100, memory=64,
                    isolation=isolation))
                self.assertTrue(all(pathlib.Path(node).exists() for node in carved.nodes[:2]), carved.nodes)
                slicing.destroy('hw')


class Mutations(DriverCase):
    """What changes the device: only where that is wanted."""

    def setUp(self) -> None:
        super().setUp()
        if not support.MUTATE:
            self.skipTest('it makes MIG instances and MPS daemons: set ACCELPOOL_HW_MUTATE=1 on a machine of your own')

    def test_mig_instances_of_every_profile(self) -> None:
        slicing = self.driver.need_slicing()
        cut = [device for device in self.driver.inventory.discover() if device.partitions]
        if not cut:
            self.skipTest('MIG is off on every device: nvidia-smi -mig 1 turns it on')
        for device in cut:
            assert device.partitions is not None
            geometry = Geometry.from_dict(device.partitions)
            for template in geometry.templates:
                for position in geometry.places(template, []):
                    with self.subTest(template=template.name, position=position):
                        slicing.carve(device, Slice(
                            id='hw', allocation_id='hw', device_id=device.id, host=support.HOST, compute=1, memory=1,
                            isolation=Isolation.PARTITION, template=template.name, position=position))
                        self.assertEqual(['hw'], [carved.slice_id for carved in slicing.list()])
                        slicing.destroy('hw')
                        self.assertEqual([], slicing.list())

    def test_mps_clients_keep_to_their_limits(self) -> None:
        if shutil.which('nvidia-cuda-mps-control') is None:
            self.skipTest('nvidia-cuda-mps-control is not installed')
        for name, value in (('mps', True), ('mps_directory', str(self.dir / 'mps'))):
            cfg.CONF.set_override(name, value, group='nvidia')
            self.addCleanup(cfg.CONF.clear_override, name, group='nvidia')
        driver = self.start()
        slicing = driver.need_slicing()
        device = next((one for one in driver.inventory.discover() if Isolation.MPS in slicing.modes(one)), None)
        if device is None:
            self.skipTest('MIG is on, or vGPUs are served, on every device: none takes MPS clients')
        carved = slicing.carve(device, Slice(
            id='hw', allocation_id='hw', device_id=device.id, host=support.HOST, compute=30, memory=2048,
            isolation=Isolation.MPS))
        self.addCleanup(slicing.destroy, 'hw')
        full = support.native('triad', 5)
        limited = support.native('triad', 5, extra=carved.env)
        self.assertEqual((True, True), (full['right'], limited['right']))
        support.note('mps 30 %', native=full['work'] / full['seconds'], limited=limited['work'] / limited['seconds'])
        quota = support.native('quota', 1 << 20, extra=carved.env)
        self.assertEqual(2, quota['error'])  # CUDA_ERROR_OUT_OF_MEMORY
        self.assertLessEqual(quota['bytes'], 2048 << 20)
        slicing.destroy('hw')
        self.assertEqual([], slicing.list())
