# SPDX-License-Identifier: Apache-2.0
"""What moves of a device - sensors, counters, reasons for low clocks, processes - against ``nvidia-smi -q -x``.  Pure.

It is asked before and after the inventory looks: right is what either answer says, and what lies between them.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from tests.hardware.smi import ABSENT, Said, measure, read


@dataclasses.dataclass(frozen=True)
class Sensor:
    """A metric: the elements that tell it (``total``: their sum), and how far from these it may be.

    ``share`` of what they tell and ``step``, in the metric's own unit, are how far it moves in a moment.
    """

    paths: tuple[str, ...]
    total: bool = False
    share: float = 0.0
    step: float = 0.0


#: Power is told as drawn on average, at this instant, or, by drivers before 575 and before 535, as one of these.
POWER = tuple(f'gpu_power_readings/{kind}power_draw' for kind in ('average_', 'instant_', '')) + ('power_readings/power_draw',)
#: ECC errors since the driver was loaded, by where they were: of Volta, of Turing, and of Ampere and later.
CORRECTED = ('single_bit/total', 'sram_correctable', 'dram_correctable')
UNCORRECTED = ('double_bit/total', 'sram_uncorrectable', 'sram_uncorrectable_parity', 'sram_uncorrectable_secded',
               'dram_uncorrectable')
SENSORS = {
    'temperature_celsius': Sensor(('temperature/gpu_temp',), step=5),
    'power_watts': Sensor(POWER, share=0.5, step=5),
    'utilization_percent': Sensor(('utilization/gpu_util',), step=20),
    'memory_utilization_percent': Sensor(('utilization/memory_util',), step=20),
    'clock_mhz': Sensor(('clocks/sm_clock',), share=0.1, step=30),
    'memory_clock_mhz': Sensor(('clocks/mem_clock',), share=0.1, step=30),
    'memory_used_mib': Sensor(('fb_memory_usage/used',), step=64),
    'memory_free_mib': Sensor(('fb_memory_usage/free',), step=64),
    'ecc_corrected_errors': Sensor(tuple(f'ecc_errors/volatile/{name}' for name in CORRECTED), total=True),
    'ecc_uncorrected_errors': Sensor(tuple(f'ecc_errors/volatile/{name}' for name in UNCORRECTED), total=True)}
#: nvidia-smi's reason for low clocks -> the metric, where the pool has one.
REASONS = {
    'sw_power_cap': 'throttled_power_cap', 'hw_slowdown': 'throttled_hardware',
    'sw_thermal_slowdown': 'throttled_thermal_software', 'hw_thermal_slowdown': 'throttled_thermal_hardware',
    'hw_power_brake_slowdown': 'throttled_power_brake'}


def compare(before: Element, after: Element, metrics: Mapping[str, float], processes: Iterable[Mapping[str, Any]],
            visible: Callable[[int], bool]) -> dict[str, Said]:
    """Return the fields that nvidia-smi tells.

    :param before: the device's part of the first answer
    :param after: of the second
    :param metrics: of the device
    :param processes: what the inventory saw on it
    :param visible: whether there is a process here; NVML tells of those outside a container, which nvidia-smi leaves out
    """
    return dict([*_sensors(before, after, metrics), *_reasons(before, after, metrics),
                 *_processes(before, after, processes, visible)])


def _sensors(before: Element, after: Element, metrics: Mapping[str, float]) -> Iterator[tuple[str, Said]]:
    for name, sensor in SENSORS.items():
        told = [value for gpu in (before, after) for value in _values(gpu, sensor)]
        numbers = [value for value in told if isinstance(value, float)]
        ours = metrics.get(name)
        if not numbers and told:
            yield name, Said(None, ours, ours is None)
        elif numbers:
            low, high = min(numbers), max(numbers)
            yield name, Said((low, high), ours, ours is not None
                             and low * (1 - sensor.share) - sensor.step <= ours <= high * (1 + sensor.share) + sensor.step)


def _values(gpu: Element, sensor: Sensor) -> list[float | str]:
    """Return what a device tells, numbers or what stands there instead; nothing where it tells nothing."""
    told = [value for path in sensor.paths if (value := measure(gpu, path)) != '']
    numbers = [value for value in told if isinstance(value, float)]
    return [sum(numbers)] if sensor.total and numbers else told


def _reasons(before: Element, after: Element, metrics: Mapping[str, float]) -> Iterator[tuple[str, Said]]:
    for name, metric in REASONS.items():
        told = {read(gpu, f'clocks_{kind}_reasons/clocks_{kind}_reason_{name}')
                for gpu in (before, after) for kind in ('event', 'throttle')} & {'Active', 'Not Active'}
        if told:
            ours = 'Active' if metrics.get(metric) else 'Not Active'
            yield metric, Said(sorted(told), ours, ours in told)


def _processes(before: Element, after: Element, processes: Iterable[Mapping[str, Any]],
               visible: Callable[[int], bool]) -> Iterator[tuple[str, Said]]:
    """Yield which processes there are, and their memory; both with the number of the MIG instance."""
    if any(gpu.find('processes') is None or read(gpu, 'processes') in ABSENT for gpu in (before, after)):
        return
    first, second = _listed(before), _listed(after)
    ours = {(one['pid'], one['instance']): one['memory'] for one in processes}
    must, may = first.keys() & second.keys(), first.keys() | second.keys()
    yield 'processes', Said((sorted(must, key=str), sorted(may, key=str)), sorted(ours, key=str), must <= ours.keys()
                            and all(key in may or not visible(key[0]) for key in ours))
    spans = {key: sorted((low, high)) for key in must & ours.keys()
             if (low := first[key]) is not None and (high := second[key]) is not None}
    yield 'memory of processes', Said(spans, {key: ours[key] for key in spans}, all(
        low - 1 <= ours[key] <= high + 1 for key, (low, high) in spans.items()))


def _listed(gpu: Element) -> dict[tuple[int, int | None], float | None]:
    """Return process and MIG instance -> MiB; None where that is not told, or told for two contexts at once."""
    found: dict[tuple[int, int | None], float | None] = {}
    for one in gpu.findall('processes/process_info'):
        instance, used = measure(one, 'gpu_instance_id'), measure(one, 'used_memory')
        key = int(read(one, 'pid')), int(instance) if isinstance(instance, float) else None
        found[key] = used if isinstance(used, float) and 'G' not in read(one, 'type').split('+')[1:] else None
    return found
