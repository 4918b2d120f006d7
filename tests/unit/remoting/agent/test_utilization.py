# SPDX-License-Identifier: Apache-2.0
import unittest

from accelpool.remoting.agent.utilization import Utilization

MS = 1_000_000


def work(utilization: Utilization, begin: int, end: int, used: int, part: float, step: int = 10) -> int:
    """Report every ``step`` ms from ``begin`` to ``end`` (ms) that a part of the time was used; return what is used."""
    for now in range(begin + step, end + 1, step):
        used += int(part * step * MS)
        utilization.note(used, now * MS)
    return used


class Percent(unittest.TestCase):
    def test_the_part_of_the_last_second(self) -> None:
        for step in (1, 10, 100):
            with self.subTest(step=step):
                one = Utilization(0)
                used = work(one, 0, 5000, 0, 0.3, step)
                self.assertAlmostEqual(30, one.percent(used, 5000 * MS), delta=1)
                used = work(one, 5000, 7000, used, 0.8, step)
                self.assertAlmostEqual(80, one.percent(used, 7000 * MS), delta=1)

    def test_nothing_before_and_after_work(self) -> None:
        one = Utilization(0)
        self.assertEqual(0, one.percent(0, 0))
        used = work(one, 0, 3000, 0, 1)
        self.assertEqual(100, one.percent(used, 3000 * MS))
        self.assertEqual(0, one.percent(used, 60_000 * MS))

    def test_reports_that_follow_closely_are_not_used_again_for_ever(self) -> None:
        for step in (10, 30, 45):
            one = Utilization(0)
            used = work(one, 0, 1000, 0, 1, step)
            self.assertEqual(0, one.percent(used, 60_000 * MS), step)

    def test_work_after_a_pause_is_work_of_the_last_second(self) -> None:
        one = Utilization(0)
        used = work(one, 0, 1000, 0, 1)
        used = work(one, 60_000, 60_500, used, 1)
        self.assertEqual(50, one.percent(used, 60_500 * MS))

    def test_a_long_kernel_counts_when_it_is_done_and_is_never_more_than_all(self) -> None:
        one = Utilization(0)
        one.note(30_000 * MS, 30_000 * MS)
        self.assertEqual(100, one.percent(30_000 * MS, 30_000 * MS))

    def test_it_does_not_grow(self) -> None:
        one = Utilization(0)
        work(one, 0, 100_000, 0, 1, 1)
        self.assertLess(len(one._seen), 25)
