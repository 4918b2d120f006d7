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

#: What NVIDIA's tool says of the stand-in's first L4, as far as the suite compares it.
SMI = """#!/bin/sh
case $1 in
    -q) cat <<END
<nvidia_smi_log>
  <driver_version>570.124.06</driver_version><cuda_version>12.8</cuda_version>
  <gpu id="00000000:3B:00.0">
    <product_name>NVIDIA L4</product_name><product_architecture>Ada Lovelace</product_architecture>
    <persistence_mode>Enabled</persistence_mode><mig_mode><current_mig>N/A</current_mig></mig_mode>
    <serial>{serial}</serial><uuid>{uuid}</uuid><minor_number>0</minor_number>
    <gpu_virtualization_mode><virtualization_mode>None</virtualization_mode></gpu_virtualization_mode>
    <fb_memory_usage><total>23034 MiB</total></fb_memory_usage><ecc_mode><current_ecc>Enabled</current_ecc></ecc_mode>
    <gpu_power_readings><current_power_limit>72.00 W</current_power_limit></gpu_power_readings>
    <max_clocks><sm_clock>2040 MHz</sm_clock><mem_clock>6251 MHz</mem_clock></max_clocks>
  </gpu>
</nvidia_smi_log>
END
    ;;
    *) echo "{uuid}, {capability}";;
esac
"""

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


class BesideTheTool(unittest.TestCase):
    """The comparison with nvidia-smi, which a program stands for: each of its two answers is looked at."""

    def compare(self, serial: str = '1322623077001', capability: str = '8.9') -> unittest.TestResult:
        conf.register_all()
        cfg.CONF.set_override('library_dir', str(fake.library()), group='nvidia')
        self.addCleanup(cfg.CONF.clear_override, 'library_dir', group='nvidia')
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        host = fake.Host({'driver': '570.124.06', 'nvml': '12.570.124.06', 'cuda': 12080, 'devices': [
            {'model': 'l4', 'bus': 0x3B, 'numa': 0, 'cpus': [0, 31], 'serial': '1322623077001'}]}, place / 'state')
        self.addCleanup(host.close)
        tool = place / 'nvidia-smi'
        tool.write_text(SMI.format(uuid=host.uuid(0), serial=serial, capability=capability))
        tool.chmod(0o755)
        result = unittest.TestResult()
        with mock.patch.dict(os.environ, {**host.env, 'PATH': f'{place}:{os.environ["PATH"]}'}), \
                mock.patch.object(support, 'missing', return_value=''), \
                mock.patch.object(support, 'note') as self.note, mock.patch.object(support.HardwareCase, 'real', True):
            test_inventory.Inventory('test_equals_nvidia_smi').run(result)
        self.assertEqual(([], []), (result.errors, result.skipped))
        return result

    def test_equal(self) -> None:
        self.assertEqual([], self.compare().failures)
        self.assertEqual(16, len(self.note.call_args.kwargs['compared']))

    def test_not_equal(self) -> None:
        for name, change in (('serial', {'serial': '1'}), ('compute capability', {'capability': '9.0'})):
            (_, said), = self.compare(**change).failures
            self.assertIn(f"'{name}': (", said)


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
