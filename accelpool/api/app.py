# SPDX-License-Identifier: Apache-2.0
"""The WSGI application: pecan's routing inside OpenStack's middleware."""

from collections.abc import Callable, Iterable
from typing import Any

import pecan
import pecan.hooks
import webob
from oslo_config import cfg
from oslo_middleware import http_proxy_to_wsgi, request_id

from accelpool.api import audit, auth, context, cyborg, faults, health, microversions, registration, resource
from accelpool.api.controllers import root

#: Paths that answer without authentication: what versions there are.
PUBLIC = {'', '/', '/v1', '/v1/', '/v2', '/v2/'}
#: Below this callers prove themselves by what they send: guests by a token or a key.
SELF_PROVEN = '/v1/enrolments'


def _is_self_proven(path: str) -> bool:
    return path == SELF_PROVEN or path.startswith(SELF_PROVEN + '/')


class _Request(pecan.Request):  # type: ignore[misc]
    """A request whose body pecan leaves alone: endpoints read it once, with a limit and a schema."""

    @property
    def json(self) -> dict[str, Any]:
        return {}

    @property
    def params(self) -> Any:
        return self.GET


class _Frame(pecan.hooks.PecanHook):  # type: ignore[misc]
    """What happens around every request: version, identity, error form."""

    def on_route(self, state: Any) -> None:
        environ = state.request.environ
        negotiate = cyborg.negotiate if cyborg.speaks(environ) else microversions.negotiate
        environ[microversions.ENVIRON] = negotiate(state.request.headers.get(microversions.HEADER))
        if environ['PATH_INFO'] not in PUBLIC and not _is_self_proven(environ['PATH_INFO']):
            environ[context.ENVIRON] = context.from_environ(environ)

    def on_error(self, state: Any, failure: Exception) -> webob.Response:
        return faults.response(failure, state.request.environ)

    def after(self, state: Any) -> None:
        headers = state.response.headers
        headers['Vary'] = microversions.HEADER
        version = state.request.environ.get(microversions.ENVIRON)
        if cyborg.speaks(state.request.environ):
            headers.update(cyborg.headers(version))
        elif version is not None:
            headers[microversions.HEADER] = f'{microversions.SERVICE_TYPE} {version}'


class _Pecan(pecan.Pecan):  # type: ignore[misc]
    """pecan without its guesses, which cost more than the rest of it: resources know their methods."""

    def route(self, req: webob.Request, node: resource.Resource, path: str) -> tuple[Callable[..., Any], list[str]]:
        return node.route(path.split('/')[1:], req)

    def invoke_controller(self, controller: Callable[..., webob.Response], args: list[str], _kwargs: dict[str, Any],
                          state: Any) -> None:
        state.response = controller(*args)


class _Front:
    """Answers ``/healthcheck`` and what proves itself without authentication, and whatever a middleware fails on."""

    def __init__(self, application: auth.WSGIApp, bare: auth.WSGIApp) -> None:
        self._application = application
        self._bare = bare
        self._healthcheck = health.make_app(health.BACKENDS)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        registration.ensure()
        path = environ.get('PATH_INFO', '')
        chosen = self._application
        if path == health.PATH:
            chosen = self._healthcheck
        elif _is_self_proven(path):
            chosen = self._bare
        try:
            answer: Iterable[bytes] = chosen(environ, start_response)
        except Exception as failure:
            answer = faults.response(failure, environ)(environ, start_response)
        return answer


def make_app(protect: Callable[[auth.WSGIApp], auth.WSGIApp] = auth.protect) -> auth.WSGIApp:
    """Build the application from ``cfg.CONF``, which must have been read.

    :param protect: puts authentication in front; the default follows ``[api] auth_strategy``
    """
    application: auth.WSGIApp = _Pecan(
        root.RootController(), force_canonical=False, guess_content_type_from_ext=False, hooks=[_Frame()],
        request_cls=_Request)
    application = audit.wrap(_Front(protect(application), application))
    application = request_id.RequestId(application, cfg.CONF)
    parsing = http_proxy_to_wsgi.HTTPProxyToWSGI(application, cfg.CONF)
    if cfg.CONF.oslo_middleware.enable_proxy_headers_parsing:
        application = parsing
    if cfg.CONF.api.metrics:
        from accelpool.api import metrics  # 5 MiB that only this option needs

        application = metrics.Metrics(application)
    return application
