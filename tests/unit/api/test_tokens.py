# SPDX-License-Identifier: Apache-2.0
"""Tokens that were checked a moment ago."""

import datetime
import socket
import tempfile
import unittest
from typing import Any
from unittest import mock

from keystoneauth1 import fixture as tokens
from keystoneauth1 import loading
from keystonemiddleware import fixture
from oslo_config import cfg

from accelpool import errors
from accelpool.api import tokens as api_tokens

CONFIG = """
[keystone_authtoken]
auth_type = password
auth_url = http://127.0.0.1:{port}/v3
username = accelpool
password = secret
project_name = service
user_domain_name = Default
project_domain_name = Default
"""


class Silent(unittest.TestCase):
    def test_a_keystone_that_takes_requests_and_never_answers_holds_nobody(self) -> None:
        keystone = self.enterContext(socket.create_server(('127.0.0.1', 0)))  # connections are made, nobody takes them
        self.enterContext(mock.patch.dict(api_tokens.PATIENCE, http_connect_timeout=1, http_request_max_retries=0))
        file = self.enterContext(tempfile.NamedTemporaryFile('w', suffix='.conf'))
        file.write(CONFIG.format(port=keystone.getsockname()[1]))
        file.flush()
        # keystoneauth registers what the plugin asks for, some of it required, for as long as the process lives.
        asked = loading.get_auth_plugin_conf_options('password')
        self.addCleanup(cfg.CONF.unregister_opts, asked, group='keystone_authtoken')
        self.addCleanup(cfg.CONF.reset)
        cfg.CONF([], default_config_files=[file.name])
        memory = api_tokens.Memory(lambda *_: self.fail('it was let in'), 'accelpool')
        with self.assertRaises(errors.ServiceUnavailable):
            memory({'REQUEST_METHOD': 'GET', 'PATH_INFO': '/v1/pools', 'SERVER_NAME': 'h', 'SERVER_PORT': '80',
                    'wsgi.url_scheme': 'http', 'HTTP_X_AUTH_TOKEN': 'token'}, lambda *_: None)


class Remembered(unittest.TestCase):
    def setUp(self) -> None:
        self.keystone = fixture.AuthTokenFixture()
        self.keystone.setUp()
        self.addCleanup(self.keystone.cleanUp)
        self.now = 0.0
        self.seen: list[dict[str, Any]] = []
        self.memory = api_tokens.Memory(self.application, 'accelpool', lambda: self.now)
        self.questions = 0
        patched = self.memory._middleware.fetch_token

        def fetch_token(*arguments: Any, **options: Any) -> Any:
            self.questions += 1
            return patched(*arguments, **options)

        self.memory._middleware.fetch_token = fetch_token

    def application(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response('200 OK', [])
        self.seen.append({name: value for name, value in environ.items() if name.startswith('HTTP_')})
        return []

    def add(self, role: str, **more: Any) -> str:
        token = tokens.V3Token(project_id='p', user_id='u')
        token.add_role(name=role)
        token.add_service('accelpool')
        token['token'] |= more
        self.keystone.add_token(token, f'token-{len(self.keystone.tokens)}')
        return f'token-{len(self.keystone.tokens) - 1}'

    def ask(self, token: str, path: str = '/v1/pools', **headers: str) -> dict[str, Any]:
        """Return the headers that the application sees."""
        self.memory({'REQUEST_METHOD': 'GET', 'PATH_INFO': path, 'SERVER_NAME': 'h', 'SERVER_PORT': '80',
                     'wsgi.url_scheme': 'http', 'HTTP_X_AUTH_TOKEN': token, **headers}, lambda *_: None)
        return self.seen[-1]

    def test_it_is_the_same_answer(self) -> None:
        nova = {'HTTP_X_SERVICE_TOKEN': self.add('service')}
        for headers in ({}, nova):
            with self.subTest(headers):
                token, self.questions = self.add('member'), 0
                first = self.ask(token, **headers)
                asked = self.questions
                self.assertEqual(('Confirmed', 'member', 'p'), (
                    first['HTTP_X_IDENTITY_STATUS'], first['HTTP_X_ROLES'], first['HTTP_X_PROJECT_ID']))
                self.assertEqual(first, self.ask(token, **headers))
                self.assertEqual(asked, self.questions)
                self.now += api_tokens.AGAIN
                self.assertEqual(first, self.ask(token, **headers))
                self.assertEqual(2 * asked, self.questions)

    def test_who_comes_without_the_service_is_not_the_service(self) -> None:
        token = self.add('member')
        self.ask(token, HTTP_X_SERVICE_TOKEN=self.add('service'))
        self.assertFalse({name for name in self.ask(token) if name.startswith('HTTP_X_SERVICE_')})

    def test_nobody_gets_what_he_claims(self) -> None:
        token = self.add('member')
        honest = self.ask(token)
        for name in ('HTTP_X_ROLES', 'HTTP_X_SERVICE_ROLES', 'HTTP_X_USER_ID', 'HTTP_OPENSTACK_SYSTEM_SCOPE'):
            with self.subTest(name):
                self.assertEqual(honest, self.ask(token, **{name: 'admin'}))
        self.assertEqual(honest, self.ask(token))

    def test_an_unknown_token_is_not_remembered(self) -> None:
        self.assertEqual('Invalid', self.ask('unknown')['HTTP_X_IDENTITY_STATUS'])
        asked = self.questions
        self.ask('unknown')
        self.assertEqual(2 * asked, self.questions)
        self.assertEqual('Invalid', self.ask(self.add('member'), HTTP_X_SERVICE_TOKEN='unknown')[
            'HTTP_X_SERVICE_IDENTITY_STATUS'])

    def test_not_beyond_the_end_of_either(self) -> None:
        ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=api_tokens.AGAIN / 2)
        soon, long = {'expires_at': ends.isoformat()}, {}
        for user, service in ((soon, long), (long, soon)):
            tokens_ = {'token': self.add('member', **user), 'HTTP_X_SERVICE_TOKEN': self.add('service', **service)}
            self.questions = 0
            self.ask(**tokens_)
            self.ask(**tokens_)
            self.assertEqual(2, self.questions)
            self.now += api_tokens.AGAIN / 2
            self.ask(**tokens_)
            self.assertEqual(4, self.questions)

    def test_keystone_is_asked_for_the_catalogue_that_access_rules_need(self) -> None:
        self.assertTrue(self.memory._middleware._identity_server._include_service_catalog)
        self.assertNotIn('HTTP_X_SERVICE_CATALOG', self.ask(self.add('member')))

    def test_access_rules_are_looked_at_every_time(self) -> None:
        token = self.add('member', application_credential={'id': 'a', 'restricted': True, 'access_rules': [
            {'id': 'r', 'service': 'accelpool', 'method': 'GET', 'path': '/v1/pools'}]})
        for path, status in (('/v1/pools', 'Confirmed'), ('/v1/hosts', 'Invalid'), ('/v1/pools', 'Confirmed')):
            self.assertEqual(status, self.ask(token, path)['HTTP_X_IDENTITY_STATUS'])

    def test_where_nothing_shall_be_remembered_nothing_is(self) -> None:
        cfg.CONF.set_override('token_cache_time', -1, 'keystone_authtoken')
        self.addCleanup(cfg.CONF.clear_override, 'token_cache_time', 'keystone_authtoken')
        token = self.add('member')
        self.ask(token)
        self.ask(token)
        self.assertEqual(2, self.questions)
