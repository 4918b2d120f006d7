# SPDX-License-Identifier: Apache-2.0
"""How callers prove who they are: the middleware of each ``[api] auth_strategy``."""

import ipaddress
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import bcrypt
import webob
from oslo_config import cfg
from oslo_middleware import basic_auth

from accelpool import errors
from accelpool.api import faults

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: bcrypt's work factor for generated passwords.  They carry 128 random bits, so a slow digest adds
#: nothing; and it is computed for every request (factor 12 would take 0.2 s of CPU each time).
GENERATED_COST = 4


class HttpBasic(basic_auth.BasicAuthMiddleware):
    """oslo.middleware's, with this API's error form."""

    def format_exception(self, e: Exception) -> webob.Response:
        detail = getattr(e, 'detail', None) or 'A user and password are needed (HTTP basic authentication)'
        response = faults.response(errors.Unauthorized(detail), None)
        response.headers['WWW-Authenticate'] = 'Basic realm="accelpool"'
        return response


def protect(application: WSGIApp) -> WSGIApp:
    """Put the configured strategy's middleware in front of the application."""
    strategy = cfg.CONF.api.auth_strategy
    if strategy == 'keystone':
        from keystonemiddleware import auth_token  # slow to import; standalone does not need it

        # With the decision delayed, a refusal has this API's error form (see context.from_environ).
        protected: WSGIApp = auth_token.AuthProtocol(
            application, {'oslo_config_config': cfg.CONF, 'delay_auth_decision': True})
        return protected
    if strategy == 'http_basic':
        cfg.CONF.set_override(
            'http_basic_auth_user_file', cfg.CONF.api.htpasswd_file, group='oslo_middleware')
        protected = HttpBasic(application, cfg.CONF)
        return protected
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
