# SPDX-License-Identifier: Apache-2.0
"""Cutting devices: one file for each way, and a book of what was made (:mod:`accelpool.drivers.book`)."""

from collections.abc import Callable, Mapping, Sequence

from accelpool import errors
from accelpool.drivers import base
from accelpool.drivers.book import Book, BookedSlicing, Entry, Way
from accelpool.drivers.nvidia.describe import HOST_VGPU, backed
from accelpool.types import Device, Isolation, Slice

#: Nodes that every CUDA program opens, beside its device's own (nvidia-uvm-tools is for profilers).
COMMON_NODES = ('/dev/nvidiactl', '/dev/nvidia-uvm')
#: NVML_COMPUTEMODE_...: of a device that is not in MIG mode; MIG devices have one each.
PROHIBITED, EXCLUSIVE_PROCESS = 2, 3


def no_sessions(device: Device) -> str | None:
    """Return why no session can be served on a device, None: they can."""
    if device.options.get('no_sessions'):
        return str(device.options['no_sessions'])
    if device.options.get('compute_mode') == PROHIBITED and not device.options.get('mig'):
        return f'its compute mode is PROHIBITED: {_default_mode(device)}'
    return None


def _exclusive(device: Device) -> bool:
    return device.options.get('compute_mode') == EXCLUSIVE_PROCESS and not device.options.get('mig')


def _default_mode(device: Device) -> str:
    return f'nvidia-smi -i {device.pci_address} -c 0 makes it DEFAULT, which the pool needs'


class NvidiaSlicing(BookedSlicing):
    """Whole devices, MIG instances, MPS clients, vGPUs and metered shares."""

    def __init__(self, book: Book, ways: Mapping[str, Way], *, mps: bool, vgpu: Callable[[str], str | None]) -> None:
        """
        :param ways: by their names in the book: whole, shared, mig, mps, mdev, vf, mig-mdev, mig-vf
        :param mps: whether MPS is offered
        :param vgpu: tells how a device (by its PCI address) has vGPU types: mdev or vf; None: by none of its functions
        """
        super().__init__(book, ways)
        self._mps = mps
        self._vgpu = vgpu

    def modes(self, device: Device) -> tuple[Isolation, ...]:
        """A device in MIG mode, or one that serves vGPU types, has no other use; the rest is exclusive or shared.

        Where there can be no sessions only what an instance gets by its handle is left.  Where one process at a time
        may use the device, that is the server of MPS or the session of who has all of it.
        """
        unserved = no_sessions(device)
        if device.partitions is not None:
            if backed(device):
                return (Isolation.PARTITION,) if self._vgpu(device.pci_address or '') else ()
            return () if unserved and device.options.get('mig') else (Isolation.PARTITION,)
        if device.options.get('virtualization') == HOST_VGPU:
            return ()
        if unserved:
            return (Isolation.WHOLE,)
        return (Isolation.WHOLE, *(() if _exclusive(device) else (Isolation.SHARED,)),
                *((Isolation.MPS,) if self._mps else ()))

    def way(self, device: Device, wanted: Slice) -> str:
        if wanted.isolation != Isolation.PARTITION:
            return str(wanted.isolation)
        vgpu = self._vgpu(device.pci_address or '') or 'mdev'
        if backed(device):
            return f'mig-{vgpu}'
        return 'mig' if device.options.get('mig') else vgpu

    def refuse_mixture(self, device: Device, wanted: Slice) -> None:
        if device.options.get('mig') and wanted.isolation != Isolation.PARTITION:
            raise errors.NotSupported(
                f'{device.model} at {device.pci_address} cannot be cut as {wanted.isolation}: MIG is enabled on it '
                '(nvidia-smi -mig 0 turns it off when it is idle)')
        why = no_sessions(device)
        if why is None and wanted.isolation == Isolation.SHARED and _exclusive(device):
            why = f'its compute mode is EXCLUSIVE_PROCESS, so one process at a time may use it: {_default_mode(device)}'
        if why is not None and wanted.isolation not in self.modes(device):
            raise errors.NotSupported(
                f'{device.model} at {device.pci_address} cannot be cut as {wanted.isolation}: {why}')
        super().refuse_mixture(device, wanted)


class Whole:
    """The device itself: its nodes."""

    lost = ''  # nothing can be

    def plan(self, device: Device, wanted: Slice) -> Entry:
        return {'uuid': device.options['uuid'], 'minor': device.options['minor'], 'pci': device.pci_address}

    def make(self, entry: Entry) -> base.Carved:
        return base.Carved(
            slice_id=entry['slice'], device_id=entry['device'], env={'CUDA_VISIBLE_DEVICES': entry['uuid']},
            nodes=(f'/dev/nvidia{entry["minor"]}', *COMMON_NODES), handle=self._handle(entry))

    def _handle(self, entry: Entry) -> base.Handle | None:
        return base.Handle(type='PCI', address=entry['pci'])

    def unmake(self, entry: Entry) -> None:
        """Nothing was done to the device."""

    def there(self, entries: Sequence[Entry]) -> list[Entry]:
        return list(entries)


class Shared(Whole):
    """A share that the agent meters: nothing is done to the device."""

    def _handle(self, entry: Entry) -> base.Handle | None:
        return None
