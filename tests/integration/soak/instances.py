# SPDX-License-Identifier: Apache-2.0
"""Instances of a customer: what Nova does in Placement and over ``/v2`` to boot and to delete one, whatever is broken."""

import random
import uuid
from collections.abc import Callable
from typing import Any

from keystoneauth1 import exceptions

from tests.integration.soak.report import Report
from tests.integration.support import client, placement
from tools.integration import layout

#: The device profile of all instances, and what is in it.
PROFILE = {'name': 'soak', 'compute': 5, 'memory': 256}
#: Instances that one customer has at a time.
MOST = 3


def make_profile() -> None:
    answer = client.Client('admin', 'admin').ask('POST', '/profiles', PROFILE)
    assert answer.status_code in {201, 409}, answer.text


class Instances:
    """What was made of each instance: ``building``, ``active``, ``going`` or ``gone``."""

    def __init__(self, ask: Callable[..., Any], nova: placement.Nova, chance: random.Random, report: Report) -> None:
        """:param ask: as :meth:`Customer.ask`"""
        self._ask, self._nova, self._chance, self._report = ask, nova, chance, report
        self._accelerator = client.Client('demo', 'demo', url=layout.url('accelpool', '/v2'), shared=False)
        self.states: dict[str, str] = {}

    def boot(self) -> None:
        """Claim in Placement, make an accelerator request and bind it; what Nova cannot finish it deletes."""
        if len(self._of('active')) >= MOST:
            return self.delete()
        found = self._v2('profile', 'GET', f'/device_profiles?name={PROFILE["name"]}', right={200})
        if found is None or found.status_code != 200:
            return None
        candidates = self._placement('candidates', self._nova.candidates, found.json()['device_profiles'][0]['groups'])
        if not candidates:
            return None
        instance, candidate = str(uuid.uuid4()), self._chance.choice(candidates)
        self.states[instance] = 'building'
        if self._placement('claim', self._nova.claim, instance, candidate) and self._bind(instance, candidate):
            self.states[instance] = 'active'
        else:
            self._delete(instance)
        return None

    def delete(self) -> None:
        if left := [instance for instance, state in self.states.items() if state != 'gone']:
            self._delete(self._chance.choice(left))

    def compare(self) -> None:
        """Every instance that was booted has its slice.  Call when nothing is broken any more."""
        for instance, state in self.states.items():
            arqs = self._accelerator.get(f'/accelerator_requests?instance={instance}')['arqs']
            wanted = ['Bound'] if state == 'active' else []
            self._report.count(f'end: instance {state}')
            if [arq['state'] for arq in arqs] != wanted:
                self._report.violation(f'instance {instance} is {state}, and has {arqs}')

    def clear(self, *states: str) -> None:
        """Delete the instances in some states: also those that are gone, for a late request may have come after all."""
        for instance in self._of(*states):
            self._delete(instance)
            if self.states[instance] != 'gone':
                self._report.violation(f'instance {instance} cannot be deleted')

    def _of(self, *states: str) -> list[str]:
        return [instance for instance, state in self.states.items() if state in states]

    def _bind(self, instance: str, candidate: dict[str, Any]) -> bool:
        made = self._v2('request', 'POST', '/accelerator_requests', {'device_profile_name': PROFILE['name']}, right={201})
        if made is None or made.status_code != 201:
            return False
        (arq,) = made.json()['arqs']
        (provider,) = candidate['mappings']['_dp0']
        host = next(name for name, one in self._nova.computes.items() if one in candidate['allocations'])
        bound = self._v2('bind', 'PATCH', '/accelerator_requests', {arq['uuid']: [
            {'op': 'add', 'path': f'/{name}', 'value': value} for name, value in (
                ('hostname', host), ('device_rp_uuid', provider), ('instance_uuid', instance))]}, right={202, 409})
        if bound is not None and bound.status_code == 202:
            return True
        self._v2('unbind', 'DELETE', f'/accelerator_requests?arqs={arq["uuid"]}', right={204, 404})
        return False

    def _delete(self, instance: str) -> None:
        """Give everything back; it is tried again until both sides have said that they have done it."""
        self.states[instance] = 'going'
        given_back = self._v2('terminate', 'DELETE', f'/accelerator_requests?instance={instance}', right={204})
        if self._placement('release', self._nova.delete, instance) is None:
            return
        if given_back is not None and given_back.status_code == 204:
            self.states[instance] = 'gone'

    def _v2(self, what: str, method: str, path: str, body: Any = None, *, right: set[int]) -> Any:
        """Ask as one of Nova's services does for the customer."""
        try:
            token = str(client.keystone('nova', 'service').get_token())
        except exceptions.ClientException as failure:
            self._report.count(f'instance {what}: {type(failure).__name__}')
            return None
        return self._ask(f'instance {what}', method, path, body, right=right, user=self._accelerator,
                         headers={'X-Service-Token': token})

    def _placement(self, what: str, do: Callable[..., Any], *arguments: Any) -> Any:
        """Ask Placement; None: it is broken just now."""
        try:
            answer = do(*arguments)
        except (AssertionError, exceptions.ClientException) as failure:  # anything but a right answer
            self._report.count(f'placement {what}: {type(failure).__name__}')
            return None
        self._report.count(f'placement {what}: {"yes" if answer else "no"}')
        return answer
