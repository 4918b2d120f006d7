# SPDX-License-Identifier: Apache-2.0
"""MPS: a daemon for each device, and for each slice a limit on threads and memory that the server enforces.

A client inherits its limits from the environment; the server takes what it says only downwards of the daemon's
defaults, and a client could raise them, so MPS is for consumers that share a host in trust (isolation ``mps`` says so).
The daemon belongs to the device's pipe directory; it is started with the first slice and ended with the last.

Each session has a uid of its own, and a client that does not reach the daemon runs without MPS and says nothing.  So
the pipes are where every uid comes to; the daemon serves all uids with one server where it can (NVIDIA MPS,
"multi-user server": Volta and later); and a session whose context is not under MPS is refused by its worker
(``ACCELPOOL_NEEDS_MPS``).
"""

import os
import pathlib
import shutil
import stat
import subprocess
from collections.abc import Callable, Sequence

from oslo_log import log as logging

from accelpool import errors
from accelpool.drivers import base
from accelpool.drivers.book import Entry
from accelpool.drivers.nvidia.slicing import COMMON_NODES
from accelpool.types import Device, Slice

LOG = logging.getLogger(__name__)

#: Seconds that the control program may take.
TIMEOUT = 10.0
#: Compute capability since which one server can serve several users.
MULTI_USER = (7, 0)
#: What asks for that: as control programs of today say it, and as NVIDIA's documentation does.
MULTI_USER_OPTIONS = ('-M', '-multiuser-server')
#: Of directories that others pass through.
MODE = 0o711


class _Refused(errors.DriverError):
    """The control program ended with an error."""


class Mps:
    """Starts, steers and ends the daemons."""

    def __init__(self, control: str, directory: pathlib.Path, others: Callable[[str], int]) -> None:
        """
        :param control: the program nvidia-cuda-mps-control
        :param directory: below it each device has a directory for its daemon; others must be able to pass through it
        :param others: how many MPS slices the book has on a device (by its id)
        """
        self._control = control
        self._directory = directory
        self._others = others
        self.lost = f'the MPS daemon of the device has ended or was killed (see {directory}/*/log/control.log)'

    def plan(self, device: Device, wanted: Slice) -> Entry:
        """What MPS limits is all that a client takes, its context too, which the device is charged for."""
        return {'uuid': device.options['uuid'], 'minor': device.options['minor'], 'compute': wanted.compute,
                'memory': wanted.memory + wanted.overhead, 'capability': device.options.get('cc')}

    def make(self, entry: Entry) -> base.Carved:
        pipe = self._pipe(entry)
        if not self._alive(entry):
            self._make_directories(entry)
            self._start(entry)
            if not self._alive(entry):
                raise errors.DriverError(
                    f'The MPS daemon of GPU {entry["uuid"]} does not answer after its start; see '
                    f'{self._log(entry)}/control.log')
        return base.Carved(
            slice_id=entry['slice'], device_id=entry['device'],
            env={'ACCELPOOL_NEEDS_MPS': '1', 'CUDA_MPS_PIPE_DIRECTORY': str(pipe),
                 'CUDA_MPS_ACTIVE_THREAD_PERCENTAGE': str(entry['compute']),
                 'CUDA_MPS_PINNED_DEVICE_MEM_LIMIT': f'0={entry["memory"]}M'},
            nodes=(f'/dev/nvidia{entry["minor"]}', *COMMON_NODES))

    def unmake(self, entry: Entry) -> None:
        if self._others(entry['device']) <= 1:
            if self._alive(entry):
                self._run(entry, [], 'quit -t 5\n')
            shutil.rmtree(self._pipe(entry), ignore_errors=True)

    def there(self, entries: Sequence[Entry]) -> list[Entry]:
        """A daemon that was killed has lost its clients: the slices have to be made again."""
        return list(entries) if self._alive(entries[0]) else []

    def _make_directories(self, entry: Entry) -> None:
        """Whatever the umask; what an operator has made stays as it is, and has to let others through."""
        pipe = self._pipe(entry)
        try:
            if not self._directory.exists():
                self._directory.mkdir(parents=True)
                self._directory.chmod(MODE)
            elif not self._directory.stat().st_mode & stat.S_IXOTH:
                raise errors.DriverError(
                    f'Sessions cannot pass through {self._directory} to the MPS daemon: chmod o+x it '
                    '([nvidia] mps_directory)')
            for path in (pipe.parent, pipe):
                path.mkdir(exist_ok=True)
                path.chmod(MODE)
        except OSError as error:
            raise errors.DriverError(
                f'The place of MPS pipes cannot be made: {error}; name another in [nvidia] mps_directory') from error

    def _start(self, entry: Entry) -> None:
        capability = tuple(int(part) for part in str(entry.get('capability') or '0.0').split('.'))
        for option in MULTI_USER_OPTIONS if capability >= MULTI_USER else ():
            try:
                self._run(entry, ['-d', option])
                return
            except _Refused as error:  # a control program that does not know it
                LOG.info('%s', error.detail)
        LOG.warning('The MPS daemon of GPU %s serves one user at a time: while a session uses it, those of others wait '
                    'and may be given up', entry['uuid'])
        self._run(entry, ['-d'])

    def _pipe(self, entry: Entry) -> pathlib.Path:
        return self._directory / str(entry['uuid']) / 'pipe'

    def _log(self, entry: Entry) -> pathlib.Path:
        return self._directory / str(entry['uuid']) / 'log'

    def _alive(self, entry: Entry) -> bool:
        """:raises DriverError: there is one, perhaps: the control program is not installed or does not return"""
        pipe = self._pipe(entry)
        if not pipe.exists() or not any(pipe.iterdir()):
            return False
        try:
            self._run(entry, [], 'get_server_list\n')
        except _Refused:
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
            raise _Refused(f'{self._control} failed ({done.returncode}): {(done.stderr or done.stdout).strip()[:200]}')
        return done.stdout
