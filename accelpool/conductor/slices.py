# SPDX-License-Identifier: Apache-2.0
"""One slice on its device: carved by the driver, admitted by the agent - and back.

Both directions may be repeated from any point: a killed conductor does its last step again.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from accelpool import errors
from accelpool.conductor.agentclient import Agent
from accelpool.drivers.base import Carved, Driver
from accelpool.types import Device, Isolation, Slice


class Slices:
    """The slices of one host."""

    def __init__(self, drivers: Mapping[str, Driver], agent: Agent) -> None:
        self._drivers = drivers
        self._agent = agent
        self._kept: dict[str, tuple[int, str]] = {}  # slice id -> generation, and why the agent does not have it

    def bind(self, wanted: Slice, device: Device, project: str) -> Carved:
        """Make a slice usable, and return it as it exists.

        One that an instance of this host gets by its handle needs no sessions: where there can be none the agent does
        not hear of it.

        :raises NotSupported: the driver cannot do that
        :raises DriverError: the hardware or the agent refused
        :raises AgentUnavailable: there is no agent now
        """
        driver = self._driver(device)
        carved = driver.need_slicing().carve(device, wanted)
        admitted, seen = _as_the_agent_sees(wanted, device)
        try:
            description = self._description(driver, seen, carved)
        except errors.NotSupported as error:
            if carved.handle is None:
                raise
            self._kept[wanted.id] = wanted.generation, error.detail
            return carved
        self._agent.bind(admitted, project, description)
        self._kept.pop(wanted.id, None)
        return carved

    def kept(self) -> dict[str, int]:
        """Return the slices that are bound without the agent: id -> generation."""
        return {slice_id: generation for slice_id, (generation, _) in self._kept.copy().items()}

    def need_sessions(self, slice_id: str) -> None:
        """:raises NotSupported: only an instance of this host can use a slice"""
        if slice_id in self._kept:
            raise errors.NotSupported(
                f'Slice {slice_id} can only be given to an instance on its own host: {self._kept[slice_id][1]}')

    def unbind(self, slice_id: str, device: Device) -> None:
        """End a slice's sessions and take it apart.

        :raises DriverError: the hardware refused; the slice still exists
        :raises AgentUnavailable: there is no agent now; its sessions may still live
        """
        self._agent.unbind(slice_id)
        self._driver(device).need_slicing().destroy(slice_id)
        self._kept.pop(slice_id, None)

    def interface(self, device: Device) -> str:
        """Return the name of the interface that a device speaks."""
        return self._driver(device).need_remoting().endpoint(device).interface

    def carved(self) -> dict[str, str]:
        """Return what the drivers have carved: slice id -> driver's name."""
        return {carved.slice_id: name for name, driver in self._drivers.items() if driver.slicing
                for carved in driver.slicing.list()}

    def destroy(self, slice_id: str, driver: str) -> None:
        """Take apart a slice that nobody knows."""
        self._drivers[driver].need_slicing().destroy(slice_id)
        self._kept.pop(slice_id, None)

    def _driver(self, device: Device) -> Driver:
        try:
            return self._drivers[device.driver]
        except KeyError:
            raise errors.DriverError(
                f'Device {device.id} needs the driver {device.driver}, which is not loaded here '
                '([conductor] drivers)') from None

    @staticmethod
    def _description(driver: Driver, device: Device, carved: Carved) -> dict[str, Any]:
        """Return what the agent must know of the device to serve this slice.

        :raises NotSupported: no worker can serve it
        """
        if carved.handle is not None and carved.no_sessions:
            # The vendor's library of the host would open the device that it is a part of.
            raise errors.NotSupported(carved.no_sessions)
        endpoint = driver.need_remoting().endpoint(device)
        return {
            'id': device.id, 'memory': device.memory, 'compute': device.compute,
            'interface': endpoint.interface, 'library': endpoint.library,
            'env': endpoint.env | carved.env, 'nodes': [*endpoint.nodes, *carved.nodes],
            'remedy': endpoint.remedy, 'no_sessions': carved.no_sessions, 'group': endpoint.group,
        }


def _as_the_agent_sees(wanted: Slice, device: Device) -> tuple[Slice, Device]:
    """Return slice and device for the agent.

    It lets the slices of one device take turns.  What the hardware itself divides - a partition, the clients of MPS -
    runs at the same time as its neighbours, so each is a device of its own there, all of it.
    """
    if wanted.isolation not in (Isolation.PARTITION, Isolation.MPS):
        return wanted, device
    own = f'{device.id}/{wanted.id}'
    return dataclasses.replace(wanted, device_id=own, compute=100), dataclasses.replace(
        device, id=own, compute=100, memory=wanted.memory)
