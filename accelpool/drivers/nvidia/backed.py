# SPDX-License-Identifier: Apache-2.0
"""vGPUs that are backed by MIG: for each a GPU instance of its own, and then its type on a function of the GPU.

A host offers such a type where a GPU instance of its profile is free, and only there, so the instance is made first and
taken apart last.  Nothing is made in it: the driver of the guest makes a compute instance, and its user may make others
(NVIDIA AI Enterprise User Guide, "Configuring a GPU for MIG-Backed vGPUs").

Which free instance of the profile a VM gets is NVIDIA's choice.  There is one at a time here; where there are more -
somebody else made one and does not use it, or a mediated device gets its instance as late as its VM starts - a VM may
have another slice's, which cannot be taken apart then: its slice stays until that VM has ended.
"""

from collections.abc import Callable, Sequence

from accelpool import errors
from accelpool.drivers import base
from accelpool.drivers.book import Entry, Unfinished, Way
from accelpool.drivers.nvidia import describe
from accelpool.drivers.nvidia.mig import Mig
from accelpool.types import Device, Slice


class Backed:
    """Makes both and takes both apart; an entry of the book is one of each."""

    lost = ('somebody else took its vGPU away, or destroyed its MIG instance (nvidia-smi mig -lgi), or the host was '
            'restarted')

    def __init__(self, mig: Mig, vgpu: Way, away: Callable[[Entry], bool]) -> None:
        """
        :param vgpu: gives a function the type, or makes a mediated device of it
        :param away: tells whether a slice waits for its function, which is not there now
        """
        self._mig = mig
        self._vgpu = vgpu
        self._away = away

    def plan(self, device: Device, wanted: Slice) -> Entry:
        profile = next((kind['profile'] for kind in device.options['vgpus']
                        if f'{describe.VGPU}{kind["id"]}' == wanted.template), None)
        if profile is None or wanted.position is None:
            raise errors.NotSupported(f'{device.model} has no vGPU type {wanted.template} that MIG backs, or it has no '
                                      'place; the scheduler chooses both')
        entry = self._mig.entry(device, profile, wanted.position)
        if self._mig.sharers(entry):
            raise errors.DriverError(f'MIG instance {entry["name"]} at {entry["start"]} is another slice\'s')
        return {**entry, **self._vgpu.plan(device, wanted)}

    def make(self, entry: Entry) -> base.Carved:
        if self._away(entry):  # switching SR-IOV on destroys all instances of the GPU
            return self._vgpu.make(entry)
        self._mig.make_bare(entry)
        try:
            return self._vgpu.make(entry)
        except errors.DriverError as error:
            try:
                self._mig.unmake_bare(entry)
            except errors.DriverError as kept:
                raise Unfinished(f'{error.detail}; {kept.detail}') from error
            raise

    def unmake(self, entry: Entry) -> None:
        self._vgpu.unmake(entry)
        self._mig.unmake_bare(entry)

    def there(self, entries: Sequence[Entry]) -> list[Entry]:
        known = self._vgpu.there(entries)
        waiting = [entry for entry in known if self._away(entry)]
        rest = [entry for entry in known if entry not in waiting]
        return waiting + (self._mig.bare(rest) if rest else [])
