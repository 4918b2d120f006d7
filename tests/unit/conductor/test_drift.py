# SPDX-License-Identifier: Apache-2.0
"""The database is right: agent and drivers are brought to what it says."""

import unittest

from accelpool.allocations.states import State
from accelpool.conductor import drift

CARVED = {'s': 'mock'}


def row(state: State = State.ACTIVE, bound: bool = True, generation: int = 1) -> drift.Row:
    return drift.Row('s', 'a', generation, bound, state)


class Compare(unittest.TestCase):
    def test_all_is_well(self) -> None:
        self.assertEqual(drift.Drift(), drift.compare([row()], {'s': 1}, CARVED))

    def test_what_is_missing_somewhere_is_bound_again(self) -> None:
        for case in ((row(), {}, CARVED), (row(bound=False), {'s': 1}, CARVED),
                     (row(generation=2), {'s': 1}, CARVED), (row(State.SCHEDULED, False), {}, {})):
            self.assertEqual(drift.Drift(bind={'a'}), drift.compare([case[0]], *case[1:]))

    def test_what_the_agent_needs_not_have(self) -> None:
        self.assertEqual(drift.Drift(), drift.compare([row()], {}, CARVED, {'s': 1}))
        self.assertEqual(drift.Drift(bind={'a'}), drift.compare([row(generation=2)], {}, CARVED, {'s': 1}))
        self.assertEqual(drift.Drift(destroy=CARVED), drift.compare([], {}, CARVED, {'s': 1}))

    def test_what_was_usable_and_is_not_there_is_lost_and_bound_again(self) -> None:
        self.assertEqual(drift.Drift(bind={'a'}, lost={'s': 'a'}), drift.compare([row()], {'s': 1}, {}))
        self.assertEqual(drift.Drift(bind={'a'}), drift.compare([row(bound=False)], {'s': 1}, {}))

    def test_what_is_being_given_back_is_given_back_again(self) -> None:
        for state in (State.RELEASING, State.ERROR):
            self.assertEqual(drift.Drift(release={'a'}), drift.compare([row(state)], {}, {}))

    def test_what_nobody_owns_is_taken_apart(self) -> None:
        self.assertEqual(drift.Drift(unbind={'s'}, destroy=CARVED), drift.compare([], {'s': 1}, CARVED))
