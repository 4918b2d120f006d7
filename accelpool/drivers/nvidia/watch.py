# SPDX-License-Identifier: Apache-2.0
"""Reading what happened to devices, through a process of its own.

NVML tells an event only to an event set that the device was registered with before.  So the process that holds the set
must outlive calls that hang - those are made in another one - and is replaced by one that has already registered.

A set with a GPU that was lost tells nothing of the others any more (NVML: ``nvmlEventSetWait`` answers that a GPU is
lost, at once and every time), so then, too, another process takes over: it registers the GPUs that answer.
"""

import contextlib
import time
from collections.abc import Callable, Set
from typing import Any

from oslo_log import log as logging

from accelpool import errors
from accelpool.drivers.nvidia.channel import Channel

LOG = logging.getLogger(__name__)

Event = dict[str, Any]


class Watch:
    """Holds the set of events."""

    def __init__(self, channel: Callable[[], Channel], retry: float,
                 clock: Callable[[], float] = time.monotonic) -> None:
        """
        :param channel: makes a way to a new process
        :param retry: seconds after which another process is tried when a new one hears nothing, either
        """
        self._make = channel
        self._retry = retry
        self._clock = clock
        self._channel = channel()
        self._watched: Set[str] | None = None  # UUIDs; None: nothing yet
        self._told: list[Event] = []
        self._again = clock()  # not before that another process is tried

    def events(self, present: Set[str]) -> list[Event]:
        """Return what happened since the last time.

        :param present: the devices that NVML sees now; a process that has not seen one does not hear of it
        :raises DriverError: NVML does not tell
        """
        if self._watched is not None and present - self._watched:
            self._renew()
        heard = _told(self._channel)
        self._told += heard['events']
        if heard['deaf'] is not None and self._clock() >= self._again:
            self._recover(heard['deaf'])
        found, self._told = self._told, []
        self._watched = frozenset(present)
        return found

    def lapse(self) -> None:
        """Note that the driver has failed: what was registered with it is worth nothing when it comes back."""
        if self._watched is not None:
            self._watched = frozenset()

    def renew(self) -> None:
        """Go on with another process, so that the present one lets go of what it has open; no event is lost."""
        if self._watched is None:
            return
        try:
            self._renew()
        except errors.DriverError:
            self.close()

    def close(self) -> None:
        self._channel.close()
        self._watched = None

    def _recover(self, reason: str) -> None:
        """Replace a process that hears nothing any more."""
        LOG.warning('NVML tells no more of what happens to NVIDIA devices (%s): another process begins to watch',
                    reason)
        try:
            deaf = self._renew()
        except errors.DriverError as error:
            deaf = error.detail
        if deaf is not None:
            self._again = self._clock() + self._retry

    def _renew(self) -> str | None:
        """Begin to watch with a new process, and then stop with the old one: an event may be told twice, never not.

        :returns: why the new one hears nothing, None: it does
        :raises DriverError: it cannot watch
        """
        fresh = self._make()
        try:
            heard = _told(fresh)
        except errors.DriverError:
            fresh.close()
            raise
        with contextlib.suppress(errors.DriverError):  # its driver is gone
            self._told += _told(self._channel)['events']
        self._told += heard['events']
        self._channel.close()
        self._channel = fresh
        deaf: str | None = heard['deaf']
        return deaf


def _told(channel: Channel) -> dict[str, Any]:
    found: dict[str, Any] = channel.ask('events', channel.deadline, deadline=2 * channel.deadline)
    return found
