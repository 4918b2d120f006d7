# SPDX-License-Identifier: Apache-2.0
"""Asking a vendor's management library without ever waiting for it longer than a deadline.

The library runs in a process of its own, a small program that answers lines (NVML:
:mod:`accelpool.drivers.nvidia.nvml`, DCMI: :mod:`accelpool.drivers.ascend.dcmi`).  When a call does not return in time
that process is killed and forgotten; a call that hangs in the kernel keeps it alive until the kernel lets go, which
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
from collections.abc import Callable
from typing import Any

from accelpool import errors


class VendorError(errors.DriverError):
    """The library answered with an error; ``number`` is the vendor's."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


class Hung(errors.DriverError):
    """The library did not answer in time."""


class Channel:
    """One such process at a time, started when it is needed; threads take turns."""

    def __init__(self, name: str, program: pathlib.Path, deadline: float, library: str | None,
                 refused: Callable[[int, str], VendorError] = VendorError, *, opening: float | None = None,
                 given: Callable[[], tuple[Any, ...]] = tuple) -> None:
        """
        :param name: of the library, for messages
        :param program: what runs it; its first call is ``open``
        :param deadline: seconds that a call may take
        :param library: directory of the library, None: where the loader finds it
        :param refused: makes the exception of an answer with an error
        :param opening: seconds that its first call may take, None: as long as the others
        :param given: returns the arguments of its first call
        """
        self._name = name
        self._program = program
        self._refused = refused
        self._given = given
        self.deadline = deadline
        self._opening = deadline if opening is None else opening
        self._library = library
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._given_up: tuple[subprocess.Popen[bytes], ...] = ()

    def ask(self, call: str, *arguments: Any, deadline: float | None = None) -> Any:
        """Return the result of one of the program's calls.

        :param deadline: seconds that this call may take, None: as long as any
        :raises VendorError: the library refused
        :raises Hung: it did not answer in time
        """
        with self._lock:
            if self._process is None:
                self._start()
                self._exchange('open', self._given(), self._opening)
            return self._exchange(call, arguments, self.deadline if deadline is None else deadline)

    def stuck(self) -> bool:
        """Return whether a process that was given up still hangs in the kernel; asked while another thread waits."""
        return any(process.poll() is None for process in self._given_up)

    def close(self, *, wait: bool = True) -> None:
        """End the process.

        :param wait: for a call that another thread makes; otherwise the process is left to it
        """
        if self._lock.acquire(blocking=wait):
            try:
                self._give_up()
            finally:
                self._lock.release()

    def _start(self) -> None:
        env = dict(os.environ)
        if self._library is not None:
            env['LD_LIBRARY_PATH'] = self._library
        self._process = subprocess.Popen(
            [sys.executable, '-P', str(self._program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)

    def _exchange(self, call: str, arguments: tuple[Any, ...], deadline: float) -> Any:
        process = self._process
        assert process is not None and process.stdin is not None
        try:
            process.stdin.write(json.dumps([call, arguments]).encode() + b'\n')
            process.stdin.flush()
            line = self._line(process, deadline)
        except (OSError, TimeoutError) as error:
            self._give_up()
            if isinstance(error, TimeoutError):
                raise Hung(f'{self._name} did not answer within {deadline:g} s ({call})') from error
            raise errors.DriverError(f'the process that asks {self._name} has ended: {error}') from error
        answer: dict[str, Any] = json.loads(line)
        if 'code' in answer:
            if call == 'open':
                self._give_up()  # the library is opened anew by a new process only
            raise self._refused(answer['code'], answer['error'])
        return answer['result']

    def _line(self, process: 'subprocess.Popen[bytes]', deadline: float) -> bytes:
        assert process.stdout is not None
        descriptor, until, line = process.stdout.fileno(), time.monotonic() + deadline, b''
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
            self._given_up = (*(one for one in self._given_up if one.poll() is None), process)
