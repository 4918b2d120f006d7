# SPDX-License-Identifier: Apache-2.0
"""``accelpool-guest status``: what there is, and what to do when there is nothing.  Holds no secret."""

from __future__ import annotations

import time
from typing import Any

from accelpool.runtime.guest import config, files, standing

_NO_KEEPER = ('accelpool-guest does not run',
              'systemctl start accelpool-guest; why it ended: journalctl -u accelpool-guest')


def attached(found: standing.Standing, warnings: list[str]) -> dict[str, Any]:
    devices = [] if found.attachment is None else [
        {'ordinal': entry['ordinal'], 'interface': entry['interface'], 'slice': entry['slice'],
         'urls': [place['url'] for place in entry['urls']], 'expires': entry['expires']}
        for entry in found.attachment['devices']]
    detail, advice = _judge(found)
    return {'state': 'attached' if devices else 'waiting', 'detail': detail, 'advice': advice,
            'consumer': found.consumer, 'devices': devices, 'allocations': found.allocations, 'warnings': warnings}


def _judge(found: standing.Standing) -> tuple[str, str]:
    failed = [one for one in found.allocations if one['state'] == 'error']
    if failed:
        return (f'allocation {failed[0]["id"]} failed: {failed[0]["reason"]}',
                f'accelpool allocation show {failed[0]["id"]} --events')
    if not found.allocations:
        return 'nothing is allocated to this consumer', 'Allocate a slice, or disable this service'
    waiting = [one for one in found.allocations if one['state'] != 'active']
    if waiting:
        return f'allocation {waiting[0]["id"]} is {waiting[0]["state"]}', 'Nothing: it becomes active by itself'
    return '', ''


def without(state: str, failure: Exception, advice: str, before: dict[str, Any]) -> dict[str, Any]:
    """Return what to show after a failure; what was delivered before is still there."""
    return {**before, 'state': state, 'detail': str(failure), 'advice': advice}


def read(conf: config.Config) -> dict[str, Any]:
    """Return the status as the keeper left it, and whether it lives."""
    found = files.read_json(conf.status_file) or {'devices': [], 'allocations': [], 'warnings': []}
    if not files.Lock(conf.lock_file).is_taken():
        return {**found, 'state': 'stopped', 'detail': _NO_KEEPER[0], 'advice': _NO_KEEPER[1]}
    return {'state': 'starting', 'detail': '', 'advice': '', **found}


def text(found: dict[str, Any], now: float | None = None) -> str:
    """Return the status for a person."""
    now = time.time() if now is None else now
    lines = [f'state:       {found["state"]}']
    if found.get('detail'):
        lines.append(f'because:     {found["detail"]}')
    if found.get('advice'):
        lines.append(f'what to do:  {found["advice"]}')
    if found.get('consumer'):
        lines.append(f'consumer:    {found["consumer"]}')
    if found.get('updated'):
        lines.append(f'renewed:     {now - found["updated"]:.0f} s ago')
    for entry in found['devices']:
        left = entry['expires'] - now
        good = f'new programs may start for {left:.0f} s without renewal' if left > 0 else \
            'no new program can start until the next renewal'
        lines.append(f'device {entry["ordinal"]}:    {entry["interface"]} at {entry["urls"][0]}; {good}')
    for one in found['allocations']:
        lines.append(f'allocation:  {one["id"]} {one["state"]}' + (f' ({one["profile"]})' if one['profile'] else ''))
    lines.extend(f'warning:     {warning}' for warning in found.get('warnings', ()))
    return '\n'.join(lines)
