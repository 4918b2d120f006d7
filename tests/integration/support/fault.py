# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, as context managers, and how requests must be answered meanwhile."""

import contextlib
import time
import unittest
from collections.abc import Iterator
from typing import Any

import requests
from keystoneauth1 import exceptions

from tests.integration.support.client import Client
from tools.integration.process import Service

#: Seconds after the end of a fault within which everything works again.
RECOVERY = 30
#: Seconds that a request may take while something is broken.
LONGEST = 30


@contextlib.contextmanager
def killed(*services: Service) -> Iterator[None]:
    """``kill -9``; started again, and ready, at the end."""
    for service in services:
        service.kill()
    try:
        yield
    finally:
        for service in services:
            service.start(wait=False)
        for service in services:
            service.wait_ready()


def right_or_503(case: unittest.TestCase, user: Client, method: str, path: str, body: Any = None,
                 right: tuple[int, ...] = (200, 202, 204)) -> requests.Response | None:
    """Ask; the answer is right, or a 503 that says when to come again, and it comes soon.

    Returns None where the user could not even ask, because Keystone gives no tokens.
    """
    begun = time.monotonic()
    try:
        answer = user.ask(method, path, body)
    except (exceptions.ConnectFailure, exceptions.http.HttpServerError):
        return None
    case.assertLess(time.monotonic() - begun, LONGEST, f'{method} {path}')
    if answer.status_code == 503:
        case.assertGreater(int(answer.headers.get('Retry-After', 0)), 0, f'{answer.headers} {answer.text}')
        if 'json' in answer.headers['Content-Type']:
            (error,) = answer.json()['errors']
            case.assertEqual('service-unavailable', error['code'])
    else:
        case.assertIn(answer.status_code, right, answer.text)
    return answer


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
