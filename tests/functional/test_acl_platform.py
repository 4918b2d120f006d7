# SPDX-License-Identifier: Apache-2.0
"""What a program is told of the chip and of CANN's release: what the worker's library says, and no more than is carried."""

import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from accelpool.remoting import artefacts
from tests.functional import loopback
from tests.functional import worker_peer as peer

ROOT = pathlib.Path(__file__).parents[2]
SPEC, SYNC_ADDRESS, SYNC_REGISTER, OVERFLOW, NOT_SUPPORTED = 106, 107, 108, 109, 801


def run(agent: loopback.Loopback, scenario: str) -> str:
    done = subprocess.run([sys.executable, '-m', 'tests.functional.acl_platform_program', scenario], env=agent.environment,
                          cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Platform(unittest.TestCase):
    def release(self, minor: int) -> loopback.Loopback:
        """Start an agent whose workers open CANN 1.MINOR.3."""
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        place.chmod(0o755)
        emulated, library = place / artefacts.emulated_library('acl').name, place / 'libversioned.so'
        shutil.copy(artefacts.emulated_library('acl'), emulated)
        subprocess.run(['gcc', '-std=c11', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', f'-DMINOR={minor}',
                        str(ROOT / 'tests/native/versioned_vendor.c'), '-o', str(library), '-Wl,--no-as-needed',
                        str(emulated), f'-Wl,-rpath,{place}'], check=True)
        self.enterContext(mock.patch.object(artefacts, 'emulated_library', lambda _: library))
        return self.enterContext(loopback.running(interface='acl'))

    def test_the_emulated_device(self) -> None:
        agent = self.enterContext(loopback.running(interface='acl'))
        run(agent, 'spec')
        self.assertEqual('1.17.0', run(agent, 'version'))

    def test_where_cores_synchronize(self) -> None:
        run(self.enterContext(loopback.running(interface='acl')), 'synchronization')
        with mock.patch.object(loopback, 'DEVICE', f'{loopback.DEVICE};soc=Ascend310P3'):
            run(self.enterContext(loopback.running(interface='acl')), 'synchronization_of_310p')

    def test_where_overflows_are_noted(self) -> None:
        run(self.enterContext(loopback.running(interface='acl')), 'overflow')

    def test_an_older_release(self) -> None:
        agent = self.release(13)
        self.assertEqual('1.13.3', run(agent, 'version'))
        run(agent, 'vendor')

    def test_a_later_release_than_is_carried(self) -> None:
        self.assertEqual('1.17.0', run(self.release(18), 'version'))

    def test_without_a_device(self) -> None:
        agent = self.enterContext(loopback.running(interface='acl'))
        agent.attachment.unlink()
        self.assertEqual('1.17.0', run(agent, 'version'))


class Worker(unittest.TestCase):
    def session(self, library: pathlib.Path) -> peer.Session:
        return self.enterContext(peer.Session(self.directory, library, interface='acl')).reserve_range()

    def setUp(self) -> None:
        self.directory = peer.build('harness', 'asan')

    @staticmethod
    def frame(label: bytes, key: bytes, room: int = 512) -> bytes:
        return struct.pack('<64s64sII', label, key, room, 0)

    def test_a_frame_that_is_malformed_ends_the_session(self) -> None:
        good = self.frame(b'version', b'NpuArch')
        for frame in (good[:-1], good + b'\0', b'', self.frame(b'x' * 64, b'NpuArch'), self.frame(b'version', b'y' * 64),
                      self.frame(b'version', b'NpuArch', 513)):
            with self.subTest(len(frame)), self.assertRaises(peer.Ended):
                self.session(artefacts.emulated_library('acl')).call(SPEC, frame)
        answer = self.session(artefacts.emulated_library('acl')).call(SPEC, good)
        self.assertEqual((0, b'2201'), (answer.status, answer.body.rstrip(b'\0')))

    def test_a_library_without_them(self) -> None:
        session = self.session(self.directory / 'libstub-acl.so')
        for call, payload in ((SPEC, self.frame(b'version', b'NpuArch')), (SYNC_ADDRESS, b''), (SYNC_REGISTER, b''), (OVERFLOW, b'')):
            self.assertEqual(NOT_SUPPORTED, session.call(call, payload).status, call)
