# SPDX-License-Identifier: Apache-2.0
"""A user of the API: a Keystone session and the requests that tests make."""

import functools
import time
from collections.abc import Collection
from typing import Any

import requests
from keystoneauth1 import adapter, session
from keystoneauth1.identity import v3

from tools.integration import layout

#: Seconds in which an allocation must have become what a test waits for.
PATIENCE = 60


@functools.cache
def keystone(user: str = 'demo', project: str = 'demo') -> session.Session:
    """Return a session that asks for its token when it first needs one."""
    return session.Session(v3.Password(
        auth_url=layout.url('keystone', '/v3'), username=user, password=layout.PASSWORD, project_name=project,
        user_domain_name='Default', project_domain_name='Default'))


def service_token() -> dict[str, str]:
    """Return the header that Nova sends beside a user's token."""
    return {'X-Service-Token': str(keystone('nova', 'service').get_token())}


def release_all() -> None:
    """Release what anybody has, and wait until it is gone: the next test begins with an empty pool."""
    admin, nova = Client('admin', 'admin'), Client('admin', 'admin', url=layout.url('accelpool', '/v2'))
    for one in admin.get('/allocations?all_projects=true&limit=1000')['allocations']:
        if one['consumer_type'] == 'instance':
            gone = nova.ask('DELETE', f'/accelerator_requests?instance={one["consumer_id"]}', headers=service_token())
            assert gone.status_code == 204, gone.text
        if one['state'] != 'releasing':
            admin.release(one['id'])
    deadline = time.monotonic() + PATIENCE
    while left := admin.get('/allocations?all_projects=true&limit=1000')['allocations']:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


class Client:
    """The API as one user sees it.  Every answer is returned, whatever its status."""

    def __init__(self, user: str = 'demo', project: str = 'demo', *, url: str | None = None, shared: bool = True) -> None:
        """
        :param url: another API server than the one in the catalogue
        :param shared: share the user's Keystone session with others
        """
        self._adapter = adapter.Adapter(
            (keystone if shared else keystone.__wrapped__)(user, project), service_type='accelpool', interface='public', region_name=layout.REGION,
            endpoint_override=url, default_microversion='1.0', connect_retries=0, status_code_retries=0)

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        if body is not None:
            options['json'] = body
        answer: requests.Response = self._adapter.request(path, method, raise_exc=False, **options)
        return answer

    def get(self, path: str) -> Any:
        """Return the body of a GET that must succeed."""
        answer = self.ask('GET', path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def allocate(self, **request: Any) -> dict[str, Any]:
        """Ask for an allocation; the body of the answer, which must be 202."""
        answer = self.ask('POST', '/allocations', {'compute': 10, 'memory': 512, **request})
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def state(self, identifier: str) -> str:
        return str(self.get(f'/allocations/{identifier}')['state'])

    def wait(self, identifier: str, *states: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait until an allocation is in one of these states, through outages; returns it."""
        return self._wait(identifier, states, patience)

    def release(self, identifier: str) -> None:
        answer = self.ask('DELETE', f'/allocations/{identifier}')
        assert answer.status_code in {202, 204}, answer.text

    def _wait(self, identifier: str, states: Collection[str], patience: float) -> dict[str, Any]:
        deadline = time.monotonic() + patience
        seen, last = None, False
        while not last:
            last = time.monotonic() >= deadline
            answer = self.ask('GET', f'/allocations/{identifier}')
            seen = answer.text
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                if found['state'] in states:
                    return found
                assert found['state'] != 'error' or 'error' in states, found
            time.sleep(0.1)
        raise AssertionError(f'{identifier} is not {" or ".join(states)} after {patience} s: {seen}')
