# SPDX-License-Identifier: Apache-2.0
"""Mediated devices of vGPU types, below the device or its virtual functions."""

import pathlib
import re
from collections.abc import Callable, Iterable

from accelpool.drivers.book import Entry
from accelpool.drivers.mdev import Mdev
from accelpool.drivers.nvidia import describe
from accelpool.partitions import Geometry
from accelpool.types import Device

#: 'num_heads=4, frl_config=60, framebuffer=4096M, max_resolution=..., max_instance=6'
FRAMEBUFFER = re.compile(r'framebuffer=(\d+)M')
MOST = re.compile(r'max_instance=(\d+)')


class VgpuMdev(Mdev):
    """Reads what NVIDIA's types take."""

    def __init__(self, root: pathlib.Path, booked: Callable[[str], Iterable[Entry]]) -> None:
        """
        :param root: where sysfs is mounted
        :param booked: gives what the book has of a device (by its id)
        """
        super().__init__(root)
        self._booked = booked

    def geometry(self, device: Device) -> Geometry | None:
        """Return the types as partitions; None when the device has none."""
        backed = {f'{describe.VGPU}{kind["id"]}' for kind in device.options['vgpus'] if kind['profile'] is not None}
        mine = {entry['mdev'] for entry in self._booked(device.id) if 'mdev' in entry}
        kinds: dict[str, describe.VgpuType] = {}
        for function in self.functions(device.pci_address or ''):
            for path in (function / 'mdev_supported_types').iterdir():
                try:
                    text = (path / 'description').read_text()
                    free = int((path / 'available_instances').read_text())
                except (OSError, ValueError):
                    continue
                memory, most = FRAMEBUFFER.search(text), MOST.search(text)
                if memory is not None and path.name not in backed:
                    made = {one.name for one in (path / 'devices').glob('*')}
                    before = kinds.get(path.name)
                    kinds[path.name] = describe.VgpuType(
                        name=path.name, memory=int(memory[1]), most=int(most[1]) if most else 1,
                        free=free + (before.free if before else 0),
                        ours=len(made & mine) + (before.ours if before else 0),
                        foreign=len(made - mine) + (before.foreign if before else 0))
        return describe.vgpus(device.memory, kinds.values()) if kinds else None
