# SPDX-License-Identifier: Apache-2.0
"""``/metrics`` of the API, asked as Prometheus asks."""

import unittest

import webob
from oslo_config import cfg, fixture
from prometheus_client import parser

from accelpool import conf
from tests.functional import pool


class Api(unittest.TestCase):
    def setUp(self) -> None:
        conf.register_all()
        self.conf = self.enterContext(fixture.Config(cfg.CONF))
        self.conf.config(metrics=True, group='api')
        self.pool = pool.Pool()
        self.addCleanup(self.pool.close)

    def ask(self, path: str, token: str = 'member') -> webob.Response:
        return webob.Request.blank(path, headers={'X-Auth-Token': token}).get_response(self.pool.application)

    def count(self, **labels: str) -> float:
        answer = self.ask('/metrics', token='nobody')
        self.assertEqual(200, answer.status_int)
        return sum(sample.value for family in parser.text_string_to_metric_families(answer.text)
                   for sample in family.samples
                   if sample.name == 'accelpool_api_request_seconds_count' and labels.items() <= sample.labels.items())

    def test_requests_are_counted_by_route_and_status(self) -> None:
        cases = (
            ('/v1/devices', 'member', {'route': '/v1/devices', 'status': '200'}),
            ('/v1/devices/host-a-0', 'member', {'route': '/v1/devices/{id}', 'status': '200'}),
            ('/v1/devices/nothing', 'member', {'route': '/v1/devices/{id}', 'status': '404'}),
            ('/v1/hosts', 'member', {'route': '/v1/hosts', 'status': '403'}),
            ('/v2/device_profiles', 'member', {'route': '/v2/device_profiles', 'status': '200'}),
            ('/v1/devices', 'nobody', {'route': '/v1/devices', 'status': '401'}),
        )
        for path, token, labels in cases:
            with self.subTest(path, token=token):
                before = self.count(**labels)
                self.ask(path, token)
                self.assertEqual(before + 1, self.count(**labels))

    def test_callers_do_not_choose_labels(self) -> None:
        before = self.count(route='unknown')
        for path in ('/v1/surprise', '/etc/passwd', '/v1/devices/d/x/y/z', '/%00'):
            self.ask(path)
        self.assertEqual(before + 4, self.count(route='unknown'))

    def test_there_is_nothing_unless_it_is_wanted(self) -> None:
        self.pool.close()
        self.conf.config(metrics=False, group='api')
        self.pool = pool.Pool()
        self.assertEqual(401, self.ask('/metrics', token='nobody').status_int)
