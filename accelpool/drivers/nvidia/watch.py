# SPDX-License-Identifier: Apache-2.0
"""Reading what happened to devices, through a process of its own.

NVML tells an event only to an event set that the device was registered with before.  So the process that holds the set
must outlive calls that hang - those are made in another one - and is replaced by one that has already registered.
"""

import contextlib
from collections.abc import Callable, Set
from typing import Any

from accelpool import errors
from accelpool.drivers.nvidia.channel import Channel

Event = dict[str, Any]


class Watch:
    """Holds the set of events."""

    def __init__(self, channel: Callable[[], Channel]) -> None:
        """:param channel: makes a way to a new process"""
        self._make = channel
        self._channel = channel()
        self._watched: Set[str] | None = None  # UUIDs; None: nothing yet
        self._told: list[Event] = []

    def events(self, present: Set[str]) -> list[Event]:
        """Return what happened since the last time.

        :param present: the devices that NVML sees now; a process that has not seen one does not hear of it
        :raises DriverError: NVML does not tell
        """
        if self._watched is not None and present - self._watched:
            self._told += self._renew()
        found, self._told = self._told + _told(self._channel), []
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
            self._told += self._renew()
        except errors.DriverError:
            self.close()

    def close(self) -> None:
        self._channel.close()
        self._watched = None

    def _renew(self) -> list[Event]:
        """Begin to watch with a new process, and then stop with the old one: an event may be told twice, never not."""
        fresh = self._make()
        try:
            found: list[Event] = _told(fresh)
        except errors.DriverError:
            fresh.close()
            raise
        with contextlib.suppress(errors.DriverError):  # its driver is gone
            found = _told(self._channel) + found
        self._channel.close()
        self._channel = fresh
        return found


def _told(channel: Channel) -> list[Event]:
    found: list[Event] = channel.ask('events', channel.deadline, deadline=2 * channel.deadline)
    return found
