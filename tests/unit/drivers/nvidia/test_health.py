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


def event(code: int) -> dict:
    return {'kind': 'xid', 'data': code, 'instance': None}


class Ailments(unittest.TestCase):
    def test_what_cures_what(self) -> None:
        same = LOOK
        looks = {
            'nothing': same,
            'its processes ended': dataclasses.replace(same, processes=frozenset({3})),
            'reset': dataclasses.replace(same, energy=5),
            'restart': dataclasses.replace(same, boot='b2'),
        }
        cases = {
            94: {'its processes ended', 'reset', 'restart'}, 109: {'reset', 'restart'}, 79: {'restart'},
            58: {'reset', 'restart'}}
        for code, cures in cases.items():
            ailment, = health.contracted([event(code)], LOOK)
            self.assertEqual(cures, {name for name, look in looks.items() if health.cured(ailment, look)}, code)

    def test_the_drivers_word_that_no_action_is_needed_any_more_cures(self) -> None:
        ailment, = health.contracted([event(109)], dataclasses.replace(LOOK, energy=None, recovery=1))
        self.assertFalse(health.cured(ailment, dataclasses.replace(LOOK, energy=None, recovery=1)))
        self.assertTrue(health.cured(ailment, dataclasses.replace(LOOK, energy=None, recovery=0)))
        self.assertFalse(health.cured(ailment, dataclasses.replace(LOOK, energy=None, recovery=None)))

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
                                     ('mig_pending', True, Health.DEGRADED), ('foreign', (7,), Health.DEGRADED)):
            self.assertEqual(wanted, health.verdict([], dataclasses.replace(LOOK, **{field: value}))[0], field)
        self.assertEqual((Health.OK, None), health.verdict([], LOOK))
