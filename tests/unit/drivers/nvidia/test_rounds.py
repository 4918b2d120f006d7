# SPDX-License-Identifier: Apache-2.0
"""How long a look lasts when devices hang: time passes only where NVML is waited for."""

import unittest
from typing import Any

from accelpool import errors
from accelpool.drivers.nvidia.rounds import Rounds

DEADLINE, RETRY = 1.5, 10.0
GPUS = [f'GPU-{number}' for number in range(8)]


class FakeChannel:
    """NVML in which some devices hang, some wait behind those, and some end its process."""

    deadline = DEADLINE

    def __init__(self) -> None:
        self.time = 0.0
        self.hanging: set[str] = set()
        self.behind: set[str] = set()
        self.deadly: set[str] = set()
        self.slow = 0.0  # seconds that sound devices take
        self.closed = 0

    def ask(self, call: str, wanted: dict[str, bool], seconds: float, *, deadline: float) -> dict[str, Any]:
        if self.deadly & set(wanted):
            raise errors.DriverError('the process has ended')
        silent = self.hanging & set(wanted)
        if not silent:
            self.time += min(self.slow, seconds)
            silent = set(wanted) if self.slow > seconds else set()
        else:
            self.time += seconds
            silent |= self.behind
        return {uuid: {'result': {'condition': uuid, 'identity': anew}}
                for uuid, anew in wanted.items() if uuid not in silent}

    def close(self) -> None:
        self.closed += 1


class Budget(unittest.TestCase):
    def setUp(self) -> None:
        self.channel = FakeChannel()
        self.rounds = Rounds(self.channel, RETRY, lambda: self.channel.time)  # type: ignore[arg-type]

    def ask(self, spent: float = 0.0) -> set[str]:
        """Look as the conductor does; return the devices that are failed."""
        before = self.channel.time
        answers, failures, _ = self.rounds.ask(GPUS, lambda uuid: False, spent)
        self.assertLessEqual(spent + self.channel.time - before, 2 * DEADLINE, 'a look lasts two deadlines')
        self.assertEqual(set(GPUS), answers.keys() | failures.keys())
        self.assertFalse(answers.keys() & failures.keys())
        self.channel.time += 2.0
        return set(failures)

    def test_several_that_hang_are_told_by_one_look_and_cost_no_look_more_than_a_deadline(self) -> None:
        self.assertEqual(set(), self.ask())
        self.channel.hanging = set(GPUS[:4])
        for _ in range(30):
            self.assertEqual(set(GPUS[:4]), self.ask())
        self.channel.hanging = set()
        for _ in range(10):
            failed = self.ask()
        self.assertEqual(set(), failed)

    def test_one_that_begins_to_hang_is_seen_while_others_hang(self) -> None:
        self.channel.hanging = set(GPUS[:3])
        self.ask()
        self.channel.hanging = set(GPUS[:4])
        self.assertEqual(set(GPUS[:4]), self.ask())

    def test_one_that_waits_behind_another_is_soon_told_from_it(self) -> None:
        self.channel.hanging, self.channel.behind = {GPUS[0]}, set(GPUS[1:])
        self.assertEqual(set(GPUS), self.ask())
        for _ in range(len(GPUS)):
            failed = self.ask()
        self.assertEqual({GPUS[0]}, failed)
        self.assertEqual({GPUS[0]}, self.ask(), 'left alone, so that nobody waits behind it')

    def test_one_that_is_late_once_is_sound(self) -> None:
        """All of them: they wait for each other inside the kernel's driver."""
        self.channel.slow = 1.9 * DEADLINE
        self.assertEqual(set(), self.ask())
        self.channel.slow = 2.1 * DEADLINE
        self.assertEqual(set(GPUS), self.ask())

    def test_a_look_that_has_lasted_leaves_one_deadline(self) -> None:
        self.channel.hanging = {GPUS[0]}
        self.assertEqual({GPUS[0]}, self.ask(spent=DEADLINE))
        self.channel.slow = 0.9 * DEADLINE
        self.assertEqual({GPUS[0]}, self.ask(spent=DEADLINE))

    def test_one_that_hung_is_asked_again_when_the_others_are_slow(self) -> None:
        self.channel.hanging = {GPUS[0]}
        self.ask()
        self.channel.hanging, self.channel.slow = set(), 1.6 * DEADLINE
        self.channel.time += RETRY
        self.assertEqual({GPUS[0]}, self.ask(), 'there is not enough time in this look')
        self.channel.slow = 0.7 * DEADLINE
        self.assertEqual(set(), self.ask())

    def test_one_that_hung_is_left_alone_for_a_while(self) -> None:
        self.channel.hanging = {GPUS[0]}
        self.ask()
        closed = self.channel.closed
        self.ask()
        self.ask()
        self.assertEqual(closed, self.channel.closed)

    def test_one_that_ends_the_process_fails_alone(self) -> None:
        self.channel.deadly = {GPUS[2]}
        self.assertEqual({GPUS[2]}, self.ask())
