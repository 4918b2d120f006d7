# SPDX-License-Identifier: Apache-2.0
"""Has credentials renewed by the agents, asks the API now and then what this guest has, and keeps its files in step.

A crash loses nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import signal
import socket
import time
from typing import Any, Protocol

from accelpool.runtime.guest import config, delivery, enrolled, files, loader, owner, remote, renewal, report, standing

#: Seconds before the next attempt after a failure, or while something is not active yet: twice as long each time.
FIRST_RETRY, LONGEST_RETRY = 1.0, 30.0
#: Of so many renewals one asks the API too: only it knows of allocations that have been added.
ASK_EVERY = 5


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
        # Signal handlers wake: one that sets a threading.Event waits for ever where it interrupts who waits for that.
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._ending = False
        self._retry = FIRST_RETRY
        self._said = ''
        self._known: standing.Standing | None = None  # what the API said, with the latest credentials
        self._until_asked = 0                         # renewals before the API is asked again

    def run(self) -> None:
        """Work until :meth:`end`; then take back what was delivered.  The key, and the allocation, stay."""
        while not self._ending:
            while not self._wake.empty():
                self._wake.get()
            delay = self.step()
            _notify('READY=1')
            if not self._ending:
                with contextlib.suppress(queue.Empty):
                    self._wake.get(timeout=delay)
        delivery.deliver(self._conf, None)
        loader.put(self._conf, [])
        self._conf.status_file.unlink(missing_ok=True)

    def end(self, *_: Any) -> None:
        self._ending = True
        self._wake.put(None)

    def refresh(self, *_: Any) -> None:
        """Ask the API again now."""
        self._until_asked = 0
        self._wake.put(None)

    def step(self) -> float:
        """Renew or ask once, and put everything in place; returns in how many seconds to do so again."""
        before = files.read_json(self._conf.status_file) or {'devices': [], 'allocations': [], 'warnings': []}
        try:
            found = self._fetch()
            status = self._apply(found)
            complete = status['state'] == 'attached' and not status['detail']
            delay = found.renew if complete else self._back_off()
            if not complete:
                self._until_asked = 0
        except (standing.NotNow, remote.Unreachable, config.Invalid, loader.Missing, OSError) as failure:
            status, delay = self._failed(failure, before)
        if status['state'] == 'attached' and not status['detail']:
            self._retry = FIRST_RETRY
        files.write_json(self._conf.status_file, status, mode=0o644)
        self._say(status)
        return delay

    def _fetch(self) -> standing.Standing:
        """Return what this guest has, with fresh credentials: of the agents, or of the API when they renew no more.

        :raises NotNow, Unreachable, Invalid: the API has none for us, and no agent renews what we have
        """
        failures: list[str] = []
        if self._known is not None and self._known.attachment is not None:
            attachment, failures = renewal.renew(self._known.attachment)
            self._known = dataclasses.replace(self._known, attachment=attachment)
            if not failures and self._until_asked > 0:
                self._until_asked -= 1
                return self._known
        try:
            self._known, self._until_asked = self._where.fetch(), ASK_EVERY - 1
        except standing.NotNow:
            self._known = None
            raise
        except remote.Unreachable as failure:
            if self._known is None or self._known.attachment is None \
                    or len(failures) == len(self._known.attachment['devices']):
                raise
            return dataclasses.replace(self._known, warning='; '.join([
                f'the agents renew, but the API is unreachable: {failure}', *failures]))
        return self._known

    def _apply(self, found: standing.Standing) -> dict[str, Any]:
        devices = [] if found.attachment is None else found.attachment['devices']
        places = loader.directories(self._conf, [entry['interface'] for entry in devices])
        delivery.deliver(self._conf, found.attachment if devices else None)
        loader.put(self._conf, places)
        warnings = [f'there is no user {name}' for name in delivery.unknown_users(self._conf)]
        if found.warning:
            warnings.append(found.warning)
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
