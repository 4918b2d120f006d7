# SPDX-License-Identifier: Apache-2.0
"""Unmodified torch and torch_npu on a slice of an emulated NPU of another host, alone and beside an emulated GPU."""

import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

from accelpool.remoting import artefacts
from tests.functional.npu import PYTHON, needs_torch_npu
from tools.bench import service

ROOT = pathlib.Path(__file__).parents[2]
POOL = """
[mock:host-a]
devices = gpu-emu:4GiB:1

[mock:host-b]
devices = npu-emu:4GiB:1
"""
#: Whichever device it gets, it uses.
EITHER = 'if grep -q \'"interface": "acl"\' "$ACCELPOOL_ATTACHMENT"; then exec {npu}; else exec {gpu}; fi'


@needs_torch_npu
class NpuTrain(unittest.TestCase):
    """One service for all: one emulated GPU on one host, one emulated NPU on another."""

    @classmethod
    def setUpClass(cls) -> None:
        running = service.running(POOL)
        cls.service = running.__enter__()
        cls.addClassCleanup(running.__exit__, None, None, None)
        cls.environment = cls.service.environment | {
            'LD_LIBRARY_PATH': str(artefacts.emulated_cann_dir()), 'TORCH_DEVICE_BACKEND_AUTOLOAD': '0'}
        for name, *wish in (('npu', '--model', 'npu-emu', '--compute', '50', '--memory', '768'),
                            ('gpu', '--trait', 'HW_GPU_API_CUDA', '--compute', '30', '--memory', '512'),
                            ('either', '--any-trait', 'HW_GPU_API_CUDA', '--any-trait', 'CUSTOM_NPU_API_ACL',
                             '--compute', '60', '--memory', '768')):
            subprocess.run(cls.service.accelpool('profile', 'create', name, *wish), env=cls.environment, check=True,
                           capture_output=True)

    def setUp(self) -> None:
        self.scratch = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def start(self, profile: str, *command: str, **variables: str) -> 'subprocess.Popen[str]':
        process = subprocess.Popen(self.service.accelpool('run', '--profile', profile, '--', *command), cwd=ROOT,
                                   env=self.environment | variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.kill)
        return process

    def finish(self, process: 'subprocess.Popen[str]') -> str:
        output, errors = process.communicate(timeout=240)
        self.assertEqual(0, process.returncode, output + errors)
        return output

    def assert_trained(self, output: str) -> None:
        """The slice is what the program sees, and its losses are those of the CPU."""
        self.assertRegex(output, r'Ascend910B3: 7\d\d of 768 MiB free')
        found = re.search(r'loss ([\d.]+) -> ([\d.]+) in 50 steps; differs from the CPU by ([\de.-]+);', output)
        self.assertIsNotNone(found, output)
        assert found
        first, last, difference = map(float, found.groups())
        self.assertLess(last, first / 2)
        self.assertLessEqual(difference, 1e-4)

    def test_torch_npu_trains_on_a_remote_slice(self) -> None:
        self.assert_trained(self.finish(self.start('npu', PYTHON, 'examples/npu_train.py')))

    def test_every_operator_gives_the_cpus_numbers(self) -> None:
        program = self.start('npu', PYTHON, 'tests/functional/npu_operators.py', TASK_QUEUE_ENABLE='0')
        self.assertRegex(self.finish(program), r'7\d operators, 0 wrong')

    def test_torch_shares_a_tensor_between_two_processes(self) -> None:
        output = self.finish(self.start('npu', PYTHON, 'tests/functional/npu_share.py'))
        self.assertIn('0 of 1048576 wrong; the other ended with 0', output)

    def test_a_key_is_no_good_on_another_slice(self) -> None:
        keys, done = self.scratch / 'keys', self.scratch / 'done'
        names = {'KEYS': str(keys), 'DONE': str(done)}
        offer, probe = (self.start('npu', sys.executable, '-m', 'tests.functional.acl_sharing_program', scenario, **names)
                        for scenario in ('offers', 'wants'))
        self.finish(probe)
        self.finish(offer)

    def beside(self, interface: str) -> list[str]:
        """The command of an example that begins when the other one, too, has its session."""
        python, example = {'acl': (PYTHON, 'npu_train'), 'cuda': (sys.executable, 'numba_vector')}[interface]
        return [python, 'tests/functional/beside_program.py', str(self.scratch), interface, f'examples/{example}.py']

    def test_gpu_and_npu_at_once_each_by_its_own_profile(self) -> None:
        npu = self.start('npu', *self.beside('acl'))
        gpu = self.start('gpu', *self.beside('cuda'))
        self.assertIn('matmul: ok', self.finish(gpu))
        self.assert_trained(self.finish(npu))

    def test_gpu_and_npu_at_once_by_one_profile_that_names_no_vendor(self) -> None:
        script = EITHER.format(npu=shlex.join(self.beside('acl')), gpu=shlex.join(self.beside('cuda')))
        outputs = [self.finish(process) for process in [self.start('either', 'sh', '-c', script) for _ in range(2)]]
        outputs.sort(key=lambda output: 'Ascend' in output)
        self.assertIn('matmul: ok', outputs[0])
        self.assert_trained(outputs[1])
