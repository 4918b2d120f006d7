# SPDX-License-Identifier: Apache-2.0
"""vGPU types on virtual functions, through NVIDIA's own VFIO driver: one function for one VM each.

Where the kernel is 6.8 or later (Ubuntu 24.04, RHEL 10) there are no mediated devices: each virtual function has a
directory ``nvidia`` with ``creatable_vgpu_types`` (``1116  : NVIDIA L4-2Q``) and ``current_vgpu_type``; writing a
type's number to that gives the function the type, writing 0 takes it away (NVIDIA Virtual GPU Software User Guide,
"vendor-specific VFIO framework").  The function stays with NVIDIA's driver all the time.

The book has the function before the write, so that a killed conductor's is known.  A slice keeps its function: the VM's
definition has its address.  One that is not there now - after a start of the host, until SR-IOV is on - is taken to be
as it was; it gets its type again when it is seen without one.
"""

import pathlib
from collections import Counter
from collections.abc import Callable, Sequence

from accelpool import errors
from accelpool.drivers import base, mdev
from accelpool.drivers.book import Book, Entry
from accelpool.drivers.nvidia import describe
from accelpool.partitions import Geometry
from accelpool.types import Device, Slice

CURRENT, CREATABLE = 'nvidia/current_vgpu_type', 'nvidia/creatable_vgpu_types'
NONE = '0'
#: Why such a slice has no sessions.
NO_SESSIONS = 'a virtual function with a vGPU type is used inside the instance only'


class VgpuVf:
    """Gives types to virtual functions and takes them away; one with a type that the book does not know is not ours."""

    lost = 'somebody else took the type from its virtual function (nvidia/current_vgpu_type), or the host was restarted'

    def __init__(self, root: pathlib.Path, book: Book,
                 kernel: Callable[[pathlib.Path, str], None] = mdev.write) -> None:
        """
        :param root: where sysfs is mounted
        :param book: where it is noted which function a slice has
        :param kernel: writes to a file of sysfs
        """
        self._root = root
        self._book = book
        self._kernel = kernel

    def functions(self, pci: str) -> list[pathlib.Path]:
        """Return the virtual functions of a device that can have types."""
        return mdev.functions(self._root, pci, CURRENT)

    def geometry(self, device: Device) -> Geometry | None:
        """Return the types as partitions; None when the device has none, or no such functions."""
        functions = self.functions(device.pci_address or '')
        types = [kind for kind in device.options['vgpus'] if kind['profile'] is None]
        if not functions or not types:
            return None
        carried = {path.resolve().name: _current(path) for path in functions}
        offered = Counter(number for path in functions if carried[path.resolve().name] == NONE
                          for number in _creatable(path))
        kinds = []
        for kind in types:
            number = str(kind['id'])
            present = {address for address, has in carried.items() if has == number}
            ours = len(present & self._booked(device.id))
            kinds.append(describe.VgpuType(
                name=describe.VGPU + number, memory=kind['memory'], most=kind['most'], ours=ours,
                foreign=len(present) - ours, free=max(0, min(offered[number], kind['most'] - len(present)))))
        return describe.vgpus(device.memory, kinds)

    def plan(self, device: Device, wanted: Slice) -> Entry:
        if wanted.template is None:
            raise errors.NotSupported('A vGPU needs a type; the scheduler chooses it')
        return {'pci': device.pci_address, 'type': wanted.template, 'function': None}

    def make(self, entry: Entry) -> base.Carved:
        if entry['function'] is None:
            self._take(entry)
        else:
            self._repeat(entry)
        return base.Carved(
            slice_id=entry['slice'], device_id=entry['device'], no_sessions=NO_SESSIONS,
            handle=base.Handle(type='PCI', address=entry['function']))

    def unmake(self, entry: Entry) -> None:
        if entry['function'] is None or self._has(entry) != _number(entry):
            return
        try:
            self._kernel(self._path(entry) / CURRENT, NONE)
        except OSError as error:
            raise errors.DriverError(f'The vGPU type cannot be taken from {entry["function"]}: {error}; a VM may still '
                                     'use it') from error

    def there(self, entries: Sequence[Entry]) -> list[Entry]:
        return [entry for entry in entries
                if entry['function'] is not None and self._has(entry) in (None, _number(entry))]

    def away(self, entry: Entry) -> bool:
        """Return whether a slice waits for its function, which is not there now."""
        return entry['function'] is not None and self._has(entry) is None

    def _take(self, entry: Entry) -> None:
        """Give the type to a function that has none; the kernel says no if somebody else was quicker.

        :raises DriverError: there is none that can have it
        """
        functions, failure = self.functions(entry['pci']), 'no free virtual function offers it now: it is full, or ' \
            'what it carries excludes this type (see nvidia/creatable_vgpu_types of its functions)'
        if not functions:
            failure = f'it has no virtual functions: make them (/usr/lib/nvidia/sriov-manage -e {entry["pci"]})'
        for path in functions:
            address = path.resolve().name
            if _current(path) != NONE or _number(entry) not in _creatable(path) \
                    or address in self._booked(entry['device']):
                continue
            self._note(entry, address)
            try:
                self._kernel(path / CURRENT, _number(entry))
                return
            except OSError as error:
                failure = f'the kernel refused: {error} (dmesg, nvidia-vgpu)'
            self._note(entry, None)
        raise errors.DriverError(f'A vGPU of type {entry["type"]} cannot be made on {entry["pci"]}: {failure}')

    def _repeat(self, entry: Entry) -> None:
        """Give the type again to the function that had it, if it is there.

        :raises DriverError: it cannot have it
        """
        has = self._has(entry)
        what = f'The virtual function {entry["function"]} cannot have its vGPU type {entry["type"]} again'
        if has == NONE:
            try:
                self._kernel(self._path(entry) / CURRENT, _number(entry))
            except OSError as error:
                raise errors.DriverError(f'{what}: {error} (dmesg, nvidia-vgpu)') from error
        elif has not in (None, _number(entry)):
            raise errors.DriverError(f'{what}: somebody else gave it type {describe.VGPU}{has}')

    def _note(self, entry: Entry, address: str | None) -> None:
        entry['function'] = address
        self._book.put(entry['slice'], entry)

    def _booked(self, device_id: str) -> set[str | None]:
        """Return the addresses of the functions that the pool's slices have."""
        return {entry['function'] for entry in self._book.of_device(device_id) if 'function' in entry}

    def _path(self, entry: Entry) -> pathlib.Path:
        return self._root / 'bus/pci/devices' / str(entry['function'])

    def _has(self, entry: Entry) -> str | None:
        return _current(self._path(entry))


def _number(entry: Entry) -> str:
    return str(entry['type']).removeprefix(describe.VGPU)


def _current(function: pathlib.Path) -> str | None:
    """Return the number of a function's type, 0 without one; None when the function is not there."""
    try:
        return (function / CURRENT).read_text().strip()
    except OSError:
        return None


def _creatable(function: pathlib.Path) -> set[str]:
    """Return the numbers of the types that a function can be given now."""
    try:
        lines = (function / CREATABLE).read_text().splitlines()
    except OSError:
        return set()
    return {number for line in lines if (number := line.partition(':')[0].strip()).isdigit()}
