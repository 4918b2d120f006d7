# SPDX-License-Identifier: Apache-2.0
"""A slice's memory accounts are exact, and never oversold."""

import unittest

import hypothesis
from hypothesis import stateful, strategies

from accelpool.remoting.agent import ledger
from accelpool.remoting.agent.ledger import Answer, Recall

LIMIT = 1000
SECOND = 1_000_000_000
#: What a further session costs its slice.
CONTEXT = 70


class Reserving(unittest.TestCase):

    def setUp(self) -> None:
        self.ledger = ledger.Ledger(LIMIT)
        self.ledger.join(1)
        self.ledger.join(2)

    def reserve(self, session: int, need: int, extra: int = 0, question: int = 7, now: int = 0) -> list[ledger.Action]:
        return self.ledger.reserve(session, question, need, extra, now)

    def test_extra_is_given_as_far_as_it_goes(self) -> None:
        self.assertEqual(self.reserve(1, 600, 100), [Answer(1, 7, 700)])
        self.assertEqual(self.reserve(2, 200, 500), [Answer(2, 7, 300)])
        self.assertEqual((self.ledger.free, self.ledger.reserved, self.ledger.peak), (0, 1000, 1000))

    def test_alone_out_of_memory_is_said_at_once(self) -> None:
        self.reserve(1, 900)
        self.assertEqual(self.reserve(1, 101), [Answer(1, 7, 0)])
        self.assertEqual(self.ledger.held_by(1), 900)

    def test_more_than_the_slice_is_refused_without_asking_anybody(self) -> None:
        self.reserve(2, 10)
        self.assertEqual(self.reserve(1, 1001), [Answer(1, 7, 0)])

    def test_others_are_asked_for_what_they_do_not_use(self) -> None:
        self.reserve(2, 100, 800)
        self.assertEqual(self.reserve(1, 300), [Recall(2, 300)])
        self.assertEqual(self.ledger.deadline, SECOND)
        self.assertEqual(self.ledger.release(2, 250, recalled=True), [Answer(1, 7, 300)])
        self.assertIsNone(self.ledger.deadline)

    def test_when_all_have_answered_and_it_is_not_enough_nobody_waits_longer(self) -> None:
        self.reserve(2, 900)
        self.reserve(1, 300)
        self.assertEqual(self.ledger.release(2, 50, recalled=True), [Answer(1, 7, 0)])
        self.assertEqual(self.ledger.reserved, 850)

    def test_a_client_that_does_not_answer_costs_a_second(self) -> None:
        self.reserve(2, 900)
        self.reserve(1, 300, now=5)
        self.assertEqual(self.ledger.expire(SECOND), [])
        self.assertEqual(self.ledger.expire(SECOND + 5), [Answer(1, 7, 0)])

    def test_a_death_serves_who_waits(self) -> None:
        self.reserve(2, 900)
        self.reserve(1, 300)
        self.assertEqual(self.ledger.leave(2), [Answer(1, 7, 300)])

    def test_the_dead_get_no_answer(self) -> None:
        self.reserve(2, 900)
        self.reserve(1, 300)
        self.assertEqual(self.ledger.leave(1), [])
        self.assertIsNone(self.ledger.deadline)
        self.assertEqual(self.ledger.reserved, 900)

    def test_first_come_first_served(self) -> None:
        self.ledger.join(3)
        self.reserve(2, 900)
        self.reserve(1, 300, question=1)
        self.assertEqual(self.reserve(3, 50, question=2), [Recall(2, 50)])
        self.assertEqual(self.ledger.release(2, 400, recalled=False), [Answer(1, 1, 300), Answer(3, 2, 50)])

    def test_a_smaller_slice_has_nothing_free(self) -> None:
        self.reserve(1, 900)
        self.ledger.resize(500)
        self.assertEqual(self.ledger.free, 0)
        self.assertEqual(self.reserve(1, 1), [Answer(1, 7, 0)])

    def test_the_first_context_is_the_devices_and_the_others_the_slices(self) -> None:
        one = ledger.Ledger(LIMIT)
        self.assertTrue(one.join(1, 400))
        self.assertTrue(one.join(2, 400))
        self.assertEqual((400, 400), (one.reserved, one.peak))
        self.assertEqual([Answer(1, 7, 0)], one.reserve(1, 7, 601, 0, 0), 'a context is not given back on demand')
        one.reserve(1, 8, 300, 0, 0)
        self.assertFalse(one.join(3, 400))
        with self.assertRaises(ledger.ProtocolError):
            one.release(2, 1, recalled=False)  # nor by a worker that says it was its memory
        one.leave(1)
        self.assertEqual(0, one.reserved, 'the device pays for the one that is left')

    def test_giving_back_more_than_one_has_is_against_the_rules(self) -> None:
        self.reserve(1, 10)
        with self.assertRaises(ledger.ProtocolError):
            self.ledger.release(1, 11, recalled=False)
        with self.assertRaises(ledger.ProtocolError):
            self.reserve(1, 0)
        self.assertEqual(self.ledger.held_by(1), 10)


class Accounts(stateful.RuleBasedStateMachine):
    """Random sessions against a plain model of who has been granted what."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = ledger.Ledger(LIMIT)
        self.held: dict[int, int] = {}
        self.open: dict[tuple[int, int], int] = {}
        self.now = self.questions = self.sessions = 0

    def take(self, actions: list[ledger.Action]) -> None:
        for action in actions:
            if isinstance(action, Answer):
                need = self.open.pop((action.session, action.question))
                assert action.granted == 0 or action.granted >= need
                self.held[action.session] += action.granted
            else:
                assert self.held[action.session] > 0

    @stateful.rule()
    def join(self) -> None:
        self.sessions += 1
        room = self.ledger.free
        if self.ledger.join(self.sessions, CONTEXT):
            self.held[self.sessions] = 0
        else:
            assert self.held and room < CONTEXT

    @stateful.precondition(lambda self: self.held)
    @stateful.rule(data=strategies.data(), need=strategies.integers(1, 1200), extra=strategies.integers(0, 500))
    def reserve(self, data: strategies.DataObject, need: int, extra: int) -> None:
        session = data.draw(strategies.sampled_from(sorted(self.held)))
        self.questions += 1
        self.open[session, self.questions] = need
        self.take(self.ledger.reserve(session, self.questions, need, extra, self.now))

    @stateful.precondition(lambda self: self.held)
    @stateful.rule(data=strategies.data(), recalled=strategies.booleans())
    def release(self, data: strategies.DataObject, recalled: bool) -> None:
        session = data.draw(strategies.sampled_from(sorted(self.held)))
        size = data.draw(strategies.integers(0, self.held[session]))
        self.held[session] -= size
        self.take(self.ledger.release(session, size, recalled))

    @stateful.precondition(lambda self: self.held)
    @stateful.rule(data=strategies.data())
    def leave(self, data: strategies.DataObject) -> None:
        session = data.draw(strategies.sampled_from(sorted(self.held)))
        del self.held[session]
        self.open = {key: need for key, need in self.open.items() if key[0] != session}
        self.take(self.ledger.leave(session))

    @stateful.rule(pause=strategies.integers(0, 2 * SECOND))
    def wait(self, pause: int) -> None:
        self.now += pause
        self.take(self.ledger.expire(self.now))
        due = self.ledger.deadline
        assert due is None or due > self.now

    @stateful.invariant()
    def accounts_are_exact(self) -> None:
        contexts = CONTEXT * max(0, len(self.held) - 1)
        assert self.ledger.reserved == sum(self.held.values()) + contexts <= LIMIT
        assert self.ledger.free == LIMIT - self.ledger.reserved
        assert (self.ledger.deadline is None) == (not self.open)


TestAccounts = Accounts.TestCase
TestAccounts.settings = hypothesis.settings(max_examples=60, stateful_step_count=40, deadline=None)
