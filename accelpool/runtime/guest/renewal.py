# SPDX-License-Identifier: Apache-2.0
"""Fresh credentials from the agents that have the devices: the API is not asked, and need not be there."""

from __future__ import annotations

import contextlib
from typing import Any

from accelpool.remoting import handshake
from accelpool.runtime import greeting


def renew(attachment: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the attachment with fresh credentials, and of each device that keeps its former one why that is so."""
    devices, failures = [], []
    for entry in attachment['devices']:
        try:
            devices.append(_renewed(entry))
        except greeting.Refused as failure:
            devices.append(entry)
            failures.append(str(failure))
    return {**attachment, 'devices': devices}, failures


def _renewed(entry: dict[str, Any]) -> dict[str, Any]:
    failures = []
    for way in entry['urls']:
        try:
            fresh, expires = _ask(way, entry['credential'])
        except (greeting.Refused, OSError) as failure:
            failures.append(f'{way["url"]}: {failure}')
            continue
        return {**entry, 'credential': str(fresh), 'expires': expires}
    raise greeting.Refused('; '.join(failures))


def _ask(way: dict[str, str], credential: str) -> tuple[handshake.Credential, int]:
    with contextlib.closing(greeting.dial(way)) as connection:
        agreed = greeting.greet(connection, handshake.KIND_RENEWAL, credential)
        payload = greeting.receive(connection, handshake.RENEWED)
    try:
        return handshake.parse_renewed(*agreed, payload)
    except handshake.Malformed as failure:
        raise greeting.Refused(str(failure)) from failure
