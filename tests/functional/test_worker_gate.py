# SPDX-License-Identifier: Apache-2.0
"""A worker with the emulated device: it computes only while it holds the agent's grant."""

import os
import pathlib
import struct
import tempfile
import unittest
from typing import Final
from unittest import mock

from accelpool.drivers.mock import ptx
from accelpool.remoting import artefacts
from tests.functional import worker_peer as peer

SYNCHRONIZE: Final = 64
MS: Final = 1_000_000
DEVICE: Final = 'name=gate;uuid=00112233445566778899aabbccddeeff;memory_mib=1024;cc=8.6;sm=4;pci=0000:01:00.0'
PTX: Final = b"""
.version 7.0
.target sm_70
.address_size 64
.visible .entry brief() { ret; }
.visible .entry endless()
{
AGAIN:
    bra AGAIN;
}
\0"""


class GateTest(unittest.TestCase):
    """WANT, GRANT, REVOKE and YIELD."""

    directory: pathlib.Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = peer.build('harness')

    def setUp(self) -> None:
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.dict(os.environ, ACCELPOOL_EMU_DEVICE=DEVICE))
        self.session = peer.Session(self.directory, artefacts.emulated_library('cuda')).reserve_range()
        self.addCleanup(self.session.close)
        self.agent = self.session.agent

        def translate(text: bytes) -> pathlib.Path:
            ptx.compile_module(text.rstrip(b'\0'), place / 'module.so')
            return place / 'module.so'

        self.agent.translate = translate
        answer = self.session.load(PTX, 1)
        self.assertEqual(0, answer.status, answer)
        self.kernels = {name: answer.body.index(name + b'\0') for name in (b'brief', b'endless')}

    def launch(self, name: bytes) -> None:
        """One thread of that kernel."""
        index = sorted(self.kernels, key=self.kernels.__getitem__).index(name)
        self.session.send(peer.LAUNCH, struct.pack('<14I', 1, index, *[1] * 6, 0, 0, 0, 0, 0, 0))

    def test_a_grant_is_kept_until_it_is_revoked(self) -> None:
        for _ in range(20):
            self.launch(b'brief')
            self.assertEqual(0, self.session.call(SYNCHRONIZE).status)
        self.assertEqual(1, len(self.agent.wait_for(peer.WANT)))
        self.agent.send(peer.REVOKE)
        self.assertEqual(0, self.agent.wait_for(peer.YIELD)[0][2])  # nothing to do
        self.launch(b'brief')
        self.assertEqual(0, self.session.call(SYNCHRONIZE).status)
        self.assertEqual(2, len(self.agent.wait_for(peer.WANT, 2)))

    def test_without_a_grant_nothing_runs_and_the_session_goes_on(self) -> None:
        self.agent.grants = False
        self.launch(b'brief')
        waiting = self.session.send(SYNCHRONIZE, b'', peer.WANT_REPLY)
        self.agent.wait_for(peer.WANT)
        self.assertEqual(0, self.session.lease(peer.BASE, peer.GRANULE, peer.MIB).status)
        self.agent.send(peer.GRANT, 0, 10 * MS)
        self.assertEqual(0, self.session.reply(waiting).status)

    def test_a_busy_session_yields_when_its_budget_is_used(self) -> None:
        self.launch(b'endless')
        self.agent.wait_for(peer.WANT)
        self.agent.grants = False
        self.agent.send(peer.REVOKE)
        self.assertEqual(1, self.agent.wait_for(peer.YIELD)[0][2])
        used = sum(packet[1] for packet in self.agent.packets if packet[0] in {peer.YIELD, peer.USAGE})
        self.assertGreaterEqual(used, 10 * MS)
        self.agent.wait_for(peer.WANT, 2)

    def test_a_session_ends_while_its_kernel_does_not(self) -> None:
        self.launch(b'endless')
        self.session.send(SYNCHRONIZE, b'', peer.WANT_REPLY)
        self.agent.wait_for(peer.WANT)
        self.agent.send(peer.END, 0, 1)
        self.session.process.wait(20)

    def test_usage_is_reported_while_a_kernel_runs(self) -> None:
        self.launch(b'endless')
        first, second = self.agent.wait_for(peer.USAGE, 2)[:2]
        self.assertGreater(second[1], 0)
        self.assertEqual(1, first[3] + second[3])


if __name__ == '__main__':
    unittest.main()
