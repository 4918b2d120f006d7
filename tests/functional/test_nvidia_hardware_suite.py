# SPDX-License-Identifier: Apache-2.0
"""The hardware suite, unchanged, on the stand-in of NVML: on a real host its own mistakes must not cost a visit."""

import itertools
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock
from xml.etree import ElementTree

from accelpool.remoting import artefacts
from tests.fakes.mps import host as mps
from tests.fakes.nvml import host as fake
from tests.fakes.nvml import layout, nvidia_smi
from tests.hardware import support, test_inventory
from tests.hardware.__main__ import SUITE
from tests.support import cubins

#: The suite's command with its program and kernels at another place.
ELSEWHERE = """
import pathlib, sys
from tests.hardware import __main__, support
support.BUILD = pathlib.Path(sys.argv.pop(1))
sys.exit(__main__.main())
"""
#: What is not judged by its figures only.
ON_SLICES = ('kernels_native_unix_tcp', 'copies', 'kernels_print', 'large_allocations', 'memory_quota_is_exact',
             'one_tenant_crashes_and_the_other_does_not_notice', 'a_former_tenants_bytes_are_gone')


def build(place: pathlib.Path) -> None:
    """Make the suite's program and kernels, without nvcc."""
    here = support.ROOT / 'tests/hardware'
    subprocess.run(['gcc', '-std=c11', '-D_GNU_SOURCE', '-o', place / 'program', here / 'program.c', '-ldl'], check=True)
    (place / 'kernels.ptx').write_bytes(cubins.ptx((here / 'kernels.cu').read_bytes()))


class Rehearsal(unittest.TestCase):
    """The suite's command as on a machine with a GPU, with the stand-in's library where the real one would be."""

    def run_suite(self, description: str, *names: str, **env: str) -> str:
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix='acp-', dir='/tmp')))
        place.chmod(0o711)  # sessions have uids of their own
        host, control = fake.Host(description, place / 'nvml-state'), mps.Mps(place)
        self.addCleanup(host.close)
        self.addCleanup(control.end)
        host.smi()
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-m', 'tests.hardware', *names], cwd=support.ROOT, capture_output=True, text=True,
            check=False, env={**os.environ, 'PATH': f'{place}:{os.environ["PATH"]}', 'FAKE_NVML_STATE': str(host.path),
                              'ACCELPOOL_HW_LIBRARIES': str(host.libraries()), **env})
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertIn(f'target: nvidia: {host.uuid(0)}', done.stdout)
        return done.stdout

    def test_a_borrowed_gpu(self) -> None:
        said = self.run_suite('h100', 'test_inventory', 'test_slicing', 'test_session')
        self.assertRegex(said, r'skipped: \d+: MIG is off on every device')
        self.assertRegex(said, r'skipped: \d+: it makes MIG instances and MPS daemons: set ACCELPOOL_HW_MUTATE=1')
        self.assertRegex(said, r'hardware suite: 2\d tests, 0 failed, [1-9] skipped')

    def test_programs_on_slices(self) -> None:
        """On an emulated device: numbers and errors are right, figures say nothing."""
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        build(place)
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', ELSEWHERE, place, *(f'test_slices.Slices.test_{name}' for name in ON_SLICES)],
            cwd=support.ROOT, capture_output=True, text=True, check=False, env={**os.environ, 'ACCELPOOL_HW_EMULATED': '1'})
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertIn('target: emulated', done.stdout)
        self.assertIn(f'hardware suite: {len(ON_SLICES)} tests, 0 failed, 0 skipped', done.stdout)

    def test_a_machine_of_ones_own(self) -> None:
        said = self.run_suite('dgx-a100', 'test_slicing', ACCELPOOL_HW_MUTATE='1')
        self.assertIn('figure: mps 25 %: {"native": 108, "multiprocessors": 27', said)
        self.assertNotIn('ACCELPOOL_HW_MUTATE', said)

    def test_what_only_the_stand_in_can_do_is_counted(self) -> None:
        done = subprocess.run([sys.executable, '-m', 'tests.hardware'], cwd=support.ROOT, capture_output=True, text=True,
                              check=False, env={**os.environ, 'ACCELPOOL_HW_LIBRARIES': '/nonexistent'})
        self.assertEqual(0, done.returncode, done.stderr)
        tests = sum(unittest.defaultTestLoader.loadTestsFromName(f'tests.functional.{file.stem}').countTestCases()
                    for file in (support.ROOT / 'tests/functional').glob('test_nvidia_*.py') if file.stem not in SUITE)
        self.assertIn(f'skipped: {tests}: it makes something happen to a device, or wants a host of a kind', done.stdout)


def busy(host: str, change: str = '') -> type[test_inventory.Inventory]:
    """Return the tests of the inventory on a host whose first device has a past and something to do.

    :param change: what sed does to what nvidia-smi prints
    """
    class Inventory(test_inventory.Inventory):
        description = host

        def _pretend(self, description: str) -> tuple[str, str]:
            found = super()._pretend(description)
            path = pathlib.Path(os.environ['FAKE_NVML_STATE'])
            state = layout.State.from_buffer_copy(path.read_bytes())
            device = state.devices[0]
            device.ecc_corrected, device.ecc_uncorrected, device.throttle = 3, 2, nvidia_smi.REASONS['sw_power_cap']
            device.utilization, device.utilization_memory = 37, 12
            device.processes[0] = layout.Process(pid=os.getpid(), instance=nvidia_smi.NO_INSTANCE, memory=512)
            with path.open('r+b') as file:
                file.write(bytes(state))
            tool = self.dir / 'nvidia-smi'
            tool.write_text(tool.read_text().replace('exec ', '').replace('"$@"', f'"$@" | sed "{change}"'))
            return found

    return Inventory


class BesideTheTool(unittest.TestCase):
    """What the comparison with nvidia-smi says when the tool says something else, in any of its answers."""

    def differ(self, case: type[test_inventory.Inventory], test: str) -> set[str]:
        """Return the fields that a test finds to differ."""
        result = unittest.TestResult()
        case(test).run(result)
        self.assertEqual(([], []), (result.errors, result.skipped))
        return {name for _, said in result.failures for name in re.findall(r"'([\w ]+)'\)?: \(", said)}

    def test_what_a_device_is(self) -> None:
        for name, change in (('serial', 's/1654323012345/1/'), ('compute capability', 's/, 9.0/, 8.0/'),
                             ('compute mode', 's/>Default</>Prohibited</')):
            with self.subTest(name):
                self.assertEqual({name}, self.differ(busy('h100', change), 'test_equals_nvidia_smi'))

    def test_what_moves(self) -> None:
        for name, change in (
                ('temperature_celsius', 's/38 C/58 C/'), ('power_watts', 's/61.00 W/610.00 W/'),
                ('utilization_percent', 's/37 %/90 %/'), ('memory_used_mib', 's/<used>512 /<used>2048 /'),
                ('ecc_corrected_errors', 's/dram_correctable>3/dram_correctable>4/'),
                ('ecc_uncorrected_errors', 's/dram_uncorrectable>2/dram_uncorrectable>1/'),
                ('throttled_power_cap', 's/sw_power_cap>Active/sw_power_cap>Not Active/'),
                ('throttled_hardware', 's/hw_slowdown>Not Active/hw_slowdown>Active/'),
                ('processes', 's/<pid>[0-9]*/<pid>1/'), ('memory of processes', 's/_memory>512 /_memory>1024 /')):
            with self.subTest(name), mock.patch.object(test_inventory, 'MOMENTS', 1):
                self.assertEqual({name}, self.differ(busy('h100', change), 'test_what_moves_equals_nvidia_smi'))

    def test_what_moves_between_two_answers_is_looked_at_again(self) -> None:
        answers = itertools.count()

        class Spike(busy('h100')):  # type: ignore[misc]
            def said(self) -> ElementTree.Element:
                found = super().said()
                if next(answers) < 2:
                    found.findall('gpu/utilization/gpu_util')[0].text = '99 %'
                return found

        self.assertEqual(set(), self.differ(Spike, 'test_what_moves_equals_nvidia_smi'))
        self.assertEqual(4, next(answers))

    def test_what_is_near(self) -> None:
        for description, name, change in (('h100', 'NUMA node', 's/\t0\t/\t1\t/'), ('h100', 'CPU affinity', 's/0-55/0-54/'),
                                          ('dgx-a100', 'NVLinks', 's/NV12/NV11/')):
            with self.subTest(name):
                self.assertEqual({name}, self.differ(busy(description, change), 'test_topology'))

    def test_parts(self) -> None:
        for description, test, name, change in (
                ('mixed', 'test_mig_devices', 'MIG devices', 's/MIG 2g.12gb/MIG 1g.6gb/'),
                ('mixed', 'test_mig_devices', 'MIG instances', 's/multiprocessor_count>28/multiprocessor_count>14/'),
                ('l4', 'test_vgpu_types', 'vGPU types', 's/L4-2Q/L4-3Q/')):
            with self.subTest(name):
                self.assertEqual({name}, self.differ(busy(description, change), test))


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
            build(pathlib.Path(place))
            pathlib.Path(place, 'libcuda.so.1').symlink_to(artefacts.emulated_library('cuda'))
            program = subprocess.Popen(
                support.command('step', 0.1, 'wait'), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env=os.environ | {
                    'LD_LIBRARY_PATH': place, 'ACCELPOOL_EMU_DEVICE': support.EMULATED_DEVICE,
                    'ACCELPOOL_TRANSLATOR': f'{sys.executable} -m accelpool.drivers.mock.ptx'})
            support.Pool.begin(program)
            self.assertTrue(support.answer(*program.communicate(timeout=60))['right'])
