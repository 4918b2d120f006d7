# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of hosts: what devices and slices do, read when somebody asks."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import core, registry
from sqlalchemy import exc

from accelpool import errors
from accelpool.conductor.service import Conductor
from accelpool.db import session as db
from accelpool.db import slice as db_slice
from accelpool.metrics import names
from accelpool.types import Device

DEVICE = ('host', 'device')
SLICE = ('host', 'slice')
MIB = 2**20

Usage = Mapping[str, Any]


class Rates:
    """Shares of time from counters of nanoseconds, between two looks at them."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, int]] = {}

    def percent(self, key: str, spent: int) -> float | None:
        """Return how much of the time since the last look was spent; None at the first one."""
        now = self._clock()
        at, before = self._seen.get(key, (now, spent))
        self._seen[key] = (now, spent)
        return min(100.0, 100.0 * (spent - before) / (now - at)) if now > at and spent >= before else None


class Collector(registry.Collector):
    """All metrics of one conductor."""

    def __init__(self, host: str, conductor: Conductor) -> None:
        self._host = host
        self._conductor = conductor
        self._rates = Rates()

    def collect(self) -> Iterable[core.Metric]:
        try:
            usage: Usage = self._conductor.agent.usage()
        except errors.AgentUnavailable:
            usage = {}
        devices = sorted(self._conductor.devices().values(), key=lambda one: (one.pci_address or '', one.id))
        slices = self._slices()
        yield core.GaugeMetricFamily('accelpool_agent_up', '1 while the agent of the host answers',
                                     value=float(bool(usage)))
        yield from self._of_devices(devices, usage, slices)
        yield from self._of_slices(usage, slices)

    def _slices(self) -> dict[str, db_slice.Owned]:
        """Return the host's slices and whose they are; none while the database is away."""
        try:
            with db.reader() as session:
                return {one.id: one for one in db_slice.owned(session, self._host)}
        except exc.SQLAlchemyError:
            return {}

    def _of_devices(self, devices: list[Device], usage: Usage, slices: Mapping[str, db_slice.Owned]) -> Iterable[
            core.Metric]:
        health = core.GaugeMetricFamily(
            'accelpool_device_health', '1 for the health that the device has', labels=(*DEVICE, 'health'))
        memory = core.GaugeMetricFamily('accelpool_device_memory_mib', 'Memory of the device', labels=DEVICE)
        busy = core.CounterMetricFamily(
            'accelpool_device_busy_seconds', 'Time in which the device worked', labels=DEVICE)
        families = {gauge: core.GaugeMetricFamily(gauge.name, gauge.help, labels=names.DEVICE_LABELS)
                    for gauge in names.GAUGES}
        others: dict[str, core.GaugeMetricFamily] = {}
        hami = [core.GaugeMetricFamily(name, text, labels=names.HOST_LABELS) for name, text in (
            ('hami_host_gpu_memory_used_bytes', 'GPU device memory usage in bytes'),
            ('hami_host_gpu_utilization_ratio', 'GPU core utilization ratio (0-100)'))]
        measured, spent = self._conductor.driver_metrics(), _busy(usage)
        charged = _charged(usage, slices)
        for index, device in enumerate(devices):
            health.add_metric([self._host, device.id, device.health], 1)
            memory.add_metric([self._host, device.id], device.memory)
            if device.id in spent:
                busy.add_metric([self._host, device.id], spent[device.id] / 1e9)
            values = names.complete(device, measured.get(device.id, {}), charged[device.id] / MIB,
                                    self._rates.percent(device.id, spent.get(device.id, 0)))
            labels = names.device_labels(device, index, self._host)
            for gauge, family in families.items():
                if gauge.source in values:
                    family.add_metric(labels, values[gauge.source] * gauge.scale)
            for name, value in values.items():
                if name not in names.KNOWN:
                    others.setdefault(name, core.GaugeMetricFamily(
                        f'accelpool_device_{name}', 'As the driver says', labels=DEVICE,
                    )).add_metric([self._host, device.id], value)
            where = [self._host, labels[0], labels[1], device.model]
            hami[0].add_metric(where, values['memory_used_mib'] * MIB)
            if 'utilization_percent' in values:
                hami[1].add_metric(where, values['utilization_percent'])
        yield from (health, memory, busy, *families.values(), *others.values(), *hami)

    def _of_slices(self, usage: Usage, slices: Mapping[str, db_slice.Owned]) -> Iterable[core.Metric]:
        seconds = core.CounterMetricFamily('accelpool_slice_device_seconds', 'Device time of the slice', labels=SLICE)
        launches = core.CounterMetricFamily('accelpool_slice_launches', 'Kernels started', labels=SLICE)
        sessions = core.GaugeMetricFamily('accelpool_slice_sessions', 'Open sessions', labels=SLICE)
        used, limit, ratio = (core.GaugeMetricFamily(name, text, labels=names.SLICE_LABELS) for name, text in (
            ('hami_vgpu_memory_used_bytes', 'vGPU device memory usage in bytes'),
            ('hami_vgpu_memory_limit_bytes', 'vGPU device memory limit in bytes'),
            ('hami_container_device_utilization_ratio', 'Container device SM utilization ratio')))
        for one in usage.get('slices', ()):
            labels = [self._host, one['slice_id']]
            seconds.add_metric(labels, one['device_ns'] / 1e9)
            launches.add_metric(labels, one['launches'])
            sessions.add_metric(labels, one['sessions'])
            row = slices.get(one['slice_id'])
            if row is None:
                continue
            whose = [row.project_id, row.allocation_id, row.id, str(row.ordinal), row.device_id, self._host]
            used.add_metric(whose, one['charged_bytes'])
            limit.add_metric(whose, row.memory * MIB)
            percent = self._rates.percent(row.id, one['device_ns'])
            if percent is not None:
                ratio.add_metric(whose, percent)
        yield from (seconds, launches, sessions, used, limit, ratio)


def _busy(usage: Usage) -> dict[str, int]:
    """Return the nanoseconds in which each device worked; a partition is the agent's device ``<device>/<slice>``."""
    found: dict[str, int] = defaultdict(int)
    for one in usage.get('devices', ()):
        found[one['device_id'].partition('/')[0]] += one['busy_ns']
    return found


def _charged(usage: Usage, slices: Mapping[str, db_slice.Owned]) -> dict[str, int]:
    """Return the bytes that the slices of each device are charged."""
    found: dict[str, int] = defaultdict(int)
    for one in usage.get('slices', ()):
        if one['slice_id'] in slices:
            found[slices[one['slice_id']].device_id] += one['charged_bytes']
    return found
