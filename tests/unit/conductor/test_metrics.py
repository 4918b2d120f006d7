# SPDX-License-Identifier: Apache-2.0

import unittest
from typing import Any

import prometheus_client
from prometheus_client import parser

from accelpool import errors, types
from accelpool.conductor import metrics
from accelpool.db import allocation, device, session
from accelpool.metrics import listener, names
from tests.support import database

MIB = 2**20

#: What the panels and variables of Grafana's dashboard 12239 ask for, in any revision; all of them select by gpu and by
#: Hostname, or instance, which Prometheus adds (tests/integration/test_dashboards.py).
DASHBOARD_12239 = ('DCGM_FI_DEV_GPU_TEMP', 'DCGM_FI_DEV_POWER_USAGE', 'DCGM_FI_DEV_SM_CLOCK', 'DCGM_FI_DEV_GPU_UTIL',
                   'DCGM_FI_PROF_GR_ENGINE_ACTIVE', 'DCGM_FI_DEV_FB_USED')


class Agent:
    def __init__(self) -> None:
        self.answer: dict[str, Any] | None = {'slices': [], 'devices': []}

    def usage(self) -> dict[str, Any]:
        if self.answer is None:
            raise errors.AgentUnavailable('gone')
        return self.answer


class Conductor:
    """What the collector asks a conductor."""

    def __init__(self) -> None:
        self.agent = Agent()
        self.measured = {'d0': {'temperature_celsius': 41.0, 'power_watts': 70.5, 'clock_mhz': 1410.0, 'fan': 3.0}}

    def devices(self) -> dict[str, types.Device]:
        return {name: types.Device(
            id=name, driver='mock', vendor='accelpool', model='emu', memory=1000, pci_address=address, options=options)
            for name, address, options in (('d0', '0000:01:00.0', {}),
                                           ('d1', '0000:02:00.0', {'index': 7, 'uuid': 'GPU-1'}))}

    def driver_metrics(self) -> dict[str, dict[str, float]]:
        return self.measured


class Collected(unittest.TestCase):
    def setUp(self) -> None:
        database.use(self)
        for name in ('d0', 'd1'):
            database.add_device(name)
        self.identifier = database.add_allocation(types.Request(compute=30, memory=256))
        with session.writer() as writer:
            allocation.claim(writer, self.identifier, [types.Slice(
                id='s', allocation_id=self.identifier, device_id='d0', host='host-a', compute=30, memory=256,
                isolation='shared')], {'d0': device.get(writer, 'd0').generation})
        self.conductor = Conductor()
        self.conductor.agent.answer = {
            'slices': [{'slice_id': 's', 'device_ns': 10**9, 'launches': 3, 'sessions': 1, 'charged_bytes': 64 * MIB}],
            'devices': [{'device_id': 'd0', 'busy_ns': 10**9}, {'device_id': 'd1/s9', 'busy_ns': 5}]}
        self.now = 0
        self.collector = metrics.Collector('host-a', self.conductor)  # type: ignore[arg-type]
        self.collector._rates = metrics.Rates(lambda: self.now)

    def collect(self) -> dict[str, list[Any]]:
        """Return samples by name, from what Prometheus would read."""
        registry = prometheus_client.CollectorRegistry()
        registry.register(listener.Merged([self.collector]))
        return {sample.name: [s for s in family.samples if s.name == sample.name]
                for family in parser.text_string_to_metric_families(prometheus_client.generate_latest(registry).decode())
                for sample in family.samples}

    def value(self, name: str, **labels: str) -> float:
        (sample,) = (one for one in self.collect()[name] if labels.items() <= one.labels.items())
        return float(sample.value)

    def test_dashboards_find_what_they_look_for(self) -> None:
        self.collect()
        self.now = 10**10
        found = self.collect()
        for name in (*DASHBOARD_12239, 'DCGM_FI_DEV_FB_FREE', 'DCGM_FI_DEV_XID_ERRORS'):
            with self.subTest(name):
                (sample,) = (one for one in found[name] if one.labels['UUID'] == 'd0')
                self.assertEqual(set(names.DEVICE_LABELS), set(sample.labels))
                self.assertEqual(('0', 'emu', 'host-a', 'nvidia0', '0000:01:00.0'), tuple(
                    sample.labels[label] for label in ('gpu', 'modelName', 'Hostname', 'device', 'pci_bus_id')))

    def test_values_of_the_driver_come_first(self) -> None:
        self.assertEqual(41, self.value('DCGM_FI_DEV_GPU_TEMP', UUID='d0'))
        self.assertEqual(1410, self.value('DCGM_FI_DEV_SM_CLOCK', UUID='d0'))
        self.assertEqual(64, self.value('DCGM_FI_DEV_FB_USED', UUID='d0'), 'what slices are charged, unless it says more')
        self.assertEqual(936, self.value('DCGM_FI_DEV_FB_FREE', UUID='d0'))
        self.conductor.measured['d0'] |= {'memory_used_mib': 500.0, 'utilization_percent': 12.0, 'xid': 79.0}
        self.assertEqual(500, self.value('DCGM_FI_DEV_FB_USED', UUID='d0'))
        self.assertEqual(500, self.value('DCGM_FI_DEV_FB_FREE', UUID='d0'))
        self.assertEqual(12, self.value('DCGM_FI_DEV_GPU_UTIL', UUID='d0'))
        self.assertEqual(0.12, self.value('DCGM_FI_PROF_GR_ENGINE_ACTIVE', UUID='d0'))
        self.assertEqual(79, self.value('DCGM_FI_DEV_XID_ERRORS', UUID='d0'))

    def test_a_value_without_a_known_name_has_one_of_ours(self) -> None:
        self.assertEqual(3, self.value('accelpool_device_fan', device='d0'))

    def test_a_device_has_the_number_and_the_uuid_that_its_driver_knows(self) -> None:
        self.assertEqual(0, self.value('DCGM_FI_DEV_FB_USED', UUID='GPU-1', gpu='7', device='nvidia7'))

    def test_utilization_is_the_share_of_time_since_the_last_look(self) -> None:
        self.assertNotIn('DCGM_FI_DEV_GPU_UTIL', self.collect())
        self.now = 4 * 10**9
        assert self.conductor.agent.answer is not None
        self.conductor.agent.answer['devices'][0]['busy_ns'] += 10**9
        self.conductor.agent.answer['slices'][0]['device_ns'] += 2 * 10**9
        found = self.collect()
        self.assertEqual([25, 0], [one.value for one in found['DCGM_FI_DEV_GPU_UTIL']])
        self.assertEqual([50], [one.value for one in found['hami_container_device_utilization_ratio']])

    def test_slices_say_whose_they_are(self) -> None:
        labels = {'namespace': 'p', 'pod': self.identifier, 'container': 's', 'vdevice_index': '0', 'device_uuid': 'd0',
                  'node': 'host-a'}
        self.assertEqual(64 * MIB, self.value('hami_vgpu_memory_used_bytes', **labels))
        self.assertEqual(256 * MIB, self.value('hami_vgpu_memory_limit_bytes', **labels))

    def test_without_an_agent_there_are_devices(self) -> None:
        self.conductor.agent.answer = None
        self.assertEqual(0, self.value('accelpool_agent_up'))
        self.assertEqual(41, self.value('DCGM_FI_DEV_GPU_TEMP', UUID='d0'))
        self.assertNotIn('hami_vgpu_memory_used_bytes', self.collect())

    def test_hosts_of_one_process_share_families(self) -> None:
        other = metrics.Collector('host-b', self.conductor)  # type: ignore[arg-type]
        found = [metric.name for metric in listener.Merged([self.collector, other]).collect()]
        self.assertEqual(len(set(found)), len(found))
