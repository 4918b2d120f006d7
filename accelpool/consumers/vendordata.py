# SPDX-License-Identifier: Apache-2.0
"""Dynamic vendordata of Nova: tells the guest of an instance that has slices where to enrol, with a fresh token.

Nova posts what it knows of the instance, with a token of its own, whenever it makes a config drive or its metadata
service needs the document (``[api] vendordata_dynamic_targets``).  Every user of the guest can read the answer, and on
a config drive it stays for ever: so there is a single-use token in it and never a credential.
"""

import datetime
import json
from collections.abc import Callable, Iterable
from typing import Any

import webob
from oslo_config import cfg
from oslo_log import log
from oslo_middleware import request_id
from webob import exc

from accelpool import errors
from accelpool.api import auth, collection, faults, health, tokens, validation
from accelpool.api.schemas.v1 import common
from accelpool.db import enrolment as db_enrolment
from accelpool.db import session as db

LOG = log.getLogger(__name__)

#: Version of the answer's form.
VERSION = 1
#: Bytes of a request: Nova sends user data (64 KiB, as base64) and metadata along.
LONGEST = 2**20
#: Whose allocations are an instance's: its own, and those of the bare-metal node that it is.
CONSUMER_TYPES = ('instance', 'node')

#: Of all that Nova sends: the rest, such as user data, is nobody's business here.
_REQUEST = validation.Checker({
    'type': 'object', 'required': ['instance-id', 'project-id'],
    'properties': {'instance-id': common.UUID, 'project-id': common.LINE},
})


class _Endpoint:
    """The application behind authentication."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = webob.Request(environ)
        try:
            _check_caller(environ)
            if request.method != 'POST':
                raise exc.HTTPMethodNotAllowed('Nova posts here', allow='POST')
            body = _read(request)
            found = _answer(body['project-id'], body['instance-id'])
            response = webob.Response(json.dumps(found), content_type='application/json', charset='utf-8')
            response.headers['Cache-Control'] = 'no-store'
        except Exception as failure:
            response = faults.response(failure, environ)
        answer: Iterable[bytes] = response(environ, start_response)
        return answer


def _check_caller(environ: dict[str, Any]) -> None:
    if environ.get('HTTP_X_IDENTITY_STATUS') != 'Confirmed':
        raise errors.Unauthorized('A valid token of a service user is needed in the header X-Auth-Token')
    roles = {role.strip() for role in environ.get('HTTP_X_ROLES', '').split(',')}
    if not roles & set(cfg.CONF.enrolment.vendordata_roles):
        raise errors.Forbidden('Only services ask for vendordata ([enrolment] vendordata_roles)')


def _read(request: webob.Request) -> dict[str, Any]:
    raw = request.body_file.read(LONGEST + 1)
    if len(raw) > LONGEST:
        raise errors.PayloadTooLarge(f'The body is larger than {LONGEST} bytes')
    body: dict[str, Any] = validation.parse_json(raw)
    _REQUEST.check(body)
    return body


def _answer(project_id: str, instance_id: str) -> dict[str, Any]:
    """Return the document for an instance: empty unless its own project has a slice for it."""
    url = cfg.CONF.enrolment.url
    lifetime = datetime.timedelta(seconds=cfg.CONF.enrolment.token_lifetime)

    def issue(session: Any) -> dict[str, Any]:
        found = db_enrolment.consumers(session, project_id, instance_id, CONSUMER_TYPES)
        if not found:
            return {}
        if url is None:
            LOG.error('Instance %s has slices, but its guest cannot be told where to enrol: [enrolment] url is not set',
                      instance_id)
            return {}
        token, row = db_enrolment.issue(session, project_id=project_id, consumer_type=found[0].consumer_type,
                                        consumer_id=instance_id, lifetime=lifetime)
        LOG.info('A token for the guest of instance %s has been given out', instance_id)
        return {'accelpool': {'version': VERSION, 'url': url.rstrip('/'), 'consumer': instance_id, 'token': token,
                              'expires_at': collection.time(row.expires_at)}}

    return db.retrying(issue)


def make_app() -> auth.WSGIApp:
    """Build the application from ``cfg.CONF``, which must have been read.

    As the API it answers ``/healthcheck`` and, if ``[api] metrics`` is set, ``/metrics`` without authentication.
    """
    protected = tokens.protect(_Endpoint())
    checked = health.make_app([health.DATABASE])

    def front(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        chosen = checked if environ.get('PATH_INFO') == health.PATH else protected
        try:
            return chosen(environ, start_response)
        except Exception as failure:  # Keystone does not answer
            answer: Iterable[bytes] = faults.response(failure, environ)(environ, start_response)
            return answer

    application: auth.WSGIApp = request_id.RequestId(front, cfg.CONF)
    if cfg.CONF.api.metrics:
        from accelpool.api import metrics  # 5 MiB that only this option needs

        application = metrics.Metrics(application)
    return application
