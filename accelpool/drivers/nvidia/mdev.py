# SPDX-License-Identifier: Apache-2.0
"""Mediated devices and virtual functions with vGPU types, through sysfs: one handle for one VM each.

A type's directory is ``<device>/mdev_supported_types/<type>`` with ``name``, ``description`` and
``available_instances``; writing a UUID to its ``create`` makes a device, writing 1 to ``<uuid>/remove`` ends it.
A GPU with SR-IOV has the types below its virtual functions, one instance each.
"""

import pathlib
import re
import uuid

from accelpool import errors
from accelpool.drivers import base
from accelpool.drivers.book import Entry
from accelpool.partitions import Geometry, Template
from accelpool.types import Device, Slice

#: Ids of mediated devices are derived from those of their slices, so that a repeated step finds what it made.
NAMESPACE = uuid.UUID('0a5c9be6-2f0e-4a53-9d37-0c1a6d7f7c1e')

#: 'num_heads=4, frl_config=60, framebuffer=4096M, max_resolution=..., max_instance=6'
FRAMEBUFFER = re.compile(r'framebuffer=(\d+)M')
MOST = re.compile(r'max_instance=(\d+)')


class Mdev:
    """Finds types, makes and unmakes devices."""

    def __init__(self, root: pathlib.Path) -> None:
        """:param root: where sysfs is mounted"""
        self._root = root

    def functions(self, pci: str) -> list[pathlib.Path]:
        """Return the PCI functions that have types: the device itself, or its virtual functions."""
        device = self._root / 'bus/pci/devices' / pci
        candidates = [device, *sorted(device.glob('virtfn*'), key=lambda path: int(path.name[len('virtfn'):]))]
        return [path for path in candidates if (path / 'mdev_supported_types').is_dir()]

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

    def plan(self, device: Device, wanted: Slice) -> Entry:
        if wanted.template is None:
            raise errors.NotSupported('A mediated device needs a type; the scheduler chooses it')
        return {'pci': device.pci_address, 'type': wanted.template, 'mdev': str(uuid.uuid5(NAMESPACE, wanted.id))}

    def make(self, entry: Entry) -> base.Carved:
        if not self.exists(entry):
            failure: OSError | None = None
            for function in self.functions(entry['pci']):
                try:
                    (function / 'mdev_supported_types' / entry['type'] / 'create').write_text(entry['mdev'])
                    failure = None
                    break
                except OSError as error:
                    failure = error
            else:
                raise errors.DriverError(
                    f'A mediated device of type {entry["type"]} cannot be made on {entry["pci"]}: '
                    f'{failure or "the host offers no such type there"}; see mdevctl types')
        handle = base.Handle(type='MDEV', address=self._function(entry), uuid=entry['mdev'], asked_type=entry['type'])
        return base.Carved(slice_id=entry['slice'], device_id=entry['device'], handle=handle)

    def unmake(self, entry: Entry) -> None:
        if self.exists(entry):
            try:
                (self._path(entry) / 'remove').write_text('1')
            except OSError as error:
                raise errors.DriverError(
                    f'The mediated device {entry["mdev"]} cannot be removed: {error}; a VM may still use it') from error

    def exists(self, entry: Entry) -> bool:
        return self._path(entry).exists()

    def _path(self, entry: Entry) -> pathlib.Path:
        return self._root / 'bus/mdev/devices' / str(entry['mdev'])

    def _function(self, entry: Entry) -> str:
        """Return the PCI address of the function that carries a device."""
        for function in self.functions(entry['pci']):
            if (function / 'mdev_supported_types' / entry['type'] / 'devices' / entry['mdev']).exists():
                return function.resolve().name
        return str(entry['pci'])

    def _present(self, device: Device) -> dict[str, int]:
        """Return how many devices of each type exist on a device."""
        count: dict[str, int] = {}
        for function in self.functions(device.pci_address or ''):
            for path in (function / 'mdev_supported_types').iterdir():
                made = path / 'devices'
                if made.is_dir():
                    count[path.name] = count.get(path.name, 0) + len(list(made.iterdir()))
        return count
