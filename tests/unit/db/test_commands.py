# SPDX-License-Identifier: Apache-2.0
"""``accelpool-manage db`` and ``accelpool-status upgrade check``."""
import contextlib
import io
import pathlib
import tempfile
import unittest

from oslo_config import cfg, fixture

from accelpool.cmd import manage, status
from accelpool.db import allocation, migration, session
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

    def manage(self, *arguments: str) -> str:
        cfg.CONF.reset()  # each time as in a new process
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(0, manage.main(['--config-file', str(self.file), 'db', *arguments]))
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

    def test_upgrade_check_wants_this_releases_schema(self) -> None:
        self.manage('version')
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(2, status.Checks().check())
        self.assertIn('db sync', out.getvalue().replace('\n', ' '))
        self.manage('sync')
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(0, status.Checks().check())

    def test_without_a_verb_it_explains_itself(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()) as out, self.assertRaises(SystemExit):
            manage.main(['db'])
        self.assertIn('usage', out.getvalue())
