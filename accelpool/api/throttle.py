# SPDX-License-Identifier: Apache-2.0
"""A limit on failed attempts from one address, within this process."""

import collections
import threading
import time
from collections.abc import Callable

from accelpool import errors

#: Addresses that are remembered; the ones that failed longest ago are forgotten first.
REMEMBERED = 4096


class Throttle:
    """Lets an address fail ``limit`` times in ``period`` seconds; successes are free, however many."""

    def __init__(self, limit: int, period: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._period = period
        self._clock = clock
        self._failures: collections.OrderedDict[str, collections.deque[float]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def check(self, address: str) -> None:
        """:raises TooManyRequests: the address has failed too often"""
        with self._lock:
            seen = self._failures.get(address, ())
            if sum(1 for then in seen if then > self._clock() - self._period) >= self._limit:
                raise errors.TooManyRequests(f'Too many failed attempts; wait for {self._period:g} s')

    def failed(self, address: str) -> None:
        """Count a failed attempt."""
        with self._lock:
            self._failures.setdefault(address, collections.deque(maxlen=self._limit)).append(self._clock())
            self._failures.move_to_end(address)
            if len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)
