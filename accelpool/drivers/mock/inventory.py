# SPDX-License-Identifier: Apache-2.0
"""Finding devices: here they are read from configuration, and their health from a file."""

import dataclasses
import json
import pathlib
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from accelpool import errors, units
from accelpool.drivers import base
from accelpool.drivers.mock import passthrough
from accelpool.types import Device, Health

#: Ids are derived, so that the same description gives the same devices after every restart.
NAMESPACE = uuid.UUID('6f3e9c1e-0d0f-4c55-9d5e-7a1f0c6d5b11')

#: What the sensors of an emulated device say: what those of a small card do that has no work.
SENSORS = {'temperature_celsius': 35.0, 'power_watts': 20.0, 'clock_mhz': 1000.0}

#: What an emulated device can do, by the interface that it speaks.
TRAITS = {
    'cuda': ('CUSTOM_EMULATED', 'HW_GPU_API_CUDA'),
    'acl': ('CUSTOM_EMULATED', 'CUSTOM_NPU_API_ACL'),
}


@dataclasses.dataclass(frozen=True)
class Model:
    """One entry of the option ``devices``: some devices of the same kind.  Memory in MiB."""

    name: str
    memory: int
    count: int = 1
    traits: tuple[str, ...] = ()
    numa_node: int | None = None
    fabric: str | None = None
    compute_capability: str = '8.6'
    multiprocessors: int = 16
    attach: str | None = None   # how an instance on its host gets it: pci, mdev; None: it does not
    interface: str = 'cuda'
    soc: str = 'Ascend910B3'    # what AscendCL says that the chip is


def _capability(text: str) -> str:
    major, minor = text.split('.')
    return f'{int(major)}.{int(minor)}'


def _one_of(allowed: Iterable[str]) -> Callable[[str], str]:
    names = tuple(allowed)

    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f'{text!r} is none of {", ".join(names)}')
        return text
    return read


def _soc(text: str) -> str:
    if not text or ';' in text:
        raise ValueError(f'{text!r} is no name of a chip')
    return text


#: What may stand behind model, memory and count, beside traits: the field that it is, and how it is read.
_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    'numa': ('numa_node', int), 'fabric': ('fabric', str), 'cc': ('compute_capability', _capability),
    'sm': ('multiprocessors', int), 'attach': ('attach', _one_of(passthrough.MODES)),
    'api': ('interface', _one_of(TRAITS)), 'soc': ('soc', _soc),
}


def parse(entry: str) -> Model:
    """Read one entry: ``model:memory:count``, then what differs from the defaults.

    That is any of ``:trait=NAME``, ``:numa=N``, ``:fabric=NAME``, ``:cc=MAJOR.MINOR``, ``:sm=N``,
    ``:attach=pci|mdev``, ``:api=cuda|acl`` and ``:soc=NAME``.  A model whose name starts with "npu" speaks AscendCL,
    any other one CUDA, unless ``api`` says so.

    :raises InvalidRequest: it is malformed; the message says what and shows the form
    """
    try:
        name, memory, count, *rest = (part.strip() for part in entry.split(':'))
        values: dict[str, Any] = {'name': name, 'memory': units.mib(memory), 'count': int(count)}
        if name.startswith('npu'):
            values['interface'] = 'acl'
        traits = []
        for part in rest:
            key, _, value = part.partition('=')
            if key == 'trait':
                traits.append(value)
            elif key in _OPTIONS:
                field, read = _OPTIONS[key]
                values[field] = read(value)
            else:
                raise ValueError(f'{key!r} is none of trait, {", ".join(_OPTIONS)}')
        if not name or values['memory'] < 1 or values['count'] < 1 or values.get('multiprocessors', 1) < 1:
            raise ValueError('model must not be empty; memory, count and sm are at least 1')
        return Model(**values, traits=tuple(traits))
    except ValueError as error:
        raise errors.InvalidRequest(
            f'[mock] devices: {entry!r}: {error}.  The form is model:memory:count, for example '
            'gpu-emu:30GiB:2:numa=0', field='devices') from error


def devices(host: str, models: Iterable[Model]) -> list[Device]:
    """Return the devices that a host's configuration describes."""
    found: list[Device] = []
    positions: dict[str, int] = {}
    for model in models:
        for _ in range(model.count):
            position = positions[model.name] = positions.get(model.name, -1) + 1
            # The bus number only has to differ inside the host; 1 keeps clear of the bus of a machine's own.
            found.append(Device(
                id=str(uuid.uuid5(NAMESPACE, f'{host}/{model.name}/{position}')),
                driver='mock', vendor='emulated', model=model.name, memory=model.memory,
                traits=TRAITS[model.interface] + model.traits, numa_node=model.numa_node, fabric=model.fabric,
                pci_address=f'0000:{len(found) + 1:02x}:00.0',
                partitions=passthrough.geometry(model.memory).to_dict() if model.attach == 'mdev' else None,
                options={'cc': model.compute_capability, 'sm': model.multiprocessors, 'interface': model.interface,
                         'soc': model.soc, **({'attach': model.attach} if model.attach else {})},
            ))
    return found


class MockInventory(base.Inventory):
    """The configured devices, as ill as the health file says."""

    def __init__(self, host: str, entries: Iterable[str], health_file: pathlib.Path) -> None:
        """:raises InvalidRequest: the description is malformed"""
        self._devices = devices(host, (parse(entry) for entry in entries))
        self._health_file = health_file

    def discover(self) -> list[Device]:
        report = self._report()
        found = []
        for device in self._devices:
            health, reason = report.get(device.id, (Health.OK, None))
            if health != Health.MISSING:
                found.append(dataclasses.replace(device, health=health, health_reason=reason))
        return found

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return what a device at rest would say, or what the health file does (``metrics``)."""
        return {device.id: {**SENSORS, **self._entry(device.id).get('metrics', {})} for device in self._devices}

    def _entry(self, device_id: str) -> dict[str, Any]:
        try:
            entry = json.loads(self._health_file.read_text()).get(device_id, {})
        except (OSError, ValueError, AttributeError):
            return {}  # discover() says what is wrong with it
        return entry if isinstance(entry, dict) else {}

    def _report(self) -> dict[str, tuple[Health, str | None]]:
        """Read the health file: device id -> health, reason."""
        try:
            content = json.loads(self._health_file.read_text())
            entries = {key: value if isinstance(value, dict) else {'health': value} for key, value in content.items()}
            return {key: (Health(value['health']), value.get('reason')) for key, value in entries.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, KeyError) as error:
            raise errors.DriverError(f'{self._health_file} is not a health report: {error}') from error
