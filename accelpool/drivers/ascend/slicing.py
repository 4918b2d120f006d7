# SPDX-License-Identifier: Apache-2.0
"""Cutting chips: whole, vNPUs from the vendor's templates (for VMs: mediated devices), metered shares.

The scheduler has chosen the template (:mod:`accelpool.partitions`); where a vNPU goes on its chip the firmware decides.
A vNPU's number is only known after it was made, so the book has an entry without one while it is being made: what then
exists, nobody else owns, and has that template, is ours.  A number is given again once its vNPU is gone, so what has
the number that is written down and another template is somebody else's.

A restart of the host ends vNPUs.  In its recover mode the vendor's driver makes them again, each with its number, while
the conductor may be running already: so one that is missing is made with the number that it had, and whoever of the two
comes second finds it.
"""

from collections.abc import Callable, Mapping, Sequence
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

    lost = ('somebody else destroyed its vNPU (npu-smi info -t info-vnpu), or the host was restarted and its driver '
            'has not made it again (npu-smi info -t vnpu-cfg-recover)')

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
        place = {'card': device.options['card'], 'chip': device.options['chip']}
        return {**place, 'template': wanted.template, 'vnpu': None, 'before': _ids(self._on_chip(place))}

    def make(self, entry: Entry) -> base.Carved:
        present = self._on_chip(entry)
        number = self._find(entry, present)
        if number is None:
            wanted = None if entry['vnpu'] in _ids(present) else entry['vnpu']
            try:
                number = self._channel.ask('create', entry['card'], entry['chip'], entry['template'], wanted)
            except DcmiError as error:
                number = self._find(entry, self._on_chip(entry))  # the driver's recovery was quicker
                if number is None:
                    raise errors.DriverError(f'A vNPU {entry["template"]} cannot be made on card {entry["card"]}: '
                                             f'{error.detail}') from error
        if number != entry['vnpu']:
            for other in self._book.of_device(entry['device']):
                if other.get('vnpu') == number:  # its vNPU is gone, and its number was given again
                    self._book.put(other['slice'], {**other, 'vnpu': None, 'before': [*_ids(present), number]})
            entry['vnpu'] = number
            self._book.put(entry['slice'], entry)
        return base.Carved(
            slice_id=entry['slice'], device_id=entry['device'],
            env={'ASCEND_VISIBLE_DEVICES': str(number), 'ACCELPOOL_VNPU': str(number)},
            nodes=(f'/dev/vdavinci{number}',), no_sessions=self._no_sessions())

    def unmake(self, entry: Entry) -> None:
        identifier = self._find(entry, self._on_chip(entry))
        if identifier is None:
            return
        try:
            self._channel.ask('destroy', entry['card'], entry['chip'], identifier)
        except DcmiError as error:
            raise errors.DriverError(f'The vNPU {identifier} of card {entry["card"]} cannot be taken apart: '
                                     f'{error.detail}') from error

    def there(self, entries: Sequence[Entry]) -> list[Entry]:
        present = self._on_chip(entries[0])
        return [entry for entry in entries if entry['vnpu'] is not None and self._find(entry, present) is not None]

    def _on_chip(self, entry: Entry) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._channel.ask(
            'condition', entry['card'], entry['chip'], deadline=self._reading)['vdevices']
        return found

    def _find(self, entry: Entry, present: Sequence[dict[str, Any]]) -> int | None:
        """Return the number of an entry's vNPU; without one, of what a killed conductor made and did not write down.

        :param present: the vNPUs of its chip
        :returns: None when it is not there
        """
        of_its_template = {one['id'] for one in present if describe.is_of(one, entry['template'])}
        if entry['vnpu'] is not None:
            return entry['vnpu'] if entry['vnpu'] in of_its_template else None
        known = {one['vnpu'] for one in self._book.entries.values() if one['way'] == 'vnpu'}
        fresh = of_its_template - set(entry['before']) - known
        return min(fresh) if len(fresh) == 1 else None


def _ids(present: Sequence[Mapping[str, Any]]) -> list[int]:
    return [one['id'] for one in present]
