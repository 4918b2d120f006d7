# SPDX-License-Identifier: Apache-2.0
"""The hardware suite's tests of the driver, unchanged, on the stand-in of NVML."""

import os
import pathlib
import tempfile
import unittest
from unittest import mock

from oslo_config import cfg

from accelpool import conf
from tests.fakes.nvml import host as fake
from tests.hardware import support, test_inventory

#: What of the suite needs neither NVIDIA's own programs nor device nodes.
TESTS = (
    test_inventory.Inventory('test_metrics_are_plausible'),
    test_inventory.Mutations('test_mig_instances_of_every_profile'),
)


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
