# SPDX-License-Identifier: Apache-2.0
"""The main job on Ascend chips, with everything real but the hardware: DCMI is the stand-in, AscendCL the emulated device's."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
from typing import Any
from unittest import mock

from accelpool.remoting import artefacts
from tests.fakes.dcmi import host as fake
from tests.support.agent import wait_for
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
        cls.library = libraries / 'libascendcl.so'
        cls.library.symlink_to(artefacts.emulated_library('acl'))
        cls.host = fake.Host('atlas-300i-duo', cls.dir / 'dcmi-state')
        cls.addClassCleanup(cls.host.close)
        patched = mock.patch.dict(os.environ, cls.host.env)
        patched.start()
        cls.addClassCleanup(patched.stop)
        cls.service = cls.enterClassContext(service.running(
            '[embedded]\nhosts = atlas\n[conductor]\ndrivers = ascend\nreconcile_interval = 1\n'
            f'[ascend]\nlibrary_dir = {libraries}\nsysfs = {cls.dir}/sys\nnpu_smi = {cls.dir}/npu-smi\n'))

    def cli(self, *words: str, fails: bool = False) -> tuple[Any, str]:
        """Return what it printed, as values, and what it said on stderr."""
        done = subprocess.run(self.service.accelpool(*words, '-f', 'json'), env=self.service.environment,
                              capture_output=True, text=True, check=False)
        self.assertEqual(fails, bool(done.returncode), done.stderr + self.service.log()[-3000:])
        return json.loads(done.stdout or 'null'), done.stderr

    def allocate(self, *words: str, fails: bool = False) -> tuple[Any, str]:
        return self.cli('allocation', 'create', '--consumer-host', 'elsewhere', *words, '--wait', fails=fails)

    def delete(self, identifier: str) -> None:
        subprocess.run(self.service.accelpool('allocation', 'delete', identifier, '--wait'),
                       env=self.service.environment, check=True, capture_output=True)

    def run_program(self, *options: str) -> str:
        done = subprocess.run(
            self.service.accelpool('run', *options, '--', sys.executable, '-m', 'tests.functional.acl_program', 'kernels'),
            env=self.service.environment, cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr + self.service.log()[-3000:])
        return done.stderr

    def vnpus(self) -> list[str]:
        return [name for device in (0, 1) for name, _ in self.host.vdevices(device)]

    def test_a_program_on_a_share_of_a_chip(self) -> None:
        self.run_program('--consumer-host', 'elsewhere', '--compute', '30', '--memory', '512', '--isolation', 'shared')

    def test_a_program_on_a_vnpu_that_lives_as_long_as_its_slice(self) -> None:
        made, said = self.allocate('--isolation', 'partition', '--compute', '40', '--memory', '8000')
        self.assertEqual(('vir04', 50, 12288), tuple(made['slices'][0][name] for name in ('template', 'compute', 'memory')))
        self.assertIn('vir04: 10 percent points and 4288 MiB more than was asked for', said)
        self.assertEqual(['vir04'], self.vnpus())
        self.run_program('--allocation', made['id'])
        self.delete(made['id'])
        self.assertEqual([], self.vnpus())

    def test_no_session_on_a_vnpu_where_the_library_is_not_the_emulated_ones(self) -> None:
        """CANN would open the chip itself: whatever library is not known to be emulated is taken for CANN's."""
        self.library.unlink()
        shutil.copy(artefacts.emulated_library('acl'), self.library)
        try:
            made, _ = self.allocate('--isolation', 'partition', '--template', 'vir02')
            done = subprocess.run(self.service.accelpool('run', '--allocation', made['id'], '--', 'true'),
                                  env=self.service.environment, capture_output=True, text=True, check=False)
            self.assertNotEqual(0, done.returncode)
            self.assertIn('a vNPU of an Ascend chip cannot be used from another host', done.stderr)
            self.delete(made['id'])
            self.run_program('--consumer-host', 'elsewhere', '--memory', '512', '--isolation', 'shared')
        finally:
            self.library.unlink()
            self.library.symlink_to(artefacts.emulated_library('acl'))

    def test_the_scheduler_knows_what_is_left(self) -> None:
        """Two chips take one vir04 each, for their AI CPUs; a third is refused before anything is tried."""
        words = ('--isolation', 'partition', '--template', 'vir04')
        made = [self.allocate(*words)[0]['id'] for _ in range(2)]
        with self.host.failing('dcmi_create_vdevice', code=-8001):
            _, said = self.allocate(*words, fails=True)
            self.assertNotIn('-8001', said)
        _, said = self.allocate('--isolation', 'partition', '--template', 'vir02')
        self.assertNotIn('more than was asked for', said)
        self.assertEqual(['vir02', 'vir04', 'vir04'], sorted(self.vnpus()))
        for identifier in [*made, *(one['id'] for one in self.cli('allocation', 'list')[0])]:
            subprocess.run(self.service.accelpool('allocation', 'delete', identifier, '--wait'),
                           env=self.service.environment, check=False, capture_output=True)
        self.assertEqual([], self.vnpus())

    def test_a_template_that_the_firmware_rejects(self) -> None:
        with self.host.failing('dcmi_create_vdevice', code=-8022):
            _, said = self.allocate('--isolation', 'partition', '--template', 'vir02', fails=True)
        self.assertIn('the firmware does not take this partition: see npu-smi info -t template-info', said)
        self.assertEqual([], self.vnpus())
        made, _ = self.allocate('--isolation', 'partition', '--template', 'vir02')
        self.delete(made['id'])

    def test_a_vnpu_that_somebody_else_or_a_restart_destroys_is_made_again_or_the_reason_is_told(self) -> None:
        made, _ = self.allocate('--isolation', 'partition', '--template', 'vir02')

        def destroy() -> None:
            device = next(index for index in (0, 1) if self.host.vdevices(index))
            self.host.destroy_vdevice(device, self.host.vdevices(device)[0][1])

        def shown() -> Any:
            return self.cli('allocation', 'show', made['id'])[0]

        def told() -> list[str]:
            return [one['detail'] for one in self.cli('allocation', 'event', 'list', made['id'])[0]
                    if 'was not there any more' in (one['detail'] or '')]

        destroy()
        wait_for(lambda: self.vnpus() == ['vir02'], 'another vNPU')
        self.assertEqual('active', shown()['state'])
        self.assertEqual(1, len(told()))
        self.host.restart()  # in the recover mode it is there again before anybody looks
        self.run_program('--allocation', made['id'])
        self.assertEqual(1, len(told()))
        self.host.set_recover(0)
        self.addCleanup(self.host.set_recover, 1)
        self.host.restart()
        wait_for(lambda: self.vnpus() == ['vir02'], 'the vNPU after a restart that it did not outlive')
        self.run_program('--allocation', made['id'])
        self.assertEqual(2, len(told()))
        with self.host.failing('dcmi_create_vdevice', code=-8022):
            destroy()
            wait_for(lambda: shown()['state'] == 'error', 'the end of the allocation')
        self.assertIn('the firmware does not take this partition', shown()['reason'])
        self.delete(made['id'])
        made, _ = self.allocate('--isolation', 'partition', '--template', 'vir04')  # the chip is whole again
        self.delete(made['id'])
