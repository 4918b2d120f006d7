# SPDX-License-Identifier: Apache-2.0
import datetime
import unittest

from accelpool.allocations.reconciler import Action, Seen, Step, decide
from accelpool.allocations.states import State

NOW = datetime.datetime(2026, 1, 1)
PATIENCE = datetime.timedelta(seconds=5)
LONG_AGO, JUST_NOW = NOW - datetime.timedelta(seconds=6), NOW - datetime.timedelta(seconds=1)
HOSTS = frozenset({'host-a'})


class Decide(unittest.TestCase):
    def step(self, state: State, updated: datetime.datetime = LONG_AGO, **values: object) -> Step | None:
        actions = decide([Seen('x', state, updated, **values)], NOW, PATIENCE)
        return actions[0].step if actions else None

    def test_what_is_stuck_gets_its_message_again(self) -> None:
        self.assertEqual(Step.SCHEDULE, self.step(State.PENDING))
        self.assertEqual(Step.BIND, self.step(State.SCHEDULED, hosts=HOSTS))
        self.assertEqual(Step.BIND, self.step(State.BINDING, hosts=HOSTS))
        self.assertEqual(Step.RELEASE, self.step(State.RELEASING, hosts=HOSTS))
        self.assertEqual(Step.FINISH, self.step(State.RELEASING))
        self.assertEqual(Step.RELEASE, self.step(State.ERROR, hosts=HOSTS))

    def test_what_is_under_way_or_settled_is_left_alone(self) -> None:
        for state in State:
            self.assertIsNone(self.step(state, JUST_NOW, hosts=HOSTS), state)
        for state in (State.ACTIVE, State.SUSPENDED, State.ERROR, State.RELEASED):
            self.assertIsNone(self.step(state), state)

    def test_what_has_expired_is_released_once(self) -> None:
        for state in set(State) - {State.RELEASING, State.RELEASED}:
            self.assertEqual(Step.EXPIRE, self.step(state, JUST_NOW, expires_at=NOW))
        self.assertIsNone(self.step(State.RELEASING, JUST_NOW, expires_at=LONG_AGO))
        self.assertIsNone(self.step(State.RELEASED, expires_at=LONG_AGO))
        self.assertIsNone(self.step(State.ACTIVE, expires_at=NOW + PATIENCE))

    def test_action_names_the_hosts(self) -> None:
        self.assertEqual([Action(Step.BIND, 'x', HOSTS)],
                         decide([Seen('x', State.BINDING, LONG_AGO, hosts=HOSTS)], NOW, PATIENCE))
