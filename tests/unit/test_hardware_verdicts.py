# SPDX-License-Identifier: Apache-2.0
import unittest

from accelpool.drivers import programs
from tests.hardware import overhead, verdicts


class Judging(unittest.TestCase):
    def test_a_long_kernel_may_be_one_percent_slower(self) -> None:
        self.assertTrue(verdicts.kernel('gemm', 'tcp ptx', 99.0, 100.0).met)
        self.assertFalse(verdicts.kernel('gemm', 'tcp ptx', 98.9, 100.0).met)
        self.assertTrue(verdicts.kernel('step', 'tcp ptx', 90.0, 100.0).met)

    def test_copies_are_held_to_what_is_slower_device_or_transport(self) -> None:
        self.assertTrue(verdicts.copies('tcp', 4.3, native=25.0, transport=5.0).met)
        self.assertFalse(verdicts.copies('unix', 20.0, native=25.0, transport=40.0).met)

    def test_copies_of_others_may_cost_a_tenth(self) -> None:
        self.assertTrue(verdicts.beside_copies(90.0, 100.0).met)
        self.assertFalse(verdicts.beside_copies(89.0, 100.0).met)

    def test_shares_within_two_points(self) -> None:
        self.assertTrue(verdicts.share('shares 10/90', 10, 12.0).met)
        self.assertFalse(verdicts.share('shares 10/90', 10, 7.9).met)


class Overhead(unittest.TestCase):
    def beyond(self, *processes: tuple[int, int]) -> dict[str, float | None]:
        before = {'memory_used': 600, 'processes': [{'pid': 1, 'memory': 50}]}
        during = {'memory_used': 1030, 'processes': [
            {'pid': 1, 'memory': 50}, *({'pid': pid, 'memory': memory} for pid, memory in processes)]}
        return overhead.beyond(before, during, 4 << 20, lambda pid: programs.WORKER if pid < 100 else 'python3')

    def test_of_the_new_worker(self) -> None:
        self.assertEqual({'process_mib': 416.0, 'device_mib': 426.0}, self.beyond((7, 420), (107, 10)))

    def test_of_the_device_where_nvml_does_not_tell_of_processes(self) -> None:
        for processes in ((), ((7, 0),), ((107, 420),)):
            self.assertEqual({'process_mib': None, 'device_mib': 426.0}, self.beyond(*processes))
