# SPDX-License-Identifier: Apache-2.0
"""``/metrics`` of the API and of vendordata, asked as Prometheus asks."""

import subprocess
import sys
import unittest

import webob
from oslo_config import cfg, fixture
from prometheus_client import parser

from accelpool import conf
from accelpool.api import auth
from accelpool.consumers import vendordata
from accelpool.db import session
from tests.functional import pool
from tests.support import database

#: The first requests of a process, all at once; what one of them raises is said and is the exit status.
FIRST = """
import sys, threading
from accelpool.api import metrics

def application(_environ, start_response):
    start_response('200 OK', [])
    return [b'']

def ask():
    together.wait()
    try:
        served({'REQUEST_METHOD': 'GET', 'PATH_INFO': '/v1/devices'}, lambda *_: None)
    except Exception as failure:
        failures.append(repr(failure))

served, failures, together = metrics.Metrics(application), [], threading.Barrier(16)
sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=ask) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(failures or 0)
"""


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

    def test_the_first_requests_may_come_at_once(self) -> None:
        asked = subprocess.run([sys.executable, '-c', FIRST], text=True, capture_output=True, timeout=120)
        self.assertEqual((0, ''), (asked.returncode, asked.stderr))

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


class Vendordata(unittest.TestCase):
    """What Nova asks has them too, beside what a balancer asks."""

    def setUp(self) -> None:
        conf.register_all()
        self.conf = self.enterContext(fixture.Config(cfg.CONF))
        self.conf.config(www_authenticate_uri='http://127.0.0.1:1', group='keystone_authtoken')
        database.use(self)

    def ask(self, path: str, application: auth.WSGIApp) -> webob.Response:
        return webob.Request.blank(path).get_response(application)

    def test_requests_are_counted(self) -> None:
        self.conf.config(metrics=True, group='api')
        application = vendordata.make_app()
        self.assertEqual(401, self.ask('/', application).status_int)
        said = self.ask('/metrics', application)
        self.assertEqual(200, said.status_int)
        self.assertRegex(said.text, r'accelpool_api_request_seconds_count\{method="GET",route="/",status="401"\} [1-9]')

    def test_there_is_nothing_unless_it_is_wanted(self) -> None:
        self.assertEqual(401, self.ask('/metrics', vendordata.make_app()).status_int)

    def test_it_is_in_service_while_the_database_answers(self) -> None:
        application = vendordata.make_app()
        self.assertEqual((200, 'database'), self._health(application))
        session.configure('sqlite:////nowhere/accelpool.sqlite')
        self.assertEqual((503, 'the database does not answer'), self._health(application))

    def _health(self, application: auth.WSGIApp) -> tuple[int, str]:
        answer = self.ask('/healthcheck', application)
        return answer.status_int, answer.text.strip()
