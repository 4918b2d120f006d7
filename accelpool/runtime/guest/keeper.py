# SPDX-License-Identifier: Apache-2.0
"""Asks again and again what this guest has, and keeps its files in step; a crash loses nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from typing import Any, Protocol

from accelpool.runtime.guest import config, delivery, enrolled, files, loader, owner, remote, report, standing

#: Seconds before the next attempt after a failure, or while something is not active yet: twice as long each time.
FIRST_RETRY, LONGEST_RETRY = 1.0, 30.0


class Source(Protocol):
    """Where a guest learns what it has."""

    def fetch(self) -> standing.Standing:
        """:raises NotNow, Unreachable, Invalid:"""


def source(conf: config.Config) -> Source:
    return owner.Owner(conf) if conf.account else enrolled.Enrolled(conf)


class Keeper:
    """One of them runs in a guest."""

    def __init__(self, conf: config.Config, where: Source) -> None:
        self._conf = conf
        self._where = where
        self._wake = threading.Event()
        self._ending = False
        self._retry = FIRST_RETRY
        self._said = ''

    def run(self) -> None:
        """Work until :meth:`end`; then take back what was delivered.  The key, and the allocation, stay."""
        while not self._ending:
            self._wake.clear()
            delay = self.step()
            _notify('READY=1')
            if not self._ending:
                self._wake.wait(delay)
        delivery.deliver(self._conf, None)
        loader.put(self._conf, [])
        self._conf.status_file.unlink(missing_ok=True)

    def end(self, *_: Any) -> None:
        self._ending = True
        self._wake.set()

    def refresh(self, *_: Any) -> None:
        """Ask again now."""
        self._wake.set()

    def step(self) -> float:
        """Ask once and put everything in place; returns in how many seconds to do so again."""
        before = files.read_json(self._conf.status_file) or {'devices': [], 'allocations': [], 'warnings': []}
        try:
            found = self._where.fetch()
            status = self._apply(found)
            delay = found.renew if status['state'] == 'attached' and not status['detail'] else self._back_off()
        except (standing.NotNow, remote.Unreachable, config.Invalid, loader.Missing, OSError) as failure:
            status, delay = self._failed(failure, before)
        if status['state'] == 'attached' and not status['detail']:
            self._retry = FIRST_RETRY
        files.write_json(self._conf.status_file, status, mode=0o644)
        self._say(status)
        return delay

    def _apply(self, found: standing.Standing) -> dict[str, Any]:
        devices = [] if found.attachment is None else found.attachment['devices']
        places = loader.directories(self._conf, [entry['interface'] for entry in devices])
        delivery.deliver(self._conf, found.attachment if devices else None)
        loader.put(self._conf, places)
        warnings = [f'there is no user {name}' for name in delivery.unknown_users(self._conf)]
        return {**report.attached(found, warnings), 'updated': time.time(), 'pid': os.getpid()}

    def _back_off(self) -> float:
        self._retry, delay = min(2 * self._retry, LONGEST_RETRY), self._retry
        return delay

    def _failed(self, failure: Exception, before: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """What was delivered stays: sessions go on, and the credentials may be good for a while yet."""
        delay = self._back_off()
        if isinstance(failure, standing.NotNow):
            return report.without('refused', failure, failure.advice, before), delay
        if isinstance(failure, remote.Unreachable):
            return report.without('unreachable', failure, 'Nothing: programs go on, and it asks again by itself.  If '
                                  'that lasts, look at the network between this guest and the API', before), delay
        return report.without('misconfigured', failure, f'Correct {config.DEFAULT}, or install what is missing, then '
                              'systemctl restart accelpool-guest', before), delay

    def _say(self, status: dict[str, Any]) -> None:
        """One line for the journal whenever something changed."""
        line = f'{status["state"]}: {status["detail"] or str(len(status["devices"])) + " device(s)"}'
        if line != self._said:
            self._said = line
            print(f'accelpool-guest: {line}', flush=True)
            _notify(f'STATUS={line}')


def serve(conf: config.Config) -> int:
    """Run until SIGTERM; SIGHUP asks again at once."""
    lock = files.Lock(conf.lock_file)
    if not lock.take():
        print('accelpool-guest: another one runs already')
        return 1
    conf.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    conf.state_dir.chmod(0o700)
    keeper = Keeper(conf, source(conf))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, keeper.end)
    signal.signal(signal.SIGHUP, keeper.refresh)
    keeper.run()
    return 0


def _notify(text: str) -> None:
    """Tell systemd, where it wants to know (sd_notify(3))."""
    place = os.environ.get('NOTIFY_SOCKET')
    if place:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(text.encode(), '\0' + place[1:] if place[0] == '@' else place)
