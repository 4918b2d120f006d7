# SPDX-License-Identifier: Apache-2.0
"""Programs on slices of an NPU of this host, beside the same programs natively."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

from accelpool.remoting import artefacts
from tools.bench import service

ROOT = pathlib.Path(__file__).parents[3]
EMULATED = os.environ.get('ACCELPOOL_HW_EMULATED') == '1'
PYTHON = os.environ.get('ACCELPOOL_NPU_PYTHON') or str(ROOT / '.venv-npu/bin/python')
POOL = '[embedded]\nhosts = hardware\n[conductor]\ndrivers = {}\n[mock:hardware]\ndevices = npu-emu:4GiB:1\n'
#: Scenarios of the programs in tests/functional that ask nothing of the emulated device in particular.
SCENARIOS = {
    'acl_program': ('memory', 'copies', 'host_memory', 'bad_input', 'refused', 'forked'),
    'acl_waiting_program': ('callbacks',), 'acl_state_program': ('contexts', 'reset')}
#: Of the native speed, at least, for a step of the example.
STEP = 0.5
needs_torch = unittest.skipUnless(shutil.which(PYTHON), f'no interpreter with torch and torch-npu: {PYTHON}')


class Slices(unittest.TestCase):
    """One service with the one NPU for all."""

    @classmethod
    def setUpClass(cls) -> None:
        running = service.running(POOL.format('mock' if EMULATED else 'ascend'))
        cls.service = running.__enter__()
        cls.addClassCleanup(running.__exit__, None, None, None)
        cls.environment = dict(cls.service.environment)
        if EMULATED:
            cls.environment['LD_LIBRARY_PATH'] = str(artefacts.emulated_cann_dir())

    def accelpool(self, *arguments: str, timeout: float = 300) -> str:
        done = subprocess.run(self.service.accelpool(*arguments), env=self.environment, cwd=ROOT, text=True,
                              capture_output=True, timeout=timeout)
        self.assertEqual(0, done.returncode, f'{arguments}: {done.stdout}{done.stderr}\n{self.service.log()[-2000:]}')
        return done.stdout

    def run_on(self, memory: int, *command: str) -> str:
        return self.accelpool('run', '--compute', '50', '--memory', str(memory), '--', *command)

    def test_the_npu_is_found_and_well(self) -> None:
        devices = json.loads(self.accelpool('device', 'list', '--long', '-f', 'json'))
        self.assertTrue(devices, 'no device was found')
        for device in devices:
            self.assertEqual('ok', device['health'], device)
            self.assertGreater(device['memory'], 0)

    def test_the_runtime_interface_on_a_slice(self) -> None:
        for program, scenarios in SCENARIOS.items():
            for scenario in scenarios:
                with self.subTest(program, scenario=scenario):
                    self.run_on(512, sys.executable, '-m', f'tests.functional.{program}', scenario)

    @needs_torch
    def test_training_gives_the_cpus_numbers_and_sees_the_slice(self) -> None:
        output = self.run_on(2048, PYTHON, 'examples/npu_train.py')
        print(output, flush=True)
        self.assertRegex(output, r'of 2048 MiB free')

    @needs_torch
    def test_two_processes_share_a_tensor(self) -> None:
        self.assertIn('0 of 1048576 wrong; the other ended with 0', self.run_on(2048, PYTHON, 'tests/functional/npu_share.py'))

    @needs_torch
    @unittest.skipIf(EMULATED, 'an emulated device is nobody\'s native one')
    def test_a_step_on_a_slice_against_a_native_one(self) -> None:
        native = subprocess.run([PYTHON, 'examples/npu_train.py'], cwd=ROOT, text=True, capture_output=True, timeout=300)
        self.assertEqual(0, native.returncode, native.stderr)
        seconds = [float(re.findall(r'([\d.]+) ms a step', output)[0])
                   for output in (native.stdout, self.run_on(2048, PYTHON, 'examples/npu_train.py'))]
        print(f'figure: step: native {seconds[0]} ms, slice {seconds[1]} ms', flush=True)
        self.assertGreater(seconds[0] / seconds[1], STEP)

    @needs_torch
    def test_two_tenants_at_once(self) -> None:
        command = self.service.accelpool('run', '--compute', '50', '--memory', '1024', '--', PYTHON, 'examples/npu_train.py')
        running = [subprocess.Popen(command, env=self.environment, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE) for _ in range(2)]
        for process in running:
            output, errors = process.communicate(timeout=300)
            self.assertEqual(0, process.returncode, output + errors)
