# SPDX-License-Identifier: Apache-2.0
import itertools
import unittest

from accelpool import errors
from accelpool.allocations.states import FINAL, HOLDING, TRANSITIONS, Event, State, diagram, next_state


class States(unittest.TestCase):
    def test_every_pair_leads_where_the_table_says_or_is_refused(self) -> None:
        for state, event in itertools.product(State, Event):
            with self.subTest(state=state, event=event):
                if (state, event) in TRANSITIONS:
                    self.assertEqual(TRANSITIONS[state, event], next_state(state, event))
                else:
                    self.assertRaises(errors.StateConflict, next_state, state, event)

    def test_every_state_but_released_can_be_released_and_then_ends(self) -> None:
        for state in set(State) - {State.RELEASED, State.RELEASING}:
            self.assertEqual(State.RELEASING, next_state(state, Event.RELEASE))
        self.assertEqual(State.RELEASED, next_state(State.RELEASING, Event.FINISH))
        self.assertEqual({State.RELEASED}, FINAL)

    def test_every_state_is_reached_from_pending(self) -> None:
        reached = {State.PENDING}
        while True:
            further = {target for (state, _), target in TRANSITIONS.items() if state in reached} - reached
            if not further:
                break
            reached |= further
        self.assertEqual(set(State), reached)

    def test_failure_is_possible_wherever_something_is_being_done(self) -> None:
        for state in HOLDING - {State.ERROR, State.RELEASING}:
            self.assertEqual(State.ERROR, next_state(state, Event.FAIL))

    def test_diagram_shows_every_transition(self) -> None:
        drawn = diagram()
        for (state, event), target in TRANSITIONS.items():
            line = next(line for line in drawn.splitlines() if line.strip().startswith(f'{state} -> {target} '))
            self.assertIn(event, line)
