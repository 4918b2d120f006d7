# SPDX-License-Identifier: Apache-2.0
"""Mediated devices and virtual functions with vGPU types."""

import re

from accelpool.drivers.mdev import Mdev
from accelpool.partitions import Geometry, Template
from accelpool.types import Device

#: 'num_heads=4, frl_config=60, framebuffer=4096M, max_resolution=..., max_instance=6'
FRAMEBUFFER = re.compile(r'framebuffer=(\d+)M')
MOST = re.compile(r'max_instance=(\d+)')


class VgpuMdev(Mdev):
    """Reads what NVIDIA's types take."""

    def geometry(self, device: Device) -> Geometry | None:
        """Return the types as partitions; None when the device has none.

        A type costs one of its own kind; how many there may be is what the host says now, so that a type that the
        present ones exclude has none.
        """
        kinds: dict[str, tuple[int, int, int]] = {}
        for function in self.functions(device.pci_address or ''):
            for path in (function / 'mdev_supported_types').iterdir():
                try:
                    text = (path / 'description').read_text()
                    free = int((path / 'available_instances').read_text())
                except (OSError, ValueError):
                    continue
                memory, most = FRAMEBUFFER.search(text), MOST.search(text)
                if memory is not None:
                    _, _, before = kinds.get(path.name, (0, 0, 0))
                    kinds[path.name] = (int(memory[1]), int(most[1]) if most else 1, before + free)
        if not kinds:
            return None
        present = self._present(device)
        return Geometry(
            templates=tuple(Template(
                name=name, compute=max(1, 100 // most), memory=min(memory, device.memory),
                needs={name: 1, 'memory': memory})
                for name, (memory, most, _) in sorted(kinds.items(), key=lambda item: item[1][0])),
            capacity={'memory': max(device.memory, *(memory for memory, _, _ in kinds.values())),
                      **{name: free + present.get(name, 0) for name, (_, _, free) in kinds.items()}})

    def _present(self, device: Device) -> dict[str, int]:
        """Return how many devices of each type exist on a device."""
        count: dict[str, int] = {}
        for function in self.functions(device.pci_address or ''):
            for path in (function / 'mdev_supported_types').iterdir():
                made = path / 'devices'
                if made.is_dir():
                    count[path.name] = count.get(path.name, 0) + len(list(made.iterdir()))
        return count
