# SPDX-License-Identifier: Apache-2.0
"""MIG: for each slice a compute instance, in a GPU instance that it fills or shares with other slices.

The scheduler has chosen profile and place (:mod:`accelpool.partitions`).  Instances are found again by their place,
since their numbers change with a reset; a place that holds another profile, or an instance that the book does not
know, belongs to somebody else.

So does an instance of the same profile at the same place that was there when the host had started again - none of the
pool's outlives that (NVIDIA MIG User Guide) - or whose compute instance has another UUID.  One that somebody makes
within the same start, after the pool's was destroyed, is mostly taken for the pool's: the driver derives UUIDs from the
GPU, the number of the GPU instance and the engine (nvGenerateSmcUuid of NVIDIA's open kernel modules), and gives both
numbers by the place.

Each GPU has a process of its own that asks NVML and opens no other GPU: a creation that hangs keeps no other from being
cut.  The process ends when the GPU rests, and when NVML's answer shows that the GPU, or the driver, is not what
it was when the process began: only a new one sees it as it is after a reset.  No other process asks for MIG devices:
who has one open keeps others from taking its instance apart.
"""

import pathlib
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any

from oslo_log import log as logging

from accelpool import errors
from accelpool.drivers import base
from accelpool.drivers.book import Book, Entry, Unfinished
from accelpool.drivers.nvidia.channel import REOPEN, Channel, Hung, NvmlError, explain
from accelpool.drivers.nvidia.slicing import COMMON_NODES
from accelpool.partitions import Geometry, split
from accelpool.types import Device, Slice

LOG = logging.getLogger(__name__)

NOT_FOUND, TAKEN = 6, 23
NAMELESS = 'NVML lists no MIG device for the instance {}, so nobody knows its UUID'
STUCK = 'a call of NVML that was given up still hangs in the kernel'

#: Where the kernel module tells the minor numbers of the capability nodes that open an instance.
MINORS = pathlib.Path('/proc/driver/nvidia-caps/mig-minors')
#: Where these nodes are, and where the module describes them.
NODES, CAPABILITIES = pathlib.Path('/dev/nvidia-caps'), pathlib.Path('/proc/driver/nvidia/capabilities')
#: NVIDIA's program that makes nodes, with more rights than its user has.
MODPROBE = 'nvidia-modprobe'


class Mig:
    """Makes and unmakes instances."""

    lost = 'somebody else destroyed its MIG instance (nvidia-smi mig -lgi), or the GPU was reset'

    def __init__(self, channel: Callable[[str], Channel], book: Book, *, reading: float, retry: float,
                 boot: Callable[[], str], minors: pathlib.Path = MINORS, nodes: pathlib.Path = NODES,
                 clock: Callable[[], float] = time.monotonic) -> None:
        """
        :param channel: makes a way to a new process for a GPU (by its UUID), whose deadline is long enough for the
            creation of an instance
        :param book: where it is noted in which start of the host an instance was made, and with which UUID
        :param reading: seconds that a question may take
        :param retry: seconds that a device is taken for failed after a call that hung
        :param boot: gives what changes with every start of the host
        """
        self._make = channel
        self._channels: dict[str, Channel] = {}  # UUID of the GPU ->
        self._resting: Set[str] = frozenset()  # UUIDs of GPUs
        self._book = book
        self._reading = reading
        self._retry = retry
        self._boot = boot
        self._minors = minors
        self._nodes = nodes
        self._clock = clock
        self._hung: dict[str, tuple[str, float]] = {}  # UUID -> what hung, until when that counts

    def rest(self, uuids: Set[str]) -> None:
        """Let go of GPUs; one whose instances are being made or taken apart is let go of as soon as that is done."""
        self._resting = uuids
        for uuid in uuids & self._channels.keys():
            self._channels[uuid].close(wait=False)

    def hung(self, uuid: str) -> str | None:
        """Return what hung on a GPU, a moment ago or still; None: nothing."""
        channel = self._channels.get(uuid)
        if channel is not None and channel.stuck():
            return STUCK
        what, until = self._hung.get(uuid, (None, 0.0))
        return what if self._clock() < until else None

    def plan(self, device: Device, wanted: Slice) -> Entry:
        if wanted.template is None or wanted.position is None:
            raise errors.NotSupported('A MIG slice needs a profile and a place; the scheduler chooses them')
        known = Geometry.from_dict(device.partitions) if device.partitions else None
        template = next((one for one in known.templates if one.name == wanted.template), None) if known else None
        if template is None:
            raise errors.NotSupported(f'{device.model} has no MIG profile {wanted.template}')
        return self.entry(device, template.within or template.name, wanted.position, template.length)

    def entry(self, device: Device, name: str, position: int, length: int = 0) -> Entry:
        """Return what the book has of an instance of a profile.

        :raises DriverError: its place is somebody else's
        """
        uuid = device.options['uuid']
        profile = next(one for one in self._ask('identity', uuid, deadline=self._reading)['profiles']
                       if one['name'] == name)
        start, offset = split(position)
        entry = {'device': device.id, 'uuid': uuid, 'minor': device.options['minor'], 'profile': profile['id'],
                 'name': profile['name'], 'start': start, 'size': profile['size'], 'length': length,
                 'offset': offset, 'boot': self._boot(), 'made': None}
        self._present(entry)
        return entry

    def make(self, entry: Entry) -> base.Carved:
        found = self._present(entry)
        compute = found and self._compute(entry, found)
        if found is None or compute is None:
            # Without its compute instance: somebody took it away, or others share the instance.
            found = self._create(entry, found, entry.get('length', 0))
            compute = self._compute(entry, found)
            if compute is None:
                raise errors.DriverError(f'MIG instance {_name(entry)} was made and is not there')
        if compute['uuid'] is None:
            self._channels[entry['uuid']].close()
            raise errors.DriverError(NAMELESS.format(_name(entry)))
        self._note(entry, compute['uuid'])
        return base.Carved(
            slice_id=entry['slice'], device_id=entry['device'], env={'CUDA_VISIBLE_DEVICES': compute['uuid']},
            nodes=(f'/dev/nvidia{entry["minor"]}', *COMMON_NODES,
                   *self._capabilities(entry['minor'], found['id'], compute['id'])))

    def unmake(self, entry: Entry) -> None:
        found = self._ours(entry, self._instances(entry))
        if found is not None:
            compute = self._compute(entry, found)
            self._destroy(entry, found, [] if compute is None else [compute], alone=len(self.sharers(entry)) <= 1)

    def there(self, entries: Sequence[Entry]) -> list[Entry]:
        if entries[0]['uuid'] in self._resting:
            raise errors.DriverError('The GPU rests')
        instances = self._instances(entries[0])
        return [entry for entry in entries
                if (found := self._ours(entry, instances)) is not None and self._compute(entry, found) is not None]

    def make_bare(self, entry: Entry) -> None:
        """Make a GPU instance alone, or see that it exists; what is made in it is its user's.

        :raises DriverError: NVML refused, or its place is somebody else's
        """
        if self._present(entry) is None:
            self._create(entry, None, None)

    def unmake_bare(self, entry: Entry) -> None:
        """Take a GPU instance apart with what its user made in it; nothing happens when it is not there.

        :raises DriverError: NVML refused
        """
        found = self._ours(entry, self._instances(entry))
        if found is not None:
            self._destroy(entry, found, found['computes'], alone=True)

    def bare(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return whose GPU instances are there.  :raises DriverError: it cannot be told now"""
        instances = self._instances(entries[0])
        return [entry for entry in entries if self._ours(entry, instances) is not None]

    def _create(self, entry: Entry, found: dict[str, Any] | None, length: int | None) -> dict[str, Any]:
        """Return the GPU instance that NVML has made, or put a compute instance in.

        :param found: the GPU instance, None: it is not there
        :raises DriverError: NVML refused; Unfinished: and something is there
        """
        self._note(entry, None)
        try:
            made: dict[str, Any] = self._ask('create_instance', entry['uuid'], entry['profile'], entry['start'],
                                             entry['size'], length, entry.get('offset', 0))
        except NvmlError as error:
            left = found is None and self._ours(entry, self._instances(entry)) is not None
            raise (Unfinished if left else errors.DriverError)(
                f'MIG instance {_name(entry)} cannot be made: {error.detail}') from error
        return made

    def _destroy(self, entry: Entry, found: dict[str, Any], computes: Sequence[dict[str, Any]], alone: bool) -> None:
        """:raises DriverError: NVML refused"""
        try:
            self._ask('destroy_instance', entry['uuid'], found['id'], [one['id'] for one in computes], alone)
        except NvmlError as error:
            if error.number != NOT_FOUND:
                raise errors.DriverError(
                    f'MIG instance {_name(entry)} cannot be taken apart: {error.detail}') from error

    def _note(self, entry: Entry, made: str | None) -> None:
        """Note before an instance is made that it is one of this start of the host, and afterwards its UUID."""
        noted = {**entry, 'boot': self._boot(), 'made': made}
        if noted != entry:
            entry.update(noted)
            self._book.put(entry['slice'], entry)

    def _present(self, entry: Entry) -> dict[str, Any] | None:
        """Return the pool's GPU instance at a place; None: nothing is there.

        :raises DriverError: somebody else's is
        """
        instances = self._instances(entry)
        found = self._ours(entry, instances)
        if found is None and _at(entry, instances) is not None:
            raise errors.DriverError(
                f'MIG instance {_name(entry)} cannot be made: {explain(TAKEN, "somebody else has it")}')
        return found

    def _ours(self, entry: Entry, instances: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
        """Return the GPU instance of a slice; None: it is not there, or it is somebody else's."""
        found = _at(entry, instances)
        ours = found is not None and any(
            self._current(one) and (_placed(one, found) is None or self._compute(one, found) is not None)
            for one in self.sharers(entry))
        return found if ours else None

    def _compute(self, entry: Entry, found: dict[str, Any]) -> dict[str, Any] | None:
        """Return the compute instance of a slice; None: it is not there, or it is somebody else's.

        :raises DriverError: whose it is cannot be told
        """
        compute, made = _placed(entry, found), entry.get('made')
        if compute is None or not self._current(entry):
            return None
        if made is not None and compute['uuid'] is None:
            raise errors.DriverError(NAMELESS.format(_name(entry)))
        return compute if made in (None, compute['uuid']) else None

    def _current(self, entry: Entry) -> bool:
        """Return whether a slice was made since the host started; books of earlier releases do not tell."""
        boot = self._boot()
        return bool(entry.get('boot', boot) == boot)

    def _instances(self, entry: Entry) -> list[dict[str, Any]]:
        """Return what an entry's device carries."""
        found: list[dict[str, Any]] = self._ask('instances', entry['uuid'], deadline=self._reading)
        ours = {one['start'] for one in self._book.of_device(entry['device']) if one.get('made')}
        if any(one['start'] in ours and compute['uuid'] is None for one in found for compute in one['computes']):
            self._channels[entry['uuid']].close()  # somebody has made one since its process began
            found = self._ask('instances', entry['uuid'], deadline=self._reading)
        return found

    def _ask(self, call: str, uuid: str, *arguments: Any, deadline: float | None = None) -> Any:
        """Ask a GPU's own process; never another one while the kernel keeps what hung: that would hang, too."""
        channel = self._channels.get(uuid) or self._channels.setdefault(uuid, self._make(uuid))
        if channel.stuck():
            raise Hung(STUCK)
        try:
            return channel.ask(call, uuid, *arguments, deadline=deadline)
        except Hung as error:
            self._hung[uuid] = error.detail, self._clock() + self._retry
            raise
        except NvmlError as error:
            if error.number in REOPEN:
                channel.close()
            raise
        finally:
            if uuid in self._resting:
                channel.close()

    def sharers(self, entry: Entry) -> list[Entry]:
        """Return the slices whose instance begins at the slot of this one's."""
        return [one for one in self._book.of_device(entry['device'])
                if one.get('start') == entry['start']]

    def _capabilities(self, minor: int, instance: int, compute: int) -> tuple[str, ...]:
        """Return the nodes that open an instance; none on a driver that does not use them.

        NVIDIA's library makes them when it lists MIG devices, where it can: not in a container that lacks its program.
        """
        try:
            lines = self._minors.read_text().splitlines()
        except OSError:
            return ()
        numbers, found = dict(line.split() for line in lines if len(line.split()) == 2), []
        for part in (f'gi{instance}', f'gi{instance}/ci{compute}'):
            number = numbers.get(f'gpu{minor}/{part}/access')
            if number is None:
                continue
            node, said = self._nodes / f'nvidia-cap{number}', ''
            if not node.exists():
                said = _make_node(CAPABILITIES / f'gpu{minor}/mig/{part}/access')
            if not node.exists():
                LOG.warning('%s, which opens a MIG instance, is missing: its sessions will find no device.  Make it: '
                            '%s -f %s/gpu%d/mig/%s/access (%s)', node, MODPROBE, CAPABILITIES, minor, part, said)
            found.append(str(node))
        return tuple(found)


def _make_node(capability: pathlib.Path) -> str:
    """Have a node made; return what is said of it."""
    try:
        done = subprocess.run(
            [MODPROBE, '-f', str(capability)], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stderr.strip()[:200]


def _at(entry: Entry, instances: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the GPU instance at an entry's place, whosever it is."""
    return next((one for one in instances
                 if one['start'] == entry['start'] and one['profile'] == entry['name']), None)


def _placed(entry: Entry, found: dict[str, Any]) -> dict[str, Any] | None:
    """Return the compute instance at an entry's place, whosever it is."""
    length = entry.get('length', 0)
    for one in found['computes']:
        if (one['start'], one['size']) == (entry['offset'], length) if length else one['size'] >= found['slices']:
            return dict(one)
    return None


def _name(entry: Entry) -> str:
    part = f'{entry["length"]}c.' if entry.get('length') else ''
    return f'{part}{entry["name"]} at {entry["start"]}' + (f'/{entry["offset"]}' if part else '')
