# SPDX-License-Identifier: Apache-2.0
"""Cutting devices: an emulated device needs nothing done to it, so a slice is a line in a state file.

Real hardware remembers its partitions itself; the file stands for that, and survives a killed conductor.
"""

import json
import os
import pathlib
import threading

from accelpool import errors
from accelpool.drivers import base
from accelpool.drivers.mock import passthrough
from accelpool.types import Device, Isolation, Slice

MODES = (Isolation.WHOLE, Isolation.SHARED)


class MockSlicing(base.Slicing):
    """Whole devices and metered shares, or what an instance gets into its guest."""

    def __init__(self, state_file: pathlib.Path) -> None:
        self._file = state_file
        self._lock = threading.Lock()
        self._devices = self._read()  # slice id -> device id

    def modes(self, device: Device) -> tuple[Isolation, ...]:
        return passthrough.MODES.get(device.options.get('attach', ''), MODES)

    def carve(self, device: Device, wanted: Slice) -> base.Carved:
        if wanted.isolation not in self.modes(device):
            raise errors.NotSupported(f'An emulated device cannot be cut as {wanted.isolation}')
        with self._lock:
            if wanted.id not in self._devices:
                self._write(self._devices | {wanted.id: wanted.device_id})
        return base.Carved(
            slice_id=wanted.id, device_id=wanted.device_id, handle=passthrough.handle(device, wanted),
            no_sessions=passthrough.NO_SESSIONS.get(device.options.get('attach', ''), ''))

    def destroy(self, slice_id: str) -> None:
        with self._lock:
            if slice_id in self._devices:
                self._write({key: value for key, value in self._devices.items() if key != slice_id})

    def list(self) -> list[base.Carved]:
        with self._lock:
            return [base.Carved(slice_id=key, device_id=value) for key, value in self._devices.items()]

    def _read(self) -> dict[str, str]:
        try:
            content: dict[str, str] = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        return content

    def _write(self, devices: dict[str, str]) -> None:
        """Replace the file in one step: a reader, or a restart, sees the old content or the new.

        :raises DriverError: there is no room for it
        """
        fresh = f'{self._file}.new'
        try:
            with open(fresh, 'w', encoding='utf-8') as file:
                file.write(json.dumps(devices))
            os.replace(fresh, self._file)
        except OSError as failure:
            raise errors.DriverError(f'The state file cannot be written: {failure.strerror}') from failure
        self._devices = devices
