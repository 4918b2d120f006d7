# SPDX-License-Identifier: Apache-2.0
"""What nvidia-smi lists beside what ``-q -x`` tells: what is near a device, its MIG devices, its vGPU types.  Pure."""

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

from accelpool.types import Device
from tests.hardware.smi import ABSENT, Said, measure

#: Characters of a list of CPUs that ``topo -m`` may have cut: it writes 0,2,4,6,8,10 for every even CPU.
CUT = 10


@dataclasses.dataclass(frozen=True)
class Near:
    """A device's row of ``topo -m``: how many NVLinks join it to others, by their index, and its CPUs and NUMA nodes."""

    links: dict[int, int]
    cpus: str
    nodes: str


def topology(matrix: str) -> dict[int, Near]:
    """Return the rows of ``topo -m`` by the devices' indices."""
    lines = [[cell.strip() for cell in re.sub(r'\x1b\[\d*m', '', line).split('\t')] for line in matrix.splitlines()]
    head = next(cells for cells in lines if 'GPU0' in cells[1:])
    found = {}
    for cells in lines:
        if re.fullmatch(r'GPU\d+', cells[0]):
            row = dict(zip(head, cells, strict=False))
            found[int(cells[0][3:])] = Near(
                {int(name[3:]): int(cell[2:]) for name, cell in row.items()
                 if re.fullmatch(r'GPU\d+', name) and re.fullmatch(r'NV\d+', cell)},
                row.get('CPU Affinity', ''), row.get('NUMA Affinity', ''))
    return found


def near(row: Near, device: Device, identity: Mapping[str, Any], others: Mapping[int, Mapping[str, Any]]) -> dict[str, Said]:
    """Return what ``topo -m`` tells of a device.

    :param identity: of the device
    :param others: of the other devices, by index
    """
    links = {index: count for index, other in others.items() if (count := _links(identity['links'], other))}
    found = {'NVLinks': Said(row.links, links, row.links == links)}
    if row.nodes not in {'', *ABSENT}:
        nodes = _numbers(row.nodes)
        node = nodes[0] if len(nodes) == 1 else None  # 0-1: near to none
        found['NUMA node'] = Said(row.nodes, device.numa_node, node == device.numa_node)
    if row.cpus not in {'', *ABSENT}:
        theirs, ours = _numbers(row.cpus), _numbers(device.options['cpus'] or '')
        found['CPU affinity'] = Said(row.cpus, device.options['cpus'],
                                     theirs == (ours[:len(theirs)] if len(row.cpus) >= CUT else ours))
    return found


def partitions(gpu: Element, listing: str, identity: Mapping[str, Any], instances: Iterable[Mapping[str, Any]]) -> dict[str, Said]:
    """Return what ``-q -x`` and ``-L`` tell of a device's MIG devices.

    :param gpu: the device's part of ``-q -x``
    :param listing: ``-L``
    :param identity: what the device is
    :param instances: what the inventory saw on it
    """
    profiles = {one['name']: one for one in identity['profiles']}
    named, ours = {}, {}
    for one in instances:
        for compute in one['computes']:
            whole = compute['size'] >= one['slices']
            named[compute['uuid']] = one['profile'] if whole else f'{compute["size"]}c.{one["profile"]}'
            ours[one['id'], compute['id']] = (profiles[one['profile']]['sms'] if whole else None,
                                              profiles[one['profile']]['memory'])
    theirs = {(measure(one, 'gpu_instance_id'), measure(one, 'compute_instance_id')):
              (measure(one, 'device_attributes/shared/multiprocessor_count'), measure(one, 'fb_memory_usage/total'))
              for one in gpu.findall('mig_devices/mig_device')}
    listed = _listed(listing, identity['uuid'])
    # What instances have is compared, since their numbers say nothing of their profiles; memory as NVML rounds it.
    return {'MIG devices': Said(listed, named, listed == named),
            'MIG instances': Said(theirs, ours, theirs.keys() == ours.keys() and all(
                math.isclose(value, mine, rel_tol=0.02) for key, values in theirs.items()
                for value, mine in zip(values, ours[key], strict=True) if isinstance(value, float) and mine is not None))}


def vgpus(listing: str, device: Device) -> dict[str, Said]:
    """Return what ``vgpu -s -v`` tells of the vGPU types that a device has."""
    theirs: dict[int, dict[str, str]] = {}
    address, kind = '', 0
    for line in listing.splitlines():
        name, _, value = (part.strip() for part in line.partition(' : '))
        if re.fullmatch(r'GPU [\dA-Fa-f:.]+', line.strip()):
            address, kind = line.split()[1].lower()[-12:], 0
        elif name == 'vGPU Type ID':
            kind = int(value, 0)
        if kind and value and address == device.pci_address:
            theirs.setdefault(kind, {})[name] = value
    told = sorted((number, one.get('Name'), one.get('FB Memory'), one.get('Max Instances')) for number, one in theirs.items())
    ours = sorted((one['id'], one['name'], f'{one["memory"]} MiB', str(one['most'])) for one in device.options['vgpus'])
    return {'vGPU types': Said(told, ours, told == ours)}


def _links(links: Sequence[Mapping[str, Any]], other: Mapping[str, Any]) -> int:
    """Return how many of a device's NVLinks lead to another: by themselves, or to switches that both are at."""
    switched = min(sum(bool(link['switch']) for link in links), sum(bool(link['switch']) for link in other['links']))
    return switched or sum(link['remote'] == other['bus_id'] for link in links)


def _listed(listing: str, uuid: str) -> dict[str, str]:
    """Return the MIG devices of a device from ``-L``: UUID -> profile."""
    found, inside = {}, False
    for line in listing.splitlines():
        if line.startswith('GPU '):
            inside = f'(UUID: {uuid})' in line
        elif inside and (match := re.fullmatch(r'\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (\S+)\)', line.rstrip())):
            found[match[2]] = match[1]
    return found


def _numbers(text: str) -> list[int]:
    """Return what is in ``0-15,32``."""
    spans = [part.partition('-') for part in text.split(',') if part]
    return [number for first, _, last in spans for number in range(int(first), int(last or first) + 1)]
