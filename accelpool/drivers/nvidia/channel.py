# SPDX-License-Identifier: Apache-2.0
"""Asking NVML without ever waiting for it longer than a deadline.

NVML runs in a process of its own (:mod:`~accelpool.drivers.nvidia.nvml`).  When a call does not return in time that
process is killed and forgotten; a call that hangs in the kernel keeps it as a zombie until the kernel lets go, which
:meth:`Channel.stuck` tells.
"""

import contextlib
import json
import os
import pathlib
import select
import subprocess
import sys
import threading
import time
from typing import Any

from accelpool import errors

PROGRAM = pathlib.Path(__file__).with_name('nvml.py')


class NvmlError(errors.DriverError):
    """NVML answered with an error; ``number`` is NVML's."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(explain(number, text))
        self.number = number


class Hung(errors.DriverError):
    """NVML did not answer in time."""


#: NVML's error numbers and what an operator should do about them.
REMEDIES = {
    4: 'permission denied: run the conductor as root, or as a user who may write to /dev/nvidia* and '
       '/dev/nvidia-caps/*',
    9: 'the kernel module nvidia is not loaded: load it (modprobe nvidia) or install a driver for this kernel',
    12: 'libnvidia-ml.so.1 is not installed: install the NVIDIA driver, or take nvidia out of [conductor] drivers',
    15: 'the GPU is lost (fallen off the bus): reset it, and restart the host if that does not help',
    16: 'the GPU must be reset first (nvidia-smi --gpu-reset)',
    18: 'the loaded kernel module and the installed NVIDIA libraries are of different versions: restart the host, or '
        'unload and load the module again, after a driver update',
    19: 'it is in use: end the programs on it first (nvidia-smi shows them)',
    23: 'there is no room for it on the GPU: somebody else has made or left MIG instances there (nvidia-smi mig -lgi)',
}


def explain(number: int, text: str) -> str:
    """Return NVML's error with what to do about it."""
    remedy = REMEDIES.get(number)
    return f'{text}: {remedy}' if remedy else text


class Channel:
    """One NVML process at a time, started when it is needed; threads take turns."""

    def __init__(self, deadline: float, library: str | None) -> None:
        """
        :param deadline: seconds that a call may take
        :param library: directory of libnvidia-ml.so.1, None: where the loader finds it
        """
        self._deadline = deadline
        self._library = library
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._given_up: list[subprocess.Popen[bytes]] = []

    def ask(self, call: str, *arguments: Any) -> Any:
        """Return the result of one of the functions in ``nvml.CALLS``.

        :raises NvmlError: NVML refused
        :raises Hung: it did not answer in time
        """
        with self._lock:
            if self._process is None:
                self._start()
                if call != 'open':
                    self._exchange('open', ())
            return self._exchange(call, arguments)

    def stuck(self) -> bool:
        """Return whether a process that was given up still hangs in the kernel."""
        self._given_up = [process for process in self._given_up if process.poll() is None]
        return bool(self._given_up)

    def close(self) -> None:
        with self._lock:
            self._give_up()

    def _start(self) -> None:
        env = dict(os.environ)
        if self._library is not None:
            env['LD_LIBRARY_PATH'] = self._library
        self._process = subprocess.Popen(
            [sys.executable, '-P', str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)

    def _exchange(self, call: str, arguments: tuple[Any, ...]) -> Any:
        process = self._process
        assert process is not None and process.stdin is not None
        try:
            process.stdin.write(json.dumps([call, arguments]).encode() + b'\n')
            process.stdin.flush()
            line = self._line(process)
        except (OSError, TimeoutError) as error:
            self._give_up()
            if isinstance(error, TimeoutError):
                raise Hung(f'NVML did not answer within {self._deadline:g} s ({call})') from error
            raise errors.DriverError(f'the process that asks NVML has ended: {error}') from error
        answer: dict[str, Any] = json.loads(line)
        if 'code' in answer:
            if call == 'open':
                self._give_up()  # the library is opened anew by a new process only
            raise NvmlError(answer['code'], answer['error'])
        return answer['result']

    def _line(self, process: 'subprocess.Popen[bytes]') -> bytes:
        assert process.stdout is not None
        descriptor, until, line = process.stdout.fileno(), time.monotonic() + self._deadline, b''
        while not line.endswith(b'\n'):
            if not select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError
            piece = os.read(descriptor, 1 << 16)
            if not piece:
                raise BrokenPipeError('it closed its pipe')
            line += piece
        return line

    def _give_up(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        try:
            process.wait(0.5)  # a killed process is gone at once, unless it waits inside the kernel
        except subprocess.TimeoutExpired:
            self._given_up.append(process)
