# SPDX-License-Identifier: Apache-2.0
"""When another process begins to watch devices."""

import unittest
from typing import Any

from accelpool import errors
from accelpool.drivers.nvidia.watch import Watch


class FakeChannel:
    """``answers``: what it says, one after the other; the last one for ever."""

    deadline = 1.0

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.closed = False

    def ask(self, call: str, *_: Any, deadline: float) -> Any:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


def heard(*xids: int, deaf: str | None = None) -> dict[str, Any]:
    return {'events': [{'uuid': 'a', 'kind': 'xid', 'data': code, 'instance': None} for code in xids], 'deaf': deaf}


class Deaf(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 100.0

    def watch(self, *channels: FakeChannel) -> Watch:
        self.channels = list(channels)
        self.made = 0

        def make() -> Any:
            self.made += 1
            return self.channels[self.made - 1]
        return Watch(make, 10.0, lambda: self.now)

    def codes(self, watch: Watch) -> list[int]:
        return [one['data'] for one in watch.events({'a', 'b'})]

    def test_what_was_heard_before_is_told(self) -> None:
        watch = self.watch(FakeChannel(heard(), heard(79, deaf='lost'), heard(deaf='lost')),
                           FakeChannel(heard(1), heard(2)))
        self.assertEqual([[], [79, 1], [2]], [self.codes(watch) for _ in range(3)])
        self.assertTrue(self.channels[0].closed)

    def test_one_that_is_deaf_from_the_start_is_not_replaced_at_each_look(self) -> None:
        watch = self.watch(FakeChannel(heard(79, deaf='lost')), FakeChannel(heard(deaf='lost')), FakeChannel(heard(3)))
        for _ in range(5):
            self.codes(watch)
        self.assertEqual(2, self.made)
        self.now += 10
        self.assertEqual(([3], 3), (self.codes(watch), self.made))

    def test_one_that_cannot_begin_loses_nothing(self) -> None:
        watch = self.watch(FakeChannel(heard(79, deaf='lost'), heard(deaf='lost')), FakeChannel(errors.DriverError('hangs')),
                           FakeChannel(heard(4)))
        self.assertEqual([[79], []], [self.codes(watch) for _ in range(2)])
        self.now += 10
        self.assertEqual([4], self.codes(watch))
