# SPDX-License-Identifier: Apache-2.0
"""``accelpool-manage db`` and ``accelpool-status upgrade check``."""
import contextlib
import io
import pathlib
import sqlite3
import tempfile
import unittest
from unittest import mock

import sqlalchemy as sa
from oslo_config import cfg, fixture

from accelpool.cmd import manage, status
from accelpool.db import allocation, migration, models, session
from accelpool.rpc import transport
from tests.support import database


class Commands(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory(prefix='accelpool-test-')
        self.addCleanup(place.cleanup)
        self.database = pathlib.Path(place.name, 'accelpool.sqlite')
        self.file = pathlib.Path(place.name, 'accelpool.conf')
        self.file.write_text(f'[database]\nconnection = sqlite:///{self.database}\n')
        config = fixture.Config(cfg.CONF)
        config.setUp()
        self.addCleanup(config.cleanUp)
        self.addCleanup(transport.get.cache_clear)

    def manage(self, *arguments: str, status: int = 0) -> str:
        cfg.CONF.reset()  # each time as in a new process
        transport.get.cache_clear()
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(status, manage.main(['--config-file', str(self.file), 'db', *arguments]))
        self.addCleanup(session.engine().dispose)
        return out.getvalue()

    def test_sync_may_be_repeated_and_version_tells_what_is_there(self) -> None:
        self.assertIn('accelpool-manage db sync', self.manage('version'))
        for _ in range(2):
            self.assertIn(str(migration.head()), self.manage('sync'))
        self.assertEqual(f'{migration.head()}\n', self.manage('version'))

    def test_purge_says_what_it_deleted(self) -> None:
        self.manage('sync')
        identifier = database.add_allocation()
        with session.writer() as writer:
            allocation.release(writer, identifier)
        self.assertIn('0 allocation(s)', self.manage('purge'))
        self.assertIn('1 allocation(s)', self.manage('purge', '--days', '0'))

    def test_others_write_while_much_is_purged(self) -> None:
        self.manage('sync')
        for _ in range(5):
            identifier = database.add_allocation()
            with session.writer() as writer:
                allocation.release(writer, identifier)
        meanwhile: list[str] = []
        with mock.patch.object(manage, 'PURGED', 2), mock.patch(
                'time.sleep', lambda _: meanwhile.append(database.add_allocation())):
            self.assertIn('5 allocation(s)', self.manage('purge', '--days', '0'))
        self.assertEqual(['pending'] * 2, [database.state_of(identifier) for identifier in meanwhile])

    def test_online_migrations_go_on_where_they_stopped(self) -> None:
        self.manage('sync')
        for _ in range(3):
            database.add_allocation()
        with session.writer() as writer:  # as a former release, which knew no quotas, left them
            writer.execute(sa.update(models.Allocation).values(charged_slices=None, charged_compute=None,
                                                               charged_memory=None))
            writer.execute(sa.delete(models.Quota))
        self.assertIn('usage of projects: 2 row(s)', self.manage('online', '--max-count', '2', status=1))
        self.assertIn('usage of projects: 1 row(s)', self.manage('online'))
        self.assertIn('usage of projects: 0 row(s)', self.manage('online'))
        with session.reader() as reader:
            self.assertEqual(3, reader.scalars(sa.select(models.Quota)).one().used_slices)

    def test_upgrade_check_wants_this_releases_schema(self) -> None:
        self.manage('version')
        code, said = self.check()
        self.assertEqual(2, code, said)
        self.assertIn('db sync', said)
        self.manage('sync')
        self.assertEqual(0, *self.check())

    def check(self) -> tuple[int, str]:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = status.Checks().check()
        return code, ' '.join(out.getvalue().replace('|', ' ').split())

    def test_upgrade_check_finds_rows_without_parents(self) -> None:
        self.manage('sync')
        identifier = database.add_allocation()
        self.assertEqual(0, *self.check())
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(f"DELETE FROM allocations WHERE id = '{identifier}'")
        code, said = self.check()
        self.assertEqual(2, code)
        self.assertIn('row(s) of events have a allocation_id that does not exist', said)

    def test_upgrade_check_warns_of_classic_queues(self) -> None:
        self.file.write_text(
            '[DEFAULT]\ntransport_url = rabbit://a:b@127.0.0.1:1/accelpool\n' + self.file.read_text()
            + '[oslo_messaging_rabbit]\nrabbit_quorum_queue = false\n')
        self.manage('sync')
        code, said = self.check()
        self.assertEqual(1, code)
        self.assertIn('rabbit_quorum_queue = true', said)

    def test_without_a_verb_it_explains_itself(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()) as out, self.assertRaises(SystemExit):
            manage.main(['db'])
        self.assertIn('usage', out.getvalue())
