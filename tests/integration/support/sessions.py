# SPDX-License-Identifier: Apache-2.0
"""What runs on slices while something is broken: it must go on."""

import os
import socket
import subprocess
import sys
import time
import unittest
from typing import Any

from accelpool.runtime import environment
from tests.integration.support.client import PATIENCE, Client
from tests.support.agent import admit
from tools.integration import layout


class _Used:
    """An allocation of its own, active, and how to reach it; released by the next test."""

    #: Percent points.
    COMPUTE = 10

    def __init__(self, user: Client, **request: Any) -> None:
        self.allocation = str(user.allocate(compute=self.COMPUTE, **request)['id'])
        user.wait(self.allocation, 'active')
        self.attachment: dict[str, Any] = user.get(f'/allocations/{self.allocation}/attachment')


class Session(_Used):
    """An open connection to a slice."""

    def __init__(self, case: unittest.TestCase, user: Client, **request: Any) -> None:
        super().__init__(user, **request)
        self._case = case
        (device,) = self.attachment['devices']
        self._connection = admit(device['urls'][0]['url'], device['credential'])
        case.addCleanup(self.close)

    def lives(self) -> None:
        """Nobody has ended it."""
        self._case.assertFalse(closed(self._connection), f'the session of {self.allocation} was ended')

    def close(self) -> None:
        self._connection.close()


class Program(_Used):
    """A program that computes until it is told to end: see :mod:`tests.integration.support.program`."""

    def __init__(self, case: unittest.TestCase, user: Client, env: dict[str, str] | None = None) -> None:
        """:param env: more of its environment"""
        super().__init__(user)
        self._case = case
        file = environment.AttachmentFile()
        case.addCleanup(file.remove)
        file.write(self.attachment)
        self._log = layout.LOG / f'program-{self.allocation}.log'
        case.addCleanup(self._log.unlink)
        with self._log.open('w') as log:
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'tests.integration.support.program'], cwd=layout.ROOT, stdout=log, stderr=log,
                env=environment.variables(self.attachment, file.path, os.environ) | (env or {}))
        case.addCleanup(self._process.wait)
        case.addCleanup(self._process.kill)
        self.goes_on()

    def goes_on(self) -> None:
        """It computes right now, and has never computed anything wrong."""
        before, deadline = self._rounds(), time.monotonic() + PATIENCE
        while self._rounds() < before + 2:  # one of them began after the question
            self._case.assertIsNone(self._process.poll(), self._log.read_text()[-2000:])
            self._case.assertLess(time.monotonic(), deadline, 'the program stands still')
            time.sleep(0.05)

    def end(self) -> None:
        """It ends by itself, and says that every number was right."""
        self._process.terminate()
        status = self._process.wait(PATIENCE)
        said = self._log.read_text()
        self._case.assertEqual((0, 'all right'), (status, said.splitlines()[-1]), said[-2000:])

    def _rounds(self) -> int:
        return self._log.read_text().count('round ')


def closed(connection: socket.socket) -> bool:
    """Whether the other end has closed a connection on which it says nothing."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b''
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.setblocking(True)
