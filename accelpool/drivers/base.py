# SPDX-License-Identifier: Apache-2.0
"""What a driver is: three small interfaces for one kind of device.  Their docstrings are the contract.

A driver has an :class:`Inventory`; it may lack :class:`Slicing` or :class:`Remoting` and says so with None.
Its class is an entry point in ``accelpool.drivers``, is constructed once for each host as
``cls(host, state_dir)`` and is used by several threads.  Vendor libraries are opened when they are first
needed: on a host without them ``discover()`` returns nothing.  ``drivers/mock`` is the example.
"""

import abc
import dataclasses
import pathlib
from collections.abc import Iterable, Set
from typing import Any, ClassVar

from stevedore import driver as stevedore

from accelpool import errors
from accelpool.types import Device, Isolation, Slice

NAMESPACE = 'accelpool.drivers'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Handle:
    """How an instance on the device's own host gets a slice: what Nova's libvirt driver reads.

    ``PCI``: the guest gets the function at ``address``.  ``MDEV``: it gets the mediated device ``uuid`` of the type
    ``asked_type`` below that function, which Nova makes if there is none.
    """

    type: str
    address: str                   # domain:bus:device.function in hexadecimal digits
    uuid: str | None = None
    asked_type: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return ``type``, ``uuid`` and the fields of Nova's ``attach_handle_info``."""
        domain, bus, rest = self.address.split(':')
        device, function = rest.split('.')
        info = {'domain': domain, 'bus': bus, 'device': device, 'function': function}
        if self.asked_type is not None:
            info['asked_type'] = self.asked_type
        return {'type': self.type, 'uuid': self.uuid, 'info': info}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Carved:
    """A slice as it exists on its device, and what a session on it needs beyond the device's own.

    ``env`` is set in the session's worker; ``nodes`` are device nodes that the worker may open; ``handle`` is for an
    instance on the same host, where the slice can be given to one.  ``no_sessions`` says why no session can be served
    from it; empty: one can.
    """

    slice_id: str
    device_id: str
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    handle: Handle | None = None
    no_sessions: str = ''


@dataclasses.dataclass(frozen=True, kw_only=True)
class Endpoint:
    """What a worker needs to serve a vendor's API from a device.

    ``group`` is the id of the group that may open the device's nodes, where they are not everybody's: a worker has a
    uid of its own and is in no other group.  ``remedy`` says what makes a node that is missing, which a worker cannot
    do; empty: sessions are not refused for one.
    """

    interface: str                 # name of the interface description: 'cuda'
    library: str                   # absolute path of the library that the worker opens
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    group: int | None = None
    remedy: str = ''


class Inventory(abc.ABC):
    """Which devices the host has, and how they are."""

    @abc.abstractmethod
    def discover(self) -> list[Device]:
        """Return every device present, with its present health.

        A device keeps its id across restarts and reboots.  One that is there but broken is returned with
        health ``failed`` and a reason; one that is not there is left out (the conductor keeps its row
        as ``missing``).  Called every few seconds: cheap, and it changes nothing.

        :raises DriverError: the vendor's library failed; what was known before stays valid
        """

    def rest(self, device_ids: Set[str]) -> None:  # noqa: B027  # most drivers have nothing to do
        """Let go of devices, and look at those again that rest no more.

        When this returns nothing of the driver has one of them open, and :meth:`discover` leaves them out: an instance
        gets them, or an operator resets them.  A driver that holds nothing open inherits this one.
        """

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return gauges by device id and name (``temperature_celsius``, ``power_watts``, ...).

        The names become Prometheus metrics ``accelpool_device_<name>``.  A driver without sensors
        inherits this one, which knows none.
        """
        return {}


class Slicing(abc.ABC):
    """Cutting devices into slices and putting them together again.

    Everything here is idempotent, because a conductor that was killed repeats its last step.
    """

    @abc.abstractmethod
    def modes(self, device: Device) -> tuple[Isolation, ...]:
        """Return the isolation modes that a device can be cut in."""

    @abc.abstractmethod
    def carve(self, device: Device, wanted: Slice) -> Carved:
        """Make a slice, or return it when it exists already.

        The scheduler has claimed the share in the database, so it fits; for ``shared`` slices there is often
        nothing to do to the hardware, since the agent meters them.

        :raises NotSupported: the device cannot be cut in ``wanted.isolation``
        :raises DriverError: the hardware refused
        """

    @abc.abstractmethod
    def destroy(self, slice_id: str) -> None:
        """Take a slice apart; nothing happens when there is none of that id.  No session uses it any more.

        :raises DriverError: the hardware refused; the slice still exists
        """

    @abc.abstractmethod
    def list(self) -> list[Carved]:
        """Return every slice that exists, so that a restarted conductor finds what its predecessor made."""


class Remoting(abc.ABC):
    """How sessions use a device."""

    @abc.abstractmethod
    def endpoint(self, device: Device) -> Endpoint:
        """Return which library serves the device, and in which environment.

        :raises NotSupported: the device has no interface that can be carried to another host
        """


class Driver:
    """One kind of device on one host.  A subclass sets ``name`` and the interfaces it has."""

    name: ClassVar[str]

    inventory: Inventory
    slicing: Slicing | None = None
    remoting: Remoting | None = None

    def __init__(self, host: str, state_dir: pathlib.Path) -> None:
        """Prepare; must not fail for want of hardware.

        :param host: the host's name
        :param state_dir: an existing directory of this host for what must outlive a restart; the driver's
            files begin with its name
        """

    def need_slicing(self) -> Slicing:
        """:raises NotSupported: the driver cannot slice"""
        if self.slicing is None:
            raise errors.NotSupported(f'The driver {self.name} cannot cut its devices into slices')
        return self.slicing

    def need_remoting(self) -> Remoting:
        """:raises NotSupported: the driver cannot carry calls"""
        if self.remoting is None:
            raise errors.NotSupported(f'The driver {self.name} cannot serve its devices to other processes')
        return self.remoting


def load(names: Iterable[str], host: str, state_dir: pathlib.Path) -> dict[str, Driver]:
    """Construct drivers by their entry-point names.

    :raises NotSupported: there is no driver of such a name, or it cannot be imported
    """
    drivers: dict[str, Driver] = {}
    for name in names:
        try:
            found: stevedore.DriverManager[Driver] = stevedore.DriverManager(
                NAMESPACE, name, invoke_on_load=True, invoke_args=(host, state_dir))
        except RuntimeError as error:  # stevedore's NoMatches and the import's own failure
            raise errors.NotSupported(f'There is no driver {name} (entry points {NAMESPACE}): {error}') from error
        assert isinstance(found.driver, Driver)
        drivers[name] = found.driver
    return drivers
