# SPDX-License-Identifier: Apache-2.0
"""Sessions where kernels reach all memory of their process: real agent and worker, an emulated device that says so."""

import pathlib
import subprocess
import tempfile
import unittest

from oslo_config import cfg

from accelpool import conf
from accelpool.drivers.nvidia import NvidiaDriver
from accelpool.remoting import artefacts
from accelpool.types import Device
from tests.support import agent

ROOT = pathlib.Path(__file__).parents[2]
NATIVE = ROOT / 'accelpool/remoting/native'
DEVICE = Device(id='d', driver='nvidia', vendor='nvidia', model='H100', memory=256, pci_address='0000:01:00.0',
                options={'uuid': 'GPU-1', 'minor': 0})


class HostMemory(unittest.TestCase):
    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.place / 'libcuda.so.1').symlink_to(artefacts.emulated_library('cuda'))
        self.agent = agent.Agent(self, worker=artefacts.worker().parents[1])
        conf.register_all()
        self.configure(library_dir=str(self.place))

    def configure(self, **options: str) -> None:
        for name, value in options.items():
            cfg.CONF.set_override(name, value, group='nvidia')
            self.addCleanup(cfg.CONF.clear_override, name, group='nvidia')

    def open(self, pageable: int) -> None:
        """Open a session on a device whose kernels reach pageable memory, or do not."""
        endpoint = NvidiaDriver('host', self.place).need_remoting().endpoint(DEVICE)
        self.agent.bind(library=endpoint.library, **endpoint.env, ACCELPOOL_EMU_DEVICE=f'memory_mib=1024;pageable={pageable}')
        agent.admit(self.agent.url, self.agent.credential()).close()

    def test_address_spaces_are_made_without_it_where_the_driver_can(self) -> None:
        program = self.place / 'host_access_test'
        subprocess.run(['gcc', '-std=c11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-fsanitize=address,undefined',
                        f'-I{NATIVE}/worker/cuda', '-o', program, ROOT / 'tests/native/worker/host_access_test.c'], check=True)
        done = subprocess.run([program], capture_output=True, text=True, check=False)
        self.assertEqual((0, '', ''), (done.returncode, done.stdout, done.stderr))

    def test_it_is_the_workers_call_that_a_library_makes(self) -> None:
        symbols = subprocess.run(['nm', '-D', '--defined-only', artefacts.worker()], capture_output=True, text=True, check=True)
        self.assertRegex(symbols.stdout, r'(?m) T ioctl$')

    def test_it_is_refused_unless_the_operator_allows_it(self) -> None:
        self.open(0)
        with self.assertRaisesRegex(agent.Refused, 'kernels would reach memory of its host'):
            self.open(1)
        self.assertIn('options nvidia_uvm uvm_disable_hmm=1', self.agent.log())
        self.configure(host_memory_access='allow')
        self.open(1)
