# SPDX-License-Identifier: Apache-2.0
"""Mediated devices through sysfs: one handle for one VM each.

A type's directory is ``<device>/mdev_supported_types/<type>`` with ``name``, ``description`` and
``available_instances``; writing a UUID to its ``create`` makes a device, writing 1 to ``<uuid>/remove`` ends it.
A device with SR-IOV has the types below its virtual functions, one instance each.
"""

import pathlib
import uuid
from collections.abc import Callable, Sequence

from accelpool import errors
from accelpool.drivers import base
from accelpool.drivers.book import Entry
from accelpool.types import Device, Slice

#: Ids of mediated devices are derived from those of their slices, so that a repeated step finds what it made.
NAMESPACE = uuid.UUID('0a5c9be6-2f0e-4a53-9d37-0c1a6d7f7c1e')
#: Why such a slice has no sessions.
NO_SESSIONS = 'a mediated device is seen inside the instance only'


def write(path: pathlib.Path, text: str) -> None:
    """:raises OSError: the kernel refused"""
    path.write_text(text)


def functions(root: pathlib.Path, pci: str, having: str) -> list[pathlib.Path]:
    """Return the PCI functions that have something: of the device itself and its virtual functions, in their order.

    :param root: where sysfs is mounted
    """
    device = root / 'bus/pci/devices' / pci
    candidates = [device, *sorted(device.glob('virtfn*'), key=lambda path: int(path.name[len('virtfn'):]))]
    return [path for path in candidates if (path / having).exists()]


class Mdev:
    """Makes and unmakes devices; what a type takes, each vendor says in its own words."""

    lost = 'somebody else removed its mediated device (mdevctl list), or the host was restarted'

    def __init__(self, root: pathlib.Path, kernel: Callable[[pathlib.Path, str], None] = write) -> None:
        """
        :param root: where sysfs is mounted
        :param kernel: writes to a file of sysfs
        """
        self._root = root
        self._kernel = kernel

    def functions(self, pci: str) -> list[pathlib.Path]:
        """Return the PCI functions that have types: the device itself, or its virtual functions."""
        return functions(self._root, pci, 'mdev_supported_types')

    def plan(self, device: Device, wanted: Slice) -> Entry:
        if wanted.template is None:
            raise errors.NotSupported('A mediated device needs a type; the scheduler chooses it')
        return {'pci': device.pci_address, 'type': wanted.template, 'mdev': str(uuid.uuid5(NAMESPACE, wanted.id))}

    def make(self, entry: Entry) -> base.Carved:
        if not self._exists(entry):
            failure: OSError | None = None
            for function in self.functions(entry['pci']):
                try:
                    self._kernel(function / 'mdev_supported_types' / entry['type'] / 'create', entry['mdev'])
                    failure = None
                    break
                except OSError as error:
                    failure = error
            else:
                raise errors.DriverError(
                    f'A mediated device of type {entry["type"]} cannot be made on {entry["pci"]}: '
                    f'{failure or "the host offers no such type there"}; see mdevctl types')
        handle = base.Handle(type='MDEV', address=self._function(entry), uuid=entry['mdev'], asked_type=entry['type'])
        return base.Carved(slice_id=entry['slice'], device_id=entry['device'], handle=handle, no_sessions=NO_SESSIONS)

    def unmake(self, entry: Entry) -> None:
        if self._exists(entry):
            try:
                self._kernel(self._path(entry) / 'remove', '1')
            except OSError as error:
                raise errors.DriverError(
                    f'The mediated device {entry["mdev"]} cannot be removed: {error}; a VM may still use it') from error

    def there(self, entries: Sequence[Entry]) -> list[Entry]:
        return [entry for entry in entries if self._exists(entry)]

    def _exists(self, entry: Entry) -> bool:
        return self._path(entry).exists()

    def _path(self, entry: Entry) -> pathlib.Path:
        return self._root / 'bus/mdev/devices' / str(entry['mdev'])

    def _function(self, entry: Entry) -> str:
        """Return the PCI address of the function that carries a device."""
        for function in self.functions(entry['pci']):
            if (function / 'mdev_supported_types' / entry['type'] / 'devices' / entry['mdev']).exists():
                return function.resolve().name
        return str(entry['pci'])
