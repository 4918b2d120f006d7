# SPDX-License-Identifier: Apache-2.0
"""Brings a database to this release's schema (alembic, from code: no alembic.ini to find)."""

import pathlib

import sqlalchemy as sa
from alembic import command, config
from alembic.runtime import migration
from alembic.script import ScriptDirectory


def _config(connection: sa.Connection | None = None) -> config.Config:
    found = config.Config()
    found.set_main_option('script_location', str(pathlib.Path(__file__).with_name('migrations')))
    found.attributes['connection'] = connection
    return found


def sync(engine: sa.Engine, revision: str = 'head') -> None:
    """Upgrade (never downgrade) to a revision.  Of two that try at once on SQLite, the second finds it done."""
    with engine.execution_options(accelpool_writer=True).begin() as connection:
        command.upgrade(_config(connection), revision)


def version(engine: sa.Engine) -> str | None:
    """Return the database's revision; None for an empty one."""
    with engine.connect() as connection:
        return migration.MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """Return the revision that this release wants."""
    return ScriptDirectory.from_config(_config()).get_current_head()
