# SPDX-License-Identifier: Apache-2.0
"""Keystone's tokens."""

from collections.abc import Callable, Iterable
from typing import Any

from keystoneauth1 import exceptions
from keystonemiddleware import auth_token
from keystonemiddleware.auth_token import _exceptions as refusals
from oslo_config import cfg

from accelpool import errors
from accelpool.api import auth

#: Why nothing can be said of a token.
_NO_ANSWER = (exceptions.ConnectFailure, exceptions.DiscoveryFailure, exceptions.RequestTimeout, refusals.ServiceError)


class _Tokens(auth_token.AuthProtocol):  # type: ignore[misc]
    """keystonemiddleware, which takes a token for invalid when Keystone cannot be asked and the decision is delayed."""

    def fetch_token(self, token: str, **options: Any) -> Any:
        """:raises ServiceUnavailable: Keystone does not answer"""
        try:
            return super().fetch_token(token, **options)
        except refusals.InvalidToken as refusal:
            if isinstance(refusal.__context__, _NO_ANSWER):
                raise errors.ServiceUnavailable('Keystone does not answer; try again') from refusal
            raise


#: Trees of the API and their types in Keystone's catalogue, which access rules of application credentials name.
SERVICE_TYPES = {'/v2': 'accelerator', '': 'accelpool'}


def protect(application: auth.WSGIApp) -> auth.WSGIApp:
    """Check every request's token; with the decision delayed, a refusal has this API's error form (api/context.py)."""
    trees = {tree: _Tokens(application, {'oslo_config_config': cfg.CONF, 'delay_auth_decision': True,
                                         'service_type': service_type})
             for tree, service_type in SERVICE_TYPES.items()}

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get('PATH_INFO', '')
        answer: Iterable[bytes] = next(
            trees[tree] for tree in trees if path.startswith(tree))(environ, start_response)
        return answer

    return checked
