# SPDX-License-Identifier: Apache-2.0
"""Finding devices and watching their health, through NVML.

Every look reads versions, devices, what happened since the last look, and each device's condition; a call that does
not return in time makes its device failed, and the look lasts two deadlines however many hang
(:mod:`~accelpool.drivers.nvidia.rounds`).  What the driver must remember - which devices there were, and what ails
them - is in the file ``nvidia-devices.json``, so that a conductor that starts again neither forgets a sick device nor
takes a lost one for one that never was.  What happened while none ran is read back as far as NVML still shows it.

A process that has asked NVML for a device has it open until it ends, and what is open can neither be reset nor be
detached from the driver.  So devices that rest are asked nothing, by processes that are told which others there are.
"""

import dataclasses
import json
import os
import pathlib
import threading
import time
from collections.abc import Callable, Sequence, Set
from typing import Any

from oslo_log import log as logging

from accelpool import errors
from accelpool.drivers import base, programs
from accelpool.drivers.nvidia import describe, health, rounds
from accelpool.drivers.nvidia.channel import REOPEN, Channel, Hung, NvmlError, explain
from accelpool.drivers.nvidia.rounds import Answer
from accelpool.drivers.nvidia.watch import Watch
from accelpool.partitions import Geometry
from accelpool.types import Device, Health, Isolation

LOG = logging.getLogger(__name__)

NOT_FOUND, LIBRARY_NOT_FOUND = 6, 12

#: What an operator does about a host without GPUs.
NO_GPU = ('the driver is loaded and finds no GPU: see whether the host has one (lspci -d 10de:) that an instance does '
          'not have (vfio-pci), and the kernel\'s log (dmesg, NVRM); or take nvidia out of [conductor] drivers')

MPS_SERVER = 'nvidia-cuda-mps-server'

#: Why clocks may be low (:mod:`accelpool.drivers.nvidia.nvml`).
THROTTLE = ('power-cap', 'hardware', 'thermal-software', 'thermal-hardware', 'power-brake')

#: Events that are kept for devices that nothing is known of yet.
MOST_WAITING = 64

#: Looks after which a device is asked again what it is: NVLinks may be trained late, limits and vGPU types be changed.
RENEWAL = 30


@dataclasses.dataclass
class Known:
    """What is remembered of a device."""

    identity: dict[str, Any]
    ailments: list[health.Ailment] = dataclasses.field(default_factory=list)
    device: Device | None = None           # as last reported
    look: health.Look | None = None        # the last one that it answered to
    before: health.Look | None = None      # the one before that
    ecc: int | None = None                 # uncorrectable errors that it had counted by then
    rested: bool = False                   # since then


def boot_id() -> str:
    """Return what changes with every start of the host; empty where the kernel does not tell."""
    try:
        return pathlib.Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    except OSError:
        return ''


class NvidiaInventory(base.Inventory):
    """The NVIDIA devices of this host."""

    def __init__(self, host: str, state_file: pathlib.Path, channel: Channel, watch: Watch, *,
                 ours: Callable[[str], Set[int]], isolations: Callable[[str], set[str]],
                 types: Callable[[Device], Geometry | None], hung: Callable[[str], str | None],
                 resting: Callable[[Set[str]], None], retry_interval: float,
                 drain_foreign: bool, overhead: int, sysfs: pathlib.Path, boot: Callable[[], str] = boot_id,
                 program_of: Callable[[int], str] = programs.program) -> None:
        """
        :param ours: gives the first slots of the MIG instances that the pool made on a device
        :param isolations: gives the isolations of the slices that a device carries
        :param types: gives what a device can be cut in beside MIG, None: nothing
        :param hung: gives what hung when instances were made or taken apart on a GPU (by its UUID), None: nothing
        :param resting: is told which GPUs (by their UUIDs) rest
        :param overhead: MiB that the context of a slice's session takes of a device
        :param sysfs: where it is mounted
        """
        self._host = host
        self._file = state_file
        self._channel = channel
        self._watch = watch
        self._rounds = rounds.Rounds(channel, retry_interval)
        self._ours = ours
        self._isolations = isolations
        self._types = types
        self._hung = hung
        self._resting = resting
        self._retry = retry_interval
        self._drain_foreign = drain_foreign
        self._overhead = overhead
        self._sysfs = sysfs
        self._boot = boot
        self._program = program_of
        self._known = self._read()
        self._trouble: str | None = None
        self._reopen_at: float | None = None
        self._initialising = False
        self._waiting: list[dict[str, Any]] = []  # events of devices that nothing is known of yet
        self._conditions: dict[str, dict[str, Any]] = {}
        self._looks = 0
        self._last_xid: dict[str, int] = {}
        self._at_rest: Set[str] = frozenset()  # UUIDs
        self._lock = threading.Lock()

    def discover(self) -> list[Device]:
        with self._lock:
            return [] if self.addresses() == [] else self._discover()

    def rest(self, device_ids: Set[str]) -> None:
        with self._lock:
            before, self._at_rest = self._at_rest, frozenset(
                uuid for uuid in self._known if describe.device_id(uuid) in device_ids)
            if before == self._at_rest:
                return
            for uuid in self._at_rest - before:
                LOG.info('%s at %s is let go of', self._known[uuid].identity['name'], self._address(uuid))
                self._conditions.pop(uuid, None)
                self._known[uuid].rested = True
            self._channel.close()
            if self.addresses() == []:
                self._watch.close()
            else:
                self._watch.renew()
            self._resting(self._at_rest)

    def addresses(self) -> list[str] | None:
        """Return the PCI addresses of the devices that may be opened; None: of all."""
        if not self._at_rest:
            return None
        bound = {path.name for path in (self._sysfs / 'bus/pci/drivers/nvidia').glob('*:*:*.*')
                 if not (path / 'physfn').exists()}
        bound = bound or {self._address(uuid) for uuid in self._known}  # sysfs is not to be seen here
        return sorted(bound - {self._address(uuid) for uuid in self._at_rest})

    def address(self, uuid: str) -> list[str] | None:
        """Return the PCI address of the only device that a process for it may open; None: nothing is known of it."""
        return [self._address(uuid)] if uuid in self._known else None

    def _discover(self) -> list[Device]:
        boot, began = self._boot(), time.monotonic()
        try:
            host = self._open()
        except NvmlError as error:
            return self._without_driver(error)
        except Hung as error:
            self._reopen_at = time.monotonic() + self._retry
            return self._failed_all(f'{error.detail}; its processes may have to be ended, or the host restarted')
        present = [uuid for _, uuid in host['devices'] if isinstance(uuid, str)]
        silent, strange = self._silent(host['devices'])
        self._say((strange or describe.no_sessions(host)) if host['devices'] or self._known else NO_GPU)
        happened, self._waiting = self._waiting + self._events(set(present)), []
        self._last_xid |= {one['uuid']: one['data'] for one in happened if one['kind'] == 'xid'}
        due = self._due(present)
        answers, failures, hung = self._rounds.ask(
            present, lambda uuid: uuid == due or self._anew(uuid), time.monotonic() - began)
        looks = {uuid: self._seen(uuid, answer, boot) for uuid, answer in answers.items()}
        for index, uuid in host['devices']:
            if isinstance(index, int) and uuid in looks:  # it moves when another one comes or goes
                self._known[uuid].identity['index'] = index
        absent = self._known.keys() - set(present) - silent.keys() - self._at_rest
        failures |= silent | ({uuid: self._unasked(uuid) for uuid in absent} if hung else self._absent(absent))
        if (failures or strange) and self._reopen_at is None and not self._initialising:
            self._reopen_at = time.monotonic() + self._retry
        for uuid, look in looks.items():
            known = self._known[uuid]
            if known.look is None:
                known.ailments = health.merged(known.ailments, health.missed(known.ecc, look))
            known.before, known.look, known.ecc, known.rested = known.look, look, look.ecc, False
            known.ailments = health.followed(known.ailments, look)
        self._contract(happened)
        domains = describe.islands(self._host, [self._known[uuid].identity for uuid in present if uuid in self._known
                                                and not self._conditions.get(uuid, {}).get('mig')])
        found = []
        for uuid, look in looks.items():
            known = self._known[uuid]
            known.device = self._device(known.identity, host, domains.get(uuid), *health.verdict(known.ailments, look))
            found.append(known.device)
        found += [self._failed(uuid, reason) for uuid, reason in failures.items() if uuid in self._known]
        self._forget(set(looks) | set(failures) | self._at_rest)
        self._write()
        return found

    def metrics(self) -> dict[str, dict[str, float]]:
        names = {
            'temperature': 'temperature_celsius', 'power_watts': 'power_watts', 'utilization': 'utilization_percent',
            'memory_utilization': 'memory_utilization_percent', 'memory_used': 'memory_used_mib',
            'memory_free': 'memory_free_mib',
            'clock': 'clock_mhz', 'memory_clock': 'memory_clock_mhz', 'ecc_corrected': 'ecc_corrected_errors',
            'ecc_uncorrected': 'ecc_uncorrected_errors'}
        return {describe.device_id(uuid): {
            **{name: float(seen[key]) for key, name in names.items() if seen[key] is not None},
            'xid': float(self._last_xid.get(uuid, 0)),
            'throttled': float(bool(seen['throttle'])),
            **{f'throttled_{reason.replace("-", "_")}': float(reason in seen['throttle']) for reason in THROTTLE},
            'processes': float(len(seen['processes']))}
            for uuid, seen in self._conditions.items()}

    def condition(self, uuid: str) -> dict[str, Any] | None:
        """Return what was last seen of a device."""
        return self._conditions.get(uuid)

    def identity(self, uuid: str) -> dict[str, Any] | None:
        """Return what a device is."""
        known = self._known.get(uuid)
        return None if known is None else known.identity

    def _open(self) -> dict[str, Any]:
        """Return what NVML says of the host, from a library that was opened anew when something went wrong."""
        if self._reopen_at is not None and time.monotonic() >= self._reopen_at and not self._channel.stuck() \
                and not self._initialising:
            self._reopen_at = None
            self._channel.close()
        deadline, self._initialising = self._channel.deadline, False
        found: dict[str, Any] = self._channel.ask('host', deadline, deadline=2 * deadline)
        self._initialising = found['initialising']
        return found

    def _without_driver(self, error: NvmlError) -> list[Device]:
        """Return the devices that there were; a host that never had one has nothing to say."""
        if error.number in REOPEN:
            self._reopen_at = time.monotonic()
        self._watch.lapse()
        self._say(error.detail, quietly=error.number == LIBRARY_NOT_FOUND and not self._known)
        return self._failed_all(error.detail)

    def _failed_all(self, reason: str) -> list[Device]:
        self._conditions.clear()
        return [self._failed(uuid, reason) for uuid in self._known if uuid not in self._at_rest]

    def _say(self, trouble: str | None, quietly: bool = False) -> None:
        """Log what is wrong with the driver once, not at every look."""
        if trouble != self._trouble and trouble is not None:
            (LOG.info if quietly else LOG.error)('NVIDIA devices of %s cannot be used: %s', self._host, trouble)
        self._trouble = trouble

    def _events(self, present: Set[str]) -> list[dict[str, Any]]:
        try:
            return self._watch.events(present)
        except errors.DriverError as error:
            LOG.warning('No events of NVIDIA devices on %s: %s', self._host, error.detail)
            return []

    def _contract(self, happened: list[dict[str, Any]]) -> None:
        """Give devices the ailments that events bring, as they were when last seen: one may hang, or be lost, since."""
        for uuid in {one['uuid'] for one in happened}:
            events = [one for one in happened if one['uuid'] == uuid]
            known = self._known.get(uuid)
            if known is None or known.look is None:
                self._waiting = [*self._waiting, *events][-MOST_WAITING:]
                continue
            fresh = health.contracted(events, known.look, known.before)
            for ailment in fresh:
                LOG.warning('%s on %s: %s', known.identity['name'], self._host, ailment.what)
            known.ailments = health.merged(known.ailments, fresh)

    def _due(self, present: Sequence[str]) -> str | None:
        """Return the device whose turn it is to be asked what it is, one in each look at most: it takes a while."""
        self._looks = (self._looks + 1) % max(RENEWAL, len(present))
        return present[self._looks] if self._looks < len(present) else None

    def _anew(self, uuid: str) -> bool:
        """Return whether a device is to be asked what it is: it may have become another since it was well."""
        known = self._known.get(uuid)
        return uuid not in self._conditions or known is None or known.device is None \
            or known.device.health == Health.FAILED

    def _seen(self, uuid: str, answer: Answer, boot: str) -> health.Look:
        """Note what a device has answered."""
        if answer['identity'] is not None:
            self._known.setdefault(uuid, Known(answer['identity'])).identity = answer['identity']
        seen = self._conditions[uuid] = answer['condition']
        pids = {instance: frozenset(process['pid'] for process in seen['processes'] if process['instance'] == instance)
                for instance in {process['instance'] for process in seen['processes']}}
        return health.Look(
            boot=boot, energy=seen['energy'], recovery=seen['recovery'], ecc=seen['ecc_uncorrected'],
            processes=frozenset().union(*pids.values()),
            instances={instance: found for instance, found in pids.items() if instance is not None},
            foreign=self._foreign(uuid, seen), remap_failure=seen['remap_failure'],
            mig_pending=seen['mig'] is not None and seen['mig'] != seen['mig_pending'], hung=self._hung(uuid),
            rested=self._known[uuid].rested)

    def _foreign(self, uuid: str, seen: dict[str, Any]) -> tuple[int, ...]:
        """Return the processes that are not the pool's.

        A device of which a slice is used by its consumer itself - whole, a partition, MPS - may carry any process
        there, and one that serves vGPUs carries one for each VM; the others carry workers.
        """
        if self._known[uuid].identity['virtualization'] == describe.HOST_VGPU:
            return ()
        if not self._drain_foreign or self._isolations(describe.device_id(uuid)) & {Isolation.WHOLE, Isolation.MPS}:
            return ()
        own = {one['id'] for one in seen['instances'] if one['start'] in self._ours(describe.device_id(uuid))}
        return tuple(sorted(process['pid'] for process in seen['processes']
                            if process['instance'] not in own and process['instance'] is None
                            and self._program(process['pid']) not in (programs.WORKER, MPS_SERVER)))

    def _silent(self, listed: Sequence[tuple[int | str, str | int | None]]) -> tuple[dict[str, str], str | None]:
        """Return why NVML does not answer for known devices, and for others.

        The one that was known at an index, or is at a PCI address, is what hangs there, unless it answers at another.
        """
        said = {place: f'NVML did not answer within {self._channel.deadline:g} s for the GPU '
                f'{"of index" if isinstance(place, int) else "at"} {place}; it is asked again soon'
                for place, one in listed if one is None}
        answering = {one for _, one in listed}
        known = {uuid: said.pop(place) for uuid, one in self._known.items() if uuid not in answering
                 for place in (one.identity['index'], self._address(uuid)) if place in said}
        return known, '; '.join(said.values()) or None

    def _absent(self, uuids: Set[str]) -> dict[str, str]:
        """Return why known devices are not there; nothing of those that were taken out.

        Nothing is at its address then, or another device: a lost one answers with errors of many kinds.
        """
        addresses = {self._known[uuid].identity['bus_id']: uuid for uuid in uuids}
        if not addresses:
            return {}
        deadline = self._channel.deadline
        try:
            answers = self._channel.ask('probes', list(addresses), deadline, deadline=2 * deadline)
        except Hung as error:
            return dict.fromkeys(uuids, error.detail)
        found = {}
        for address, uuid in addresses.items():
            answer = answers.get(address)
            if answer is None:
                found[uuid] = f'NVML did not answer within {deadline:g} s for the GPU at {_pci(address)}'
            elif 'code' in answer and answer['code'] != NOT_FOUND:
                found[uuid] = explain(answer['code'], answer['error'])
            elif answer.get('result') == uuid:
                found[uuid] = 'it came back at this moment'
        return found

    def _unasked(self, uuid: str) -> str:
        """Return what was wrong with a device that is not there, or what is when NVML hangs."""
        device = self._known[uuid].device
        return (device and device.health_reason) or 'NVML does not list it, and hangs'

    def _address(self, uuid: str) -> str:
        """Return a known device's PCI address."""
        return _pci(self._known[uuid].identity['bus_id'])

    def _device(self, identity: dict[str, Any], host: dict[str, Any], domain: str | None, condition: Health,
                reason: str | None) -> Device:
        seen = self._conditions[identity['uuid']]
        mig = bool(seen['mig'])
        metered = not mig and identity['virtualization'] != describe.HOST_VGPU
        device = Device(
            id=describe.device_id(identity['uuid']), driver='nvidia', vendor='nvidia',
            model=identity['name'].removeprefix('NVIDIA '),
            memory=identity['memory'], overhead=self._overhead if metered else 0,
            traits=describe.traits(identity, seen, host['cuda']),
            numa_node=identity['numa_node'], pci_address=_pci(identity['bus_id']), fabric=domain,
            health=condition, health_reason=reason,
            options={
                'uuid': identity['uuid'], 'serial': identity['serial'], 'index': identity['index'],
                'minor': identity['minor'], 'cc': identity['compute_capability'],
                'sm': describe.multiprocessors(identity), 'cpus': identity['cpus'], 'driver': host['driver'],
                'nvml': host['nvml'], 'cuda': f'{host["cuda"] // 1000}.{host["cuda"] % 1000 // 10}',
                'power_limit_watts': identity['power_limit_watts'], 'clock_max': identity['clock_max'],
                'memory_clock_max': identity['memory_clock_max'], 'links': len(identity['links']),
                'no_sessions': describe.no_sessions(host),
                'ecc': bool(seen['ecc']), 'persistence': bool(seen['persistence']), 'mig': mig,
                'mig_capable': seen['mig'] is not None, 'compute_mode': seen['compute_mode'],
                'virtualization': identity['virtualization'], 'vgpus': identity['vgpus'],
                'architecture': (describe.ARCHITECTURES.get(identity['architecture']) or '').lower() or None,
            })
        geometry = describe.geometry(identity, seen, self._ours(device.id), self._overhead) if mig \
            else self._types(device)
        return device if geometry is None else dataclasses.replace(device, partitions=geometry.to_dict())

    def _failed(self, uuid: str, reason: str) -> Device:
        """Return a device that NVML does not answer for."""
        known = self._known[uuid]
        self._conditions.pop(uuid, None)
        if known.device is None:  # remembered from before a restart
            known.device = Device(
                id=describe.device_id(uuid), driver='nvidia', vendor='nvidia',
                model=known.identity['name'].removeprefix('NVIDIA '), memory=known.identity['memory'],
                pci_address=_pci(known.identity['bus_id']), numa_node=known.identity['numa_node'],
                options={'uuid': uuid})
        known.device = dataclasses.replace(known.device, health=Health.FAILED, health_reason=reason[:255])
        return known.device

    def _forget(self, seen: set[str]) -> None:
        """Drop the devices that were taken out."""
        for uuid in self._known.keys() - seen:
            LOG.warning('The device %s of %s was removed', self._known[uuid].identity['name'], self._host)
            del self._known[uuid]
            self._conditions.pop(uuid, None)

    def _read(self) -> dict[str, Known]:
        try:
            content = json.loads(self._file.read_text())
            return {uuid: Known(one['identity'], [health.Ailment.from_dict(each) for each in one['ailments']],
                                ecc=one.get('ecc')) for uuid, one in content.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            LOG.error('%s is damaged and is made anew; what ailed the devices is forgotten: %s', self._file, error)
            return {}

    def _write(self) -> None:
        content = json.dumps({uuid: {
            'identity': known.identity, 'ailments': [dataclasses.asdict(one) for one in known.ailments],
            'ecc': known.ecc}
            for uuid, known in self._known.items()})
        if getattr(self, '_written', None) == content:
            return
        fresh = self._file.with_name(self._file.name + '.new')
        fresh.write_text(content)
        os.replace(fresh, self._file)
        self._written = content


def _pci(bus_id: str) -> str:
    """Return a PCI address as the kernel writes it: four digits of domain, lower case."""
    domain, rest = bus_id.lower().split(':', 1)
    return f'{domain[-4:]}:{rest}'
