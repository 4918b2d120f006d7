# SPDX-License-Identifier: Apache-2.0
import threading
import unittest
from collections.abc import Callable
from unittest import mock

import sqlalchemy as sa
from sqlalchemy import exc, orm

from accelpool import errors, types
from accelpool.allocations.states import Event, State
from accelpool.db import allocation, device, host, models, session
from tests.support import database

Work = Callable[[orm.Session], object]


class Writers(unittest.TestCase):
    def setUp(self) -> None:
        database.use(self)

    def test_exception_undoes_everything(self) -> None:
        with self.assertRaises(ZeroDivisionError), session.writer() as writer:
            host.heard_of(writer, 'host-a')
            raise ZeroDivisionError
        with session.reader() as reader:
            self.assertEqual([], host.list_page(reader))

    def test_readers_see_nothing_that_is_not_committed_and_do_not_wait(self) -> None:
        with session.writer() as writer:
            host.heard_of(writer, 'host-a')
            with session.reader() as reader:
                self.assertEqual([], host.list_page(reader))

    def test_threads_that_count_lose_nothing(self) -> None:
        database.add_device('d1')

        def count() -> None:
            for _ in range(25):
                def up(writer: orm.Session) -> None:
                    found = device.get(writer, 'd1')
                    if not session.one_writer():
                        writer.refresh(found, with_for_update=True)
                    found.numa_node = (found.numa_node or 0) + 1
                session.retrying(up)

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with session.reader() as reader:
            self.assertEqual(100, device.get(reader, 'd1').numa_node)

    def test_deleting_a_host_in_use_is_refused_by_the_database(self) -> None:
        """Foreign keys are enforced on SQLite too."""
        with self.assertRaises(exc.IntegrityError), session.writer() as writer:
            writer.execute(sa.insert(models.Slice).values(
                id='s', allocation_id='nothing', device_id='nothing', host='h', compute=1, memory=1,
                isolation='shared'))


class Retrying(unittest.TestCase):
    def setUp(self) -> None:
        database.use(self)
        self.calls = 0
        patch = mock.patch.object(session.time, 'sleep')
        patch.start()
        self.addCleanup(patch.stop)

    def fail(self, failure: Exception, times: int) -> int:
        """Run work that loses so many times before it succeeds; returns how often it ran."""
        def work(_writer: orm.Session) -> None:
            self.calls += 1
            if self.calls <= times:
                raise exc.OperationalError('UPDATE', {}, failure)
        session.retrying(work)
        return self.calls

    def test_deadlock_is_tried_again(self) -> None:
        self.assertEqual(3, self.fail(Exception(1213, 'Deadlock found'), 2))

    def test_serialisation_failure_is_tried_again(self) -> None:
        failure = Exception('could not serialize access')
        failure.pgcode = '40001'  # type: ignore[attr-defined]
        self.assertEqual(2, self.fail(failure, 1))

    def test_another_failure_is_not(self) -> None:
        with self.assertRaises(exc.OperationalError):
            self.fail(Exception(2006, 'server has gone away'), 1)
        self.assertEqual(1, self.calls)

    def test_there_is_an_end_to_it(self) -> None:
        with self.assertRaises(exc.OperationalError):
            self.fail(Exception('database is locked'), session.ATTEMPTS)
        self.assertEqual(session.ATTEMPTS, self.calls)


class Availability(unittest.TestCase):
    """Which failures are the database's trouble, and which are mistakes.

    Numbers of MariaDB's error codes and SQLSTATE of PostgreSQL's appendix A, as their drivers hand them over.
    """

    TROUBLE = (
        (1021, 'Disk full (/tmp/#sql-temptable); waiting for someone to free some space'),
        (1114, "The table 'allocations' is full"),
        (1040, 'Too many connections'),
        (1053, 'Server shutdown in progress'),
        (1290, 'The MariaDB server is running with the --read-only option'),
        (1836, 'Running in read-only mode'),
        (1927, 'Connection was killed'),
        (2003, "Can't connect to MySQL server on '127.0.0.1'"),
        (2006, 'MySQL server has gone away'),
        (2013, 'Lost connection to MySQL server during query'),
        (1205, 'Lock wait timeout exceeded'),
        ('53000', 'insufficient resources'),
        ('53100', 'could not extend file "base/16384/16451": No space left on device'),
        ('53200', 'out of memory'),
        ('53300', 'sorry, too many clients already'),
        ('57P01', 'terminating connection due to administrator command'),
        ('57P03', 'the database system is starting up'),
        ('08006', 'connection failure'),
        ('25006', 'cannot execute UPDATE in a read-only transaction'),
        ('40001', 'could not serialize access'),
        (None, 'connection to server at "127.0.0.1", port 5432 failed: Connection refused'),
        (None, 'database or disk is full'),
        (None, 'unable to open database file'),
        (None, 'database is locked'),
    )
    MISTAKES = (
        (1054, "Unknown column 'colour' in 'SET'"),
        (1062, "Duplicate entry 'a' for key 'PRIMARY'"),
        (1064, 'You have an error in your SQL syntax'),
        (1146, "Table 'accelpool.nothing' doesn't exist"),
        ('23505', 'duplicate key value violates unique constraint'),
        ('42P01', 'relation "nothing" does not exist'),
        (None, 'no such table: nothing'),
    )

    def failure(self, code: int | str | None, text: str) -> exc.DBAPIError:
        """:param code: MariaDB's number, or PostgreSQL's SQLSTATE"""
        original = Exception(code, text) if isinstance(code, int) else Exception(text)
        if isinstance(code, str):
            original.pgcode = code  # type: ignore[attr-defined]
        return exc.OperationalError('UPDATE', {}, original)

    def test_trouble_is_an_answer_that_says_to_come_again(self) -> None:
        for code, text in self.TROUBLE:
            with self.subTest(code=code, text=text), self.assertLogs('accelpool.db.session', 'ERROR'), \
                    self.assertRaises(errors.ServiceUnavailable), session.availability():
                raise self.failure(code, text)

    def test_so_is_a_pool_without_a_free_connection(self) -> None:
        with self.assertLogs('accelpool.db.session', 'ERROR'), self.assertRaises(errors.ServiceUnavailable), \
                session.availability():
            raise exc.TimeoutError('QueuePool limit of size 5 overflow 10 reached')

    def test_a_mistake_is_none(self) -> None:
        for code, text in self.MISTAKES:
            with self.subTest(code=code, text=text), self.assertRaises(exc.OperationalError), session.availability():
                raise self.failure(code, text)


class LastOfSeveral(unittest.TestCase):
    """Two hosts end the same allocation at the same time: one of them notices that it was the last."""

    def setUp(self) -> None:
        database.use(self)
        self.identifier = database.add_allocation()
        self.slices = []
        for name in ('a', 'b'):
            database.add_device(f'd-{name}', on=f'host-{name}')
            self.slices.append(types.Slice(
                id=models.new_id(), allocation_id=self.identifier, device_id=f'd-{name}', host=f'host-{name}',
                compute=10, memory=100))
        with session.writer() as writer:
            allocation.claim(writer, self.identifier, self.slices, {'d-a': 1, 'd-b': 1})

    def at_once(self, first: Work, second: Work) -> None:
        other = threading.Thread(target=lambda: session.retrying(second))
        with session.writer() as writer:
            first(writer)
            other.start()
            other.join(0.1)  # as far as it comes before the commit
        other.join()

    def test_bound(self) -> None:
        with session.writer() as writer:
            allocation.transition(writer, self.identifier, Event.BIND)
        a, b = self.slices
        self.at_once(lambda w: allocation.bound(w, self.identifier, [a.id]),
                     lambda w: allocation.bound(w, self.identifier, [b.id]))
        self.assertEqual(State.ACTIVE, database.state_of(self.identifier))

    def test_released(self) -> None:
        with session.writer() as writer:
            self.assertEqual(State.RELEASING, allocation.release(writer, self.identifier))
        a, b = self.slices
        self.at_once(lambda w: allocation.release_slice(w, a.id), lambda w: allocation.release_slice(w, b.id))
        self.assertEqual(State.RELEASED, database.state_of(self.identifier))
        self.assertEqual({'d-a': (0, 0, 0), 'd-b': (0, 0, 0)}, database.accounts())
