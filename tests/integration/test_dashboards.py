# SPDX-License-Identifier: Apache-2.0
"""What Grafana's dashboards ask Prometheus for, asked of a real one: 12239 (dcgm-exporter) and 21833 (HAMi)."""

import unittest
from typing import Any

import requests

from tests.integration import support
from tests.integration.support.client import Client
from tests.support import guest
from tools.integration import layout


def setUpModule() -> None:
    support.up('prometheus')


#: Selections of the dashboards, with their variables at "All".
BY_HOST, BY_INSTANCE = '{Hostname=~".*", gpu=~".*"}', '{instance=~".*", gpu=~".*"}'
#: Panels of 12239 whose lines are those of devices; of the first published and of later revisions.
PANELS = (
    f'DCGM_FI_DEV_GPU_TEMP{BY_INSTANCE}',
    f'DCGM_FI_DEV_POWER_USAGE{BY_INSTANCE}',
    f'DCGM_FI_DEV_SM_CLOCK{BY_INSTANCE} * 1000000',
    f'DCGM_FI_DEV_GPU_UTIL{BY_INSTANCE}',
    f'DCGM_FI_DEV_FB_USED{BY_INSTANCE}',
    f'max(DCGM_FI_DEV_GPU_TEMP{BY_HOST}) by (Hostname, gpu, uuid)',
    f'max(DCGM_FI_DEV_POWER_USAGE{BY_HOST}) by (Hostname, gpu, uuid)',
    f'max(DCGM_FI_DEV_SM_CLOCK{BY_HOST} * 1000000) by (Hostname, UUID, gpu)',
    f'max(DCGM_FI_PROF_GR_ENGINE_ACTIVE{BY_HOST}) by (Hostname, gpu, GPU_I_ID, GPU_I_PROFILE)',
    f'max(DCGM_FI_DEV_FB_USED{BY_HOST}) by (Hostname, gpu, GPU_I_ID, GPU_I_PROFILE)',
)
#: Panels that have one number.
GAUGES = (
    f'avg(DCGM_FI_DEV_GPU_TEMP{BY_INSTANCE})',
    f'sum(DCGM_FI_DEV_POWER_USAGE{BY_INSTANCE})',
    f'avg(DCGM_FI_DEV_GPU_TEMP{BY_HOST})',
    f'sum(max(DCGM_FI_DEV_POWER_USAGE{BY_HOST}) by (gpu))',
)


def ask(path: str, **parameters: str) -> Any:
    answer = requests.get(layout.url('prometheus', f'/api/v1/{path}'), params=parameters, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()['data']


def lines(query: str) -> list[Any]:
    found: list[Any] = ask('query', query=query)['result']
    return found


class Dashboards(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.devices = Client().get('/devices')['devices']
        guest.until(lambda: len(lines('DCGM_FI_DEV_GPU_UTIL')) == len(cls.devices), 'every device is looked at twice')

    def test_the_variables_have_every_host_and_device(self) -> None:
        for label in ('Hostname', 'instance'):
            self.assertEqual(len(layout.COMPUTES), len(lines(f'count(DCGM_FI_DEV_GPU_TEMP) by ({label})')))
        self.assertEqual(set(layout.COMPUTES), set(ask('label/Hostname/values', **{'match[]': 'DCGM_FI_DEV_FB_FREE'})))
        most = max(sum(one['host'] == host for one in self.devices) for host in layout.COMPUTES)
        self.assertEqual({str(number) for number in range(most)},
                         set(ask('label/gpu/values', **{'match[]': 'DCGM_FI_DEV_GPU_TEMP'})))

    def test_every_panel_has_a_line_for_every_device(self) -> None:
        for query in PANELS:
            with self.subTest(query):
                self.assertEqual(len(self.devices), len(lines(query)))

    def test_every_gauge_has_its_number(self) -> None:
        for query in GAUGES:
            with self.subTest(query):
                (found,) = lines(query)
                self.assertGreater(float(found['value'][1]), 0)

    def test_a_slice_is_a_container_of_hamis(self) -> None:
        user = Client()
        made = user.allocate()
        self.addCleanup(user.release, made['id'])
        slice_ = user.wait(made['id'], 'active')['slices'][0]
        query = f'hami_vgpu_memory_limit_bytes{{pod="{made["id"]}"}}'
        found = guest.until(lambda: lines(query), 'the slice is seen')
        self.assertEqual(slice_['memory'] * 2**20, float(found[0]['value'][1]))
        self.assertEqual(slice_['host'], found[0]['metric']['node'])
