# SPDX-License-Identifier: Apache-2.0
"""What ``nvidia-smi -q -x`` says of a device against what the inventory says.  Pure.

A field that a driver's nvidia-smi does not have is not compared: its elements come, go and are renamed.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from accelpool.types import Device

#: NVML_GPU_VIRTUALIZATION_MODE_...
VIRTUALIZATION = ('NONE', 'PASSTHROUGH', 'VGPU', 'HOSTVGPU', 'HOSTVSGA')
#: What a device does not have.
ABSENT = {'N/A', '[N/A]', '[Not Supported]'}
#: The limit that is in force: of drivers since 535, the place that these are to move it to, and before 535.
POWER_LIMITS = ('gpu_power_readings/current_power_limit', 'gpu_power_readings/gpu_ceiling_power_limit/current_power_limit',
                'power_readings/enforced_power_limit')
#: NVML_COMPUTEMODE_...
COMPUTE_MODES = ('DEFAULT', 'EXCLUSIVETHREAD', 'PROHIBITED', 'EXCLUSIVEPROCESS')


class Said(NamedTuple):
    """What nvidia-smi says of a field, what the inventory says, and whether that is right."""

    theirs: Any
    ours: Any
    right: bool


def wrong(found: Mapping[str, Said]) -> dict[str, tuple[Any, Any]]:
    """Return what is not right, as :func:`differences` does."""
    return {name: (one.theirs, one.ours) for name, one in found.items() if not one.right}


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
    mig = read(gpu, 'mig_mode/current_mig')
    states = {
        'CUSTOM_GPU_ECC': read(gpu, 'ecc_mode/current_ecc') == 'Enabled',
        'CUSTOM_GPU_MIG_ENABLED': mig == 'Enabled', 'CUSTOM_GPU_MIG_CAPABLE': mig == 'Disabled',
        'CUSTOM_GPU_VGPU': read(gpu, 'gpu_virtualization_mode/virtualization_mode') == 'Host VGPU'}
    has = {'CUSTOM_NVIDIA', 'CUSTOM_GPU_API_CUDA', 'CUSTOM_' + re.sub(r'[\W_]+', '_', read(gpu, 'product_name').upper()).strip('_')}
    if capability is not None and tuple(map(int, capability.split('.'))) > (7, 2):  # the earlier ones are among os-traits
        has.add(f'CUSTOM_GPU_CUDA_COMPUTE_CAPABILITY_V{capability.replace(".", "_")}')
    if cuda := _cuda(said):
        has.add(f'CUSTOM_GPU_CUDA_SDK_V{cuda.replace(".", "_")}')
    if text := read(gpu, 'product_architecture'):
        has.add(f'CUSTOM_NVIDIA_{text.split()[0].upper()}')
    return has | {name for name, on in states.items() if on}, {name for name, on in states.items() if not on}


def read(element: Element, path: str) -> str:
    """Return an element's text; empty where it is not there or says that it is no more."""
    text = (element.findtext(path) or '').strip()
    return '' if 'deprecated' in text.lower() else text


def measure(element: Element, path: str) -> float | str:
    """Return the number of ``123.00 W``, or what stands there instead of one."""
    text = read(element, path)
    try:
        return float(text.split()[0]) if text else ''
    except ValueError:
        return text


def _fields(said: Element, gpu: Element, device: Device) -> Iterator[tuple[str, tuple[Any, Any]]]:
    options = device.options
    for name, text, ours in (
            ('driver', read(said, 'driver_version'), options['driver']),
            ('CUDA', _cuda(said), options['cuda']),
            ('address', gpu.get('id', '').lower()[-12:], device.pci_address),
            ('model', read(gpu, 'product_name').removeprefix('NVIDIA '), device.model),
            ('serial', read(gpu, 'serial'), options['serial']),
            ('minor', measure(gpu, 'minor_number'), options['minor']),
            ('memory', _memory(gpu, device), device.memory),
            ('SM clock', measure(gpu, 'max_clocks/sm_clock'), options['clock_max']),
            ('memory clock', measure(gpu, 'max_clocks/mem_clock'), options['memory_clock_max']),
            ('power limit', next(filter(None, (measure(gpu, path) for path in POWER_LIMITS)), ''),
             _hundredth(options['power_limit_watts']))):
        if text != '':
            yield name, (None if text in ABSENT else text, ours)
    for name, path, mine in (('ECC', 'ecc_mode/current_ecc', 'ecc'), ('MIG', 'mig_mode/current_mig', 'mig'),
                             ('persistence', 'persistence_mode', 'persistence')):
        if text := read(gpu, path):
            yield name, (text == 'Enabled', options[mine])
    if text := read(gpu, 'mig_mode/current_mig'):
        yield 'MIG capability', (text not in ABSENT, options['mig_capable'])
    if text := read(gpu, 'product_architecture'):  # Ada Lovelace
        yield 'architecture', (text.split()[0].lower(), options['architecture'])
    for name, path, mine, spelled in (
            ('compute mode', 'compute_mode', 'compute_mode', COMPUTE_MODES),
            ('virtualization', 'gpu_virtualization_mode/virtualization_mode', 'virtualization', VIRTUALIZATION)):
        if text := read(gpu, path):
            number = options[mine]
            yield name, (''.join(filter(str.isalpha, text)).upper() if text not in ABSENT else None,
                         None if number is None else spelled[number])


def _memory(gpu: Element, device: Device) -> float | str:
    """Return the memory that programs can have; the total of a device that is cut by MIG or into vGPUs."""
    total, reserved = measure(gpu, 'fb_memory_usage/total'), measure(gpu, 'fb_memory_usage/reserved')
    if not isinstance(total, float):
        return total
    whole = device.options['mig'] or device.options['virtualization'] == VIRTUALIZATION.index('HOSTVGPU')
    left = total if whole or not isinstance(reserved, float) else total - reserved
    # Both are rounded to MiB there, and their difference here.
    return device.memory if abs(left - device.memory) <= 1 else left


def _cuda(said: Element) -> str:
    """Return the version of CUDA; empty where nvidia-smi finds no libcuda to ask, as on hosts that serve vGPUs."""
    text = read(said, 'cuda_version')
    return text if re.fullmatch(r'[\d.]+', text) else ''


def _hundredth(watts: float | None) -> float | None:
    """Return a power as exactly as nvidia-smi writes it."""
    return None if watts is None else round(watts, 2)
