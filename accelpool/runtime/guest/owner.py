# SPDX-License-Identifier: Apache-2.0
"""A host with an account of its own: it makes its allocation, and keeps it for as long as it lives.

The allocation's id is on disk before it is asked for, so a crash between any two steps makes no second one.
"""

from __future__ import annotations

import socket
import uuid
from typing import Any

from accelpool.runtime.guest import account, config, files, remote, standing

#: Seconds that the allocation outlives this host, unless the configuration says otherwise.
TTL = 900
#: Longest wait before the next renewal; credentials live three times as long.
RENEW = 100.0
_GONE = ('released', 'releasing', 'error')


class Owner:
    """Keeps the id in the state directory."""

    def __init__(self, conf: config.Config) -> None:
        self._account = account.Account(conf.account, conf.ca_file)
        self._asked = conf.allocation
        self._kept = conf.state_dir / 'allocation.json'
        self._ttl = int(conf.allocation.get('ttl', TTL))
        self._consumer = socket.gethostname()

    def fetch(self) -> standing.Standing:
        """:raises NotNow, Unreachable, Invalid:"""
        try:
            found = self._allocation()
            attachment = None
            if found['state'] == 'active':
                if found['ttl'] is not None:
                    self._account.call('PATCH', f'/allocations/{found["id"]}', {'ttl': found['ttl']})
                attachment = self._account.call('GET', f'/allocations/{found["id"]}/attachment')
        except remote.Refused as refusal:
            raise standing.NotNow(str(refusal), 'Look at [account] and [allocation] of the configuration, and at '
                                                '`accelpool allocation list`') from refusal
        shown = {name: found[name] for name in ('id', 'name', 'profile', 'state', 'reason')}
        return standing.Standing(self._consumer, attachment, [shown], min(RENEW, self._ttl / 3))

    def release(self) -> str | None:
        """Give the allocation back; returns its id.  One that the configuration names stays."""
        kept = files.read_json(self._kept)
        if kept is None:
            return None
        try:
            self._account.call('DELETE', f'/allocations/{kept["id"]}')
        except remote.Refused as refusal:
            if refusal.status != 404:
                raise
        self._kept.unlink(missing_ok=True)
        return str(kept['id'])

    def _allocation(self) -> dict[str, Any]:
        if 'id' in self._asked:
            return self._show(self._asked['id'])
        kept = files.read_json(self._kept)
        if kept is not None:
            try:
                found = self._show(kept['id'])
            except remote.Refused as refusal:
                if refusal.status != 404:
                    raise
                return self._create(kept['id'])  # we died before we could ask
            if found['state'] not in _GONE:
                return found
            if found['state'] == 'error':
                self._account.call('DELETE', f'/allocations/{kept["id"]}')
        identifier = str(uuid.uuid4())
        files.write_json(self._kept, {'id': identifier})
        return self._create(identifier)

    def _show(self, identifier: str) -> dict[str, Any]:
        found: dict[str, Any] = self._account.call('GET', f'/allocations/{identifier}', Prefer='wait=5')
        return found

    def _create(self, identifier: str) -> dict[str, Any]:
        found: dict[str, Any] = self._account.call('POST', '/allocations', {
            'id': identifier, 'profile': self._asked['profile'], 'name': self._asked.get('name'), 'ttl': self._ttl,
            'consumer_type': 'node', 'consumer_id': self._consumer, 'consumer_host': self._consumer}, Prefer='wait=5')
        return found
