# SPDX-License-Identifier: Apache-2.0
"""Upgrades, with the data of every earlier revision in the database.

``data/<revision>.sql`` has rows as that revision had them.  Whoever adds a revision adds the file of the one before, with
what was new in it.
"""

import os
import pathlib
import tempfile
import unittest

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from accelpool.db import allocation, device, migration, models, profile, session
from tests.support import database

DATA = pathlib.Path(__file__).with_name('data')


def revisions() -> list[str]:
    """Return every revision, the oldest first."""
    scripts = ScriptDirectory(str(pathlib.Path(migration.__file__).with_name('migrations')))
    return [script.revision for script in scripts.walk_revisions()][::-1]


class Upgrade(unittest.TestCase):
    def fill(self, engine: sa.Engine, until: str) -> None:
        """Bring an empty database to a revision by way of all before it, and add each one's rows on the way."""
        for revision in revisions():
            migration.sync(engine, revision)
            rows = (DATA / f'{revision}.sql').read_text()
            with engine.execution_options(accelpool_writer=True).begin() as connection:
                for statement in filter(None, (part.strip() for part in rows.split(';\n'))):
                    connection.exec_driver_sql(statement.replace('%', '%%'))
            if revision == until:
                return

    def test_from_every_revision(self) -> None:
        for revision in revisions()[:-1]:
            with self.subTest(revision):
                place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix='accelpool-test-')))
                engine = session.configure(os.environ.get('ACCELPOOL_TEST_DATABASE', f'sqlite:///{place}/old.sqlite'))
                database.erase(engine)
                self.fill(engine, revision)
                migration.sync(engine)
                self.check()
                engine.dispose()

    def check(self) -> None:
        """What was there is there, and can be used."""
        self.assertEqual(database.owed(), database.accounts())
        with session.reader() as reader:
            for mapper in models.Base.registry.mappers:
                reader.scalars(sa.select(mapper)).all()
            states = {one.id: one.state for one in reader.scalars(sa.select(models.Allocation))}
            self.assertEqual({'a1': 'active', 'a2': 'releasing', 'a3': 'error', 'a4': 'released'}, states)
            self.assertEqual(512, profile.get(reader, 'small').memory)
            self.assertEqual(['CUSTOM_EMULATED'], device.get(reader, 'd1').traits)
        self.assertEqual({'project-1': (2, 60, 1024), 'project-2': (1, 30, 1024)}, self.used(), 'what is held is charged')
        for identifier in ('a1', 'a2', 'a3'):
            with session.writer() as writer:
                allocation.release(writer, identifier)
                for piece in allocation.get(writer, identifier).slices:
                    allocation.release_slice(writer, piece.id)
            self.assertEqual('released', database.state_of(identifier))
        self.assertEqual({(0, 0, 0)}, set(database.accounts().values()))
        self.assertEqual({(0, 0, 0)}, set(self.used().values()))
        with session.writer() as writer:
            self.assertEqual(4, allocation.purge(writer, 9, before=models.utcnow()))

    def used(self) -> dict[str, tuple[int, int, int]]:
        with session.reader() as reader:
            return {row.id: (row.used_slices, row.used_compute, row.used_memory)
                    for row in reader.scalars(sa.select(models.Quota))}
