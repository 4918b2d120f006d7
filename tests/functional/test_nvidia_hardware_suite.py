# SPDX-License-Identifier: Apache-2.0
"""The hardware suite's tests of the driver, unchanged, on the stand-in of NVML."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

from oslo_config import cfg

from accelpool import conf
from accelpool.remoting import artefacts
from tests.fakes.nvml import host as fake
from tests.hardware import support, test_inventory

#: What of the suite needs neither NVIDIA's own programs nor device nodes.
TESTS = (
    test_inventory.Inventory('test_metrics_are_plausible'),
    test_inventory.Mutations('test_mig_instances_of_every_profile'),
)

#: The kernel ``step`` of kernels.cu; there is no compiler for it here.
STEP = """.version 7.0
.target sm_75
.address_size 64
.visible .entry step(.param .u64 counter)
{
    .reg .pred %p;
    .reg .b32 %r<3>;
    .reg .b64 %a;
    mov.u32 %r0, %tid.x;
    setp.ne.u32 %p, %r0, 0;
    @%p bra done;
    ld.param.u64 %a, [counter];
    ld.global.u32 %r1, [%a];
    add.u32 %r1, %r1, 1;
    st.global.u32 [%a], %r1;
done:
    ret;
}
"""


class Rehearsal(unittest.TestCase):
    def test_on_every_host(self) -> None:
        conf.register_all()
        cfg.CONF.set_override('library_dir', str(fake.library()), group='nvidia')
        self.addCleanup(cfg.CONF.clear_override, 'library_dir', group='nvidia')
        for description, skipped in (('dgx-a100', 0), ('h100', 1), ('l4', 1)):
            with self.subTest(description):
                host = fake.Host(description, pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / 'state')
                self.addCleanup(host.close)
                result = unittest.TestResult()
                with mock.patch.dict(os.environ, host.env), mock.patch.object(support, 'MUTATE', True), \
                        mock.patch.object(support, 'missing', return_value=''), \
                        mock.patch.object(support.HardwareCase, 'real', True):
                    for test in TESTS:
                        test.run(result)
                self.assertEqual(([], []), (result.failures, result.errors))
                self.assertEqual((len(TESTS), skipped), (result.testsRun, len(result.skipped)), result.skipped)


class Together(unittest.TestCase):
    """What the suite's figures rest on: a device that is well, and programs that begin at the same time."""

    def test_a_run_waits_until_the_device_is_well(self) -> None:
        pool = support.Pool.__new__(support.Pool)
        pool._log = pathlib.Path(os.devnull)
        looks = [[], [{'health': 'degraded'}], [{'health': 'ok'}]]
        with mock.patch.object(pool, 'show', side_effect=looks) as show, mock.patch('time.sleep'):
            pool.wait_until_well()
        self.assertEqual(3, show.call_count)
        with mock.patch.object(pool, 'show', return_value=looks[1]), self.assertRaisesRegex(AssertionError, 'degraded'):
            pool.wait_until_well(0)

    def test_none_begins_before_all_are_ready(self) -> None:
        script = 'import time; print("ready", flush=True); input(); print(time.monotonic())'
        programs, before = [], time.monotonic()
        for delay in (0, 1):
            programs.append(subprocess.Popen(
                [sys.executable, '-c', f'import time; time.sleep({delay}); ' + script], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        support.Pool.begin(*programs)
        for program in programs:
            self.assertGreater(float(program.communicate(timeout=60)[0]), before + 1)

    def test_the_program_begins_when_it_is_told(self) -> None:
        with tempfile.TemporaryDirectory() as place, mock.patch.object(support, 'BUILD', pathlib.Path(place)), \
                mock.patch.object(support, 'EMULATED', True):
            subprocess.run(['gcc', '-std=c11', '-D_GNU_SOURCE', '-o', f'{place}/program',
                            str(support.ROOT / 'tests/hardware/program.c'), '-ldl'], check=True)
            pathlib.Path(place, 'kernels.ptx').write_text(STEP)
            pathlib.Path(place, 'libcuda.so.1').symlink_to(artefacts.emulated_library('cuda'))
            program = subprocess.Popen(
                support.command('step', 0.1, 'wait'), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env=os.environ | {
                    'LD_LIBRARY_PATH': place, 'ACCELPOOL_EMU_DEVICE': support.EMULATED_DEVICE,
                    'ACCELPOOL_TRANSLATOR': f'{sys.executable} -m accelpool.drivers.mock.ptx'})
            support.Pool.begin(program)
            self.assertTrue(support.answer(*program.communicate(timeout=60))['right'])
