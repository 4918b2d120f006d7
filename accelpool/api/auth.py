# SPDX-License-Identifier: Apache-2.0
"""How callers prove who they are: the middleware of each ``[api] auth_strategy``."""

import hmac
import ipaddress
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import bcrypt
from oslo_config import cfg
from oslo_middleware import basic_auth
from webob import exc

from accelpool import errors
from accelpool.api import faults

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: bcrypt's work factor for generated passwords.  They carry 128 random bits, so a slow digest adds
#: nothing but CPU time.
GENERATED_COST = 4
#: Passwords that are remembered as right.
REMEMBERED = 1024
UNKNOWN = 'A user and password are needed (HTTP basic authentication)'


class HttpBasic:
    """Checks passwords as oslo.middleware does, with this API's error form.

    A password that was right is remembered (as a keyed digest, until the file changes): bcrypt costs as much
    CPU as the rest of a small request.
    """

    def __init__(self, application: WSGIApp, path: str) -> None:
        """:raises ConfigInvalid: the password file cannot be read or has digests that are not bcrypt's"""
        basic_auth.validate_auth_file(path)
        self._application = application
        self._path = path
        self._key = secrets.token_bytes(32)
        self._right: dict[tuple[bytes, int, int], basic_auth.AuthEntry] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            environ.update(self._identify(environ))
        except exc.HTTPException as failure:
            answer = faults.response(errors.Unauthorized(failure.detail or UNKNOWN), environ)
            answer.headers['WWW-Authenticate'] = 'Basic realm="accelpool"'
            refused: Iterable[bytes] = answer(environ, start_response)
            return refused
        return self._application(environ, start_response)

    def _identify(self, environ: dict[str, Any]) -> basic_auth.AuthEntry:
        token = basic_auth.parse_header(environ)
        file = os.stat(self._path)
        known = (hmac.digest(self._key, token.encode(), 'sha256'), file.st_mtime_ns, file.st_ino)
        if known not in self._right:
            entry = basic_auth.authenticate(self._path, *basic_auth.parse_token(token))
            if len(self._right) >= REMEMBERED:
                self._right.clear()
            self._right[known] = entry
        return self._right[known]


def protect(application: WSGIApp) -> WSGIApp:
    """Put the configured strategy's middleware in front of the application."""
    strategy = cfg.CONF.api.auth_strategy
    if strategy == 'keystone':
        from accelpool.api import tokens  # slow to import; standalone does not need it

        return tokens.protect(application)
    if strategy == 'http_basic':
        return HttpBasic(application, cfg.CONF.api.htpasswd_file)
    return application


def check_listen_address(host: str) -> None:
    """Refuse to listen where strangers can reach an API without Keystone.

    :raises ValueError: the address is not a loopback address and auth_strategy is not keystone
    """
    strategy = cfg.CONF.api.auth_strategy
    if strategy == 'keystone' or host == 'localhost':
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(
            f'auth_strategy = {strategy} serves loopback addresses only, not {host}; '
            'use [api] auth_strategy = keystone to listen elsewhere')


def write_htpasswd(path: Path, user: str, password: str) -> None:
    """Write a password file (mode 0600) with one user, whose password is long and random."""
    digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(GENERATED_COST)).decode()
    temporary = path.with_name(f'{path.name}.{os.getpid()}')
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, 'w', encoding='utf-8') as stream:
        stream.write(f'{user}:{digest}\n')
    temporary.replace(path)
