# SPDX-License-Identifier: Apache-2.0
"""Names that dashboards know already: those of NVIDIA's dcgm-exporter for devices, those of HAMi for slices.

Names, units and labels are those of dcgm-exporter 3.3 (``etc/default-counters.csv``, ``README``) and of HAMi 2.7's
monitor; Grafana's dashboards 12239 (DCGM exporter) and 21833 (HAMi) select by them.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from accelpool.types import Device

#: Labels of every device's metric; dcgm-exporter calls the host's name ``Hostname``.
DEVICE_LABELS = ('gpu', 'UUID', 'pci_bus_id', 'device', 'modelName', 'Hostname')
#: Labels of every slice's metric: project, allocation and slice stand where HAMi has namespace, pod and container.
SLICE_LABELS = ('namespace', 'pod', 'container', 'vdevice_index', 'device_uuid', 'node')
HOST_LABELS = ('node', 'device_index', 'device_uuid', 'device_type')


@dataclasses.dataclass(frozen=True)
class Gauge:
    """A metric of a device, and which of the driver's values it is (drivers/base.py, Inventory.metrics)."""

    name: str
    source: str
    help: str
    scale: float = 1


GAUGES = (
    Gauge('DCGM_FI_DEV_SM_CLOCK', 'clock_mhz', 'SM clock frequency (in MHz).'),
    Gauge('DCGM_FI_DEV_MEM_CLOCK', 'memory_clock_mhz', 'Memory clock frequency (in MHz).'),
    Gauge('DCGM_FI_DEV_GPU_TEMP', 'temperature_celsius', 'GPU temperature (in C).'),
    Gauge('DCGM_FI_DEV_POWER_USAGE', 'power_watts', 'Power draw (in W).'),
    Gauge('DCGM_FI_DEV_GPU_UTIL', 'utilization_percent', 'GPU utilization (in %).'),
    Gauge('DCGM_FI_PROF_GR_ENGINE_ACTIVE', 'utilization_percent', 'Ratio of time the graphics engine is active.', 0.01),
    Gauge('DCGM_FI_DEV_MEM_COPY_UTIL', 'memory_utilization_percent', 'Memory utilization (in %).'),
    Gauge('DCGM_FI_DEV_XID_ERRORS', 'xid', 'Value of the last XID error encountered.'),
    Gauge('DCGM_FI_DEV_FB_USED', 'memory_used_mib', 'Framebuffer memory used (in MiB).'),
    Gauge('DCGM_FI_DEV_FB_FREE', 'memory_free_mib', 'Framebuffer memory free (in MiB).'),
)
#: The driver's values that have a name of dcgm-exporter; all others become ``accelpool_device_<name>``.
KNOWN = frozenset(gauge.source for gauge in GAUGES)


def device_labels(device: Device, index: int, host: str) -> list[str]:
    """Return a device's values of DEVICE_LABELS.

    :param index: its number on the host, unless the driver knows one
    """
    number = str(device.options.get('index', index))
    return [number, str(device.options.get('uuid', device.id)), device.pci_address or '', f'nvidia{number}',
            device.model, host]


def complete(device: Device, measured: Mapping[str, float], charged_mib: float,
             busy_percent: float | None) -> dict[str, float]:
    """Return what is known of a device: what its driver measures, and what the agent knows where that says nothing."""
    values: dict[str, Any] = {'xid': 0.0, 'memory_used_mib': charged_mib, **measured}
    if busy_percent is not None:
        values.setdefault('utilization_percent', busy_percent)
    values.setdefault('memory_free_mib', max(0.0, device.memory - values['memory_used_mib']))
    return values
