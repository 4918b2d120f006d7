# SPDX-License-Identifier: Apache-2.0
"""The main job: unmodified programs on a slice of a device of another host, through real processes."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from accelpool.remoting import artefacts
from tools.bench import service

ROOT = pathlib.Path(__file__).parents[2]
REMOTE = ('--profile', 'small', '--consumer-host', 'host-a', '--locality', 'remote')


class MainJob(unittest.TestCase):
    """One service for all; every test leaves the pool whole."""

    @classmethod
    def setUpClass(cls) -> None:
        running = service.running()
        cls.service = running.__enter__()
        cls.addClassCleanup(running.__exit__, None, None, None)

    def tearDown(self) -> None:
        for device in self.accelpool_json('device', 'list', '--long'):
            self.assertEqual((device['memory'], 100, 0),
                             (device['free_memory'], device['free_compute'], device['slices']))

    def accelpool(self, *arguments: str, **options: object) -> 'subprocess.CompletedProcess[str]':
        return subprocess.run(self.service.accelpool(*arguments), env=self.service.environment, cwd=ROOT,
                              text=True, capture_output=True, timeout=120, **options)

    def accelpool_json(self, *arguments: str) -> list[dict[str, object]]:
        result = self.accelpool(*arguments, '-f', 'json')
        self.assertEqual(0, result.returncode, result.stderr)
        return json.loads(result.stdout)

    def run_remote(self, *command: str, status: int = 0) -> str:
        """Run a command with a small slice and return its output, once its slice has been given back."""
        result = self.accelpool('run', *REMOTE, '--', *command)
        self.assertEqual(status, result.returncode, result.stderr)
        for allocation in self.accelpool_json('allocation', 'list'):
            if allocation['state'] == 'releasing':
                self.accelpool('allocation', 'delete', allocation['id'], '--wait', check=True)
        return result.stdout

    def test_numba_program_computes_right_numbers_and_sees_only_its_slice(self) -> None:
        output = self.run_remote(sys.executable, 'examples/numba_vector.py')
        self.assertIn('memory: 512 MiB', output)
        for part in ('vector add', 'saxpy', 'matmul', 'reduction'):
            self.assertIn(f'{part}: ok', output)

    def test_c_program_on_the_driver_api(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            program = f'{place}/vector_add'
            subprocess.run(['gcc', '-o', program, str(ROOT / 'examples/vector_add.c'),
                            str(artefacts.client_library('cuda'))], check=True)
            self.assertIn('512 MiB', self.run_remote(program))

    def test_memory_cap_is_exact_in_one_process_and_in_two(self) -> None:
        for processes in ('1', '2'):
            output = self.run_remote(sys.executable, 'examples/memory_cap.py', '--processes', processes)
            self.assertIn('256 bytes more: out of memory', output)

    def test_exit_status_and_signals_of_the_command(self) -> None:
        self.run_remote('sh', '-c', 'exit 7', status=7)
        self.run_remote('sh', '-c', 'kill -TERM $$', status=128 + 15)
        self.run_remote('no-such-command', status=127)

    def test_next_tenant_never_sees_former_bytes(self) -> None:
        write = ('import sys; sys.path.insert(0, "examples"); import cuda_driver as c; c.start();'
                 'p = c.allocate(64 << 20); c.write(p, b"secret!!" * (8 << 20)); print(c.read(p, 8))')
        look = ('import sys; sys.path.insert(0, "examples"); import cuda_driver as c; c.start();'
                'p = c.allocate(512 << 20);'
                'print(all(not any(c.read(p + (i << 24), 1 << 24)) for i in range(32)))')
        self.assertIn('secret!!', self.run_remote(sys.executable, '-c', write))
        self.assertEqual('True', self.run_remote(sys.executable, '-c', look).strip())

    def test_what_nothing_can_satisfy_says_why(self) -> None:
        result = self.accelpool('run', '--compute', '100', '--memory', '99999999', '--', 'true')
        self.assertNotEqual(0, result.returncode)
        self.assertIn('memory', result.stderr)
