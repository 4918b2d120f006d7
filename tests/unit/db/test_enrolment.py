# SPDX-License-Identifier: Apache-2.0
"""Tokens are used once, by one guest, in time; a live guest keeps its place."""

import datetime
import unittest

from accelpool import errors
from accelpool.db import allocation, enrolment, models, session
from tests.support import database

MINUTE = datetime.timedelta(minutes=1)
WHOM = {'project_id': 'p', 'consumer_type': 'instance', 'consumer_id': 'vm-1'}


def issue(lifetime: datetime.timedelta = 10 * MINUTE, **whom: str) -> str:
    with session.writer() as writer:
        return enrolment.issue(writer, lifetime=lifetime, **WHOM | whom)[0]


def exchange(token: str, key: str, consumer: str = 'vm-1', lapse: datetime.timedelta = 5 * MINUTE) -> str:
    with session.writer() as writer:
        return enrolment.exchange(writer, token, consumer, enrolment.digest(key), lapse).id


def proven(identifier: str, key: str) -> models.Enrolment:
    with session.writer() as writer:
        return enrolment.proven(writer, identifier, key)


class Enrolments(unittest.TestCase):
    def setUp(self) -> None:
        database.use(self)

    def refused(self, token: str, key: str = 'k', consumer: str = 'vm-1') -> None:
        with self.assertRaises(errors.Forbidden) as caught:
            exchange(token, key, consumer)
        self.assertEqual(enrolment.REFUSED, caught.exception.detail)

    def test_token_becomes_the_key_that_the_guest_chose(self) -> None:
        identifier = exchange(issue(), 'key')
        self.assertEqual('vm-1', proven(identifier, 'key').consumer_id)
        for wrong in ('', 'other', 'key '):
            self.assertRaises(errors.Forbidden, proven, identifier, wrong)
        self.assertRaises(errors.Forbidden, proven, 'nobody', 'key')

    def test_guest_that_lost_the_answer_asks_again_and_nobody_else_can(self) -> None:
        token = issue()
        first = exchange(token, 'key')
        self.assertEqual(first, exchange(token, 'key'))
        self.refused(token, 'another key')

    def test_wrong_late_and_foreign_tokens_are_refused_alike(self) -> None:
        token = issue()
        self.refused(token, consumer='vm-2')
        self.refused(token + 'x')
        self.refused(token.partition('.')[0])
        self.refused('.')
        self.refused(issue(lifetime=-MINUTE))
        exchange(token, 'key')  # none of the attempts has used it up

    def test_place_of_a_live_guest_is_taken_until_it_has_been_silent(self) -> None:
        old = exchange(issue(), 'old')
        fresh = issue()
        self.assertRaises(errors.Conflict, exchange, fresh, 'new')
        new = exchange(fresh, 'new', lapse=datetime.timedelta(0))
        self.assertEqual('vm-1', proven(new, 'new').consumer_id)
        self.assertRaises(errors.Forbidden, proven, old, 'old')

    def test_other_consumers_and_projects_stand_apart(self) -> None:
        exchange(issue(), 'one')
        exchange(issue(consumer_id='vm-2'), 'two', 'vm-2')
        exchange(issue(project_id='q'), 'three')

    def test_neither_token_nor_key_is_in_the_database(self) -> None:
        token = issue()
        exchange(token, 'the key')
        with session.reader() as reader:
            kept = repr([vars(row) for row in reader.query(models.Enrolment)])
        self.assertNotIn(token.partition('.')[2], kept)
        self.assertNotIn('the key', kept)

    def test_waiting_tokens_are_bounded(self) -> None:
        tokens = [issue() for _ in range(enrolment.MOST_WAITING + 5)]
        with session.reader() as reader:
            self.assertLessEqual(reader.query(models.Enrolment).count(), enrolment.MOST_WAITING)
        self.refused(tokens[0])
        exchange(tokens[-1], 'key')

    def test_enrolled_guest_gets_what_its_own_project_has_for_it(self) -> None:
        mine = database.add_allocation(consumer_type='instance', consumer_id='vm-1')
        database.add_allocation(consumer_type='process', consumer_id='vm-1')
        database.add_allocation(consumer_type='instance', consumer_id='vm-2')
        own = exchange(issue(), 'a')
        with session.writer() as writer:
            found = enrolment.proven(writer, own, 'a')
            self.assertEqual([mine], [a.id for a in enrolment.allocations(writer, found)])
            allocation.release(writer, mine)
            self.assertEqual([], enrolment.allocations(writer, found))
        stranger = exchange(issue(project_id='q'), 'b')
        with session.writer() as writer:
            self.assertEqual([], enrolment.allocations(writer, enrolment.proven(writer, stranger, 'b')))

    def test_purge_keeps_who_has_something(self) -> None:
        mine = database.add_allocation(consumer_type='instance', consumer_id='vm-1')
        exchange(issue(), 'a')
        exchange(issue(consumer_id='vm-2'), 'b', 'vm-2')
        issue(consumer_id='vm-3')
        later = models.utcnow() + 20 * MINUTE
        with session.writer() as writer:
            self.assertEqual(2, enrolment.purge(writer, 9, before=later))
            allocation.release(writer, mine)
            self.assertEqual(1, enrolment.purge(writer, 9, before=later))


if __name__ == '__main__':
    unittest.main()
