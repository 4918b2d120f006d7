# SPDX-License-Identifier: Apache-2.0
"""The HTTP client behind every command: one method per verb, errors turned into sentences.

It is a thin layer over a keystoneauth adapter, so Keystone, ``http_basic`` and ``none`` all work.
"""

import functools
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ksa_exceptions
from osc_lib import exceptions

SERVICE_TYPE = 'accelpool'
API_VERSION = '1.6'
#: Seconds that the service may let us wait for one answer, so that there is progress to show.
PREFERRED = 2
#: Seconds between two looks at an allocation while a service is too busy to let us wait.
POLL_FIRST, POLL_LONGEST = 0.01, 0.5

_PREFER: Mapping[str, str] = {'Prefer': f'wait={PREFERRED}'}
_NONE: Mapping[str, str] = {}


class Unavailable(exceptions.CommandError):
    """The service does not answer, or says that it cannot now: the same request may succeed later."""


class Client:
    """Speaks ``/v1`` of one accelpool endpoint."""

    def __init__(self, session: Any, **adapter_options: Any) -> None:
        self._http = adapter.Adapter(
            session, service_type=SERVICE_TYPE, user_agent='accelpool', **adapter_options)

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """GET an object or a collection page; parameters that are None are left out."""
        return self._call('GET', path, params={k: v for k, v in params.items() if v is not None})

    def post(self, path: str, body: dict[str, Any], *, settled: bool = False) -> dict[str, Any]:
        """POST; ``settled`` lets the service answer when the allocation is ready, if that is soon."""
        return self._call('POST', path, json=body, headers=_PREFER if settled else {})

    def put(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._call('PUT', path, json=body or {})

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._call('PATCH', path, json=body)

    def delete(self, path: str) -> None:
        self._call('DELETE', path)

    def find(self, noun: str, *, limit: int | None = None, **params: Any) -> list[dict[str, Any]]:
        """Return up to ``limit`` objects of a collection, following its pages."""
        found: list[dict[str, Any]] = []
        for page in self._pages(noun, limit, params):
            found.extend(page)
            if limit is not None and len(found) >= limit:
                return found[:limit]
        return found

    def _pages(self, noun: str, limit: int | None, params: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
        marker = params.pop('marker', None)
        while True:
            body = self.get(f'/{noun}', limit=limit, marker=marker, **params)
            items = body[noun.rpartition('/')[2]]
            yield items
            if not items or not any(link.get('rel') == 'next' for link in body.get('links', ())):
                return
            marker = items[-1]['id']

    def wait(self, allocation_id: str, wanted: set[str], timeout: float,
             progress: Any = None) -> dict[str, Any]:
        """Look at an allocation until its state is in ``wanted`` or ``error``.

        ``progress`` is called with every new state.  Raises CommandError after ``timeout`` seconds.
        """
        deadline, delay, seen = time.monotonic() + timeout, POLL_FIRST, ''
        while True:
            asked = time.monotonic()
            allocation = self._call('GET', f'/allocations/{allocation_id}', headers=_PREFER)
            state = allocation['state']
            if state != seen and progress:
                progress(state)
            seen = state
            if state in wanted or state == 'error':
                return allocation
            if time.monotonic() > deadline:
                raise exceptions.CommandError(
                    f'allocation {allocation_id} is still {state} after {timeout:g} s; '
                    f'see: accelpool allocation show {allocation_id} --events')
            time.sleep(max(0.0, asked + delay - time.monotonic()))
            delay = min(delay * 1.5, POLL_LONGEST)

    @functools.cached_property
    def _tree(self) -> str:
        """Where the tree begins below the endpoint: a catalogue may name the service, or its tree."""
        endpoint: str = self._http.get_endpoint() or ''
        return '' if endpoint.rstrip('/').endswith('/v1') else '/v1'

    def _call(self, method: str, path: str, *, headers: Mapping[str, str] = _NONE, **options: Any) -> dict[str, Any]:
        try:
            response = self._http.request(
                self._tree + path, method, raise_exc=False,
                headers={'OpenStack-API-Version': f'accelpool {API_VERSION}', **headers}, **options)
        except ksa_exceptions.ConnectFailure as failure:
            raise Unavailable(
                f'accelpool does not answer ({failure}). Is the service running? '
                'Standalone: tools/quickstart.sh --serve') from failure
        except (ksa_exceptions.MissingAuthPlugin, ksa_exceptions.EndpointNotFound) as failure:
            raise exceptions.CommandError(
                f'{failure}. Name a cloud: OS_CLOUD=accelpool or --os-cloud') from failure
        if response.status_code == 503:
            raise Unavailable(_sentence(response))
        if response.status_code >= 400:
            raise exceptions.CommandError(_sentence(response))
        return cast(dict[str, Any], response.json()) if response.content else {}


def _sentence(response: Any) -> str:
    """Make one line of the API's error form."""
    try:
        errors = response.json()['errors']
    except (ValueError, KeyError, TypeError):
        return f'HTTP {response.status_code}: {response.reason}'
    return '; '.join(f'{e["detail"]} (HTTP {e["status"]})' for e in errors)
