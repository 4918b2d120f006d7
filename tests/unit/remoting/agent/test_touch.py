# SPDX-License-Identifier: Apache-2.0
import unittest

from hypothesis import given
from hypothesis import strategies as st

from accelpool.remoting.agent import touch


class Account(unittest.TestCase):
    def setUp(self) -> None:
        self.account = touch.TouchAccount(100)
        for session in (1, 2):
            self.account.join(session)

    def test_what_is_needed_and_what_is_to_spare(self) -> None:
        self.assertEqual(60, self.account.allow(1, 50, 10))
        self.assertEqual(40, self.account.allow(2, 20, 100))
        self.assertEqual(0, self.account.allow(1, 1, 0))
        self.account.give_back(2, 30)
        self.assertEqual(0, self.account.allow(1, 31, 0))
        self.assertEqual(30, self.account.allow(1, 30, 0))

    def test_the_end_of_a_session_gives_everything_back(self) -> None:
        self.account.allow(1, 100, 0)
        self.account.leave(1)
        self.assertEqual(0, self.account.total)
        self.assertEqual(100, self.account.allow(2, 100, 0))

    def test_who_gives_back_what_is_not_theirs_is_broken(self) -> None:
        self.account.allow(1, 10, 0)
        self.assertRaises(touch.Broken, self.account.give_back, 2, 1)
        self.assertRaises(touch.Broken, self.account.give_back, 1, 11)
        self.assertRaises(touch.Broken, self.account.allow, 1, 0, 5)

    @given(st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(1, 80), st.integers(0, 80))))
    def test_never_more_than_the_host_has(self, questions: list[tuple[int, int, int]]) -> None:
        account = touch.TouchAccount(100)
        for session in (1, 2):
            account.join(session)
        for session, need, extra in questions:
            allowed = account.allow(session, need, extra)
            self.assertTrue(allowed == 0 or need <= allowed <= need + extra)
            self.assertLessEqual(account.total, 100)
