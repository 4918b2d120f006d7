# SPDX-License-Identifier: Apache-2.0
"""The main job on NVIDIA devices, with everything real but the hardware: NVML is the stand-in, libcuda the emulated one."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
from typing import Any
from unittest import mock

from accelpool.remoting import artefacts
from tests.fakes.nvml import host as fake
from tools.bench import service

ROOT = pathlib.Path(__file__).parents[2]

#: A program with a session, which ends with what CUDA answers once that has ended.
SESSION = f'''
import sys, time
sys.path.insert(0, {str(ROOT / 'examples')!r})
import cuda_driver
cuda_driver.start()
print('ready', flush=True)
try:
    while True:
        cuda_driver.free(cuda_driver.allocate(1 << 20))
        cuda_driver.memory()
        time.sleep(0.05)
except cuda_driver.CudaError as error:
    print(error.code, error)
'''


class MainJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        place = tempfile.TemporaryDirectory(prefix='acp-', dir='/tmp')
        cls.addClassCleanup(place.cleanup)
        cls.dir = pathlib.Path(place.name)
        libraries = cls.dir / 'lib'
        libraries.mkdir()
        (libraries / 'libnvidia-ml.so.1').symlink_to(fake.library() / 'libnvidia-ml.so.1')
        (libraries / 'libcuda.so.1').symlink_to(artefacts.emulated_library('cuda'))
        cls.host = fake.Host('dgx-a100', cls.dir / 'nvml-state')
        cls.addClassCleanup(cls.host.close)
        cls.program = str(cls.dir / 'vector_add')
        subprocess.run(['gcc', '-O2', '-o', cls.program, str(ROOT / 'examples/vector_add.c'),
                        str(artefacts.client_library('cuda'))], check=True)
        patched = mock.patch.dict(os.environ, {'FAKE_NVML_STATE': str(cls.host.path)})
        patched.start()
        cls.addClassCleanup(patched.stop)
        cls.service = cls.enterClassContext(service.running(
            '[embedded]\nhosts = dgx\n[conductor]\ndrivers = nvidia\n'
            f'[nvidia]\nlibrary_dir = {libraries}\nsession_overhead_mib = 0\n'))

    def cli(self, *words: str) -> Any:
        done = subprocess.run(self.service.accelpool(*words, '-f', 'json'), env=self.service.environment,
                              capture_output=True, text=True, check=False)
        self.assertEqual(0, done.returncode, done.stderr + self.service.log()[-3000:])
        return json.loads(done.stdout)

    def run_program(self, *options: str) -> str:
        done = subprocess.run(self.service.accelpool('run', *options, '--', self.program),
                              env=self.service.environment, capture_output=True, text=True, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr + self.service.log()[-3000:])
        return done.stdout

    def test_a_program_on_a_share_of_a_gpu(self) -> None:
        self.run_program('--consumer-host', 'elsewhere', '--compute', '30', '--memory', '512', '--isolation', 'shared')

    def test_a_program_on_a_mig_instance_that_lives_as_long_as_its_slice(self) -> None:
        made = self.cli('allocation', 'create', '--consumer-host', 'elsewhere', '--isolation', 'partition', '--template',
                        '3g.20gb', '--wait')
        self.assertEqual('3g.20gb', made['slices'][0]['template'])
        instances = self.host.instances(6) + self.host.instances(7)
        self.assertEqual([('MIG 3g.20gb', 4)], [one[:2] for one in instances])
        self.run_program('--allocation', made['id'])
        subprocess.run(self.service.accelpool('allocation', 'delete', made['id'], '--wait'),
                       env=self.service.environment, check=True, capture_output=True)
        self.assertEqual([], self.host.instances(6) + self.host.instances(7))

    def test_somebody_destroys_a_mig_instance_that_has_a_session(self) -> None:
        made = self.cli('allocation', 'create', '--consumer-host', 'elsewhere', '--isolation', 'partition', '--template',
                        '2g.10gb', '--wait')
        device, = (index for index in (6, 7) if self.host.instances(index))
        (name, start, before), = self.host.instances(device)
        with subprocess.Popen(self.service.accelpool('run', '--allocation', made['id'], '--', sys.executable, '-c', SESSION),
                              env=self.service.environment, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            self.assertEqual('ready\n', program.stdout.readline())
            self.host.destroy_instance(device, start)
            told: list[str] = []
            while not told:
                told = [one['detail'] for one in self.cli('allocation', 'event', 'list', made['id'])
                        if one['event'] == 'device']
            self.assertIn(f'slice {made["slices"][0]["id"]} on dgx was not there any more: its sessions have ended', told[0])
            self.assertRegex(program.stdout.readline(), '^[1-9]', 'the error of CUDA that the program gets')
        while [one[:2] for one in self.host.instances(device)] != [(name, start)]:
            time.sleep(0.05)
        self.assertNotEqual(before, self.host.instances(device)[0][2])
        self.assertIn('is not there: somebody else destroyed its MIG instance', self.service.log())
        self.run_program('--allocation', made['id'])
        subprocess.run(self.service.accelpool('allocation', 'delete', made['id'], '--wait'),
                       env=self.service.environment, check=True, capture_output=True)

    def test_device_list_says_why(self) -> None:
        self.host.xid(2, 119)
        for _ in range(300):
            sick = [one for one in self.cli('device', 'list') if one['health'] != 'ok']
            if sick:
                break
        self.assertEqual(['failed'], [one['health'] for one in sick])
        self.assertIn('XID 119 (GSP RPC timeout): end all programs on it and reset it', sick[0]['health_reason'])
        self.host.reset(2)
