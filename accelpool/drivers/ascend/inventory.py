# SPDX-License-Identifier: Apache-2.0
"""Finding chips and watching their health, through DCMI.

A call that does not return in time costs a look one deadline and makes that chip failed.
"""

import dataclasses
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

from oslo_log import log as logging

from accelpool import errors
from accelpool.drivers import base, vendor
from accelpool.drivers.ascend import describe
from accelpool.types import Device, Health, Isolation

LOG = logging.getLogger(__name__)

NOT_FOUND = -1
#: DCMI's error numbers and what an operator should do about them.
REMEDIES = {
    -1: 'install the Ascend driver, name the directory in [ascend] dcmi_dir, or take ascend out of [conductor] drivers',
    -8002: 'permission denied: run the conductor as root',
    -8005: 'the kernel modules of the Ascend driver do not answer: load them, or restart the host',
    -8012: 'the driver is not ready: wait until it has started (npu-smi info), or restart the host',
    -8013: 'the driver refuses this in a container: run the conductor on the host',
    -8017: 'the firmware is being upgraded: it is asked again until that is done',
    -8020: 'it is in use, or the host\'s vNPU mode is for VMs (npu-smi info -t vnpu-mode)',
    -8255: 'the chip or its driver does not support it',
}

#: What serves sessions: a process of that name on a chip belongs to the pool.
WORKER = 'accelpool-worker'


class DcmiError(vendor.VendorError):
    """DCMI answered with an error; ``number`` is DCMI's."""

    def __init__(self, number: int, text: str) -> None:
        remedy = REMEDIES.get(number)
        super().__init__(number, f'{text}: {remedy}' if remedy else text)


def program(pid: int) -> str:
    """Return the name of a process's program; empty when it has gone."""
    try:
        return os.path.basename(os.readlink(f'/proc/{pid}/exe'))
    except OSError:
        return ''


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

    def __init__(self, host: str, channel: vendor.Channel, smi: Smi, *, sysfs: pathlib.Path, ours: Callable[[str], set[int]],
                 isolations: Callable[[str], set[str]], retry_interval: float, drain_foreign: bool,
                 program_of: Callable[[int], str] = program) -> None:
        """
        :param host: its name
        :param channel: to DCMI
        :param smi: asked for templates, and for everything where there is no DCMI
        :param sysfs: where it is mounted
        :param ours: gives the ids of the vNPUs that the pool made on a device
        :param isolations: gives the isolations of the slices that a device carries
        """
        self._host = host
        self._channel = channel
        self._smi = smi
        self._source: vendor.Channel | Smi = channel
        self._offered: dict[int, dict[str, list[int]] | None] = {}
        self._lists_templates = True
        self._sysfs = sysfs
        self._ours = ours
        self._isolations = isolations
        self._retry = retry_interval
        self._drain_foreign = drain_foreign
        self._program = program_of
        self._known: dict[tuple[int, int], Device] = {}
        self._identities: dict[tuple[int, int], dict[str, Any]] = {}
        self._conditions: dict[str, dict[str, Any]] = {}
        self._asked_again: dict[tuple[int, int], float] = {}
        self._trouble: str | None = None
        self._fabric: tuple[tuple[str, ...], dict[str, str]] = ((), {})

    def discover(self) -> list[Device]:
        self._conditions = {}
        try:
            host = self._host_of()
        except errors.DriverError as error:
            return self._without_driver(error)
        self._trouble = None
        present = [(card, chip) for card, chip in host['chips']]
        found = []
        for place in present:
            try:
                device = self._look(place, host)
            except errors.DriverError as error:
                device = self._failed(place, error)
            if device is not None:
                self._known[place] = device
                found.append(device)
        for place in self._known.keys() - set(present):  # taken out
            del self._known[place]
        return [dataclasses.replace(device, fabric=self._domains(present).get(device.pci_address or ''))
                for device in found]

    def _host_of(self) -> dict[str, Any]:
        """Ask DCMI, and npu-smi only where there is no DCMI.

        :raises DriverError: neither answers
        """
        try:
            found: dict[str, Any] = self._channel.ask('host')
            self._source = self._channel
        except DcmiError as missing:
            if missing.number != NOT_FOUND:
                raise
            try:
                found = self._smi.ask('host')
            except DcmiError as error:
                raise (missing if error.number == NOT_FOUND else error) from None
            self._source = self._smi
        return found

    def _templates(self, card: int) -> dict[str, list[int]] | None:
        """Return the templates that npu-smi lists; None where it cannot."""
        if card not in self._offered and self._lists_templates:
            try:
                self._offered[card] = self._smi.ask('templates', card) or None
            except DcmiError as error:
                self._offered[card] = None
                self._lists_templates = error.number != NOT_FOUND
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
            missing = isinstance(error, DcmiError) and error.number == NOT_FOUND and not self._known
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
            identity = self._identities.get(place)
            if identity is None:
                identity = self._identities[place] = self._source.ask('identity', *place)
            seen = self._source.ask('condition', *place)
        except vendor.Hung:
            self._asked_again[place] = time.monotonic() + self._retry
            raise
        if seen['health'] == describe.ABSENT or 'vir' in identity['name']:  # or we are inside a vNPU
            return None
        device_id = describe.device_id(identity['die'])
        self._conditions[device_id] = seen
        health, reason = describe.verdict(seen['health'], seen['errors'], self._foreign(device_id, seen))
        geometry = None if host['mode'] else describe.geometry(
            identity, seen, self._ours(device_id), self._templates(place[0]) if seen['capacity'] else None)
        return Device(
            id=device_id, driver='ascend', vendor='huawei', model=describe.model(identity), memory=identity['memory'],
            traits=describe.traits(identity), pci_address=identity['pci'],
            numa_node=describe.numa_node(identity['cpus'], self._numa_nodes()), health=health, health_reason=reason,
            partitions=None if geometry is None else geometry.to_dict(),
            options={'card': place[0], 'chip': place[1], 'die': identity['die'], 'logic_id': identity['logic'],
                     'phy_id': identity['physical'], 'aicore': identity['aicore'], 'pci_id': identity['pci_id'],
                     'cpus': identity['cpus'], 'driver': host['driver'], 'dcmi': host['dcmi'],
                     'split': any(one['id'] not in self._ours(device_id) for one in seen['vdevices']),
                     'vnpu_mode': 'vm' if host['mode'] else 'container'})

    def _domains(self, present: list[tuple[int, int]]) -> dict[str, str]:
        """Return PCI address -> fabric domain; asked anew only when other chips are there than before."""
        places = [place for place in present if place in self._identities]
        addresses = tuple(self._identities[place]['pci'] for place in places)
        if addresses != self._fabric[0]:
            try:
                pairs = self._source.ask('islands', places) or []
            except errors.DriverError as error:
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
        return tuple(sorted(pid for pid in seen['processes'] if self._program(pid) != WORKER))

    def _failed(self, place: tuple[int, int], error: errors.DriverError) -> Device | None:
        known = self._known.get(place)
        if known is None:
            LOG.warning('The chip %d of card %d is left out: %s', place[1], place[0], error.detail)
            return None
        return self._as_failed(known, error.detail)

    @staticmethod
    def _as_failed(device: Device, reason: str) -> Device:
        return Device.from_dict({**device.to_dict(), 'health': Health.FAILED, 'health_reason': reason[:255]})
