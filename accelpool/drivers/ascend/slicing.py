# SPDX-License-Identifier: Apache-2.0
"""Cutting chips: whole, vNPUs from the vendor's templates (for VMs: mediated devices), metered shares.

The scheduler has chosen the template (:mod:`accelpool.partitions`); where a vNPU goes on its chip the firmware decides.
A vNPU's number is only known after it was made, so the book has an entry without one while it is being made: what then
exists, nobody else owns, and has that template, is ours.  A number is given again once its vNPU is gone, so what has
the number that is written down and another template is somebody else's.
"""

from collections.abc import Callable, Sequence
from typing import Any

from accelpool import errors
from accelpool.drivers import base, vendor
from accelpool.drivers.ascend import describe
from accelpool.drivers.ascend.inventory import DcmiError
from accelpool.drivers.book import Book, BookedSlicing, Entry
from accelpool.types import Device, Isolation, Slice


class AscendSlicing(BookedSlicing):
    """A chip that is split has no other use, and a chip in use is not split."""

    def modes(self, device: Device) -> tuple[Isolation, ...]:
        partition = () if device.partitions is None else (Isolation.PARTITION,)
        if device.options.get('split'):  # by somebody else
            return partition
        return (Isolation.WHOLE, *partition, Isolation.SHARED)

    def refuse_mixture(self, device: Device, wanted: Slice) -> None:
        place, refused = f'{device.model} at {device.pci_address}', device.options.get('no_vnpus')
        if wanted.isolation == Isolation.PARTITION and refused:
            raise errors.NotSupported(f'{place} cannot be split: {refused}')
        if wanted.isolation != Isolation.PARTITION and device.options.get('split'):
            raise errors.NotSupported(f'{place} is split into vNPUs by somebody else: it can be cut only as '
                                      'partition, or destroy them (npu-smi set -t destroy-vnpu)')
        super().refuse_mixture(device, wanted)

    def way(self, device: Device, wanted: Slice) -> str:
        if wanted.isolation != Isolation.PARTITION:
            return 'whole'
        return 'mdev' if device.options['vnpu_mode'] == 'vm' else 'vnpu'


class Whole:
    """The chip itself; its node comes with the endpoint."""

    lost = ''  # nothing can be

    def plan(self, device: Device, wanted: Slice) -> Entry:
        return {'pci': device.pci_address}

    def make(self, entry: Entry) -> base.Carved:
        whole = entry['isolation'] == Isolation.WHOLE
        return base.Carved(slice_id=entry['slice'], device_id=entry['device'],
                           handle=base.Handle(type='PCI', address=entry['pci']) if whole else None)

    def unmake(self, entry: Entry) -> None:
        """Nothing was done to the chip."""

    def there(self, entries: Sequence[Entry]) -> list[Entry]:
        return list(entries)


class Vnpu:
    """Makes and unmakes vNPUs."""

    lost = 'somebody else destroyed its vNPU (npu-smi info -t info-vnpu), or the host was restarted'

    def __init__(self, channel: vendor.Channel, book: Book, reading: float, no_sessions: Callable[[], str]) -> None:
        """
        :param channel: with a deadline that is long enough for the creation of a vNPU
        :param book: where the numbers of the vNPUs are kept
        :param reading: seconds that a question may take
        :param no_sessions: says why no session can be served from a vNPU; empty: one can
        """
        self._channel = channel
        self._reading = reading
        self._book = book
        self._no_sessions = no_sessions

    def plan(self, device: Device, wanted: Slice) -> Entry:
        if wanted.template is None:
            raise errors.NotSupported('A vNPU needs a template; the scheduler chooses it')
        chip = (device.options['card'], device.options['chip'])
        there = [one['id'] for one in self._on_chip(*chip)]
        return {'card': chip[0], 'chip': chip[1], 'template': wanted.template, 'vnpu': None, 'before': there}

    def make(self, entry: Entry) -> base.Carved:
        if not self.there([entry]):
            identifier = self._adopt(entry)
            if identifier is None:
                try:
                    identifier = self._channel.ask('create', entry['card'], entry['chip'], entry['template'])
                except DcmiError as error:
                    raise errors.DriverError(
                        f'A vNPU {entry["template"]} cannot be made on card {entry["card"]}: {error.detail}') from error
            entry['vnpu'] = identifier
            self._book.put(entry['slice'], entry)
        number = entry['vnpu']
        return base.Carved(
            slice_id=entry['slice'], device_id=entry['device'],
            env={'ASCEND_VISIBLE_DEVICES': str(number), 'ACCELPOOL_VNPU': str(number)},
            nodes=(f'/dev/vdavinci{number}',), no_sessions=self._no_sessions())

    def unmake(self, entry: Entry) -> None:
        identifier = entry['vnpu'] if self.there([entry]) else self._adopt(entry)
        if identifier is None:
            return
        try:
            self._channel.ask('destroy', entry['card'], entry['chip'], identifier)
        except DcmiError as error:
            raise errors.DriverError(f'The vNPU {identifier} of card {entry["card"]} cannot be taken apart: '
                                     f'{error.detail}') from error

    def there(self, entries: Sequence[Entry]) -> list[Entry]:
        found = {one['id']: one for one in self._on_chip(entries[0]['card'], entries[0]['chip'])}
        return [entry for entry in entries if entry['vnpu'] in found
                and describe.is_of(found[entry['vnpu']], entry['template'])]

    def _on_chip(self, card: int, chip: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._channel.ask('condition', card, chip, deadline=self._reading)['vdevices']
        return found

    def _adopt(self, entry: Entry) -> int | None:
        """Return the vNPU that a killed conductor made for this entry and did not write down."""
        known = {one['vnpu'] for one in self._book.entries.values() if one['way'] == 'vnpu'}
        of_its_template = {one['id'] for one in self._on_chip(entry['card'], entry['chip'])
                           if describe.is_of(one, entry['template'])}
        fresh = of_its_template - set(entry['before']) - known
        return min(fresh) if entry['vnpu'] is None and len(fresh) == 1 else None
