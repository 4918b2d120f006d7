# SPDX-License-Identifier: Apache-2.0
"""Slices by MPS from the request to the program, with everything real but the hardware and NVIDIA's own programs."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from typing import Any
from unittest import mock

from tests.fakes.mps import host as mps
from tests.fakes.nvml import host as fake
from tests.functional.test_embedded import wait_for
from tools.bench import service

ROOT = pathlib.Path(__file__).parents[2]
HOST = 'gpu'
#: MiB that the device is charged for the context of a session; the stand-in's takes 24 of them.
OVERHEAD = 64
#: Says what it has of the device, takes all of it, and works on as long as there is input.
PROGRAM = """
import ctypes, json, sys
sys.path.insert(0, 'examples')
import cuda_driver as cuda
cuda.start()
multiprocessors = ctypes.c_int()
cuda.call('cuDeviceGetAttribute', ctypes.byref(multiprocessors), 16, 0)
total = cuda.memory()[1]
cuda.write(cuda.allocate(total), b'all')
print(json.dumps([multiprocessors.value, total >> 20]), flush=True)
for line in sys.stdin:
    cuda.synchronize()
    print('works', flush=True)
"""


class MpsSlices(unittest.TestCase):
    """One service for all; every test leaves neither processes nor pipes of MPS."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.dir = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix='acp-', dir='/tmp')))
        cls.dir.chmod(0o711)  # sessions have uids of their own
        cls.host = fake.Host('h100', cls.dir / 'nvml-state')
        cls.addClassCleanup(cls.host.close)
        cls.uuid = cls.host.uuid(0)
        cls.mps = mps.Mps(cls.dir)
        cls.addClassCleanup(cls.mps.end)
        cls.enterClassContext(mock.patch.dict(os.environ, {'FAKE_NVML_STATE': str(cls.host.path)}))
        cls.service = cls.enterClassContext(service.running(
            f'[embedded]\nhosts = {HOST}\n[conductor]\ndrivers = nvidia\ninventory_interval = 0.2\n'
            f'reconcile_interval = 0.5\n[nvidia]\nlibrary_dir = {cls.host.libraries()}\nsession_overhead_mib = {OVERHEAD}\nmps = true\n'
            f'mps_control = {cls.mps.control}\nmps_directory = {cls.mps.pipes}\n'))
        device, = cls.show('device', 'list')
        cls.cli('pool', 'create', 'cut', '--isolation', 'mps')
        cls.cli('pool', 'add', 'device', 'cut', device['id'])
        for name, compute, memory in (('quarter', 25, 256), ('half', 50, 512)):
            cls.cli('profile', 'create', name, '--pool', 'cut', '--isolation', 'mps', '--compute', str(compute),
                    '--memory', str(memory))

    def tearDown(self) -> None:
        wait_for(lambda: not self.processes() and not list(self.mps.pipes.glob('*/pipe')), 'nothing of MPS is left')
        wait_for(self.whole, 'the device is whole')

    def whole(self) -> bool:
        device, = self.show('device', 'list', '--long')
        return (device['memory'], 100, 0) == (device['free_memory'], device['free_compute'], device['slices'])

    @classmethod
    def cli(cls, *words: str) -> str:
        done = subprocess.run(cls.service.accelpool(*words), env=cls.service.environment, capture_output=True, text=True,
                              check=False)
        if done.returncode:
            raise AssertionError(f'{words}: {done.stderr}\n{cls.service.log()[-3000:]}')
        return done.stdout

    @classmethod
    def show(cls, *words: str) -> Any:
        return json.loads(cls.cli(*words, '-f', 'json'))

    def start(self, *options: str) -> 'subprocess.Popen[str]':
        """Start the program on a slice."""
        found = subprocess.Popen(
            self.service.accelpool('run', *options, '--', sys.executable, '-c', PROGRAM), cwd=ROOT,
            env=self.service.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(found.kill)
        return found

    def has(self, program: 'subprocess.Popen[str]') -> list[int]:
        """Return what a program says that it has: multiprocessors and MiB."""
        assert program.stdout is not None
        line = program.stdout.readline()
        if not line:
            self.fail(program.communicate()[1] + self.service.log()[-3000:])
        found: list[int] = json.loads(line)
        return found

    def end(self, program: 'subprocess.Popen[str]') -> None:
        _, said = program.communicate()
        self.assertEqual(0, program.returncode, said)

    def processes(self) -> list[int]:
        """Return daemons, servers, and clients of MPS on this host."""
        found = []
        for path in pathlib.Path('/proc').glob('[0-9]*/environ'):
            try:
                if f'CUDA_MPS_PIPE_DIRECTORY={self.mps.pipes}'.encode() in path.read_bytes():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found

    def make(self) -> str:
        found = str(self.show('allocation', 'create', '--profile', 'half', '--consumer-host', HOST, '--wait')['id'])
        return found

    def delete(self, identifier: str) -> None:
        self.cli('allocation', 'delete', identifier, '--wait')

    def daemon(self) -> int:
        found = self.mps.daemon(self.uuid)
        assert found is not None
        return found

    def test_two_clients_with_shares_of_their_own(self) -> None:
        quarter = self.start('--profile', 'quarter', '--consumer-host', HOST)
        self.assertEqual([33, 256], self.has(quarter))
        daemon, state = self.daemon(), self.mps.state(self.uuid)
        pids = (state['server'], int(state['clients'][0]['pid']))
        for pid, kind in zip(pids, (0, 2), strict=True):  # what NVML sees of MPS is no reason to drain the device
            self.host.start_process(0, pid, kind=kind)
        half = self.start('--profile', 'half', '--consumer-host', HOST)
        self.assertEqual([66, 512], self.has(half))
        self.assertEqual(['ok'], [one['health'] for one in self.show('device', 'list')])
        for pid in pids:
            self.host.end_process(0, pid)
        self.assertEqual(daemon, self.daemon())
        state = self.mps.state(self.uuid)
        self.assertEqual((['-M'], self.uuid), (state['options'], state['devices']))
        self.assertEqual([('25', f'0={256 + OVERHEAD}M', self.uuid), ('50', f'0={512 + OVERHEAD}M', self.uuid)],
                         [(one['percentage'], one['limit'], one['devices']) for one in state['clients']])
        self.end(quarter)
        wait_for(lambda: [one['percentage'] for one in self.mps.state(self.uuid)['clients']] == ['50'], 'one client is left')
        self.assertEqual(daemon, self.daemon())
        self.end(half)

    def test_a_consumer_on_another_host(self) -> None:
        program = self.start('--profile', 'quarter', '--consumer-host', 'elsewhere')
        _, said = program.communicate()
        self.assertNotEqual(0, program.returncode)
        self.assertIn(f'isolation mps is for consumers on its own host {HOST}', said)

    def test_a_daemon_that_is_killed_comes_back_and_everybody_is_told(self) -> None:
        identifier = self.make()
        program, before = self.start('--allocation', identifier), self.daemon()
        self.has(program)
        self.mps.kill(self.uuid)
        wait_for(lambda: self.mps.daemon(self.uuid) not in (None, before), 'a new daemon')
        _, said = program.communicate('go on\n')
        self.assertNotEqual(0, program.returncode, 'it went on without a limit')
        self.assertIn('CUDA_ERROR', said)
        self.assertIn('was not there any more: its sessions have ended, it is made again', ' '.join(
            one['detail'] or '' for one in self.show('allocation', 'event', 'list', identifier) if one['event'] == 'device'))
        self.assertIn(f'has ended or was killed (see {self.mps.pipes}/*/log/control.log)', self.service.log())
        self.assertEqual(['ok'], [one['health'] for one in self.show('device', 'list')], 'nothing is wrong with the GPU')
        again = self.start('--allocation', identifier)
        self.assertEqual([66, 512], self.has(again))
        self.end(again)
        self.delete(identifier)

    def test_a_daemon_that_is_killed_and_cannot_be_started(self) -> None:
        identifier = self.make()
        self.mps.control.write_text('#!/bin/sh\necho "the compute mode of the GPU is prohibited"; exit 1\n')
        self.mps.kill(self.uuid)
        wait_for(lambda: self.show('allocation', 'show', identifier)['state'] == 'error', 'the allocation fails')
        self.assertIn('the compute mode of the GPU is prohibited', self.show('allocation', 'show', identifier)['reason'])
        self.delete(identifier)
        self.mps.know('-M')
        self.delete(self.make())

    def test_a_conductor_that_is_killed_finds_its_daemon(self) -> None:
        identifier, before = self.make(), self.daemon()
        self.service.kill_and_restart()
        self.assertEqual(before, self.daemon())
        program = self.start('--allocation', identifier)
        self.assertEqual([66, 512], self.has(program))
        self.assertEqual(before, self.daemon())
        self.end(program)
        self.assertEqual('active', self.show('allocation', 'show', identifier)['state'])
        self.delete(identifier)
