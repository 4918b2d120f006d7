# SPDX-License-Identifier: Apache-2.0
"""``/metrics`` of deployed services, as Prometheus reads them."""

import unittest
from typing import Any

import requests
from prometheus_client import parser

from tests.integration import support
from tests.integration.support.client import Client
from tools.integration import layout

setUpModule = support.up


def samples(name: str) -> list[Any]:
    """Return what a service says."""
    path = '/metrics'
    answer = requests.get(layout.url(name, path), timeout=30)
    assert answer.status_code == 200, answer.text
    return [sample for family in parser.text_string_to_metric_families(answer.text) for sample in family.samples]


class Metrics(unittest.TestCase):
    def value(self, service: str, name: str, **labels: str) -> float:
        found = [one.value for one in samples(service) if one.name == name and labels.items() <= one.labels.items()]
        self.assertTrue(found, f'{service} has no {name} {labels}')
        return float(sum(found))

    def test_the_api_counts_for_all_its_processes(self) -> None:
        user = Client()
        before = self.value('accelpool', 'accelpool_api_request_seconds_count')
        for _ in range(20):
            user.get('/devices')
        after = self.value('accelpool', 'accelpool_api_request_seconds_count', route='/v1/devices', status='200')
        self.assertGreaterEqual(after, 20)
        self.assertGreaterEqual(self.value('accelpool', 'accelpool_api_request_seconds_count'), before + 20)

    def test_scheduler_and_conductor_see_an_allocation(self) -> None:
        user = Client()
        made = user.allocate()
        self.addCleanup(user.release, made['id'])
        slice_ = user.wait(made['id'], 'active')['slices'][0]
        names = ('metrics-scheduler1', 'metrics-scheduler2')
        self.assertGreaterEqual(sum(
            one.value for name in names for one in samples(name)
            if one.name == 'accelpool_scheduler_decision_seconds_count' and one.labels['outcome'] == 'scheduled'), 1)
        self.assertGreaterEqual(self.value('metrics-scheduler1', 'accelpool_allocations', state='active'), 1)
        service = f'metrics-{slice_["host"]}'
        self.assertEqual(slice_['memory'] * 2**20, self.value(
            service, 'hami_vgpu_memory_limit_bytes', pod=made['id'], namespace=made['project_id']))
        self.assertEqual(35, self.value(service, 'DCGM_FI_DEV_GPU_TEMP', UUID=slice_['device_id']))
