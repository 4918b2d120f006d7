# SPDX-License-Identifier: Apache-2.0
"""The main job on NVIDIA devices, with everything real but the hardware: NVML is the stand-in, libcuda the emulated one."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable
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
        before = self.host.instances(device)
        with subprocess.Popen(self.service.accelpool('run', '--allocation', made['id'], '--', sys.executable, '-c', SESSION),
                              env=self.service.environment, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            self.assertEqual('ready\n', program.stdout.readline())
            self.host.destroy_instance(device, before[0][1])
            told: list[str] = []
            while not told:
                told = [one['detail'] for one in self.cli('allocation', 'event', 'list', made['id'])
                        if one['event'] == 'device']
            self.assertIn(f'slice {made["slices"][0]["id"]} on dgx was not there any more: its sessions have ended', told[0])
            self.assertRegex(program.stdout.readline(), '^[1-9]', 'the error of CUDA that the program gets')
        while self.host.instances(device) != before:
            time.sleep(0.05)
        self.assertIn('is not there: somebody else destroyed its MIG instance', self.service.log())
        self.run_program('--allocation', made['id'])
        subprocess.run(self.service.accelpool('allocation', 'delete', made['id'], '--wait'),
                       env=self.service.environment, check=True, capture_output=True)

    def devices(self, condition: Callable[[list[Any]], bool]) -> list[Any]:
        """Return what ``device list`` says once that is so."""
        for _ in range(300):
            found: list[Any] = self.cli('device', 'list')
            if condition(found):
                return found
        raise AssertionError(f'not seen: {found}')

    def test_a_driver_that_cannot_be_used(self) -> None:
        self.addCleanup(setattr, self.host.state, 'init_code', 0)
        for code, remedy in (
                (4, 'permission denied: run the conductor as root'),
                (9, 'the kernel module nvidia is not loaded: load it (modprobe nvidia)'),
                (12, 'libnvidia-ml.so.1 is not installed: install the NVIDIA driver'),
                (18, 'the loaded kernel module and the installed NVIDIA libraries are of different versions: restart')):
            with self.subTest(code=code):
                self.host.state.init_code = code
                with self.host.failing('nvmlDeviceGetCount_v2', code=code):
                    found = self.devices(lambda found: all(one['health'] == 'failed' for one in found))
                    self.assertEqual(8, len(found))
                    for one in found:
                        self.assertIn(remedy, one['health_reason'])
                    self.assertRegex(self.service.log(), f'NVIDIA devices of dgx cannot be used: .*: {re.escape(remedy)}')
                self.host.state.init_code = 0
                self.devices(lambda found: all(one['health'] == 'ok' for one in found))

    def test_a_driver_that_finds_no_gpu_any_more(self) -> None:
        for index in range(8):
            self.host.pull(index)
        found = self.devices(lambda found: all(one['health'] == 'missing' for one in found))
        self.assertEqual({'not discovered any more'}, {one['health_reason'] for one in found})
        while 'NVIDIA devices of dgx cannot be used: the driver is loaded and finds no GPU: see' not in self.service.log():
            time.sleep(0.05)
        for index in range(8):
            self.host.put_back(index)
        self.devices(lambda found: all(one['health'] == 'ok' for one in found))

    def test_device_list_says_why(self) -> None:
        self.host.xid(2, 119)
        sick = [one for one in self.devices(lambda found: any(one['health'] != 'ok' for one in found))
                if one['health'] != 'ok']
        self.assertEqual(['failed'], [one['health'] for one in sick])
        self.assertIn('XID 119 (GSP RPC timeout): disable it, end all programs on it and reset it', sick[0]['health_reason'])
        self.cli('device', 'set', sick[0]['id'], '--disable', '--reason', 'to be reset')
        while self.host.held(2) or not all(self.host.held(index) for index in range(8) if index != 2):
            time.sleep(0.05)
        self.host.reset(2)
        self.cli('device', 'set', sick[0]['id'], '--enable')
        self.devices(lambda found: all(one['health'] == 'ok' for one in found))
