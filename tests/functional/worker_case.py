# SPDX-License-Identifier: Apache-2.0
"""Tests of a worker process with the stub vendor library of tests/native."""

import pathlib
import struct
import unittest
from typing import ClassVar, Final

from tests.functional import worker_peer as peer
from tests.functional.worker_peer import MIB

SET_LIMIT, GET_LIMIT = 92, 93
STUB_MODE: Final = 0x57


class WorkerCase(unittest.TestCase):
    """Starts a worker for each test."""

    sanitizer: ClassVar[str] = ''
    directory: ClassVar[pathlib.Path]

    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = peer.build('harness', cls.sanitizer)

    def start(self, *, limit: int = 256 * MIB) -> peer.Session:
        """A session with its range, closed after the test; a sanitizer's finding fails the test."""
        session = peer.Session(self.directory, self.directory / 'libstub.so', limit=limit).reserve_range()
        self.addCleanup(self._check_end, session)
        return session

    def _check_end(self, session: peer.Session) -> None:
        self.errors = session.close()
        self.assertNotIn('Sanitizer', self.errors)
        self.assertNotIn('runtime error', self.errors)
        self.assertGreaterEqual(session.process.returncode, 0)

    def mode(self, session: peer.Session, bits: int) -> None:
        """How the stub behaves from here on."""
        self.assertEqual(0, session.call(SET_LIMIT, struct.pack('<iQ', STUB_MODE, bits)).status)

    def limit(self, session: peer.Session, limit: int) -> int:
        """What cuCtxGetLimit says; the stub counts under some numbers."""
        answer = session.call(GET_LIMIT, struct.pack('<i', limit))
        self.assertEqual(0, answer.status)
        return int(struct.unpack('<Q', answer.body)[0])

    def assert_ended(self, session: peer.Session) -> None:
        """The worker closes the connection and its process ends in order."""
        with self.assertRaises(peer.Ended):
            while True:
                session.frame()
        self.assertEqual(0, session.process.wait(20))
