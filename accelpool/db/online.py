# SPDX-License-Identifier: Apache-2.0
"""Changes of data, as opposed to the schema, that run in batches while the services work: after an upgrade, when the
last service of the former release has gone.
"""

import functools
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
        count = 0
        while left is None or left > 0:
            batch = BATCH if left is None else min(BATCH, left)
            done = db_session.retrying(functools.partial(migrate, limit=batch))
            count += done
            left = None if left is None else left - done
            if done < batch:
                break
        yield name, count
