# SPDX-License-Identifier: Apache-2.0
"""How much of its device's time a slice has used lately.  No I/O, no clock of its own: times are nanoseconds."""

import collections

#: Over what is looked back: NVML speaks of a sample period between a sixth of a second and a second.
PERIOD_NS = 1_000_000_000
#: Reports that follow closer than this are not remembered one by one.
STEP_NS = 50_000_000


class Utilization:
    """Of one slice.  Work counts when it has been reported: a kernel that runs for long, when it is done."""

    def __init__(self, now: int) -> None:
        self._seen = collections.deque([(now, 0)])  # when, and what had been used by then

    def note(self, used: int, now: int) -> None:
        """Remember what has been used since the beginning."""
        if len(self._seen) > 1 and now - self._seen[-2][0] < STEP_NS:
            self._seen.pop()  # the last one always is: what it says was used is not used later
        self._seen.append((now, used))
        self._forget(now)

    def percent(self, used: int, now: int) -> int:
        """Return percent of the period, 0 to 100."""
        self._forget(now)
        since, before = self._seen[0]
        # An old one is the last before a pause, in which nothing was used.
        span = now - since if now - since < 1.5 * PERIOD_NS else PERIOD_NS
        return min(100, round(100 * (used - before) / max(span, STEP_NS)))

    def _forget(self, now: int) -> None:
        while len(self._seen) > 1 and self._seen[1][0] <= now - PERIOD_NS:
            self._seen.popleft()
