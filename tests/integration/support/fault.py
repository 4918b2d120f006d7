# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, as context managers, and how requests must be answered meanwhile."""

import contextlib
import json
import os
import time
import unittest
from collections.abc import Iterator
from typing import Any

import requests
from keystoneauth1 import exceptions

from tests.integration.support.client import Client
from tools.integration import layout, pool
from tools.integration.process import Service

#: Seconds after the end of a fault within which everything works again; a slow machine may multiply them.
RECOVERY = 30 * float(os.environ.get('ACCELPOOL_INTEGRATION_SLOWNESS', '1'))
#: Seconds that a request may take while something is broken.
LONGEST = 30
RIGHT = (200, 201, 202, 204)


class Recovery:
    """The time that everything together has to work again.  Make one when a fault ends."""

    def __init__(self, seconds: float = RECOVERY) -> None:
        self._until = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, 0 at the end."""
        return max(0.0, self._until - time.monotonic())


@contextlib.contextmanager
def killed(*services: Service) -> Iterator[None]:
    """``kill -9``; started again at the end.

    The fault has ended when servers that are not ours are ready again; until ours are is part of the recovery.
    """
    for service in services:
        service.kill()
    try:
        yield
    finally:
        for service in services:
            service.start(wait=False)
        for service in services:
            if service not in pool.SERVICES:
                service.wait_ready()


def healthy(case: unittest.TestCase) -> None:
    """``/healthcheck`` tells the balancer to give requests to the API."""
    case.assertEqual((200, ['database', 'message bus', 'enabled']), _health())


def sick(case: unittest.TestCase, why: str) -> None:
    """``/healthcheck`` tells the balancer not to, and the operator why."""
    status, parts = _health()
    case.assertEqual(503, status, parts)
    case.assertIn(why, parts)


def _health() -> tuple[int, list[str]]:
    answer = requests.get(layout.url('accelpool', '/healthcheck'), timeout=LONGEST)
    return answer.status_code, answer.text.split('\n')


def right_or_503(case: unittest.TestCase, user: Client, method: str, path: str, body: Any = None,
                 right: tuple[int, ...] = RIGHT, **options: Any) -> requests.Response | None:
    """Ask; the answer is right, or a 503 that says when to come again, and it comes soon.

    Returns None where the user could not even ask, because Keystone gives no tokens.
    """
    begun = time.monotonic()
    try:
        answer = user.ask(method, path, body, **options)
    except (exceptions.ConnectFailure, exceptions.http.HttpServerError):
        return None
    case.assertLess(time.monotonic() - begun, LONGEST, f'{method} {path}')
    if answer.status_code == 503:
        case.assertGreater(int(answer.headers.get('Retry-After', 0)), 0, f'{answer.headers} {answer.text}')
        if 'json' in answer.headers['Content-Type']:
            _check_error(case, answer.json())
    else:
        case.assertIn(answer.status_code, right, answer.text)
    return answer


def _check_error(case: unittest.TestCase, body: dict[str, Any]) -> None:
    if 'error_message' in body:  # in Cyborg's form
        case.assertEqual('Server', json.loads(body['error_message'])['faultcode'])
    else:
        (error,) = body['errors']
        case.assertEqual('service-unavailable', error['code'])


def recovered(case: unittest.TestCase, user: Client, patience: float = RECOVERY) -> None:
    """Wait until a whole life of an allocation works: that is what recovery means."""
    deadline = time.monotonic() + patience
    why: Any = 'nothing was tried'
    while time.monotonic() < deadline:
        left = max(1.0, deadline - time.monotonic())
        try:
            made = user.ask('POST', '/allocations', {'compute': 1, 'memory': 16})
            if made.status_code == 202:
                identifier = made.json()['id']
                user.wait(identifier, 'active', patience=left)
                user.release(identifier)
                user.wait(identifier, 'released', patience=left)
                return
            why = made.text
        except (AssertionError, exceptions.ClientException) as failure:
            why = failure
        time.sleep(0.3)
    case.fail(f'no recovery within {patience} s: {why}')
