# SPDX-License-Identifier: Apache-2.0
"""The one error form, for everything that can go wrong with a request."""

import json
import re
from typing import Any

import webob
from oslo_log import log
from oslo_middleware import request_id
from webob import exc

from accelpool import errors
from accelpool.api import cyborg
from accelpool.db import session

LOG = log.getLogger(__name__)

#: Seconds after which a caller may try again what could not be done now: everything reconnects within a few.
RETRY_AFTER = 5


def response(failure: Exception, environ: dict[str, Any] | None) -> webob.Response:
    """Turn an exception into a response; one that nobody foresaw is logged and becomes a bare 500."""
    body: dict[str, Any]
    headers: dict[str, str] = {}
    try:
        with session.availability():
            raise failure
    except Exception as seen:
        failure = seen
    if isinstance(failure, errors.AccelpoolError):
        body = {'status': failure.status, 'code': failure.code, 'title': failure.title,
                'detail': failure.detail}
        if failure.field is not None:
            body['field'] = failure.field
        if failure.status >= 500:
            LOG.error('Request failed: %s', failure.detail)
    elif isinstance(failure, exc.HTTPException) and failure.status_int < 500:
        body = {'status': failure.status_int, 'code': _code(failure.title), 'title': failure.title,
                'detail': failure.detail or failure.explanation}
        if 'Allow' in failure.headers:
            headers['Allow'] = failure.headers['Allow']
    else:
        LOG.error('Request failed unexpectedly', exc_info=failure)
        body = {'status': 500, 'code': errors.AccelpoolError.code, 'title': errors.AccelpoolError.title,
                'detail': 'The service failed on this request; its log has the reason under the request id'}
    if body['status'] in (429, 503):
        headers['Retry-After'] = str(RETRY_AFTER)
    if body['status'] == 401:
        headers['WWW-Authenticate'] = 'Keystone'
    body['request_id'] = (environ or {}).get(request_id.ENV_REQUEST_ID)
    form: dict[str, Any] = {'errors': [body]}
    if cyborg.speaks(environ or {}):
        form = cyborg.error(body['status'], body['detail'])
    answer = webob.Response(
        body=json.dumps(form).encode(), status=body['status'], content_type='application/json')
    answer.headers.update(headers)
    return answer


def _code(title: str) -> str:
    """``Method Not Allowed`` -> ``method-not-allowed``"""
    return re.sub(r'[^a-z]+', '-', title.lower())
