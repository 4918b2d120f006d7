# SPDX-License-Identifier: Apache-2.0
"""Finding chips and watching their health, through DCMI.

A call that does not return in time costs a look one deadline and makes that chip failed.
"""

import dataclasses
import json
import os
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from oslo_log import log as logging

from accelpool import errors
from accelpool.drivers import base, programs, vendor
from accelpool.drivers.ascend import describe, remedies
from accelpool.drivers.ascend.mdev import VnpuMdev
from accelpool.partitions import Geometry
from accelpool.types import Device, Health, Isolation

LOG = logging.getLogger(__name__)



class DcmiError(vendor.VendorError):
    """DCMI answered with an error; ``number`` is DCMI's."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(number, f'{text}: {remedies.remedy(number)}')


class Smi:
    """npu-smi, asked like DCMI."""

    def __init__(self, channel: vendor.Channel, program: str) -> None:
        self.channel = channel
        self._program = program

    def ask(self, call: str, *arguments: Any) -> Any:
        """:raises DriverError: it refused, is not there, or did not answer in time"""
        return self.channel.ask(call, self._program, *arguments)


class AscendInventory(base.Inventory):
    """The Ascend chips of this host."""

    def __init__(self, host: str, channel: vendor.Channel, smi: Smi, mdev: VnpuMdev, file: pathlib.Path, *,
                 sysfs: pathlib.Path, vnpu_mode: str | None, ours: Callable[[str], Mapping[Any, str]],
                 isolations: Callable[[str], set[str]], retry_interval: float, drain_foreign: bool,
                 program_of: Callable[[int], str] = programs.program) -> None:
        """
        :param host: its name
        :param channel: to DCMI
        :param smi: asked for templates, and for everything where there is no DCMI
        :param mdev: finds the vNPUs of VMs
        :param file: remembers the chips, so that one that is lost while the conductor restarts is failed, not missing
        :param vnpu_mode: container or vm: what the host's vNPUs are to be for; None: it stays as it is
        :param sysfs: where it is mounted
        :param ours: gives the vNPUs that the pool made on a device: number (UUID of those for VMs) -> template
        :param isolations: gives the isolations of the slices that a device carries
        """
        self._host = host
        self._channel = channel
        self._smi = smi
        self._mdev = mdev
        self._file = file
        self._vnpu_mode = vnpu_mode
        self._source: vendor.Channel | Smi = channel
        self._offered: dict[int, dict[str, list[int]] | None] = {}
        self._lists_templates = True
        self._sysfs = sysfs
        self._ours = ours
        self._isolations = isolations
        self._retry = retry_interval
        self._drain_foreign = drain_foreign
        self._program = program_of
        self._written = ''
        self._known = self._read()
        self._identities: dict[tuple[int, int], dict[str, Any]] = {}
        self._conditions: dict[str, dict[str, Any]] = {}
        self._asked_again: dict[tuple[int, int], float] = {}
        self._trouble: str | None = None
        self._recover: bool | None = None
        self._recover_again = 0.0
        self._fabric_again = 0.0
        self._fabric: tuple[tuple[str, ...], dict[str, str]] = ((), {})

    def discover(self) -> list[Device]:
        self._conditions = {}
        try:
            host = self._host_of()
        except errors.DriverError as error:
            return self._without_driver(error)
        self._trouble = None
        present = [(card, chip) for card, chip in host['chips']]
        host['waits'] = self._switch(host, present)
        host['recover'] = self._recovers()
        found = []
        for place in present:
            try:
                device = self._look(place, host)
            except errors.DriverError as error:
                device = self._failed(place, error)
            if device is not None:
                self._known[place] = device
                found.append(device)
        found += self._lost(set(present), {device.id for device in found})
        self._write()
        domains = self._domains(present)
        return [dataclasses.replace(device, fabric=None if self._is_split(device) else domains.get(
            device.pci_address or '')) for device in found]

    def _is_split(self, device: Device) -> bool:
        """Whether a chip carries vNPUs, which have no part in collectives."""
        return device.options.get('split', False) or Isolation.PARTITION in self._isolations(device.id)

    def _lost(self, present: set[tuple[int, int]], found: set[str]) -> list[Device]:
        """Return the chips that DCMI lists no more and that are still on the PCI bus; forget those taken out."""
        lost = []
        for place in sorted(self._known.keys() - present):
            device = self._known[place]
            if device.id not in found and (self._sysfs / 'bus/pci/devices' / str(device.pci_address)).exists():
                lost.append(self._as_failed(device, 'the driver lists it no more, though it is on the PCI bus: reset '
                                                    'it (npu-smi set -t reset), or restart the host'))
            else:
                del self._known[place]
                self._identities.pop(place, None)
        return lost

    def _switch(self, host: dict[str, Any], present: list[tuple[int, int]]) -> str | None:
        """Give the host the vNPU mode that the operator wants; return why that has to wait."""
        wanted = self._vnpu_mode
        if wanted is None or host['mode'] is None or host['mode'] == (wanted == 'vm'):
            return None
        try:
            there = [place for place in present if self._source.ask('condition', *place)['vdevices']
                     or self._mdev.present(self._identity(place)['pci'])]
            if there:
                cards = ', '.join(str(card) for card in sorted({card for card, _ in there}))
                return (f'[ascend] vnpu_mode wants vNPUs for {wanted}, and the host cannot change while there are '
                        f'others (card {cards}): destroy them')
            self._channel.ask('set_mode', int(wanted == 'vm'))
        except errors.DriverError as error:
            return f'[ascend] vnpu_mode wants vNPUs for {wanted}: {error.detail}'
        host['mode'] = int(wanted == 'vm')
        return None

    def _recovers(self) -> bool | None:
        """Return whether vNPUs outlive a restart of the host; no chip suffers when DCMI has to wait for its file."""
        if time.monotonic() >= self._recover_again:
            try:
                self._recover = self._source.ask('recover')
            except errors.DriverError:
                self._recover_again = time.monotonic() + self._retry
        return self._recover

    def _host_of(self) -> dict[str, Any]:
        """Ask DCMI, and npu-smi only where there is no DCMI.

        :raises DriverError: neither answers
        """
        try:
            found: dict[str, Any] = self._channel.ask('host')
            self._source = self._channel
        except DcmiError as missing:
            if missing.number != remedies.NOT_FOUND:
                raise
            try:
                found = self._smi.ask('host')
            except DcmiError as error:
                raise (missing if error.number == remedies.NOT_FOUND else error) from None
            self._source = self._smi
        return found

    def _templates(self, card: int) -> dict[str, list[int]] | None:
        """Return the templates that npu-smi lists; None where it cannot."""
        if card not in self._offered and self._lists_templates:
            try:
                self._offered[card] = self._smi.ask('templates', card) or None
            except DcmiError as error:
                self._offered[card] = None
                self._lists_templates = error.number != remedies.NOT_FOUND
            except errors.DriverError as error:
                LOG.warning('The table of vNPU templates counts, because npu-smi does not tell: %s', error.detail)
                self._lists_templates = False
        return self._offered.get(card)

    def metrics(self) -> dict[str, dict[str, float]]:
        names = {'temperature': 'temperature_celsius', 'power_watts': 'power_watts',
                 'utilization': 'utilization_percent', 'memory_used': 'memory_used_mib'}
        total = {device.id: device.memory for device in self._known.values()}
        return {device: {
            **{name: float(seen[key]) for key, name in names.items() if seen[key] is not None},
            'memory_free_mib': float(total[device] - seen['memory_used'])}
            for device, seen in self._conditions.items() if device in total}

    def _without_driver(self, error: errors.DriverError) -> list[Device]:
        """A host without the library has no such devices; one that had some has failed ones."""
        if error.detail != self._trouble:
            missing = isinstance(error, DcmiError) and error.number == remedies.NOT_FOUND and not self._known
            (LOG.info if missing else LOG.error)('Ascend devices cannot be used: %s', error.detail)
        self._trouble = error.detail
        return [self._as_failed(device, error.detail) for device in self._known.values()]

    def _look(self, place: tuple[int, int], host: dict[str, Any]) -> Device | None:
        """Read a chip; None when it is absent.

        :raises DriverError: it does not answer, or not soundly
        """
        if time.monotonic() < self._asked_again.get(place, 0.0):
            raise errors.DriverError('DCMI did not answer for it; it is asked again soon')
        try:
            identity = self._identity(place)
            seen = self._source.ask('condition', *place)
        except vendor.Hung:
            self._asked_again[place] = time.monotonic() + self._retry
            raise
        if seen['health'] == describe.ABSENT or 'vir' in identity['name']:  # or we are inside a vNPU
            return None
        device_id = describe.device_id(identity['die'])
        self._conditions[device_id] = seen
        health, reason = describe.verdict(seen['health'], seen['errors'], self._foreign(device_id, seen))
        mode = self._mode(host, identity)
        refused = describe.no_vnpus(identity, mode) or host['waits']
        geometry = None if refused else self._geometry(mode, identity, seen)
        ours = self._ours(device_id)
        split = any(not describe.is_ours(one, ours) for one in seen['vdevices']) or not self._mdev.present(
            identity['pci']) <= ours.keys()
        return Device(
            id=device_id, driver='ascend', vendor='huawei', model=describe.model(identity), memory=identity['memory'],
            traits=describe.traits(identity), pci_address=identity['pci'],
            numa_node=describe.numa_node(identity['cpus'], self._numa_nodes()), health=health, health_reason=reason,
            partitions=None if geometry is None else geometry.to_dict(),
            options={'card': place[0], 'chip': place[1], 'die': identity['die'], 'logic_id': identity['logic'],
                     'phy_id': identity['physical'], 'aicore': identity['aicore'],
                     'aicpu': seen['capacity'] and seen['capacity']['aicpu'], 'pci_id': identity['pci_id'],
                     'cpus': identity['cpus'], 'driver': host['driver'], 'dcmi': host['dcmi'],
                     'split': split, 'no_vnpus': refused, 'vnpu_mode': mode, 'vnpu_recover': host['recover'],
                     'vnpus': [{name: one[name] for name in ('id', 'template', 'group')} for one in seen['vdevices']]})

    def _identity(self, place: tuple[int, int]) -> dict[str, Any]:
        if place not in self._identities:
            self._identities[place] = self._source.ask('identity', *place)
        return self._identities[place]

    def _mode(self, host: dict[str, Any], identity: dict[str, Any]) -> str:
        """Return what vNPUs are for; a driver that does not say (950) has those for VMs when the kernel offers them."""
        vm = bool(self._mdev.functions(identity['pci'])) if host['mode'] is None else bool(host['mode'])
        return 'vm' if vm else 'container'

    def _geometry(self, mode: str, identity: dict[str, Any], seen: dict[str, Any]) -> Geometry | None:
        ours = self._ours(describe.device_id(identity['die']))
        if mode == 'vm':
            return self._mdev.vnpus(identity['pci'], identity['aicore'], identity['memory'], ours)
        offered = self._templates(identity['card']) if seen['capacity'] else None
        return describe.geometry(identity, seen, ours, offered)

    def _domains(self, present: list[tuple[int, int]]) -> dict[str, str]:
        """Return PCI address -> fabric domain; asked anew only when other chips are there than before."""
        places = [place for place in present if place in self._identities]
        addresses = tuple(self._identities[place]['pci'] for place in places)
        if addresses != self._fabric[0] and time.monotonic() >= self._fabric_again:
            try:
                pairs = self._source.ask('islands', places) or []
            except errors.DriverError as error:
                self._fabric_again = time.monotonic() + self._retry
                LOG.warning('Which chips reach each other is not known now: %s', error.detail)
                return self._fabric[1]
            self._fabric = addresses, describe.islands(self._host, addresses, pairs)
        return self._fabric[1]

    def _numa_nodes(self) -> dict[int, str]:
        return {int(path.parent.name.removeprefix('node')): path.read_text()
                for path in self._sysfs.glob('devices/system/node/node*/cpulist')}

    def _foreign(self, device_id: str, seen: dict[str, Any]) -> tuple[int, ...]:
        """Return the processes that are not the pool's; a whole chip and its vNPUs are their consumers' own."""
        if not self._drain_foreign or self._isolations(device_id) & {Isolation.WHOLE, Isolation.PARTITION}:
            return ()
        return tuple(sorted(pid for pid in seen['processes'] if self._program(pid) != programs.WORKER))

    def _failed(self, place: tuple[int, int], error: errors.DriverError) -> Device | None:
        known = self._known.get(place)
        if known is None:
            LOG.warning('The chip %d of card %d is left out: %s', place[1], place[0], error.detail)
            return None
        return self._as_failed(known, error.detail)

    def _read(self) -> dict[tuple[int, int], Device]:
        try:
            self._written = self._file.read_text()
            return {(one['card'], one['chip']): Device.from_dict(one['device']) for one in json.loads(self._written)}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            LOG.error('%s is damaged and is made anew: %s', self._file, error)
            return {}

    def _write(self) -> None:
        content = json.dumps([{'card': card, 'chip': chip, 'device': device.to_dict()}
                              for (card, chip), device in sorted(self._known.items())])
        if content != self._written:
            fresh = self._file.with_name(self._file.name + '.new')
            fresh.write_text(content)
            os.replace(fresh, self._file)
            self._written = content

    @staticmethod
    def _as_failed(device: Device, reason: str) -> Device:
        return Device.from_dict({**device.to_dict(), 'health': Health.FAILED, 'health_reason': reason[:255]})
