# SPDX-License-Identifier: Apache-2.0
"""Instances of a real Nova: what an administrator and a user do with them."""

import time
from collections.abc import Callable
from typing import Any

from keystoneauth1 import adapter

from tests.integration.support import client
from tools.integration import layout

#: Seconds in which an instance must have become what a test waits for.
PATIENCE = 120
#: Newest microversion that the tests speak.
MICROVERSION = '2.90'


def _adapter(kind: str, user: str, project: str, microversion: str | None = None) -> adapter.Adapter:
    return adapter.Adapter(
        client.keystone(user, project), service_type=kind, interface='public', region_name=layout.REGION,
        default_microversion=microversion, raise_exc=False, connect_retries=0)


class Cloud:
    """Nova, Glance, and the accelerator service as Nova sees it; ``admin`` unless another user is named."""

    def __init__(self, user: str = 'admin', project: str = 'admin') -> None:
        self.compute = _adapter('compute', user, project, MICROVERSION)
        self.accelerator = _adapter('accelerator', user, project)
        self._images = _adapter('image', user, project)
        self.placement = _adapter('placement', user, project, '1.39')
        self.service = client.service_token()

    def image(self) -> str:
        """Return an image that the fake hypervisors boot."""
        found = self._images.get('/v2/images?name=tiny').json()['images']
        if found:
            return str(found[0]['id'])
        made = self._images.post('/v2/images', json={
            'name': 'tiny', 'disk_format': 'raw', 'container_format': 'bare', 'visibility': 'public'}).json()
        self._images.put(f'/v2/images/{made["id"]}/file', data=b'0' * 1024,
                         headers={'Content-Type': 'application/octet-stream'})
        return str(made['id'])

    def profile(self, name: str, *groups: dict[str, Any]) -> str:
        """Make a device profile anew; returns its name."""
        self.accelerator.delete(f'/device_profiles/{name}')
        made = self.accelerator.post('/device_profiles', json=[{'name': name, 'groups': list(groups)}])
        assert made.status_code == 201, made.text
        return name

    def flavor(self, name: str, profile: str | None = None) -> str:
        """Return a flavor, with a device profile if one is named."""
        found = self.compute.get(f'/flavors/{name}')
        if found.status_code != 200:
            made = self.compute.post('/flavors', json={'flavor': {
                'id': name, 'name': name, 'ram': 64, 'vcpus': 1, 'disk': 1}})
            assert made.status_code == 200, made.text
            if profile is not None:
                self.compute.post(f'/flavors/{name}/os-extra_specs', json={
                    'extra_specs': {'accel:device_profile': profile}})
        return name

    def boot(self, flavor: str, host: str | None = None) -> str:
        """Ask for an instance; returns its id."""
        server: dict[str, Any] = {'name': 'test', 'flavorRef': flavor, 'imageRef': self.image(), 'networks': 'none'}
        if host is not None:
            server['hypervisor_hostname'] = host
        answer = self.compute.post('/servers', json={'server': server})
        assert answer.status_code == 202, answer.text
        return str(answer.json()['server']['id'])

    def server(self, identifier: str) -> dict[str, Any]:
        answer = self.compute.get(f'/servers/{identifier}')
        return dict(answer.json()['server']) if answer.status_code == 200 else {'status': 'DELETED'}

    def wait(self, identifier: str, *states: str) -> dict[str, Any]:
        """Wait until an instance is in one of these states and Nova is doing nothing with it."""
        return wait_for(
            lambda: self.server(identifier),
            lambda server: server['status'] in states and not server.get('OS-EXT-STS:task_state'),
            lambda server: server['status'] == 'ERROR' and 'ERROR' not in states)

    def act(self, identifier: str, **action: Any) -> int:
        """Do something with an instance; returns the status of the answer."""
        return int(self.compute.post(f'/servers/{identifier}/action', json=action).status_code)

    def delete(self, identifier: str) -> None:
        self.compute.delete(f'/servers/{identifier}')
        self.wait(identifier, 'DELETED')

    def arqs(self, instance: str) -> list[dict[str, Any]]:
        """Return the accelerator requests of an instance."""
        found: list[dict[str, Any]] = self.accelerator.get(
            f'/accelerator_requests?instance={instance}').json()['arqs']
        return found


def wait_for(look: Callable[[], Any], right: Callable[[Any], bool],
             hopeless: Callable[[Any], bool] = lambda _: False, patience: float = PATIENCE) -> Any:
    """Look until what is seen is right; returns it."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        seen = look()
        if right(seen):
            return seen
        assert not hopeless(seen), seen.get('fault', seen)
        time.sleep(0.2)
    raise AssertionError(f'not so after {patience} s: {seen}')
