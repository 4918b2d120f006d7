# SPDX-License-Identifier: Apache-2.0
"""MIG: one GPU instance, and one compute instance that fills it, for each slice.

The scheduler has chosen profile and place (:mod:`accelpool.partitions`).  Instances are found again by their place,
since their numbers change with a reset; a place that holds another profile, or an instance that the book does not
know, belongs to somebody else.
"""

import pathlib
from typing import Any

from accelpool import errors
from accelpool.drivers import base
from accelpool.drivers.book import Entry
from accelpool.drivers.nvidia.channel import Channel, NvmlError
from accelpool.drivers.nvidia.slicing import COMMON_NODES
from accelpool.types import Device, Slice

IN_USE, NOT_FOUND = 19, 6

#: Where the kernel module tells the minor numbers of the capability nodes that open an instance.
MINORS = pathlib.Path('/proc/driver/nvidia-caps/mig-minors')


class Mig:
    """Makes and unmakes instances."""

    def __init__(self, channel: Channel, minors: pathlib.Path = MINORS) -> None:
        """:param channel: with a deadline that is long enough for the creation of an instance"""
        self._channel = channel
        self._minors = minors

    def plan(self, device: Device, wanted: Slice) -> Entry:
        if wanted.template is None or wanted.position is None:
            raise errors.NotSupported('A MIG slice needs a profile and a place; the scheduler chooses them')
        profile = next((one for one in self._channel.ask('identity', device.options['uuid'])['profiles']
                        if one['name'] == wanted.template), None)
        if profile is None:
            raise errors.NotSupported(f'{device.model} has no MIG profile {wanted.template}')
        return {'uuid': device.options['uuid'], 'minor': device.options['minor'], 'profile': profile['id'],
                'name': profile['name'], 'start': wanted.position, 'size': profile['size']}

    def make(self, entry: Entry) -> base.Carved:
        found = self._find(entry)
        if found is None:
            try:
                found = self._channel.ask(
                    'create_instance', entry['uuid'], entry['profile'], entry['start'], entry['size'])
            except NvmlError as error:
                raise errors.DriverError(
                    f'MIG instance {entry["name"]} at {entry["start"]} cannot be made: {error.detail}') from error
        instance = found['id']
        computes = found['computes']
        if not computes:  # somebody took the compute instance away, or a killed conductor never made it
            self._channel.ask('destroy_instance', entry['uuid'], instance)
            return self.make(entry)
        return base.Carved(
            slice_id=entry['slice'], device_id=entry['device'],
            env={'CUDA_VISIBLE_DEVICES': computes[0]['uuid']},
            nodes=(f'/dev/nvidia{entry["minor"]}', *COMMON_NODES,
                   *self._capabilities(entry['minor'], instance, computes[0]['id'])))

    def unmake(self, entry: Entry) -> None:
        found = self._find(entry)
        if found is None:
            return
        try:
            self._channel.ask('destroy_instance', entry['uuid'], found['id'])
        except NvmlError as error:
            if error.number == NOT_FOUND:
                return
            raise errors.DriverError(
                f'MIG instance {entry["name"]} at {entry["start"]} cannot be taken apart: {error.detail}') from error

    def exists(self, entry: Entry) -> bool:
        found = self._find(entry)
        return found is not None and bool(found['computes'])

    def _find(self, entry: Entry) -> dict[str, Any] | None:
        instances = self._channel.ask('condition', entry['uuid'])['instances']
        return next((one for one in instances
                     if one['start'] == entry['start'] and one['profile'] == entry['name']), None)

    def _capabilities(self, minor: int, instance: int, compute: int) -> tuple[str, ...]:
        """Return the nodes that open an instance; none on a driver that does not use them."""
        wanted = (f'gpu{minor}/gi{instance}/access', f'gpu{minor}/gi{instance}/ci{compute}/access')
        try:
            lines = self._minors.read_text().splitlines()
        except OSError:
            return ()
        numbers = dict(line.split() for line in lines if len(line.split()) == 2)
        return tuple(f'/dev/nvidia-caps/nvidia-cap{numbers[name]}' for name in wanted if name in numbers)
