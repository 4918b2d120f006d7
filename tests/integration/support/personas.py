# SPDX-License-Identifier: Apache-2.0
"""The personas of the policy's matrix as users of a real Keystone."""

import functools
from typing import Any

import requests

from tests.support import policy
from tools.integration import identity, layout

#: Role of those who have a token for a project but none of the roles that the policy knows.
VISITOR = 'visitor'
DOMAIN = {'id': 'default'}


def create() -> None:
    """Make projects, users and their roles; what exists is left."""
    keystone = identity.Api()
    for name, persona in (policy.MATRIX['personas'] | policy.MATRIX['nobody']).items():
        if not persona:
            continue
        user = _user(keystone, name)
        place = 'system' if 'system' in persona else f'projects/{_project(keystone, persona.get("project", "own"))}'
        for role in persona['roles'] or [VISITOR]:
            keystone.ask('PUT', f'/{place}/users/{user}/roles/{_role(keystone, role)}')
        for role in persona.get('service_roles', ()):
            keystone.ask('PUT', f'/projects/{_project(keystone, "service")}/users/{_user(keystone, f"by-{role}")}'
                                f'/roles/{_role(keystone, role)}')


def _user(keystone: identity.Api, name: str) -> str:
    found = keystone.ensure('users', {'name': f'policy-{name}'}, domain_id='default', password=layout.PASSWORD)
    return str(found['id'])


def _project(keystone: identity.Api, name: str) -> str:
    return str(keystone.ensure('projects', {'name': f'policy-{name}'}, domain_id='default')['id'])


def _role(keystone: identity.Api, name: str) -> str:
    return str(keystone.ensure('roles', {'name': name})['id'])


@functools.cache
def token(user: str, project: str | None = None, system: str | None = None) -> str:
    """Return a token of a user for a project, for the system, or for nothing."""
    scope: dict[str, Any] = {}
    if project is not None:
        scope = {'scope': {'project': {'name': f'policy-{project}', 'domain': DOMAIN}}}
    if system is not None:
        scope = {'scope': {'system': {system: True}}}
    return authenticate({'methods': ['password'], 'password': {'user': {
        'name': f'policy-{user}', 'domain': DOMAIN, 'password': layout.PASSWORD}}}, **scope)


def authenticate(proof: dict[str, Any], **scope: Any) -> str:
    """Ask Keystone for a token."""
    answer = requests.post(
        layout.url('keystone', '/v3/auth/tokens'), timeout=30, json={'auth': {'identity': proof, **scope}})
    answer.raise_for_status()
    return answer.headers['X-Subject-Token']


def headers(name: str) -> dict[str, str]:
    """Return the headers with which a persona asks."""
    persona: dict[str, Any] = (policy.MATRIX['personas'] | policy.MATRIX['nobody'])[name]
    if not persona:
        return {}
    found = {'X-Auth-Token': token(name, persona.get('project'), persona.get('system'))}
    for role in persona.get('service_roles', ()):
        found['X-Service-Token'] = token(f'by-{role}', 'service')
    return found


def ask(headers: dict[str, str], method: str, path: str, body: Any = None) -> requests.Response:
    """Send a request with these headers to the API; the path begins with the tree (``/v1``)."""
    return requests.request(
        method, layout.url('accelpool', path), json=body, timeout=60,
        headers={'OpenStack-API-Version': 'accelpool latest', **headers})
