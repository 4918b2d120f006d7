# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of hosts: what devices and slices do, read when somebody asks."""

from collections.abc import Iterable, Sequence

import prometheus_client
from prometheus_client import core, registry

from accelpool import errors
from accelpool.conductor.service import Conductor

DEVICE = ('host', 'device')
SLICE = ('host', 'slice')


class Collector(registry.Collector):
    """All metrics of one conductor."""

    def __init__(self, host: str, conductor: Conductor) -> None:
        self._host = host
        self._conductor = conductor

    def collect(self) -> Iterable[core.Metric]:
        yield from self._devices()
        try:
            usage = self._conductor.agent.usage()
        except errors.AgentUnavailable:
            return
        busy = core.CounterMetricFamily(
            'accelpool_device_busy_seconds', 'Time in which the device worked', labels=DEVICE)
        for used in usage.get('devices', ()):
            busy.add_metric([self._host, used['device_id']], used['busy_ns'] / 1e9)
        yield busy
        seconds = core.CounterMetricFamily(
            'accelpool_slice_device_seconds', 'Device time of the slice', labels=SLICE)
        launches = core.CounterMetricFamily('accelpool_slice_launches', 'Kernels started', labels=SLICE)
        charged = core.GaugeMetricFamily(
            'accelpool_slice_charged_bytes', 'Memory charged to the slice', labels=SLICE)
        sessions = core.GaugeMetricFamily('accelpool_slice_sessions', 'Open sessions', labels=SLICE)
        for used in usage.get('slices', ()):
            labels = [self._host, used['slice_id']]
            seconds.add_metric(labels, used['device_ns'] / 1e9)
            launches.add_metric(labels, used['launches'])
            charged.add_metric(labels, used['charged_bytes'])
            sessions.add_metric(labels, used['sessions'])
        yield from (seconds, launches, charged, sessions)

    def _devices(self) -> Iterable[core.Metric]:
        memory = core.GaugeMetricFamily('accelpool_device_memory_mib', 'Memory of the device', labels=DEVICE)
        health = core.GaugeMetricFamily(
            'accelpool_device_health', '1 for the health that the device has', labels=(*DEVICE, 'health'))
        for device in self._conductor.devices().values():
            memory.add_metric([self._host, device.id], device.memory)
            health.add_metric([self._host, device.id, device.health], 1)
        yield from (memory, health)
        families: dict[str, core.GaugeMetricFamily] = {}
        for device_id, values in self._conductor.driver_metrics().items():
            for name, value in values.items():
                family = families.setdefault(name, core.GaugeMetricFamily(
                    f'accelpool_device_{name}', 'As the driver says', labels=DEVICE))
                family.add_metric([self._host, device_id], value)
        yield from families.values()


def serve(collectors: Sequence[Collector], host: str, port: int) -> None:
    """Serve metrics over HTTP from a daemon thread."""
    metrics = prometheus_client.CollectorRegistry()
    for collector in collectors:
        metrics.register(collector)
    prometheus_client.start_http_server(port, host, metrics)
