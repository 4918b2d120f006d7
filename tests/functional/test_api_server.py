# SPDX-License-Identifier: Apache-2.0
"""The API on its own HTTP server: connections, passwords, and where it refuses to listen."""

import base64
import http.client
import json
import pathlib
import tempfile
import threading
import unittest
from typing import Any

from oslo_config import cfg

from accelpool.api import app, auth
from accelpool.cmd import api
from tests.functional import pool


class ServerTest(unittest.TestCase):
    def setUp(self) -> None:
        served = pool.Pool()
        self.addCleanup(served.close)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        htpasswd = pathlib.Path(directory.name) / 'htpasswd'
        auth.write_htpasswd(htpasswd, 'accelpool', 'secret')
        cfg.CONF.set_override('auth_strategy', 'http_basic', group='api')
        cfg.CONF.set_override('htpasswd_file', str(htpasswd), group='api')
        self.addCleanup(cfg.CONF.clear_override, 'htpasswd_file', group='api')
        server = api.make_server(app.make_app(), '127.0.0.1', 0)
        server.prepare()
        thread = threading.Thread(target=server.serve)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.stop)
        self.connection = http.client.HTTPConnection(*server.bind_addr[:2], timeout=30)
        self.addCleanup(self.connection.close)

    def ask(self, method: str, path: str, body: Any = None, password: str = 'secret') -> tuple[int, Any]:
        self.connection.request(
            method, path, body=None if body is None else json.dumps(body),
            headers={'Authorization': 'Basic ' + base64.b64encode(f'accelpool:{password}'.encode()).decode(),
                     'Content-Type': 'application/json'})
        answer = self.connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None

    def test_one_connection_serves_many_requests(self) -> None:
        status, made = self.ask('POST', '/v1/allocations', {'profile': 'small'})
        self.assertEqual(202, status)
        used = self.connection.sock
        self.assertEqual((202, None), self.ask('DELETE', f'/v1/allocations/{made["id"]}'))
        self.assertEqual('released', self.ask('GET', f'/v1/allocations/{made["id"]}')[1]['state'])
        self.assertEqual(404, self.ask('GET', '/v1/nothing')[0])
        self.assertEqual(400, self.ask('POST', '/v1/pools', {'colour': 'red'})[0])
        self.assertEqual(401, self.ask('GET', '/v1/pools', password='wrong')[0])
        self.assertEqual(401, self.ask('POST', '/v1/pools', {'name': 'fast'}, password='wrong')[0])
        self.assertEqual(200, self.ask('GET', '/v1/pools')[0])
        self.assertIs(used, self.connection.sock)

    def test_after_an_oversized_body_the_service_goes_on(self) -> None:
        status, answer = self.ask('POST', '/v1/pools', {'name': 'x' * 2 * cfg.CONF.api.max_body_size})
        self.assertEqual(413, status)
        self.assertEqual('body', answer['errors'][0]['field'])
        self.assertEqual(200, self.ask('GET', '/v1/pools')[0])

    def test_chunks_have_the_limit_too(self) -> None:
        self.connection.request(
            'POST', '/v1/pools', body=(b'x' * 4096 for _ in range(2 * cfg.CONF.api.max_body_size // 4096)),
            encode_chunked=True, headers={
                'Authorization': 'Basic ' + base64.b64encode(b'accelpool:secret').decode(),
                'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked'})
        self.assertEqual(413, self.connection.getresponse().status)

    def test_refuses_strangers_networks_without_keystone(self) -> None:
        with self.assertRaisesRegex(ValueError, 'keystone'):
            api.make_server(app.make_app(), '0.0.0.0', 0)
