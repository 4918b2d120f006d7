# SPDX-License-Identifier: Apache-2.0
"""The inventory against what NVIDIA's own tool says: what devices are, how they are, and how they are joined."""

import pathlib
import subprocess

from accelpool.types import Health
from tests.hardware import host, smi, support


class Inventory(host.HostCase):
    def test_equals_nvidia_smi(self) -> None:
        said, devices, capabilities = self.said(), self.devices(), self.capabilities()
        self.assertEqual({gpu.findtext('uuid') for gpu in said.findall('gpu')}, set(devices))
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

    def test_traits(self) -> None:
        said, devices, capabilities = self.said(), self.devices(), self.capabilities()
        for gpu in said.findall('gpu'):
            uuid = gpu.findtext('uuid') or ''
            with self.subTest(devices[uuid].model):
                has, lacks = smi.traits(said, gpu, capabilities.get(uuid))
                self.assertEqual((set(), set()), (has - set(devices[uuid].traits), lacks & set(devices[uuid].traits)))

    def test_a_device_is_well_unless_the_driver_says_otherwise(self) -> None:
        devices = self.devices()
        for gpu in self.said().findall('gpu'):
            device = devices[gpu.findtext('uuid') or '']
            well = Health.FAILED if gpu.findtext('remapped_rows/remapped_row_failure') == 'Yes' else Health.OK
            self.assertEqual(well, device.health, device.health_reason)

    def test_metrics(self) -> None:
        devices = self.devices()
        for gpu in self.said().findall('gpu'):
            seen = self.driver.inventory.metrics()[devices[gpu.findtext('uuid') or ''].id]
            used = smi.number(gpu, 'fb_memory_usage/used') + smi.number(gpu, 'fb_memory_usage/reserved')
            ranges = {  # a moment has passed between the two
                'temperature_celsius': (max(10, smi.number(gpu, 'temperature/gpu_temp') - 15),
                                        min(100, smi.number(gpu, 'temperature/gpu_temp') + 15)),
                'power_watts': (1, 2 * smi.number(gpu, *smi.POWER_LIMITS)), 'utilization_percent': (0, 100),
                'clock_mhz': (1, smi.number(gpu, 'max_clocks/sm_clock')), 'memory_used_mib': (used - 256, used + 256),
                'memory_free_mib': (smi.number(gpu, 'fb_memory_usage/total') - seen['memory_used_mib'] - 1,
                                    smi.number(gpu, 'fb_memory_usage/total') - seen['memory_used_mib'] + 1)}
            with self.subTest(gpu.findtext('product_name')):
                self.assertEqual({}, {name: (seen[name], span) for name, span in ranges.items()
                                      if name in seen and not span[0] <= seen[name] <= span[1]})

    def test_devices_that_nvlinks_join_are_in_one_fabric(self) -> None:
        devices = sorted(self.devices().values(), key=lambda one: one.pci_address or '')
        joined = smi.joined(self.smi('topo', '-m'))
        self.assertEqual(len(joined), len(devices))
        for index, others in joined.items():
            fabric = devices[index].fabric
            self.assertEqual(bool(others), fabric is not None, devices[index].pci_address)
            for other in others:
                self.assertEqual(fabric, devices[other].fabric)

    def test_a_driver_that_starts_again_finds_the_same(self) -> None:
        before = self.devices()
        self.driver = self.start()
        self.assertEqual(before, self.devices())
