# SPDX-License-Identifier: Apache-2.0
"""MPS: a daemon for each device, and for each slice a limit on threads and memory that the server enforces.

A client inherits its limits from the environment; the server takes what it says only downwards of the daemon's
defaults, and a client could raise them, so MPS is for consumers that share a host in trust (isolation ``mps`` says so).
The daemon belongs to the device's pipe directory; it is started with the first slice and ended with the last.
"""

import os
import pathlib
import subprocess
from collections.abc import Callable, Sequence

from accelpool import errors
from accelpool.drivers import base
from accelpool.drivers.book import Entry
from accelpool.drivers.nvidia.slicing import COMMON_NODES
from accelpool.types import Device, Slice

#: Seconds that the control program may take.
TIMEOUT = 10.0


class Mps:
    """Starts, steers and ends the daemons."""

    lost = 'the MPS daemon of the device has ended or was killed (see nvidia-mps/*/log in the state directory)'

    def __init__(self, control: str, directory: pathlib.Path, others: Callable[[str], int]) -> None:
        """
        :param control: the program nvidia-cuda-mps-control
        :param directory: below it each device has a directory for its daemon
        :param others: how many MPS slices the book has on a device (by its id)
        """
        self._control = control
        self._directory = directory
        self._others = others

    def plan(self, device: Device, wanted: Slice) -> Entry:
        return {'uuid': device.options['uuid'], 'minor': device.options['minor'], 'compute': wanted.compute,
                'memory': wanted.memory}

    def make(self, entry: Entry) -> base.Carved:
        pipe = self._pipe(entry)
        if not self._alive(entry):
            pipe.mkdir(parents=True, exist_ok=True)
            self._run(entry, ['-d'])
            if not self._alive(entry):
                raise errors.DriverError(
                    f'The MPS daemon of GPU {entry["uuid"]} does not answer after its start; see '
                    f'{self._log(entry)}/control.log')
        return base.Carved(
            slice_id=entry['slice'], device_id=entry['device'],
            env={'CUDA_MPS_PIPE_DIRECTORY': str(pipe),
                 'CUDA_MPS_ACTIVE_THREAD_PERCENTAGE': str(entry['compute']),
                 'CUDA_MPS_PINNED_DEVICE_MEM_LIMIT': f'0={entry["memory"]}M'},
            nodes=(f'/dev/nvidia{entry["minor"]}', *COMMON_NODES))

    def unmake(self, entry: Entry) -> None:
        if self._others(entry['device']) <= 1 and self._alive(entry):
            self._run(entry, [], 'quit -t 5\n')

    def there(self, entries: Sequence[Entry]) -> list[Entry]:
        """A daemon that was killed has lost its clients: the slices have to be made again."""
        return list(entries) if self._alive(entries[0]) else []

    def _pipe(self, entry: Entry) -> pathlib.Path:
        return self._directory / str(entry['uuid']) / 'pipe'

    def _log(self, entry: Entry) -> pathlib.Path:
        return self._directory / str(entry['uuid']) / 'log'

    def _alive(self, entry: Entry) -> bool:
        if not self._pipe(entry).exists():
            return False
        try:
            self._run(entry, [], 'get_server_list\n')
        except errors.DriverError:
            return False
        return True

    def _run(self, entry: Entry, arguments: list[str], text: str | None = None) -> str:
        log = self._log(entry)
        log.mkdir(parents=True, exist_ok=True)
        env = {'PATH': os.defpath + ':/usr/sbin:/sbin:/usr/local/bin', 'CUDA_VISIBLE_DEVICES': entry['uuid'],
               'CUDA_MPS_PIPE_DIRECTORY': str(self._pipe(entry)), 'CUDA_MPS_LOG_DIRECTORY': str(log)}
        try:
            done = subprocess.run([self._control, *arguments], input=text, env=env, text=True, timeout=TIMEOUT,
                                  capture_output=True, check=False)
        except FileNotFoundError as error:
            raise errors.DriverError(
                f'{self._control} is not installed; it comes with the NVIDIA driver ([nvidia] mps_control)') from error
        except subprocess.TimeoutExpired as error:
            raise errors.DriverError(
                f'{self._control} did not return within {TIMEOUT:g} s; end the MPS daemon of {entry["uuid"]}'
            ) from error
        if done.returncode:
            raise errors.DriverError(f'{self._control} failed ({done.returncode}): '
                                     f'{(done.stderr or done.stdout).strip()[:200]}')
        return done.stdout
