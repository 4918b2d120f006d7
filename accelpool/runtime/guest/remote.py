# SPDX-License-Identifier: Apache-2.0
"""JSON over HTTP."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

#: Seconds for one answer.
TIMEOUT = 20
#: Bytes of an answer; more is none of ours.
LONGEST = 4 * 2**20
API_VERSION = '1.4'


class Unreachable(Exception):
    """Nobody answers, or not now: try again later."""


class Refused(Exception):
    """The answer is no; ``status`` is HTTP's."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Answer:
    """What came back; ``headers`` ignores case."""

    def __init__(self, headers: Any, body: bytes) -> None:
        self.headers = headers
        try:
            self.json = json.loads(body) if body else {}
        except ValueError as failure:
            raise Unreachable('the answer is not JSON') from failure


def call(method: str, url: str, *, body: Any = None, headers: Mapping[str, str] | None = None,
         ca_file: str | None = None, timeout: float = TIMEOUT) -> Answer:
    """:raises Unreachable, Refused:"""
    if not url.startswith(('http://', 'https://')):
        raise Unreachable(f'{url} is not an address of the Web')
    request = urllib.request.Request(  # noqa: S310  checked above
        url, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={'Content-Type': 'application/json', 'Accept': 'application/json',
                 'OpenStack-API-Version': f'accelpool {API_VERSION}', **(headers or {})})
    context = ssl.create_default_context(cafile=ca_file) if url.startswith('https:') else None
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=context) as response:  # noqa: S310
            return Answer(response.headers, response.read(LONGEST))
    except urllib.error.HTTPError as failure:
        if failure.code >= 500 or failure.code == 429:
            raise Unreachable(f'{url}: HTTP {failure.code}, {_detail(failure)}') from failure
        raise Refused(failure.code, _detail(failure)) from failure
    except (urllib.error.URLError, http.client.HTTPException, OSError) as failure:
        reason = getattr(failure, 'reason', failure)
        raise Unreachable(f'{url}: {reason}') from failure


def _detail(failure: urllib.error.HTTPError) -> str:
    """Return the API's own words, if it has some."""
    try:
        return '; '.join(str(error['detail']) for error in json.loads(failure.read(LONGEST))['errors'])
    except (ValueError, KeyError, TypeError, OSError):
        return str(failure.reason)


def basic(username: str, password: str) -> dict[str, str]:
    return {'Authorization': 'Basic ' + base64.b64encode(f'{username}:{password}'.encode()).decode()}
