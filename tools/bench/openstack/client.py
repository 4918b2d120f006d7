# SPDX-License-Identifier: Apache-2.0
"""Speaks ``/v2`` as Nova does: the user's token, Nova's own as service token, a fresh connection for each request."""

import http.client
import json
import posixpath
import time
import urllib.parse
import uuid
from typing import Any

from keystoneauth1 import session
from keystoneauth1.identity import v3

from tools.integration import layout

#: Seconds between two looks at a request that is not bound yet.
POLL = 0.005
PATIENCE = 60


def token(user: str, project: str) -> str:
    """Return a token of one of the environment's users."""
    found = session.Session(v3.Password(
        layout.url('keystone', '/v3'), username=user, password=layout.PASSWORD, project_name=project,
        user_domain_id='default', project_domain_id='default')).get_token()
    assert found
    return found


class Client:
    """One endpoint of type ``accelerator``."""

    def __init__(self, base: str) -> None:
        self._base = urllib.parse.urlparse(base)
        self._headers = {
            'X-Auth-Token': token('admin', 'admin'), 'X-Service-Token': token('nova', 'service'),
            'Content-Type': 'application/json', 'Accept': 'application/json'}

    def call(self, method: str, path: str, body: Any = None, *, wanted: int = 200) -> Any:
        """:raises RuntimeError: another status than the wanted one: a failing request is no measurement"""
        connection = http.client.HTTPConnection(self._base.netloc, timeout=PATIENCE)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, posixpath.normpath(self._base.path + path), content, self._headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != wanted:
            raise RuntimeError(f'{method} {path}: {response.status} {answer[:300]!r}')
        return json.loads(answer) if answer else None

    def ensure_profile(self, name: str, groups: list[dict[str, str]]) -> None:
        """Make a profile unless there is one of the name."""
        if not self.call('GET', f'/device_profiles?name={name}')['device_profiles']:
            self.call('POST', '/device_profiles', [{'name': name, 'groups': groups}], wanted=201)

    def bind(self, profile: str, host: str, provider: str) -> tuple[str, float]:
        """Create an instance's requests and bind them; returns the instance and the seconds until all are bound."""
        instance, begun = str(uuid.uuid4()), time.perf_counter()
        made = self.call('POST', '/accelerator_requests', {'device_profile_name': profile}, wanted=201)['arqs']
        where = {'/hostname': host, '/device_rp_uuid': provider, '/instance_uuid': instance}
        patch = [{'path': path, 'op': 'add', 'value': value} for path, value in where.items()]
        self.call('PATCH', '/accelerator_requests', {one['uuid']: patch for one in made}, wanted=202)
        while True:
            states = {one['state'] for one in self.call('GET', f'/accelerator_requests?instance={instance}')['arqs']}
            if states == {'Bound'}:
                return instance, time.perf_counter() - begun
            if 'BindFailed' in states or time.perf_counter() - begun > PATIENCE:
                raise RuntimeError(f'instance {instance} is {states}')
            time.sleep(POLL)

    def wait_carved(self, instance: str) -> None:
        """Wait until the conductors have carved what an instance has: in ``/v1``, which Cyborg does not have."""
        for one in self.call('GET', f'/accelerator_requests?instance={instance}')['arqs']:
            begun, path = time.perf_counter(), f'/../v1/allocations/{one["attach_handle_info"]["allocation"]}'
            while (state := self.call('GET', path)['state']) != 'active':
                if state == 'error' or time.perf_counter() - begun > PATIENCE:
                    raise RuntimeError(f'{path} is {state}')
                time.sleep(POLL)

    def unbind(self, instance: str) -> None:
        self.call('DELETE', f'/accelerator_requests?instance={instance}', wanted=204)
