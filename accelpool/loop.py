# SPDX-License-Identifier: Apache-2.0
"""A duty that a service does again and again in a thread of its own."""

import threading
from collections.abc import Callable

from oslo_log import log as logging

from accelpool import errors

LOG = logging.getLogger(__name__)


class Loop:
    """Calls ``work`` every ``interval`` seconds and whenever it is poked, until it is stopped."""

    def __init__(self, name: str, interval: float, work: Callable[[], None]) -> None:
        self._interval = interval
        self._work = work
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def poke(self) -> None:
        """Do it now."""
        self._wake.set()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._work()
            except errors.AccelpoolError as error:
                LOG.warning('%s: %s; trying again in %g s', self._thread.name, error.detail, self._interval)
            except Exception:
                # The database or the bus is away: nothing is lost by trying again later.
                LOG.exception('%s failed; trying again in %g s', self._thread.name, self._interval)
            self._wake.wait(self._interval)
            self._wake.clear()
