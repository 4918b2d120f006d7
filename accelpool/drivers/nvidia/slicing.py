# SPDX-License-Identifier: Apache-2.0
"""Cutting devices: one file for each way, and a book of what was made.

The book (``nvidia-slices.json``) is written before the hardware is touched, so that whatever a killed conductor left
is known to its successor; what really exists is read back from the hardware.  An instance that is not in the book is
somebody else's and is never touched.
"""

import json
import os
import pathlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from accelpool import errors
from accelpool.drivers import base
from accelpool.types import Device, Isolation, Slice

#: Nodes that every CUDA program opens, beside its device's own.
COMMON_NODES = ('/dev/nvidiactl', '/dev/nvidia-uvm', '/dev/nvidia-uvm-tools')

Entry = dict[str, Any]


class Way(Protocol):
    """One way of cutting.  An entry of the book holds what it needs to find its slice again."""

    def plan(self, device: Device, wanted: Slice) -> Entry:
        """Return what goes into the book before anything is done.  :raises NotSupported: it cannot be"""

    def make(self, entry: Entry) -> base.Carved:
        """Make what an entry says, or return it when it exists.  :raises DriverError: the hardware refused"""

    def unmake(self, entry: Entry) -> None:
        """Undo it; nothing happens when it is not there.  :raises DriverError: the hardware refused"""

    def exists(self, entry: Entry) -> bool:
        """Return whether it is there.  :raises DriverError: it cannot be told now"""


class Book:
    """What this driver has made: slice id -> entry.  Replaced in one step, read by any thread."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        try:
            self.entries: Mapping[str, Entry] = json.loads(path.read_text())
        except FileNotFoundError:
            self.entries = {}
        except ValueError as error:
            raise errors.DriverError(
                f'{path} is damaged: {error}.  Without it the MIG instances of the pool cannot be told from others: '
                'restore it, or remove the instances (nvidia-smi mig -dci; -dgi) and the file') from error

    def put(self, slice_id: str, entry: Entry) -> None:
        self._write({**self.entries, slice_id: entry})

    def drop(self, slice_id: str) -> None:
        self._write({key: value for key, value in self.entries.items() if key != slice_id})

    def of_device(self, uuid: str) -> dict[str, Entry]:
        return {key: entry for key, entry in self.entries.items() if entry['uuid'] == uuid}

    def _write(self, entries: dict[str, Entry]) -> None:
        fresh = self._path.with_name(self._path.name + '.new')
        with fresh.open('w') as file:
            file.write(json.dumps(entries))
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path)
        self.entries = entries


class NvidiaSlicing(base.Slicing):
    """Whole devices, MIG instances, MPS clients, mediated devices and metered shares."""

    def __init__(self, book: Book, ways: Mapping[str, Way], allowed: Callable[[Device], tuple[Isolation, ...]]) -> None:
        """
        :param ways: by their names in the book: whole, shared, mig, mps, mdev
        :param allowed: what a device can be cut in, as it stands now
        """
        self._book = book
        self._ways = ways
        self._allowed = allowed
        self._lock = threading.Lock()

    def modes(self, device: Device) -> tuple[Isolation, ...]:
        return self._allowed(device)

    def carve(self, device: Device, wanted: Slice) -> base.Carved:
        with self._lock:
            entry = self._book.entries.get(wanted.id)
            if entry is None:
                self._refuse_mixture(device, wanted)
                way = self._way(device, wanted)
                entry = {'way': way, 'uuid': device.options['uuid'], 'device': device.id,
                         'isolation': str(wanted.isolation), **self._ways[way].plan(device, wanted),
                         'slice': wanted.id}
                self._book.put(wanted.id, entry)
            try:
                return self._ways[entry['way']].make(entry)
            except errors.DriverError:
                if not self._lives(entry):
                    self._book.drop(wanted.id)
                raise

    def destroy(self, slice_id: str) -> None:
        with self._lock:
            entry = self._book.entries.get(slice_id)
            if entry is not None:
                self._ways[entry['way']].unmake(entry)
                self._book.drop(slice_id)

    def list(self) -> list[base.Carved]:
        """What somebody destroyed is left out, so that the reconciler has it carved again.

        Of a device that cannot be asked now everything is taken to be there: a failed device must not make the
        reconciler take slices apart or put them together.
        """
        with self._lock:
            return [base.Carved(slice_id=key, device_id=entry['device'])
                    for key, entry in self._book.entries.items() if self._lives(entry)]

    def _lives(self, entry: Entry) -> bool:
        try:
            return self._ways[entry['way']].exists(entry)
        except errors.DriverError:
            return True

    def _way(self, device: Device, wanted: Slice) -> str:
        if wanted.isolation == Isolation.PARTITION:
            return 'mig' if device.options.get('mig') else 'mdev'
        return str(wanted.isolation)

    def _refuse_mixture(self, device: Device, wanted: Slice) -> None:
        """Refuse what the hardware cannot hold beside what it carries.

        :raises NotSupported: with what stands in the way
        """
        allowed = self._allowed(device)
        if wanted.isolation not in allowed:
            raise errors.NotSupported(
                f'{device.model} at {device.pci_address} cannot be cut as {wanted.isolation}, only as '
                f'{", ".join(allowed)}' + (': MIG is enabled on it (nvidia-smi -mig 0 turns it off when it is idle)'
                                           if device.options.get('mig') else ''))
        present = {entry['isolation'] for entry in self._book.of_device(device.options['uuid']).values()}
        if Isolation.WHOLE in present or (present and wanted.isolation == Isolation.WHOLE):
            raise errors.NotSupported(
                f'{device.model} at {device.pci_address} is in use as {", ".join(sorted(present))}')
        if (wanted.isolation == Isolation.MPS) != (Isolation.MPS in present) and present:
            raise errors.NotSupported(
                f'{device.model} at {device.pci_address} carries slices as {", ".join(sorted(present))}; MPS clients '
                'and metered sessions do not go together on one device')


class Whole:
    """The device itself: its nodes."""

    def plan(self, device: Device, wanted: Slice) -> Entry:
        return {'minor': device.options['minor'], 'pci': device.pci_address}

    def make(self, entry: Entry) -> base.Carved:
        return base.Carved(
            slice_id=entry['slice'], device_id=entry['device'], env={'CUDA_VISIBLE_DEVICES': entry['uuid']},
            nodes=(f'/dev/nvidia{entry["minor"]}', *COMMON_NODES), handle=self._handle(entry))

    def _handle(self, entry: Entry) -> base.Handle | None:
        return base.Handle(type='PCI', address=entry['pci'])

    def unmake(self, entry: Entry) -> None:
        """Nothing was done to the device."""

    def exists(self, entry: Entry) -> bool:
        return True


class Shared(Whole):
    """A share that the agent meters: nothing is done to the device."""

    def _handle(self, entry: Entry) -> base.Handle | None:
        return None
