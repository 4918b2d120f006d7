# SPDX-License-Identifier: Apache-2.0
"""Audit: every request that changes something or asks for a credential becomes a CADF event, also a refused one."""

import functools
import json
import logging
import socket
from collections.abc import Callable, Iterable
from typing import Any

from oslo_config import cfg
from oslo_middleware import request_id

from accelpool.api import auth, context

LOG = logging.getLogger('accelpool.audit')

#: HTTP methods that change something, as CADF calls it.
ACTIONS = {'POST': 'create', 'PUT': 'update', 'PATCH': 'update', 'DELETE': 'delete'}
#: Requests that change nothing although they are POSTs.
HARMLESS = ('/v1/candidates',)
#: Last part of paths whose GET hands out a credential.
CREDENTIALS = 'attachment'
#: Bytes of an answer in which the new object's id is looked for.
LONGEST = 65536

Start = Callable[..., Any]


class Audit:
    """Around authentication, so that it sees who was refused, and who was let in."""

    def __init__(self, application: auth.WSGIApp) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        action = action_of(environ)
        if action is None:
            return self._application(environ, start_response)
        said: list[tuple[str, dict[str, str]]] = []

        def noted(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            said.append((status, {name.lower(): value for name, value in headers}))
            return start_response(status, headers, *rest)

        answer = list(self._application(environ, noted))
        status, headers = said[-1]
        _tell(event(environ, action, int(status.split()[0]), _made(headers, b''.join(answer))))
        return answer


def wrap(application: auth.WSGIApp) -> auth.WSGIApp:
    """Put the audit around the application, if ``[audit] destination`` wants one."""
    return application if cfg.CONF.audit.destination == 'none' else Audit(application)


def action_of(environ: dict[str, Any]) -> str | None:
    """Return what a request does, as CADF calls it; None for what need not be audited."""
    path = environ.get('PATH_INFO', '').rstrip('/')
    method = environ['REQUEST_METHOD']
    if method == 'GET' and path.rpartition('/')[2] == CREDENTIALS:
        return 'read'
    return None if path in HARMLESS else ACTIONS.get(method)


def event(environ: dict[str, Any], action: str, status: int, made: str | None) -> dict[str, Any]:
    """Return the CADF event of a request that was answered.

    :param made: id of the object that it made
    """
    from pycadf import cadftaxonomy, host, reason, resource
    from pycadf import event as cadf

    who: context.Context | None = environ.get(context.ENVIRON)
    address = host.Host(address=environ.get('REMOTE_ADDR'), agent=environ.get('HTTP_USER_AGENT'))
    initiator = resource.Resource(
        id=(who.user_id if who else None) or 'unknown', typeURI=cadftaxonomy.ACCOUNT_USER,
        name=who.user_name if who else None, host=address, domain=who.user_domain_id if who else None)
    initiator.project_id = who.project_id if who else None
    initiator.request_id = environ.get(request_id.ENV_REQUEST_ID)
    path = environ.get('PATH_INFO', '')
    tree, *parts = [part for part in path.split('/') if part] or ['']
    found = cadf.Event(
        eventType='activity', action=action, initiator=initiator,
        outcome=cadftaxonomy.OUTCOME_SUCCESS if status < 400 else cadftaxonomy.OUTCOME_FAILURE,
        reason=reason.Reason(reasonType='HTTP', reasonCode=str(status)),
        target=resource.Resource(id=made or (parts[1] if len(parts) > 1 else 'unknown'),
                                 typeURI='/'.join(('service', 'accelerator', tree, *parts[::2]))),
        observer=resource.Resource(id=cfg.CONF.api.name, typeURI='service/accelerator', name='accelpool-api'))
    shown: dict[str, Any] = found.as_dict()
    shown['requestPath'] = path
    return shown


def _made(headers: dict[str, str], body: bytes) -> str | None:
    """Return the id in the answer to a request that made something."""
    if not headers.get('content-type', '').startswith('application/json') or len(body) > LONGEST:
        return None
    answer = json.loads(body)
    found = (answer.get('id') or answer.get('uuid')) if isinstance(answer, dict) else None
    return found if isinstance(found, str) else None


def _tell(found: dict[str, Any]) -> None:
    if cfg.CONF.audit.destination == 'log':
        LOG.info('%s', json.dumps(found, default=_plain))
        return
    from accelpool import notifications

    notifications.outbox().put(functools.partial(
        notifications.notifier_of(tuple(cfg.CONF.audit.topics), f'accelpool-api:{socket.gethostname()}').info,
        {}, 'audit.http.response', json.loads(json.dumps(found, default=_plain))))


def _plain(value: Any) -> Any:
    """pycadf leaves objects inside of what it calls a dict."""
    return value.as_dict()
