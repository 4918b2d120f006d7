# SPDX-License-Identifier: Apache-2.0
"""Asking all devices so that a look stays short however many of them hang.

Devices that are sound are asked at the same time and have two deadlines together: calls of everybody wait for each
other inside the kernel's driver, so that one which is late once says nothing.  Those that hung are asked again one at a
time, and only in a round in which nothing else hung: so a round lasts two deadlines at most, and a device that only
waited behind another one inside NVML is soon told from it.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from accelpool import errors
from accelpool.drivers.nvidia.channel import Channel, Hung, NvmlError, explain

Answer = dict[str, Any]


class Rounds:
    """Remembers which devices hung."""

    def __init__(self, channel: Channel, retry: float, clock: Callable[[], float] = time.monotonic) -> None:
        """:param retry: seconds that a device which hung is left alone"""
        self._channel = channel
        self._retry = retry
        self._clock = clock
        self._hung: dict[str, float] = {}  # UUID -> when it is asked again

    def ask(self, present: Sequence[str], anew: Callable[[str], bool],
            spent: float) -> tuple[dict[str, Answer], dict[str, str], bool]:
        """Return what devices answer, why others do not, and whether one hung now.

        :param anew: whether a device is also asked what it is
        :param spent: seconds that the look has lasted; more than a deadline leaves less than two, but one at least
        """
        now, deadline = self._clock(), self._channel.deadline
        until = now + max(deadline, 2 * deadline - spent)
        self._hung = {uuid: again for uuid, again in self._hung.items() if uuid in present}
        due = sorted((again, uuid) for uuid, again in self._hung.items() if again <= now)
        asked = [uuid for uuid in present if uuid not in self._hung]
        found = self._together(asked, anew, until - now)
        left = until - self._clock()
        if due and len(found) == len(asked) and left >= deadline / 2:
            asked = [due[0][1]]
            found |= self._together(asked, anew, min(left, deadline))
        hung = [uuid for uuid in asked if uuid not in found]
        if hung:
            self._channel.close()  # with the threads that hang
        for uuid in found:
            self._hung.pop(uuid, None)
        for uuid in hung:  # of several, some may only have waited for another
            self._hung[uuid] = self._clock() + (self._retry if len(hung) == 1 else 0.0)
        failures = {uuid: answer['error'] for uuid, answer in found.items() if 'error' in answer}
        said = f'NVML did not answer within {2 * deadline:g} s; it is asked again soon'
        failures |= dict.fromkeys(self._hung, said)
        return {uuid: answer for uuid, answer in found.items() if uuid not in failures}, failures, bool(hung)

    def _together(self, uuids: Sequence[str], anew: Callable[[str], bool], seconds: float) -> dict[str, Answer]:
        """Return what devices answer, ``error`` where NVML refuses; nothing for those that hang."""
        if not uuids:
            return {}
        deadline = self._channel.deadline
        try:  # its process keeps the time; that it cannot even do that is a matter of the whole host
            found: dict[str, Answer] = self._channel.ask(
                'looks', {uuid: anew(uuid) for uuid in uuids}, seconds, deadline=seconds + deadline)
        except Hung:
            return {}
        except errors.DriverError as error:
            if len(uuids) == 1 or isinstance(error, NvmlError):
                return {uuid: {'error': error.detail} for uuid in uuids}
            # The process has ended: one of them did that, which is not to fail the others.
            return {key: answer for uuid in uuids for key, answer in self._together([uuid], anew, deadline).items()}
        return {uuid: {'error': explain(answer['code'], answer['error'])} if 'code' in answer else answer['result']
                for uuid, answer in found.items()}
