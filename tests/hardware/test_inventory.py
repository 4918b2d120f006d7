# SPDX-License-Identifier: Apache-2.0
"""The inventory against what NVIDIA's own tool says: what devices are, how they are, and how they are joined."""

import pathlib
import subprocess
from collections.abc import Mapping
from typing import Any

from accelpool.drivers.nvidia import describe
from accelpool.types import Health
from tests.hardware import host, listings, moving, smi, support

#: How many times it is looked whether what moves is right: a spike between two answers comes once.
MOMENTS = 5


class Inventory(host.HostCase):
    maxDiff = None  # a visit to a machine is to tell all of it

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

    def test_what_moves_equals_nvidia_smi(self) -> None:
        wrong: dict[tuple[str, str], Any] | None = None
        for _ in range(MOMENTS):
            found = {(uuid, name): one for uuid, fields in self.moved().items() for name, one in fields.items()}
            now = smi.wrong(found)
            wrong = now if wrong is None else {key: now[key] for key in wrong if key in now}
            if not wrong:
                break
        self.assertEqual({}, wrong)
        support.note('inventory, what moves', compared=sorted({name for _, name in found}))

    def moved(self) -> dict[str, dict[str, smi.Said]]:
        """Return what moves, by UUID."""
        before = {gpu.findtext('uuid'): gpu for gpu in self.said().findall('gpu')}
        devices, metrics = self.devices(), self.driver.inventory.metrics()
        return {uuid: moving.compare(before[uuid], gpu, metrics[devices[uuid].id], self.condition(uuid)['processes'],
                                     lambda pid: pathlib.Path('/proc', str(pid)).exists())
                for gpu in self.said().findall('gpu') if (uuid := gpu.findtext('uuid') or '') in before}

    def test_topology(self) -> None:
        rows, devices = listings.topology(self.smi('topo', '-m')), self.devices()
        by_index = {device.options['index']: device for device in devices.values()}
        self.assertEqual(set(rows), set(by_index))
        identities = {index: self.identity(device.options['uuid']) for index, device in by_index.items()}
        self.agree('topology', {device.options['uuid']: listings.near(
            rows[index], device, identities[index], {other: one for other, one in identities.items() if other != index})
            for index, device in by_index.items()})

    def test_mig_devices(self) -> None:
        self.devices()
        listing = self.smi('-L')
        channel = self.driver.inventory._channel  # type: ignore[attr-defined]
        self.agree('MIG devices', {uuid: listings.partitions(
            gpu, listing, self.identity(uuid), channel.ask('instances', uuid) if self.condition(uuid)['mig'] else [])
                                   for gpu in self.said().findall('gpu') if (uuid := gpu.findtext('uuid') or '')})

    def test_vgpu_types(self) -> None:
        serving = {uuid: device for uuid, device in self.devices().items()
                   if device.options['virtualization'] == describe.HOST_VGPU}
        if not serving:
            self.skipTest('no device here serves vGPUs')
        listing = self.smi('vgpu', '-s', '-v')
        self.agree('vGPU types', {uuid: listings.vgpus(listing, device) for uuid, device in serving.items()})

    def test_devices_that_nvlinks_join_are_in_one_fabric(self) -> None:
        devices = sorted(self.devices().values(), key=lambda one: one.pci_address or '')
        rows = listings.topology(self.smi('topo', '-m'))
        self.assertEqual(len(rows), len(devices))
        mig = {index for index, device in enumerate(devices) if device.options['mig']}  # they reach no other
        for index, row in rows.items():
            fabric, reached = devices[index].fabric, set() if index in mig else row.links.keys() - mig
            self.assertEqual(bool(reached), fabric is not None, devices[index].pci_address)
            for other in reached:
                self.assertEqual(fabric, devices[other].fabric)

    def test_a_driver_that_starts_again_finds_the_same(self) -> None:
        before = self.devices()
        self.driver = self.start()
        self.assertEqual(before, self.devices())

    def agree(self, what: str, found: Mapping[str, Mapping[str, smi.Said]]) -> None:
        """Fail with what is not right, by the devices' UUIDs; keep which fields were compared."""
        self.assertEqual({}, {uuid: differ for uuid, fields in found.items() if (differ := smi.wrong(fields))})
        support.note(f'inventory, {what}', compared=sorted({name for fields in found.values() for name in fields}))

    def condition(self, uuid: str) -> dict[str, Any]:
        """Return how a device was when it was last looked at."""
        found = self.driver.inventory.condition(uuid)  # type: ignore[attr-defined]
        self.assertIsNotNone(found)
        return dict(found)

    def identity(self, uuid: str) -> dict[str, Any]:
        found = self.driver.inventory.identity(uuid)  # type: ignore[attr-defined]
        self.assertIsNotNone(found)
        return dict(found)
