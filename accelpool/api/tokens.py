# SPDX-License-Identifier: Apache-2.0
"""Keystone's tokens."""

import datetime
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keystoneauth1 import access, exceptions
from keystonemiddleware import auth_token, opts
from keystonemiddleware.auth_token import _exceptions as refusals
from oslo_config import cfg

from accelpool import errors
from accelpool.api import auth

#: Why nothing can be said of a token.
_NO_ANSWER = (exceptions.ConnectFailure, exceptions.DiscoveryFailure, exceptions.RequestTimeout, refusals.ServiceError)


#: What keystonemiddleware's defaults should be (they are no limit, and 3): a Keystone that takes a request and never
#: answers must not hold ours.  About two tokens of a request it is asked one after the other: less than 30 s in all.
PATIENCE = {'http_connect_timeout': 4, 'http_request_max_retries': 2}


def _be_patient() -> None:
    """Change defaults of keystonemiddleware; section [keystone_authtoken] has the last word."""
    for group, options in opts.list_auth_token_opts():
        cfg.CONF.register_opts(options, group=group)
    for name, value in PATIENCE.items():
        cfg.CONF.set_default(name, value, group='keystone_authtoken')


class _Tokens(auth_token.AuthProtocol):  # type: ignore[misc]
    """keystonemiddleware, which takes a token for invalid when Keystone cannot be asked and the decision is delayed."""

    def __init__(self, application: auth.WSGIApp, conf: Mapping[str, Any]) -> None:
        super().__init__(application, conf)
        # No header of the catalogue, of which nothing here reads; the option would not ask Keystone for it either,
        # and access rules are checked against it.
        self._include_service_catalog = False

    def fetch_token(self, token: str, **options: Any) -> Any:
        """:raises ServiceUnavailable: Keystone does not answer"""
        try:
            return super().fetch_token(token, **options)
        except exceptions.ConnectTimeout as silence:  # of which it knows nothing
            raise _no_answer() from silence
        except refusals.InvalidToken as refusal:
            if isinstance(refusal.__context__, _NO_ANSWER):
                raise _no_answer() from refusal
            raise


def _no_answer() -> errors.ServiceUnavailable:
    return errors.ServiceUnavailable('Keystone does not answer; try again')


#: Trees of the API and their types in Keystone's catalogue, which access rules of application credentials name.
SERVICE_TYPES = {'/v2': 'accelerator', '': 'accelpool'}

#: Seconds for which what keystonemiddleware says of tokens is not asked again: much less than it remembers them itself,
#: but the way to its memory takes as long as the rest of a small request.
AGAIN = 10.0
#: Pairs of tokens that are remembered.
REMEMBERED = 1024
#: Beginnings of the names in the environment that say who somebody is, or claim it.
_IDENTITY = ('HTTP_X_', 'HTTP_OPENSTACK_SYSTEM_SCOPE')
_TOKENS = ('HTTP_X_AUTH_TOKEN', 'HTTP_X_SERVICE_TOKEN')
#: Headers that begin like those of an identity and are none.
_HARMLESS = frozenset({*_TOKENS, 'HTTP_X_OPENSTACK_REQUEST_ID', 'HTTP_X_REAL_IP', *(
    f'HTTP_X_FORWARDED_{what}' for what in ('FOR', 'HOST', 'PORT', 'PREFIX', 'PROTO', 'SERVER'))})
#: Key of the WSGI environment: the tokens of which the answer may be remembered.
_ASKED = 'accelpool.tokens'

Pair = tuple[str, str | None]


class Memory:
    """keystonemiddleware in front of an application, with its last answers."""

    def __init__(self, application: auth.WSGIApp, service_type: str,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._application = application
        _be_patient()
        self._middleware = _Tokens(self._answered, {
            'oslo_config_config': cfg.CONF, 'delay_auth_decision': True, 'service_type': service_type})
        self._clock = clock
        self._known: dict[Pair, tuple[float, Mapping[str, str]]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked = environ[_ASKED] = _asked(environ)
        until, identity = self._known.get(asked, (0.0, {})) if asked else (0.0, {})
        if self._clock() < until:
            environ |= identity
            return self._application(environ, start_response)
        answer: Iterable[bytes] = self._middleware(environ, start_response)
        return answer

    def _answered(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked = environ[_ASKED]
        if asked and cfg.CONF.keystone_authtoken.token_cache_time >= AGAIN and _is_of_the_tokens_alone(environ):
            if len(self._known) >= REMEMBERED:
                self._known = {}
            self._known[asked] = self._clock() + min(AGAIN, _left(environ)), {
                name: value for name, value in environ.items() if name.startswith(_IDENTITY) and name not in _HARMLESS}
        return self._application(environ, start_response)


def _asked(environ: Mapping[str, Any]) -> Pair | None:
    """Return a request's tokens; None: it has none, or claims an identity beside them."""
    if _TOKENS[0] not in environ or any(name.startswith(_IDENTITY) and name not in _HARMLESS for name in environ):
        return None
    return environ[_TOKENS[0]], environ.get(_TOKENS[1])


def _is_of_the_tokens_alone(environ: Mapping[str, Any]) -> bool:
    """Whether every request with these tokens would get this answer: not where it depends on the path or the peer."""
    if environ.get('HTTP_X_IDENTITY_STATUS') != 'Confirmed' or (
            _TOKENS[1] in environ and environ.get('HTTP_X_SERVICE_IDENTITY_STATUS') != 'Confirmed'):
        return False
    token = environ['keystone.token_info']['token']
    return not any(one.bind for one in _proven(environ)) and (
        token.get('application_credential') or {}).get('access_rules') is None


def _left(environ: Mapping[str, Any]) -> float:
    """Return the seconds for which all of a request's tokens are still valid."""
    now = datetime.datetime.now(datetime.UTC)
    return min((one.expires - now).total_seconds() if one.expires else 0.0 for one in _proven(environ))


def _proven(environ: Mapping[str, Any]) -> list[access.AccessInfo]:
    """Return what a request's tokens say."""
    found = environ['keystone.token_auth']
    return [one for one in (found.user, found.service) if one is not None]


def protect(application: auth.WSGIApp) -> auth.WSGIApp:
    """Check every request's token; with the decision delayed, a refusal has this API's error form (api/context.py)."""
    trees = {tree: Memory(application, service_type) for tree, service_type in SERVICE_TYPES.items()}

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get('PATH_INFO', '')
        return next(trees[tree] for tree in trees if path.startswith(tree))(environ, start_response)

    return checked
