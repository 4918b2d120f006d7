# SPDX-License-Identifier: Apache-2.0
"""What the processes on a device are called."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest
from unittest import mock

from accelpool.drivers import programs


class Programs(unittest.TestCase):
    def setUp(self) -> None:
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.path = place / programs.WORKER
        shutil.copy(shutil.which('cat') or '', self.path)
        self.process = subprocess.Popen([self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.addCleanup(self.process.__exit__, None, None, None)
        self.addCleanup(self.process.kill)
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(b'.')
        self.process.stdout.read(1)  # it runs, so it shows what it was called with

    def test_one_that_runs(self) -> None:
        self.assertEqual(programs.WORKER, programs.program(self.process.pid))

    def test_one_that_an_upgrade_has_replaced(self) -> None:
        self.path.unlink()
        self.assertEqual(programs.WORKER, programs.program(self.process.pid))

    def test_one_of_another_user(self) -> None:
        with mock.patch('os.readlink', side_effect=PermissionError):
            self.assertEqual(programs.WORKER, programs.program(self.process.pid))

    def test_one_that_has_ended(self) -> None:
        self.process.kill()
        self.process.wait()
        self.assertEqual('', programs.program(self.process.pid))
        with mock.patch('os.readlink', side_effect=PermissionError):
            self.assertEqual('', programs.program(self.process.pid))
