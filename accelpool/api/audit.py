# SPDX-License-Identifier: Apache-2.0
"""Audit: every request that changes something or asks for a credential becomes a CADF event, also a refused one."""

import datetime
import functools
import json
import logging
import socket
from collections.abc import Callable, Iterable
from typing import Any

from oslo_config import cfg
from oslo_middleware import request_id

from accelpool.api import auth, context
from accelpool.db import models

LOG = logging.getLogger('accelpool.audit')

#: HTTP methods that change something, as CADF calls it.
ACTIONS = {'POST': 'create', 'PUT': 'update', 'PATCH': 'update', 'DELETE': 'delete'}
#: Requests that change nothing although they are POSTs.
HARMLESS = ('/v1/candidates',)
#: Last part of paths whose GET hands out a credential.
CREDENTIALS = 'attachment'
#: Bytes of an answer in which the new object's id is looked for.
LONGEST = 65536
#: Whoever or whatever the request does not name.
UNKNOWN = 'unknown'

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
    """Return the CADF event (DMTF DSP0262) of a request that was answered; what is not known is left out.

    Written here because pycadf takes as long for one as the rest of a request.

    :param made: id of the object that it made
    """
    who: context.Context | None = environ.get(context.ENVIRON)
    path = environ.get('PATH_INFO', '')
    tree, *parts = [part for part in path.split('/') if part] or ['']
    initiator = {
        'id': (who.user_id if who else None) or UNKNOWN, 'typeURI': 'service/security/account/user',
        'name': who.user_name if who else None, 'domain': who.user_domain_id if who else None,
        'host': _known({'address': environ.get('REMOTE_ADDR'), 'agent': environ.get('HTTP_USER_AGENT')}),
        'project_id': who.project_id if who else None, 'request_id': environ.get(request_id.ENV_REQUEST_ID)}
    return {
        'typeURI': 'http://schemas.dmtf.org/cloud/audit/1.0/event', 'eventType': 'activity', 'id': models.new_id(),
        'eventTime': datetime.datetime.now(datetime.UTC).strftime('%Y-%m-%dT%H:%M:%S.%f%z'),
        'action': action, 'outcome': 'success' if status < 400 else 'failure',
        'reason': {'reasonType': 'HTTP', 'reasonCode': str(status)},
        'initiator': _known(initiator),
        'target': {'id': made or (parts[1] if len(parts) > 1 else UNKNOWN),
                   'typeURI': '/'.join(('service', 'accelerator', tree, *parts[::2]))},
        'observer': {'id': cfg.CONF.api.name, 'typeURI': 'service/accelerator', 'name': 'accelpool-api'},
        'requestPath': path,
    }


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _made(headers: dict[str, str], body: bytes) -> str | None:
    """Return the id in the answer to a request that made something."""
    if not headers.get('content-type', '').startswith('application/json') or len(body) > LONGEST:
        return None
    answer = json.loads(body)
    found = (answer.get('id') or answer.get('uuid')) if isinstance(answer, dict) else None
    return found if isinstance(found, str) else None


def _tell(found: dict[str, Any]) -> None:
    if cfg.CONF.audit.destination == 'log':
        LOG.info('%s', json.dumps(found))
        return
    from accelpool import notifications

    notifications.outbox().put(functools.partial(
        notifications.notifier_of(tuple(cfg.CONF.audit.topics), f'accelpool-api:{socket.gethostname()}').info,
        {}, 'audit.http.response', found))
