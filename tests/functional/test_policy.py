# SPDX-License-Identifier: Apache-2.0
"""The whole policy, as tests/policy/matrix.yaml has it."""

import json
import logging
import unittest
from collections.abc import Callable, Iterable
from typing import Any

import webob

from tests.functional import pool
from tests.support import policy

PERSONAS = policy.MATRIX['personas'] | policy.MATRIX['nobody']
#: Roles that make a token a service's ([keystone_authtoken] service_token_roles).
SERVICE_ROLES = {'service'}


class Identities:
    """Stands where keystonemiddleware stands: the token is a persona's name."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ.update(headers(PERSONAS[environ['HTTP_X_AUTH_TOKEN']]))
        return self._application(environ, start_response)


def headers(persona: dict[str, Any]) -> dict[str, str]:
    """Return what keystonemiddleware says of a persona."""
    if not persona:
        return {'HTTP_X_IDENTITY_STATUS': 'Invalid'}
    found = {'HTTP_X_IDENTITY_STATUS': 'Confirmed', 'HTTP_X_USER_ID': 'user',
             'HTTP_X_ROLES': ','.join(persona['roles'])}
    if 'project' in persona:
        found['HTTP_X_PROJECT_ID'] = f'project-{persona["project"]}'
    if 'system' in persona:
        found['HTTP_OPENSTACK_SYSTEM_SCOPE'] = persona['system']
    if 'service_roles' in persona:
        if SERVICE_ROLES & set(persona['service_roles']):
            found |= {'HTTP_X_SERVICE_IDENTITY_STATUS': 'Confirmed',
                      'HTTP_X_SERVICE_ROLES': ','.join(persona['service_roles'])}
        else:
            found['HTTP_X_SERVICE_IDENTITY_STATUS'] = 'Invalid'
    return found


class Events(logging.Handler):
    """Keeps what the audit says."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(json.loads(record.getMessage()))


class Policy(unittest.TestCase):
    """Every persona tries every operation; whatever changes something, or is refused to, is audited."""

    def setUp(self) -> None:
        self.events = Events()
        audit = logging.getLogger('accelpool.audit')
        audit.setLevel(logging.INFO)
        audit.addHandler(self.events)
        self.addCleanup(audit.removeHandler, self.events)
        self.pool = pool.Pool(protect=Identities)
        self.addCleanup(self.pool.close)

    def ask(self, persona: str, method: str, path: str, body: Any) -> tuple[int, Any]:
        request = webob.Request.blank(path, method=method, headers={'X-Auth-Token': persona})
        if body is not None:
            request.content_type = 'application/json'
            request.body = json.dumps(body).encode()
        request.headers['OpenStack-API-Version'] = 'accelpool latest'
        self.events.seen.clear()
        response = request.get_response(self.pool.application)
        harmless = path == '/v1/candidates' or (method == 'GET' and not path.endswith('/attachment'))
        self.assertEqual([] if harmless else [(path.partition('?')[0], str(response.status_int))],
                         [(event['requestPath'], event['reason']['reasonCode']) for event in self.events.seen])
        return response.status_int, response.json if response.body else None

    def test_every_cell_of_the_matrix(self) -> None:
        policy.Walk(self, self.ask).run()

    def test_lists_show_what_the_matrix_says(self) -> None:
        policy.Walk(self, self.ask).lists()

    def test_the_matrix_has_every_documented_operation(self) -> None:
        self.assertEqual(policy.documented(), policy.walked())

    def test_the_matrix_names_personas_that_exist(self) -> None:
        named = {one for row in policy.MATRIX['operations'] for one in (*row['may'], *row.get('missing', ()))}
        self.assertLessEqual(named | set(policy.MATRIX['sees']), set(policy.MATRIX['personas']))
