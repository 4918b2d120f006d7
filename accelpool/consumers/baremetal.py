# SPDX-License-Identifier: Apache-2.0
"""Slices of bare-metal nodes: bound when a node is deployed, given back when it is torn down or cleaned.

This is the part that does not know Ironic; what Ironic loads is in :mod:`accelpool.consumers.ironic`.
"""

import time
from collections.abc import Callable
from typing import Any

from keystoneauth1 import adapter as ksa_adapter
from keystoneauth1 import exceptions

#: Version of the API that is spoken here: the newest of which something is used.
API = '1.1'
#: Seconds in which an allocation must have become active, or must have been given back with its memory erased.
PATIENCE = 120
_PREFER = {'Prefer': 'wait=10'}


class Failed(Exception):
    """It could not be done; the message is for the operator who looks at the node."""


class Slices:
    """The allocations of nodes, through the API."""

    def __init__(self, api: ksa_adapter.Adapter, sleep: Callable[[float], None] = time.sleep) -> None:
        self._api = api
        self._sleep = sleep

    def bind(self, allocation: str, node: str, name: str | None, profile: str) -> None:
        """Have an allocation for a node; doing so again, after a crash too, makes no second one.

        :param allocation: the id that it shall have, which the caller keeps before it calls
        :raises Failed: there is nothing that fits, or the service does not answer
        """
        status, found = self._call('GET', f'/allocations/{allocation}')
        if status == 404:
            status, found = self._call('POST', '/allocations', {
                'id': allocation, 'profile': profile, 'name': name, 'consumer_type': 'node', 'consumer_id': node})
        found = self._wait(allocation, status, found, 'active')
        if found['state'] != 'active':
            raise Failed(f'no slice: {found["reason"] or "allocation " + allocation + " is " + found["state"]}')

    def release(self, allocation: str) -> None:
        """Give an allocation back, and wait until nothing of it is left: by then its memory has been erased.

        :raises Failed: it is still there, or the service does not answer
        """
        status, found = self._call('DELETE', f'/allocations/{allocation}')
        if status == 202:
            status, found = self._call('GET', f'/allocations/{allocation}')
            found = self._wait(allocation, status, found, 'released')
            if found['state'] != 'released':
                raise Failed(f'allocation {allocation} is {found["state"]}, not released')
        elif status not in {204, 404}:
            raise Failed(_words(status, found))

    def of_node(self, node: str) -> list[str]:
        """Return the ids of what a node has, whoever bound it.  :raises Failed: the service does not answer"""
        status, found = self._call('GET', f'/allocations?consumer_type=node&consumer_id={node}')
        if status != 200:
            raise Failed(_words(status, found))
        return [one['id'] for one in found['allocations']]

    def _wait(self, allocation: str, status: int, found: dict[str, Any], wanted: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while status < 400 and found['state'] not in {wanted, 'error', 'released'} and time.monotonic() < deadline:
            self._sleep(0.5)
            status, found = self._call('GET', f'/allocations/{allocation}')
        if status >= 400:
            raise Failed(_words(status, found))
        return found

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        options = {} if body is None else {'json': body}
        try:
            answer = self._api.request(
                f'/v1{path}', method, raise_exc=False,
                headers={'OpenStack-API-Version': f'accelpool {API}', **_PREFER}, **options)
        except exceptions.ClientException as failure:
            raise Failed(f'accelpool does not answer: {failure}') from failure
        try:
            return answer.status_code, answer.json() if answer.content else {}
        except ValueError as failure:
            raise Failed(f'accelpool answers {answer.status_code}, but not as its API does') from failure


def _words(status: int, found: dict[str, Any]) -> str:
    """Return what the API says of a failure."""
    details = [str(error['detail']) for error in found.get('errors', ())]
    return f'accelpool: {"; ".join(details) or "no reason"} (HTTP {status})'
