# SPDX-License-Identifier: Apache-2.0
"""Sessions on a vendor library that knows nothing of us: the worker itself meters what the device does."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Iterable
from typing import ClassVar

from accelpool.drivers.mock import ptx
from accelpool.remoting import artefacts
from accelpool.remoting.generator import model
from tests.functional import loopback
from tests.support import agent

ROOT = pathlib.Path(__file__).parents[2]
NATIVE = ROOT / 'accelpool/remoting/native'
INTERFACES = ROOT / 'accelpool/remoting/interfaces'


def build(place: pathlib.Path, interface: str, lacks: Iterable[str] = ()) -> pathlib.Path:
    """Build the library, without some of its symbols; whatever uid a session has can reach it."""
    place.chmod(0o755)
    emulated = place / artefacts.emulated_library(interface).name
    shutil.copy(artefacts.emulated_library(interface), emulated)
    library = place / 'libplain.so'
    hidden = [f'-Wl,--defsym={name}=0' for name in (*lacks, *(
        f'accelpool_backend_{name}' for name in ('attach', 'idle', 'access', 'share', 'adopt')))]
    subprocess.run(['gcc', '-std=c11', '-D_GNU_SOURCE', '-O1', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', *hidden,
                    f'-I{NATIVE}/common', str(ROOT / 'tests/native/plain_vendor.c'), '-o', str(library),
                    '-Wl,--no-as-needed', str(emulated), f'-Wl,-rpath,{place}', '-ldl'], check=True)
    return library


class Plain(unittest.TestCase):
    """An agent whose sessions' library is such a one, of an interface."""

    interface = ''
    lacks: ClassVar[list[str]] = []

    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.library = build(self.place, self.interface, self.lacks)
        self.agent = agent.Agent(self, worker=artefacts.worker().parents[1])

    def bind(self, name: str, compute: int, *, memory: int = 64, strict: bool = False, **environment: str) -> None:
        self.agent.bind(name, compute=compute, memory=memory, strict=strict, library=str(self.library),
                        interface=self.interface, ACCELPOOL_EMU_DEVICE=loopback.DEVICE, **environment)

    def start(self, name: str, *words: str) -> 'subprocess.Popen[str]':
        file = self.place / f'{name}.json'
        file.touch(0o600)
        file.write_text(json.dumps({
            'version': 1, 'technique': 'interpose', 'allocation': f'of-{name}', 'holder': None, 'devices': [
                {'ordinal': 0, 'slice': name, 'interface': self.interface, 'expires': 0,
                 'urls': [{'url': self.agent.url, 'network': 'default'}], 'credential': self.agent.credential(name)}]}))
        process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {'ACCELPOOL_ATTACHMENT': str(file),
                              'LD_LIBRARY_PATH': str(artefacts.client_library_dir(self.interface))})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def finish(self, process: 'subprocess.Popen[str]') -> str:
        output, said = process.communicate(timeout=60)
        self.assertEqual((0, ''), (process.returncode, said))
        return output

    def used(self, name: str) -> int:
        agent.wait_for(lambda: self.agent.slice(name)['sessions'] == 0, 'the last report')
        return int(self.agent.slice(name)['device_ns'])


class Meter(Plain):
    interface = 'cuda'

    def setUp(self) -> None:
        super().setUp()
        share = (ROOT / 'examples/share.py').read_text()
        text = share.partition('PTX = """')[2].partition('"""')[0]
        self.module = self.place / 'module.so'
        ptx.compile_module(text.encode(), self.module)
        self.module.chmod(0o644)

    def bind(self, name: str, compute: int, *, memory: int = 64, strict: bool = False, **environment: str) -> None:
        super().bind(name, compute, memory=memory, strict=strict, PLAIN_VENDOR_MODULE=str(self.module), **environment)

    def test_shares_of_two_slices(self) -> None:
        self.bind('small', 30)
        self.bind('large', 70)
        begin = str(time.time() + 2)
        running = [self.start(name, 'examples/share.py', '4', begin) for name in ('small', 'large')]
        for process in running:
            self.finish(process)
        used = [self.used(name) for name in ('small', 'large')]
        self.assertAlmostEqual(30, 100 * used[0] / sum(used), delta=10)  # a busy machine keeps both from their turns

    def test_one_alone_has_all_of_the_device_unless_it_is_strict(self) -> None:
        share = {}
        for strict in (False, True):
            name = f'strict-{strict}'.lower()
            self.bind(name, 30, strict=strict)
            begun = time.monotonic_ns()
            self.finish(self.start(name, 'examples/share.py', '3'))
            share[strict] = 100 * self.used(name) / (time.monotonic_ns() - begun)
        self.assertLess(share[True], 32, share)
        self.assertGreater(share[False], share[True], share)

    def test_clearing_fresh_memory_is_metered(self) -> None:
        """Else who only allocates and frees would take time from everybody's shares."""
        self.bind('slice', 50)
        self.finish(self.start('slice', '-c', """
import sys
sys.path.insert(0, 'examples')
import cuda_driver as cuda
cuda.start()
for _ in range(8):
    cuda.free(cuda.allocate(40 << 20))  # more than a client keeps
"""))
        self.assertGreater(self.used('slice'), 0)
        self.assertEqual(0, self.agent.slice('slice')['launches'])

    def test_nvml_shows_how_busy_the_slice_keeps_its_device(self) -> None:
        self.bind('slice', 50)
        watcher = self.start('slice', '-c', """
import time, pynvml as n
n.nvmlInit()
device = n.nvmlDeviceGetHandleByIndex(0)
def until(wanted):
    while not wanted(n.nvmlDeviceGetUtilizationRates(device).gpu):
        time.sleep(0.05)
until(lambda gpu: gpu == 0)
print('idle', flush=True)
until(lambda gpu: 0 < gpu <= 100)
print('busy', flush=True)
until(lambda gpu: gpu == 0)
""")
        assert watcher.stdout is not None
        self.assertEqual('idle\n', watcher.stdout.readline())
        program = self.start('slice', 'examples/share.py', '2')
        self.assertEqual('busy\n', watcher.stdout.readline())
        self.finish(program)
        self.finish(watcher)

    def test_programs_compute_what_they_compute_elsewhere(self) -> None:
        self.bind('slice', 50)
        output = self.finish(self.start('slice', '-m', 'tests.functional.tls_program', 'marker'))
        self.assertEqual('', output)
        self.used('slice')
        self.assertEqual(0, self.agent.slice('slice')['charged_bytes'])

    def test_programs_run_where_the_vendor_has_few_addresses_and_chooses_them(self) -> None:
        for room, memory in ((64, 64), (64, 20 << 10), (1, 64)):
            name = f'slice-{room}-{memory}'
            self.bind(name, 50, memory=memory, PLAIN_VENDOR_RANGE=str(room))
            program = self.start(name, '-m', 'tests.functional.tls_program', 'marker')
            if room >= 64:
                self.finish(program)
                continue
            _, said = program.communicate(timeout=60)
            self.assertIn('no range of addresses is free on both sides', said)
            self.assertIn('reserves no 64 GiB of addresses', self.agent.log())

    def test_programs_for_hopper(self) -> None:
        self.bind('slice', 50, PLAIN_VENDOR_HOPPER='1')
        for scenario in ('tensor_maps', 'clusters'):
            self.finish(self.start('slice', '-m', 'tests.functional.hopper_program', scenario))

    def test_a_waiting_session_ends_when_its_slice_does(self) -> None:
        self.bind('small', 1, strict=True)
        process = self.start('small', 'examples/share.py', '30')
        agent.wait_for(lambda: self.agent.slice('small')['launches'] > 0 or process.poll() is not None, 'work')
        self.agent.control.ask('unbind', slice_id='small')
        _, said = process.communicate(timeout=30)
        self.assertIn('CUDA_ERROR_CONTEXT_IS_DESTROYED', said)


class OldDriver(Plain):
    """The oldest driver that has sessions: 550, of CUDA 12.4."""

    interface = 'cuda'
    lacks: ClassVar[list[str]] = [symbol.name for symbol in model.load(INTERFACES / 'cuda.yaml').symbols if symbol.version > 12040]

    def test_events_are_timed(self) -> None:
        self.bind('slice', 50, memory=512)
        self.finish(self.start('slice', '-m', 'tests.functional.client_program', 'streams'))


class MeterAcl(Plain):
    """AscendCL as a vendor's own library would be: nothing of ours is in it."""

    interface = 'acl'

    def test_programs_compute_and_are_metered(self) -> None:
        self.bind('slice', 50, memory=512)
        for program, scenario in (*(('acl_program', name) for name in ('memory', 'copies', 'kernels')),
                                  ('acl_rt_program', 'registered_launches'), ('acl_waiting_program', 'callbacks')):
            self.finish(self.start('slice', '-m', f'tests.functional.{program}', scenario))
        self.assertGreater(self.used('slice'), 0)
        report = self.agent.slice('slice')
        self.assertEqual(0, report['charged_bytes'])
        self.assertGreater(report['launches'], 0)
