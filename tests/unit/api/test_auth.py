# SPDX-License-Identifier: Apache-2.0
import base64
import pathlib
import stat
import tempfile
import unittest

import webob
from oslo_config import cfg
from oslo_middleware import exceptions

from accelpool import conf, errors
from accelpool.api import auth, context


def _echo(environ, start_response):  # type: ignore[no-untyped-def]
    found = context.from_environ(environ)
    return webob.Response(json_body=[found.user_id, found.project_id, found.roles])(environ, start_response)


class _Strategy(unittest.TestCase):
    strategy: str

    def setUp(self) -> None:
        conf.register_all()
        cfg.CONF([], project='accelpool', default_config_files=[], default_config_dirs=[])
        cfg.CONF.set_override('auth_strategy', self.strategy, group='api')
        self.addCleanup(cfg.CONF.reset)
        self.addCleanup(cfg.CONF.clear_override, 'auth_strategy', group='api')


class HttpBasicTest(_Strategy):
    strategy = 'http_basic'

    def setUp(self) -> None:
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name) / 'htpasswd'
        auth.write_htpasswd(self.path, 'accelpool', 'secret')
        cfg.CONF.set_override('htpasswd_file', str(self.path), group='api')
        self.addCleanup(cfg.CONF.clear_override, 'htpasswd_file', group='api')
        self.application = auth.protect(_echo)

    def answer(self, authorization: tuple[str, str] | str | None) -> webob.Response:
        request = webob.Request.blank('/v1/pools', headers={'X-User': 'somebody else'})
        if authorization is not None:
            if isinstance(authorization, tuple):
                authorization = 'Basic ' + base64.b64encode(':'.join(authorization).encode()).decode()
            request.headers['Authorization'] = authorization
        return request.get_response(self.application)

    def test_the_file_is_private(self) -> None:
        self.assertEqual(0o600, stat.S_IMODE(self.path.stat().st_mode))
        self.assertNotIn('secret', self.path.read_text())

    def test_the_right_password(self) -> None:
        self.assertEqual(['accelpool', 'default', ['admin', 'member', 'reader']],
                         self.answer(('accelpool', 'secret')).json)

    def test_a_new_password_counts_at_once(self) -> None:
        self.assertEqual(200, self.answer(('accelpool', 'secret')).status_int)
        auth.write_htpasswd(self.path, 'accelpool', 'changed')
        self.assertEqual(401, self.answer(('accelpool', 'secret')).status_int)
        self.assertEqual(200, self.answer(('accelpool', 'changed')).status_int)

    def test_a_file_that_is_not_there(self) -> None:
        cfg.CONF.set_override('htpasswd_file', '/nonexistent', group='api')
        with self.assertRaises(exceptions.ConfigInvalid):
            auth.protect(_echo)

    def test_everything_else(self) -> None:
        for authorization in (None, ('accelpool', 'wrong'), ('nobody', 'secret'), ('', ''), 'Basic !', 'Bearer x', ''):
            with self.subTest(authorization):
                answer = self.answer(authorization)
                self.assertEqual(401, answer.status_int)
                self.assertEqual('unauthorized', answer.json['errors'][0]['code'])
                self.assertIn('Basic', answer.headers['WWW-Authenticate'])

    def test_loopback_only(self) -> None:
        for host in ('127.0.0.1', '127.0.0.2', '::1', 'localhost'):
            auth.check_listen_address(host)
        for host in ('0.0.0.0', '::', '192.0.2.1', 'example.org', '', '127.0.0.1.example.org'):
            with self.subTest(host), self.assertRaisesRegex(ValueError, 'loopback'):
                auth.check_listen_address(host)


class NoneTest(_Strategy):
    strategy = 'none'

    def test_everybody_is_the_same(self) -> None:
        request = webob.Request.blank('/', headers={'X-User': 'x', 'X-Roles': 'y', 'X-Project-Id': 'z'})
        self.assertEqual(['anonymous', 'default', ['admin', 'member', 'reader']],
                         request.get_response(auth.protect(_echo)).json)

    def test_loopback_only(self) -> None:
        with self.assertRaises(ValueError):
            auth.check_listen_address('0.0.0.0')


class KeystoneTest(_Strategy):
    strategy = 'keystone'

    def test_may_listen_anywhere(self) -> None:
        auth.check_listen_address('0.0.0.0')

    def test_context_comes_from_the_middleware(self) -> None:
        found = context.from_environ({
            'HTTP_X_IDENTITY_STATUS': 'Confirmed', 'HTTP_X_PROJECT_ID': 'p', 'HTTP_X_USER_ID': 'u',
            'HTTP_X_ROLES': 'member,reader'})
        self.assertEqual(('p', 'u', ['member', 'reader']), (found.project_id, found.user_id, found.roles))

    def test_unconfirmed_or_unscoped(self) -> None:
        for environ in ({}, {'HTTP_X_IDENTITY_STATUS': 'Invalid', 'HTTP_X_PROJECT_ID': 'p'},
                        {'HTTP_X_IDENTITY_STATUS': 'Confirmed', 'HTTP_X_USER_ID': 'u'}):
            with self.subTest(environ), self.assertRaises(errors.Unauthorized):
                context.from_environ(dict(environ))

    def test_forged_headers_do_not_pass_the_middleware(self) -> None:
        request = webob.Request.blank('/', headers={
            'X-Identity-Status': 'Confirmed', 'X-Project-Id': 'p', 'X-User-Id': 'u', 'X-Roles': 'admin'})
        with self.assertRaises(errors.Unauthorized):
            request.get_response(auth.protect(_echo))
