# SPDX-License-Identifier: Apache-2.0
"""What drivers let go of: whole devices of instances on the same host, and disabled devices that nobody uses."""

import unittest

from accelpool.conductor.resting import Holding, resting
from accelpool.types import Isolation


def rests(*holdings: Holding, **sessions: int) -> bool:
    return resting('host-a', holdings, sessions) == {'d'}


class Resting(unittest.TestCase):
    def test_a_disabled_device_without_slices(self) -> None:
        self.assertTrue(rests(Holding('d', False)))
        self.assertFalse(rests(Holding('d', True)))

    def test_a_disabled_device_as_long_as_it_is_used(self) -> None:
        one, two = (Holding('d', False, name, Isolation.SHARED) for name in ('s1', 's2'))
        self.assertTrue(rests(one, two, s1=0))
        self.assertFalse(rests(one, two, s2=1))
        self.assertFalse(rests(Holding('d', True, 's1', Isolation.SHARED)))
        self.assertEqual(frozenset(), resting('host-a', [one], None), 'nobody knows whether it is used')
        self.assertEqual({'d'}, resting('host-a', [Holding('d', False)], None))

    def test_what_is_used_without_sessions(self) -> None:
        self.assertTrue(rests(Holding('d', False, 's1', Isolation.PARTITION)))
        self.assertFalse(rests(Holding('d', False, 's1', Isolation.PARTITION, True, 'host-a')), 'a vGPU')
        self.assertFalse(rests(Holding('d', False, 's1', Isolation.MPS)))

    def test_a_whole_device_of_an_instance_on_the_same_host(self) -> None:
        for compute in ('host-a', 'host-a.example.org'):
            self.assertTrue(rests(Holding('d', True, 's1', Isolation.WHOLE, True, compute)), compute)
        self.assertTrue(rests(Holding('d', True, 's1', Isolation.WHOLE, False, 'host-a')), 'it is about to get it')
        for compute in ('host-b', None):
            self.assertFalse(rests(Holding('d', True, 's1', Isolation.WHOLE, True, compute), s1=1), compute)
        self.assertTrue(rests(Holding('d', False, 's1', Isolation.WHOLE, True, None)), 'disabled, and without a session')
