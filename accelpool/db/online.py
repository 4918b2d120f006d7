# SPDX-License-Identifier: Apache-2.0
"""Changes of data, as opposed to the schema, that run in batches while the services work: after an upgrade, when the
last service of the former release has gone.
"""

from collections.abc import Iterator
from typing import Protocol

from sqlalchemy import orm

from accelpool.db import quota
from accelpool.db import session as db_session

#: Rows in one transaction.
BATCH = 50


class Migration(Protocol):
    """Changes up to ``limit`` rows and says how many these were."""

    def __call__(self, session: orm.Session, limit: int) -> int: ...


#: What it is about, and what does it.
MIGRATIONS: tuple[tuple[str, Migration], ...] = (
    ('usage of projects', quota.fill),
)


def run(limit: int | None = None) -> Iterator[tuple[str, int]]:
    """Change what is left to be changed; yields what it was about and how many rows there were.

    :param limit: of the rows of all migrations together; None: everything
    """
    left = limit
    for name, migrate in MIGRATIONS:
        count = db_session.in_batches(migrate, BATCH, left)
        left = None if left is None else left - count
        yield name, count
