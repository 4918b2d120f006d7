# SPDX-License-Identifier: Apache-2.0
"""What happened: counts, and everything that must not happen."""

import collections
import threading
import time
from typing import Any


class Report:
    """Shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self.counts: collections.Counter[str] = collections.Counter()
        self.violations: list[str] = []
        self.recoveries: list[float] = []

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def violation(self, what: str) -> None:
        with self._lock:
            self.violations.append(f'{time.monotonic() - self._begun:7.1f} s  {what}')
        print(self.violations[-1], flush=True)

    def say(self, what: str) -> None:
        print(f'{time.monotonic() - self._begun:7.1f} s  {what}', flush=True)

    def summary(self) -> dict[str, Any]:
        longest = round(max(self.recoveries, default=0.0), 1)
        return {'seconds': round(time.monotonic() - self._begun), 'counts': dict(sorted(self.counts.items())),
                'recoveries': len(self.recoveries), 'longest recovery': longest, 'violations': self.violations}
