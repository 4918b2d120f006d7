# SPDX-License-Identifier: Apache-2.0
"""The emulated CUDA device used directly, without an agent: unmodified programs, and the library's C tests."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from accelpool.remoting import artefacts

ROOT = pathlib.Path(__file__).parents[2]


def environment(library_dir: str) -> dict[str, str]:
    """Return what a program needs to find the emulated library as ``libcuda.so.1``, and that to find the translator."""
    return {
        **os.environ,
        'LD_LIBRARY_PATH': library_dir,
        'PYTHONPATH': str(ROOT),
        'ACCELPOOL_TRANSLATOR': f'{sys.executable} -m accelpool.drivers.mock.ptx',
        'ACCELPOOL_EMU_DEVICE': 'name=Emulated T1;memory_mib=256;cc=8.6;sm=16;pci=0000:02:00.0',
    }


class ProgramTest(unittest.TestCase):
    """Programs that know nothing of accelpool, with the emulated library as their ``libcuda.so.1``."""

    def setUp(self) -> None:
        library = artefacts.emulated_library('cuda')
        if not library.exists():
            self.fail(f'{library} does not exist; build the native parts with `make native`')
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        pathlib.Path(directory.name, 'libcuda.so.1').symlink_to(library)
        self.environment = environment(directory.name)

    def run_program(self, path: str) -> str:
        done = subprocess.run([sys.executable, '-W', 'ignore', str(ROOT / path)], env=self.environment, capture_output=True,
                              text=True, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def test_the_example(self) -> None:
        output = self.run_program('examples/numba_vector.py')
        for part in ('vector add', 'saxpy', 'matmul', 'reduction'):
            self.assertIn(f'{part}: ok', output)

    def test_numba_kernels_streams_and_limits(self) -> None:
        self.assertIn('all right', self.run_program('tests/functional/emulated_program.py'))

    def test_a_kernel_outside_its_memory_is_an_error_of_that_program(self) -> None:
        program = pathlib.Path(self.environment['LD_LIBRARY_PATH'], 'program.py')
        program.write_text(
            'import numpy as np\n'
            'from numba import cuda\n'
            '@cuda.jit\n'
            'def far(a):\n'
            '    a[1 << 40] = 1\n'
            'a = cuda.to_device(np.zeros(4))\n'
            'far[1, 1](a)\n'
            'try:\n'
            '    cuda.synchronize()\n'
            'except Exception as error:\n'
            '    print(error)\n')
        done = subprocess.run([sys.executable, '-W', 'ignore', str(program)], env=self.environment, capture_output=True,
                              text=True, check=False)
        self.assertIn('CUDA_ERROR_ILLEGAL_ADDRESS', done.stdout, done.stderr)


class NativeTest(unittest.TestCase):
    """tests/native/emu_*.c with kernels that the real translator made (tools/test.sh runs them with ready-made ones)."""

    def test_driver_api_with_translated_kernels(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        settings = {**os.environ, 'PYTHONPATH': str(ROOT), 'EMU_OUT': directory.name,
                    'EMU_TRANSLATOR': f'{sys.executable} -m accelpool.drivers.mock.ptx'}
        done = subprocess.run([ROOT / 'tests/native/emu.sh', 'none'], env=settings, capture_output=True, text=True, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
