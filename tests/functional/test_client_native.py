# SPDX-License-Identifier: Apache-2.0
"""The client library's C parts, each against a test program, with sanitizers."""

import pathlib
import subprocess
import tempfile
import unittest

from accelpool.remoting.generator import __main__ as generator
from tests.support import certificates, cubins

ROOT = pathlib.Path(__file__).parents[2]
NATIVE = ROOT / 'accelpool/remoting/native'
ADDRESS = ('-fsanitize=address,undefined', '-fno-sanitize-recover=undefined', '-fno-omit-frame-pointer')
THREAD = ('-fsanitize=thread',)
STREAM = ('common/stream.c', 'common/tls.c', 'common/tls_open.c', 'common/sha256.c')


class ClientNative(unittest.TestCase):
    def run_test(self, test: str, *sources: str, runs: tuple[tuple[str, ...], ...] = ((),),
                 sanitizers: tuple[str, ...] = ADDRESS) -> None:
        with tempfile.TemporaryDirectory() as place:
            generator.main(['--out', place])
            program = f'{place}/{test}'
            subprocess.run(
                ['gcc', '-std=c11', '-D_GNU_SOURCE', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-Wshadow', '-pthread',
                 *sanitizers, f'-I{place}', f'-I{NATIVE}/common', f'-I{NATIVE}/client',
                 f'-I{NATIVE}/client/cuda', '-o', program,
                 str(ROOT / f'tests/native/client/{test}.c'), *(str(NATIVE / source) for source in sources), '-lssl', '-lcrypto'], check=True)
            for arguments in runs:
                result = subprocess.run([program, *arguments], capture_output=True, text=True)
                self.assertEqual(0, result.returncode, f'{arguments}: {result.stderr}')

    def test_heap_random_allocations_and_frees(self) -> None:
        self.run_test('heap_test', 'client/heap.c', 'client/segments.c',
                      runs=tuple((str(seed), '1500') for seed in range(8)))

    def test_ptx_parameter_tables(self) -> None:
        self.run_test('ptx_params_test', 'common/ptx_params.c', 'common/ptx_scan.c')

    def test_parameter_tables_of_machine_code(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            files = [cubins.compile(pathlib.Path(place), architecture)
                     for architecture in ('sm_75', 'sm_80', 'sm_90', 'sm_100', 'sm_120')]
            self.run_test('cubin_params_test', 'common/cubin_params.c', 'common/cubin_file.c', 'common/ptx_params.c',
                          'common/ptx_scan.c',                          runs=(tuple(map(str, files)),))

    def test_hashes(self) -> None:
        self.run_test('sha256_test', 'common/sha256.c')

    def test_handles(self) -> None:
        self.run_test('handle_test', 'client/handle.c')

    def test_channel_with_many_callers(self) -> None:
        for sanitizers in (ADDRESS, THREAD):
            self.run_test('channel_test', 'client/channel.c', 'client/channel_read.c', 'client/channel_send.c', *STREAM,
                          runs=(('1',), ('2',), ('1', 'tls'), ('2', 'tls')), sanitizers=sanitizers)

    def test_streams_inside_tls(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            files = certificates.make(pathlib.Path(place))
            for sanitizers in (ADDRESS, THREAD):
                self.run_test('stream_test', *STREAM, runs=(('psk',), ('certificates', *map(str, files))),
                              sanitizers=(*sanitizers, '-DTLS_REKEY_BYTES=200000'))
