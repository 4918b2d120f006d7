# SPDX-License-Identifier: Apache-2.0
"""The vendor's list of error codes, and what the pool makes of it."""

import collections
import unittest

import yaml

from accelpool.drivers.ascend import describe, faults
from accelpool.drivers.ascend.faults import Action
from accelpool.types import Health


class Faults(unittest.TestCase):

    def test_every_code_has_one_action(self) -> None:
        with open(faults.__file__.replace('.py', '.yaml')) as file:
            listed = [code for codes in yaml.safe_load(file).values() for code in codes]
        self.assertEqual(len(listed), len(faults.actions()))
        self.assertEqual({8}, {len(code) for code in listed})
        self.assertEqual(listed, [f'{int(code, 16):08X}' for code in listed])
        self.assertEqual({Action.IGNORE: 131, Action.SUB_HEALTH: 11, Action.RESTART_REQUEST: 33,
                          Action.RESTART_APPLICATION: 24, Action.RESET_WHEN_IDLE: 23, Action.DRAIN: 199,
                          Action.RESET: 162, Action.ISOLATE: 214}, collections.Counter(faults.actions().values()))

    def test_every_action_is_acted_on(self) -> None:
        seen = {}
        for code, action in faults.actions().items():
            health, reason = describe.verdict(0, [code], ())
            seen[action] = health
            self.assertEqual(reason, None if action == Action.IGNORE else f'{code}: {faults.ADVICE[action]}')
        self.assertEqual({
            Action.IGNORE: Health.OK, Action.SUB_HEALTH: Health.DEGRADED, Action.RESTART_REQUEST: Health.DEGRADED,
            Action.RESTART_APPLICATION: Health.DEGRADED, Action.RESET_WHEN_IDLE: Health.DEGRADED,
            Action.DRAIN: Health.DEGRADED, Action.RESET: Health.FAILED, Action.ISOLATE: Health.FAILED}, seen)

    def test_the_gravest_counts(self) -> None:
        self.assertEqual((Health.FAILED, '80E18402: ' + faults.ADVICE[Action.ISOLATE]),
                         faults.verdict(['80E21007', '80E18005', '80E18402', 'FFFFFFFF']))
        self.assertEqual((Health.OK, None), faults.verdict(['80E21007']))
        self.assertIsNone(faults.verdict(['FFFFFFFF']))
        self.assertIsNone(faults.verdict([]))

    def test_a_code_that_nobody_knows_leaves_it_to_the_health(self) -> None:
        for health, wanted in ((0, Health.OK), (1, Health.DEGRADED), (2, Health.FAILED), (3, Health.FAILED)):
            self.assertEqual(wanted, describe.verdict(health, ['FFFFFFFF', '80E21007'], ())[0])
