# SPDX-License-Identifier: Apache-2.0
"""From DCMI's words to the pool's: names, traits, health, vNPU templates.  Pure."""

import functools
import pathlib
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from accelpool.drivers.ascend import faults
from accelpool.partitions import Geometry, Span, Template
from accelpool.types import Health

#: Ids of chips are derived from their die ids, which are not UUIDs.
NAMESPACE = uuid.UUID('c0a1f8b2-6f0e-4d0b-9f53-2d2f7f0f3b61')
#: DCMI's health of a chip that is not there.
ABSENT = 0xffffffff
#: PCI ids of Huawei's chips whose DCMI name does not tell them apart.
A310B = '19e5:d105'
A3 = '19e5:d803'
A5 = frozenset({'19e5:d806', '19e5:d808'})
#: vNPUs of a chip, at most, whatever it is.
MOST_VNPUS = 16
#: Of the name of a vNPU's template DCMI tells so many characters.
NAME = 15


def device_id(die: str) -> str:
    return str(uuid.uuid5(NAMESPACE, die))


def model(identity: Mapping[str, Any]) -> str:
    """Return the chip's name as people know it: ``Ascend 910B3``."""
    name: str = identity['name'].removeprefix('Ascend')
    return f'Ascend {name}' + (' (A3)' if identity['pci_id'] == A3 else '')


def traits(identity: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a chip's traits: what it speaks, its family and its very name.  os-traits has none for NPUs."""
    name = re.sub(r'[^A-Z0-9]+', '_', identity['name'].removeprefix('Ascend').upper()).strip('_')
    family = re.match(r'310P|310B|310|910B|910|950', name)
    found = {'CUSTOM_NPU_API_ACL', 'CUSTOM_ASCEND', f'CUSTOM_ASCEND_{name}'}
    if family is not None:
        found.add('CUSTOM_ASCEND_A3' if identity['pci_id'] == A3 else f'CUSTOM_ASCEND_{family[0]}')
    return tuple(sorted(found))


def islands(host: str, addresses: Sequence[str], pairs: Sequence[Sequence[int]]) -> dict[str, str]:
    """Return PCI address -> fabric domain of the chips that reach each other over HCCS, directly or through others.

    A chip that reaches nobody is in no domain.  A domain is named after the host and its lowest PCI address.

    :param pairs: places in ``addresses`` that are joined
    """
    lowest = {address: address for address in addresses}

    def root(address: str) -> str:
        while lowest[address] != address:
            address = lowest[address]
        return address

    for one, other in pairs:
        first, second = sorted((root(addresses[one]), root(addresses[other])))
        lowest[second] = first
    joined = {addresses[place] for pair in pairs for place in pair}
    return {address: f'{host}/hccs-{root(address)}' for address in joined}


def numa_node(cpus: str | None, nodes: Mapping[int, str]) -> int | None:
    """Return the NUMA node with all CPUs that are near a chip; None when there is not one such.

    :param cpus: a list as the kernel writes it (``0-23,96-119``)
    :param nodes: such lists by node
    """
    near = _cpus(cpus or '')
    return next((node for node, text in nodes.items() if near and near <= _cpus(text)), None)


def _cpus(text: str) -> set[int]:
    found: set[int] = set()
    for piece in filter(None, text.strip().split(',')):
        first, _, last = piece.partition('-')
        found |= set(range(int(first), int(last or first) + 1))
    return found


def no_vnpus(identity: Mapping[str, Any], mode: str) -> str | None:
    """Return why the hardware refuses to split a chip; None when it may be split.

    :param mode: what the host's vNPUs are for: container or vm
    """
    name, pci = identity['name'].removeprefix('Ascend'), identity['pci_id']
    if pci == '19e5:d100' or name == '310':
        return 'an Ascend 310 has no vNPUs'
    if pci == A310B or name.startswith('310B'):
        return 'an Ascend 310B has no vNPUs'
    if identity['smp']:
        return 'its card works in SMP mode, in which there are no vNPUs; they need AMP mode'
    if pci == A3 and mode == 'vm':
        return 'an A3 has no vNPUs for VMs'
    if pci in A5 and mode == 'container':
        return 'a 950 has vNPUs for VMs only'
    return None


def verdict(health: int, errors: Sequence[str], foreign: Sequence[int]) -> tuple[Health, str | None]:
    """Return how a chip is, and for the operator why and what to do.

    The error codes say what helps; DCMI's health says how bad it is at least, unless all of the codes are harmless.

    :param health: DCMI's: 0 well, 1 minor, 2 major, 3 critical alarm
    """
    alarm = f'{("", "minor", "major", "critical")[min(health, 3)]} alarm ' if health else ''
    found = faults.verdict(errors)
    if found is not None and found[1] is not None:
        worse = Health.FAILED if health >= 2 else found[0]
        return worse, f'{alarm}{found[1]}'
    codes = f'({", ".join(errors)})' if errors else ''
    if health >= 2:
        return Health.FAILED, (f'{alarm}{codes}'.strip() + ': end the programs on it and reset it '
                               '(npu-smi set -t reset); npu-smi info -t health tells more')
    if health == 1 and not (found and all(code in faults.actions() for code in errors)):
        return Health.DEGRADED, f'{alarm}{codes}'.strip() + ': npu-smi info -t health tells more'
    if foreign:
        named = ', '.join(map(str, foreign[:4]))
        return Health.DEGRADED, f'used by processes outside the pool ({named}): end them, or disable the device'
    return Health.OK, None


@functools.cache
def _sets() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(pathlib.Path(__file__).with_name('vnpu.yaml').read_text())
    return found


@functools.cache
def rare() -> frozenset[str]:
    """Return the templates, of whatever chip, that only a request that names one gets."""
    return frozenset(name for one in _sets() for name in one.get('named', {}))


def is_of(vdevice: Mapping[str, Any], template: str) -> bool:
    """Return whether a vNPU has a template; one whose driver does not tell may have any."""
    return vdevice['template'] in ('', template[:NAME])


def is_ours(vdevice: Mapping[str, Any], ours: Mapping[Any, str]) -> bool:
    """Return whether the pool made a vNPU: its number alone does not say so, it is given again.

    :param ours: number -> template
    """
    return vdevice['id'] in ours and is_of(vdevice, ours[vdevice['id']])


def geometry(identity: Mapping[str, Any], condition: Mapping[str, Any], ours: Mapping[Any, str],
             offered: Mapping[str, Sequence[int]] | None = None) -> Geometry | None:
    """Return the vNPUs that a chip can have; None when its model has no templates, or its driver cannot.

    Templates that the host offers win over the table.  Of those that the table knows, it says how much memory a vNPU
    gets: what the host lists includes what the driver keeps back.

    :param ours: number -> template of the vNPUs that this driver made; the others are taken for good
    :param offered: rows of the host's templates; None: it was not asked
    """
    capacity = condition['capacity']
    if not capacity:
        return None
    found = next((one for one in _sets() if re.match(one['chip'], identity['name'])
                  and identity['aicore'] == one['aicore'] and identity['memory'] >= one['memory']), None)
    known, rare = (found['templates'], found.get('named', {})) if found else ({}, {})
    rows = {**known, **rare}
    if offered is not None:
        rows = {name: [*row[:3], min(row[3], rows[name][3] if name in rows else row[3])]
                for name, row in offered.items()}
    if not rows:
        return None
    least = found.get('group', 0) if found else 0
    shared = {one['group'] for one in condition['vdevices'] if one['needs']['aicore'] < least} - {None}
    return Geometry(
        templates=tuple(Template(
            name=name, compute=100 * row[0] // identity['aicore'], memory=row[3], special=name in rare,
            needs=_needs(dict(zip(('aicore', 'aicpu', 'jpegd', 'memory'), row, strict=True)), least))
            for name, row in rows.items()),
        capacity={**capacity, 'vnpus': found['vnpus'] if found else MOST_VNPUS,
                  **({'unshared': capacity['aicore'] - least * len(shared)} if least else {})},
        taken=tuple(Span(needs=_needs(one['needs'], least)) for one in condition['vdevices'] if not is_ours(one, ours)))


def _needs(resources: Mapping[str, int], least: int) -> dict[str, int]:
    """Return all that a vNPU takes of a chip.

    ``unshared`` are AI cores outside of the virtual groups that vNPUs share.  One that is too small for a group of its
    own goes into such a group or opens one; what is left of the group when others have gone serves only its like.

    :param least: AI cores of the smallest virtual group; 0: there are no groups
    """
    cores = resources['aicore']
    return {**resources, 'vnpus': 1, **({'unshared': cores} if 0 < least <= cores else {})}
