# SPDX-License-Identifier: Apache-2.0
"""The hardware suite's measurement of a session's overhead, on the stand-in of NVML and the emulated libcuda."""

import os
import pathlib
import subprocess
import tempfile
import unittest
from typing import Any
from unittest import mock

from accelpool.drivers import programs
from accelpool.drivers.nvidia.channel import Channel
from accelpool.remoting import artefacts
from tests.fakes.nvml import host as fake
from tests.hardware import overhead, support

#: A process that exists on the stand-in only.
PID = 1 << 22
#: MiB that NVML shows of it.
SHOWN = 421


class Rehearsal(unittest.TestCase):
    def test_what_an_idle_session_takes_beyond_the_ledger(self) -> None:
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix='acp-', dir='/tmp')))
        libraries = place / 'lib'
        libraries.mkdir()
        (libraries / 'libnvidia-ml.so.1').symlink_to(fake.library() / 'libnvidia-ml.so.1')
        (libraries / 'libcuda.so.1').symlink_to(artefacts.emulated_library('cuda'))
        subprocess.run(['gcc', '-std=c11', '-D_GNU_SOURCE', '-o', str(place / 'program'),
                        str(support.ROOT / 'tests/hardware/program.c'), '-ldl'], check=True)
        host = fake.Host('h100', place / 'nvml-state')
        self.addCleanup(host.close)
        self.enterContext(mock.patch.dict(os.environ, {'FAKE_NVML_STATE': str(host.path)}))
        self.enterContext(mock.patch.object(support, 'BUILD', place))

        class Pool(support.Pool):
            """NVML shows a session's worker as soon as there is one."""

            def start(self, *words: object, **how: Any) -> 'subprocess.Popen[str]':
                program = super().start(*words, **how)
                host.start_process(0, PID, SHOWN)
                return program

        pool = Pool(f'[conductor]\ndrivers = nvidia\n[nvidia]\nlibrary_dir = {libraries}\ndrain_foreign = false\n')
        self.addCleanup(pool.close)
        channel = Channel(20.0, str(libraries))
        self.addCleanup(channel.close)
        found = overhead.measure(pool, channel, host.uuid(0), lambda pid: programs.WORKER if pid == PID else '')
        charged = found['charged_mib'] or 0.0
        self.assertGreaterEqual(charged, overhead.ALLOCATED / overhead.MIB)  # leases may be a little more
        self.assertEqual({'process_mib': SHOWN - charged, 'device_mib': SHOWN - charged, 'charged_mib': charged}, found)
