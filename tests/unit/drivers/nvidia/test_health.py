# SPDX-License-Identifier: Apache-2.0
"""From events to health and back: pure."""

import dataclasses
import unittest

from hypothesis import given
from hypothesis import strategies as st

from accelpool.drivers.nvidia import health, xid
from accelpool.drivers.nvidia.health import Look
from accelpool.drivers.nvidia.xid import Action
from accelpool.types import Health

LOOK = Look(boot='b1', energy=1000, recovery=0, processes=frozenset({1, 2}))


def event(code: int, instance: int | None = None) -> dict:
    return {'kind': 'xid', 'data': code, 'instance': instance}


class Ailments(unittest.TestCase):
    def test_what_cures_what(self) -> None:
        same = LOOK
        looks = {
            'nothing': same,
            'one of its processes ended': dataclasses.replace(same, processes=frozenset({2, 3})),
            'reset': dataclasses.replace(same, energy=5),
            'restart': dataclasses.replace(same, boot='b2'),
        }
        cases = {
            94: {'one of its processes ended', 'reset', 'restart'}, 109: {'reset', 'restart'}, 79: {'restart'},
            58: {'reset', 'restart'}}
        for code, cures in cases.items():
            ailment, = health.contracted([event(code)], LOOK)
            self.assertEqual(cures, {name for name, look in looks.items() if health.cured(ailment, look)}, code)

    def test_what_caused_it_may_have_ended_before_it_was_seen(self) -> None:
        now = dataclasses.replace(LOOK, processes=frozenset({2, 3}))
        ailment, = health.contracted([event(31)], now, LOOK)
        self.assertEqual((1, 2, 3), ailment.processes)
        self.assertTrue(health.cured(ailment, now))
        ailment, = health.contracted([event(31)], now, now)
        self.assertFalse(health.cured(ailment, now))

    def test_in_a_mig_instance_only_its_own_processes_count(self) -> None:
        mig = dataclasses.replace(LOOK, instances={4: frozenset({1}), 5: frozenset({2})})
        for instance, look, before, wanted in (
                (4, mig, None, (1,)), (6, mig, mig, ()), (None, mig, None, (1, 2)),
                (4, LOOK, None, (1, 2)),  # NVML does not tell
                (4, dataclasses.replace(mig, instances={5: frozenset({2})}), mig, (1,))):
            with self.subTest(instance=instance):
                ailment, = health.contracted([event(31, instance)], look, before)
                self.assertEqual(wanted, ailment.processes)

    def test_the_drivers_word_that_no_action_is_needed_any_more_cures(self) -> None:
        ailment, = health.contracted([event(109)], dataclasses.replace(LOOK, energy=None, recovery=1))
        self.assertFalse(health.cured(ailment, dataclasses.replace(LOOK, energy=None, recovery=1)))
        self.assertTrue(health.cured(ailment, dataclasses.replace(LOOK, energy=None, recovery=0)))
        self.assertFalse(health.cured(ailment, dataclasses.replace(LOOK, energy=None, recovery=None)))

    def test_the_drivers_word_may_come_after_the_event(self) -> None:
        quiet = dataclasses.replace(LOOK, energy=None, recovery=0)
        for recovery in (None, 0):
            ailments = health.contracted([event(109)], dataclasses.replace(quiet, recovery=recovery))
            self.assertEqual(ailments, health.followed(ailments, quiet))
            ailments = health.followed(ailments, dataclasses.replace(quiet, recovery=1))
            self.assertEqual([1], [one.recovery for one in ailments])
            self.assertEqual([], health.followed(ailments, quiet))

    def test_without_energy_counter_and_drivers_word_only_a_restart_of_the_host_cures(self) -> None:
        """A GPU before Volta with a driver before 570: nothing shows that it was reset."""
        blind = dataclasses.replace(LOOK, energy=None, recovery=None)
        ailment, = health.contracted([event(109)], blind)
        self.assertFalse(health.cured(ailment, dataclasses.replace(blind, processes=frozenset())))
        self.assertTrue(health.cured(ailment, dataclasses.replace(blind, boot='b2')))

    def test_a_repeated_ailment_counts_from_its_last_time(self) -> None:
        first = health.contracted([event(109)], LOOK)
        again = health.contracted([event(109)], dataclasses.replace(LOOK, energy=2000))
        self.assertEqual(again, health.merged(first, again))

    @given(st.lists(st.integers(1, 172), max_size=6))
    def test_the_verdict_is_that_of_the_worst(self, codes: list[int]) -> None:
        ailments = health.merged([], health.contracted([event(code) for code in codes], LOOK))
        actions = {xid.action(code) for code in codes} - {Action.IGNORE}
        found, reason = health.verdict(ailments, LOOK)
        self.assertEqual(Health.FAILED if actions & health.BROKEN else Health.DEGRADED if actions else Health.OK, found)
        self.assertEqual(reason is None, found == Health.OK)
        self.assertLessEqual(len(reason or ''), 255)

    def test_what_needs_no_memory(self) -> None:
        for field, value, wanted in (('remap_failure', True, Health.FAILED), ('recovery', 2, Health.FAILED),
                                     ('recovery', 3, Health.DEGRADED), ('recovery', 4, Health.DEGRADED),
                                     ('mig_pending', True, Health.DEGRADED), ('foreign', (7,), Health.DEGRADED)):
            self.assertEqual(wanted, health.verdict([], dataclasses.replace(LOOK, **{field: value}))[0], field)
        self.assertEqual((Health.OK, None), health.verdict([], LOOK))
