# SPDX-License-Identifier: Apache-2.0
"""What ``nvidia-smi -q -x`` says of a device against what the inventory says.  Pure.

A field that a driver's nvidia-smi does not have is not compared: its elements come, go and are renamed.
"""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

from accelpool.types import Device

#: NVML_GPU_VIRTUALIZATION_MODE_...
VIRTUALIZATION = ('NONE', 'PASSTHROUGH', 'VGPU', 'HOSTVGPU', 'HOSTVSGA')
#: What a device does not have.
ABSENT = {'N/A', '[N/A]', '[Not Supported]'}
#: The limit that is in force: of drivers since 535, and before.
POWER_LIMITS = ('gpu_power_readings/current_power_limit', 'power_readings/enforced_power_limit')


def differences(said: Element, gpu: Element, capability: str | None, device: Device) -> dict[str, tuple[Any, Any]]:
    """Return what is not equal: field -> what nvidia-smi says, what the inventory says.

    :param said: the whole answer
    :param gpu: the device's part of it
    :param capability: ``--query-gpu=compute_cap`` of the device; None where nvidia-smi does not know it (before 510)
    """
    found = dict(_fields(said, gpu, device))
    if capability is not None:
        found['compute capability'] = (capability, device.options['cc'])
    return {name: (theirs, ours) for name, (theirs, ours) in found.items() if theirs != ours}


def compared(said: Element, gpu: Element, device: Device) -> set[str]:
    """Return the names of the fields that :func:`differences` has compared, beside the compute capability."""
    return {name for name, _ in _fields(said, gpu, device)}


def traits(said: Element, gpu: Element, capability: str | None) -> tuple[set[str], set[str]]:
    """Return the traits that a device must have, and those that it must not have.

    :param capability: ``--query-gpu=compute_cap`` of the device; None where nvidia-smi does not know it
    """
    mig = _text(gpu, 'mig_mode/current_mig')
    states = {
        'CUSTOM_GPU_ECC': _text(gpu, 'ecc_mode/current_ecc') == 'Enabled',
        'CUSTOM_GPU_MIG_ENABLED': mig == 'Enabled', 'CUSTOM_GPU_MIG_CAPABLE': mig == 'Disabled',
        'CUSTOM_GPU_VGPU': _text(gpu, 'gpu_virtualization_mode/virtualization_mode') == 'Host VGPU'}
    has = {'CUSTOM_NVIDIA', 'CUSTOM_GPU_API_CUDA',
           f'CUSTOM_GPU_CUDA_SDK_V{_text(said, "cuda_version").replace(".", "_")}',
           'CUSTOM_' + re.sub(r'[\W_]+', '_', _text(gpu, 'product_name').upper()).strip('_')}
    if capability is not None and tuple(map(int, capability.split('.'))) > (7, 2):  # the earlier ones are among os-traits
        has.add(f'CUSTOM_GPU_CUDA_COMPUTE_CAPABILITY_V{capability.replace(".", "_")}')
    if text := _text(gpu, 'product_architecture'):
        has.add(f'CUSTOM_NVIDIA_{text.split()[0].upper()}')
    return has | {name for name, on in states.items() if on}, {name for name, on in states.items() if not on}


def joined(matrix: str) -> dict[int, set[int]]:
    """Return which devices NVLinks join to which, by the matrix of ``nvidia-smi topo -m``: index -> indices."""
    lines = [re.sub(r'\x1b\[\d*m', '', line).split('\t') for line in matrix.splitlines()]
    head = next(cells for cells in lines if 'GPU0' in [cell.strip() for cell in cells[1:]])
    columns = {number: int(cell.strip()[3:]) for number, cell in enumerate(head) if re.fullmatch(r'GPU\d+', cell.strip())}
    return {int(cells[0].strip()[3:]): {columns[number] for number, cell in enumerate(cells)
                                        if number in columns and cell.strip().startswith('NV')}
            for cells in lines if re.fullmatch(r'GPU\d+', cells[0].strip())}


def number(gpu: Element, *paths: str) -> float:
    """Return the number of the first of these elements that has one; 0 where nothing is told."""
    return next((found for found in (_number(gpu, path) for path in paths) if isinstance(found, float)), 0.0)


def _fields(said: Element, gpu: Element, device: Device) -> Iterator[tuple[str, tuple[Any, Any]]]:
    options = device.options
    for name, text, ours in (
            ('driver', _text(said, 'driver_version'), options['driver']),
            ('CUDA', _text(said, 'cuda_version'), options['cuda']),
            ('address', gpu.get('id', '').lower()[-12:], device.pci_address),
            ('model', _text(gpu, 'product_name').removeprefix('NVIDIA '), device.model),
            ('serial', _text(gpu, 'serial'), options['serial']),
            ('minor', _number(gpu, 'minor_number'), options['minor']),
            ('memory', _number(gpu, 'fb_memory_usage/total'), device.memory),
            ('SM clock', _number(gpu, 'max_clocks/sm_clock'), options['clock_max']),
            ('memory clock', _number(gpu, 'max_clocks/mem_clock'), options['memory_clock_max']),
            ('power limit', next(filter(None, (_number(gpu, path) for path in POWER_LIMITS)), ''),
             _hundredth(options['power_limit_watts']))):
        if text != '':
            yield name, (None if text in ABSENT else text, ours)
    for name, path, mine in (('ECC', 'ecc_mode/current_ecc', 'ecc'), ('MIG', 'mig_mode/current_mig', 'mig'),
                             ('persistence', 'persistence_mode', 'persistence')):
        if text := _text(gpu, path):
            yield name, (text == 'Enabled', options[mine])
    if text := _text(gpu, 'mig_mode/current_mig'):
        yield 'MIG capability', (text not in ABSENT, options['mig_capable'])
    if text := _text(gpu, 'product_architecture'):  # Ada Lovelace
        yield 'architecture', (text.split()[0].lower(), options['architecture'])
    if text := _text(gpu, 'gpu_virtualization_mode/virtualization_mode'):
        number = options['virtualization']
        yield 'virtualization', (''.join(filter(str.isalpha, text)).upper() if text not in ABSENT else None,
                                 None if number is None else VIRTUALIZATION[number])


def _hundredth(watts: float | None) -> float | None:
    """Return a power as exactly as nvidia-smi writes it."""
    return None if watts is None else round(watts, 2)


def _text(element: Element, path: str) -> str:
    """Return an element's text; empty where it is not there or says that it is no more."""
    text = (element.findtext(path) or '').strip()
    return '' if 'deprecated' in text.lower() else text


def _number(element: Element, path: str) -> float | str:
    """Return the number of ``123.00 W``, or what stands there instead of one."""
    text = _text(element, path)
    try:
        return float(text.split()[0]) if text else ''
    except ValueError:
        return text
