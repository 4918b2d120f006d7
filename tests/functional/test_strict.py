# SPDX-License-Identifier: Apache-2.0
"""A strict slice gets its share and no more, also when nobody else wants the device."""

import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

from accelpool.remoting import artefacts
from tests.functional import loopback
from tests.support import agent

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 3


class Strict(unittest.TestCase):
    def share(self, running: agent.Agent) -> float:
        """Return the device time per second, in percent, of a program that computes as hard as it can."""
        file = running.place / 'attachment.json'
        file.touch(0o600)
        file.write_text(json.dumps({
            'version': 1, 'technique': 'interpose', 'allocation': 'of-slice-1', 'holder': None, 'devices': [
                {'ordinal': 0, 'slice': 'slice-1', 'interface': 'cuda', 'expires': 0,
                 'urls': [{'url': running.url, 'network': 'default'}], 'credential': running.credential()}]}))
        used, begun = running.slice()['device_ns'], time.monotonic_ns()
        subprocess.run([sys.executable, 'examples/share.py', str(SECONDS)], cwd=ROOT, check=True, capture_output=True,
                       env=os.environ | {'ACCELPOOL_ATTACHMENT': str(file),
                                         'LD_LIBRARY_PATH': str(artefacts.client_library_dir('cuda'))})
        agent.wait_for(lambda: running.slice()['sessions'] == 0, 'the last report')
        return 100 * (running.slice()['device_ns'] - used) / (time.monotonic_ns() - begun)

    def test_strict_slice_alone(self) -> None:
        running = agent.Agent(self, worker=artefacts.worker().parents[1])
        shares = {}
        for strict in (True, False):
            running.bind(strict=strict, compute=30, library=str(artefacts.emulated_library('cuda')),
                         ACCELPOOL_EMU_DEVICE=loopback.DEVICE)
            shares[strict] = self.share(running)
        # The start of the program counts as time too, and what else runs on the machine takes its part.
        self.assertLess(shares[True], 32, shares)
        self.assertGreater(shares[True], 10, shares)
        self.assertGreater(shares[False], shares[True], shares)
