# SPDX-License-Identifier: Apache-2.0
"""The main job on NVIDIA devices, with everything real but the hardware: NVML is the stand-in, libcuda the emulated one."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest
from typing import Any
from unittest import mock

from accelpool.remoting import artefacts
from tests.fakes.nvml import host as fake
from tools.bench import service

ROOT = pathlib.Path(__file__).parents[2]


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

    def test_device_list_says_why(self) -> None:
        self.host.xid(2, 119)
        for _ in range(300):
            sick = [one for one in self.cli('device', 'list') if one['health'] != 'ok']
            if sick:
                break
        self.assertEqual(['failed'], [one['health'] for one in sick])
        self.assertIn('XID 119 (GSP RPC timeout): end all programs on it and reset it', sick[0]['health_reason'])
        self.host.reset(2)
