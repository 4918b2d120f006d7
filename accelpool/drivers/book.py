# SPDX-License-Identifier: Apache-2.0
"""A book of the slices that a driver made on real hardware, and slicing that keeps one.

The book is written before the hardware is touched, so that whatever a killed conductor left is known to its successor;
what really exists is read back from the hardware.  What is not in the book is somebody else's and is never touched.
"""

import abc
import json
import os
import pathlib
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from oslo_log import log as logging

from accelpool import errors
from accelpool.drivers import base, vendor
from accelpool.types import Device, Isolation, Slice

LOG = logging.getLogger(__name__)

Entry = dict[str, Any]


class Unfinished(errors.DriverError):
    """The hardware refused, and something of the slice is there: it stays in the book until it is made or destroyed."""


class Way(Protocol):
    """One way of cutting.  An entry of the book holds what it needs to find its slice again.

    ``lost`` says for the operator what has happened when a slice is not there.
    """

    lost: str

    def plan(self, device: Device, wanted: Slice) -> Entry:
        """Return what goes into the book before anything is done.  :raises NotSupported: it cannot be"""

    def make(self, entry: Entry) -> base.Carved:
        """Make what an entry says, or return it when it exists.  :raises DriverError: the hardware refused"""

    def unmake(self, entry: Entry) -> None:
        """Undo it; nothing happens when it is not there.  :raises DriverError: the hardware refused"""

    def there(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return which of a device's are there: asked once for all.  :raises DriverError: it cannot be told now"""


class Book:
    """What this driver has made: slice id -> entry.  Replaced in one step, read by any thread."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self.entries: Mapping[str, Entry] = json.loads(path.read_text())
        except FileNotFoundError:
            self.entries = {}
        except ValueError as error:
            raise errors.DriverError(
                f'{path} is damaged: {error}.  Without it the partitions of the pool cannot be told from others: '
                'restore it, or take all partitions of this host\'s devices apart and remove the file') from error

    def put(self, slice_id: str, entry: Entry) -> None:
        with self._lock:
            self._write({**self.entries, slice_id: entry})

    def drop(self, slice_id: str) -> None:
        with self._lock:
            self._write({key: value for key, value in self.entries.items() if key != slice_id})

    def of_device(self, device_id: str) -> list[Entry]:
        """Return what was made on a device."""
        return [entry for entry in self.entries.values() if entry['device'] == device_id]

    def isolations(self, device_id: str) -> set[str]:
        """Return how a device is cut."""
        return {entry['isolation'] for entry in self.of_device(device_id)}

    def _write(self, entries: dict[str, Entry]) -> None:
        fresh = self._path.with_name(self._path.name + '.new')
        with fresh.open('w') as file:
            file.write(json.dumps(entries))
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path)
        self.entries = entries


class BookedSlicing(base.Slicing):
    """Slices by several ways; each entry of the book says which one made it."""

    def __init__(self, book: Book, ways: Mapping[str, Way]) -> None:
        """:param ways: by their names in the book"""
        self._book = book
        self._ways = ways
        self._missed: frozenset[str] = frozenset()
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @abc.abstractmethod
    def way(self, device: Device, wanted: Slice) -> str:
        """Return the name of the way in which a slice is to be made."""

    def refuse_mixture(self, device: Device, wanted: Slice) -> None:
        """Refuse what the hardware cannot hold beside what it carries.

        :raises NotSupported: with what stands in the way
        """
        allowed = self.modes(device)
        if wanted.isolation not in allowed:
            raise errors.NotSupported(
                f'{device.model} at {device.pci_address} cannot be cut as {wanted.isolation}, only as '
                f'{", ".join(allowed) or "nothing"}')
        present = self._book.isolations(device.id)
        if Isolation.WHOLE in present or (present and wanted.isolation == Isolation.WHOLE):
            raise errors.NotSupported(
                f'{device.model} at {device.pci_address} is in use as {", ".join(sorted(present))}')
        if present - {wanted.isolation}:
            raise errors.NotSupported(
                f'{device.model} at {device.pci_address} carries slices as {", ".join(sorted(present))}, which do not '
                f'go together with {wanted.isolation} on one device')

    def carve(self, device: Device, wanted: Slice) -> base.Carved:
        with self._locks[device.id]:
            entry = self._book.entries.get(wanted.id)
            if entry is None:
                self.refuse_mixture(device, wanted)
                way = self.way(device, wanted)
                entry = {'way': way, 'device': device.id,
                         'isolation': str(wanted.isolation), **self._ways[way].plan(device, wanted),
                         'slice': wanted.id}
                self._book.put(wanted.id, entry)
            try:
                return self._ways[entry['way']].make(entry)
            except (vendor.Hung, Unfinished):
                raise  # what has come of it, or will, must not be forgotten
            except errors.DriverError:
                if not self._living([entry]):
                    self._book.drop(wanted.id)
                raise

    def destroy(self, slice_id: str) -> None:
        known = self._book.entries.get(slice_id)
        if known is None:
            return
        with self._locks[known['device']]:
            entry = self._book.entries.get(slice_id)  # not if another thread was quicker
            if entry is not None:
                self._ways[entry['way']].unmake(entry)
                self._book.drop(slice_id)

    def list(self) -> list[base.Carved]:
        """What somebody destroyed is left out, so that the reconciler has it carved again.

        Of a device that cannot be asked now everything is taken to be there: a failed device must not make the
        reconciler take slices apart or put them together.  One that hangs keeps nobody from another device.
        """
        found: list[base.Carved] = []
        for device_id in sorted({entry['device'] for entry in self._book.entries.values()}):
            with self._locks[device_id]:
                found += [base.Carved(slice_id=entry['slice'], device_id=device_id)
                          for entry in self._living(self._book.of_device(device_id))]
        self._miss(found)
        return found

    def _miss(self, found: Sequence[base.Carved]) -> None:
        """Log once what is not there any more: it is carved again, and whoever used it has lost what was there."""
        missed = {key: entry for key, entry in self._book.entries.items()
                  if key not in {carved.slice_id for carved in found}}
        for key in missed.keys() - self._missed:
            entry = missed[key]
            LOG.warning('Slice %s of device %s is not there: %s.  It is made again; its sessions have ended',
                        key, entry['device'], self._ways[entry['way']].lost)
        self._missed = frozenset(missed)

    def _living(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return what is there of a device's entries."""
        found: list[Entry] = []
        for way in sorted({entry['way'] for entry in entries}):
            booked = [entry for entry in entries if entry['way'] == way]
            try:
                found += self._ways[way].there(booked)
            except errors.DriverError:
                found += booked
        return found
