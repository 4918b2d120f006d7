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


def run(agent: loopback.Loopback, *scenario: str, libraries: pathlib.Path | None = None, warning: str = '') -> str:
    environment = dict(agent.environment)
    if libraries:
        environment['LD_LIBRARY_PATH'] += f':{libraries}'
    done = subprocess.run([sys.executable, '-m', 'tests.functional.acl_platform_program', *scenario], env=environment,
                          cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count('libplatform.so') == bool(warning) and warning in done.stderr, done.stderr
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


class Operators(unittest.TestCase):
    """CANN's library in the program by which operators know the chip: ours makes it read the chip's file."""

    def setUp(self) -> None:
        self.agent = self.enterContext(loopback.running(interface='acl'))
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def library(self, *flags: str, chip: str = 'Ascend910B3') -> pathlib.Path:
        subprocess.run(['g++', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', *flags, f'-DKNOWN="{chip}"',
                        '-Wl,-soname,libplatform.so', str(ROOT / 'tests/native/platform_stub.cpp'),
                        '-o', str(self.place / 'libplatform.so')], check=True)
        return self.place

    def test_both_ways_to_lay_out_a_string(self) -> None:
        for layout in (0, 1):
            place = self.library(f'-D_GLIBCXX_USE_CXX11_ABI={layout}')
            for first in ('device', 'context'):
                with self.subTest(layout=layout, first=first):
                    self.assertEqual('Ascend910B3', run(self.agent, 'operators', first, libraries=place))

    def test_a_name_of_any_length(self) -> None:
        for chip in ('Ascend1', 'Ascend910_9391_of_a_name_that_no_chip_has'):
            with mock.patch.object(loopback, 'DEVICE', f'{loopback.DEVICE};soc={chip}'):
                agent = self.enterContext(loopback.running(interface='acl'))
                for layout in (0, 1):
                    place = self.library(f'-D_GLIBCXX_USE_CXX11_ABI={layout}', chip=chip)
                    self.assertEqual(chip, run(agent, 'operators', libraries=place))

    def test_a_chip_that_it_does_not_know(self) -> None:
        run(self.agent, 'operators', libraries=self.library(chip='Ascend950'), warning='"Ascend910B3" (it has refused)')

    def test_another_interface(self) -> None:
        place = self.library('-Dfe=ge')
        run(self.agent, 'operators', libraries=place, warning='another interface')


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
