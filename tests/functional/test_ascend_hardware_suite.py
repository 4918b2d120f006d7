# SPDX-License-Identifier: Apache-2.0
"""The Ascend hardware suite, unchanged, on the emulated device: on a real host its own mistakes must not cost a visit."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from tests.fakes.dcmi.host import Host
from tests.functional.npu import needs_torch_npu
from tests.hardware.ascend import slices

ROOT = pathlib.Path(__file__).parents[2]
#: Those that need torch; one of them never runs on an emulated device.
TORCH = 4


class Rehearsal(unittest.TestCase):
    def rehearse(self, python: str) -> tuple[int, str]:
        """Run it with an interpreter of torch; return (how many it skipped, what it printed)."""
        done = subprocess.run(
            [sys.executable, '-m', 'tests.hardware.ascend'], cwd=ROOT, text=True, capture_output=True, check=False,
            env={**os.environ, 'ACCELPOOL_HW_EMULATED': '1', 'ACCELPOOL_NPU_PYTHON': python}, timeout=900)
        printed = done.stdout + done.stderr
        self.assertEqual(0, done.returncode, printed)
        counts = re.search(r'^ascend suite: 8 tests, 0 failed, (\d+) skipped$', printed, re.MULTILINE)
        assert counts is not None, printed
        return int(counts[1]), printed

    def test_without_torch_what_needs_it_is_skipped_and_counted(self) -> None:
        skipped, printed = self.rehearse('/nowhere/python')
        self.assertEqual(TORCH, skipped)
        self.assertEqual(TORCH, len(re.findall('^skipped: ', printed, re.MULTILINE)))
        self.assertIn('no interpreter with torch and torch-npu: /nowhere/python', printed)

    @needs_torch_npu
    def test_with_torch(self) -> None:
        self.assertEqual(1, self.rehearse(slices.PYTHON)[0])

    def test_the_drivers_part_as_on_a_host_of_its_own(self) -> None:
        """The stand-in's library and npu-smi are where the real ones would be."""
        for description in ('atlas-300i-duo', 'atlas-800t-a2'):
            for mutate, ending in (('0', r'set ACCELPOOL_HW_MUTATE=1[^$]*OK \(skipped=1\)'), ('1', r'OK$')):
                with self.subTest(description, mutate=mutate), tempfile.TemporaryDirectory() as place:
                    host = Host(description, pathlib.Path(place, 'dcmi-state'))
                    self.addCleanup(host.close)
                    host.smi()
                    done = subprocess.run(
                        [sys.executable, '-m', 'unittest', '-v', 'tests.hardware.ascend.driver'], cwd=ROOT, text=True,
                        capture_output=True, check=False, timeout=300, env={
                            **os.environ, **host.env, 'PATH': f'{place}:{os.environ["PATH"]}', 'ACCELPOOL_HW_MUTATE': mutate})
                    self.assertRegex(done.stderr.strip(), ending)
                    self.assertEqual([], host.vdevices(0))

    def test_a_host_on_which_no_npu_is_found_fails(self) -> None:
        case = slices.Slices('test_the_npu_is_found_and_well')
        with mock.patch.object(case, 'accelpool', return_value='[]'), self.assertRaisesRegex(AssertionError, 'no device'):
            case.test_the_npu_is_found_and_well()
