# SPDX-License-Identifier: Apache-2.0
"""What real tokens can and cannot do, beyond roles: application credentials, service tokens, revocation."""

import unittest
import uuid
from typing import Any

import requests

from tests.integration import support
from tests.integration.support import personas
from tools.integration import identity, layout


def setUpModule() -> None:
    support.up()
    personas.create()


class ApplicationCredentials(unittest.TestCase):
    """A program acts for a user without the user's password."""

    def setUp(self) -> None:
        keystone = identity.Api()
        self.user = keystone.ensure('users', {'name': 'policy-member'})['id']
        self.own = {'X-Auth-Token': personas.token('member', 'own')}

    def credential(self, **restrictions: Any) -> dict[str, Any]:
        """Make an application credential of the member for its project."""
        answer = requests.post(
            layout.url('keystone', f'/v3/users/{self.user}/application_credentials'), timeout=30, headers=self.own,
            json={'application_credential': {'name': str(uuid.uuid4()), **restrictions}})
        answer.raise_for_status()
        made: dict[str, Any] = answer.json()['application_credential']
        self.addCleanup(self.revoke, made)
        return made

    def revoke(self, credential: dict[str, Any]) -> None:
        requests.delete(layout.url('keystone', f'/v3/users/{self.user}/application_credentials/{credential["id"]}'),
                        timeout=30, headers=self.own)

    def headers(self, credential: dict[str, Any]) -> dict[str, str]:
        return {'X-Auth-Token': personas.authenticate({
            'methods': ['application_credential'],
            'application_credential': {'id': credential['id'], 'secret': credential['secret']}})}

    def test_acts_for_its_user_in_its_project(self) -> None:
        program = self.headers(self.credential())
        made = personas.ask(program, 'POST', '/v1/allocations', {'compute': 10, 'memory': 64})
        self.assertEqual(202, made.status_code, made.text)
        path = f'/v1/allocations/{made.json()["id"]}'
        self.addCleanup(personas.ask, self.own, 'DELETE', path)
        self.assertEqual(self.user, made.json()['user_id'])
        self.assertEqual(200, personas.ask(self.own, 'GET', path).status_code)
        self.assertEqual(404, personas.ask(personas.headers('other-member'), 'GET', path).status_code)

    def test_has_the_roles_it_was_given_and_no_others(self) -> None:
        program = self.headers(self.credential(roles=[{'name': 'reader'}]))
        self.assertEqual(200, personas.ask(program, 'GET', '/v1/allocations').status_code)
        self.assertEqual(403, personas.ask(
            program, 'POST', '/v1/allocations', {'compute': 10, 'memory': 64}).status_code)

    def test_does_only_what_its_access_rules_name(self) -> None:
        program = self.headers(self.credential(access_rules=[
            {'service': 'accelpool', 'method': 'GET', 'path': '/v1/allocations'}]))
        self.assertEqual(200, personas.ask(program, 'GET', '/v1/allocations').status_code)
        refused = personas.ask(program, 'GET', '/v1/devices')
        self.assertEqual(401, refused.status_code, refused.text)
        self.assertEqual('unauthorized', refused.json()['errors'][0]['code'])

    def test_is_worth_nothing_once_revoked(self) -> None:
        credential = self.credential()
        program = self.headers(credential)
        self.revoke(credential)
        self.assertEqual(401, personas.ask(program, 'GET', '/v1/allocations').status_code)


class ServiceTokens(unittest.TestCase):
    """The token that another service sends beside its user's."""

    def test_garbage_is_refused_although_the_user_is_genuine(self) -> None:
        answer = personas.ask({**personas.headers('member'), 'X-Service-Token': 'garbage'}, 'GET', '/v1/allocations')
        self.assertEqual(401, answer.status_code, answer.text)
        self.assertIn('X-Service-Token', answer.json()['errors'][0]['detail'])

    def test_headers_that_only_the_middleware_may_set_are_taken_away(self) -> None:
        forged = {'X-Identity-Status': 'Confirmed', 'X-Roles': 'admin', 'X-Project-Id': 'own', 'X-User-Id': 'me',
                  'OpenStack-System-Scope': 'all', 'X-Service-Roles': 'service'}
        self.assertEqual(401, personas.ask(forged, 'GET', '/v1/hosts').status_code)
        self.assertEqual(403, personas.ask({**personas.headers('member'), **forged}, 'GET', '/v1/hosts').status_code)
