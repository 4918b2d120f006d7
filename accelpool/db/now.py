# SPDX-License-Identifier: Apache-2.0
"""One clock for all services: the database's.

Heartbeats and times to live are written by one machine and judged by another, whose clocks may differ by minutes.  So
a process asks the database for the time when it connects and once a minute, and counts on from there by a clock that
nobody sets.  An SQLite file is used on one machine, whose clock is good enough.
"""

import datetime
import threading
import time
from typing import Any

import sqlalchemy as sa

#: Seconds after which the database is asked again: clocks drift by far less than a millisecond in that time.
AGAIN = 60

_ASK = {'mysql': 'SELECT UTC_TIMESTAMP(6)', 'mariadb': 'SELECT UTC_TIMESTAMP(6)',
        'postgresql': "SELECT clock_timestamp() AT TIME ZONE 'UTC'"}

_lock = threading.Lock()
#: The database's time less that of the steady clock (seconds), and when it was asked for; None: this machine's own.
_difference: float | None = None
_asked = float('-inf')


def utcnow() -> datetime.datetime:
    """Return the time as the database keeps it: UTC, without a zone."""
    if _difference is None:
        return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    return _EPOCH + datetime.timedelta(seconds=time.monotonic() + _difference)


_EPOCH = datetime.datetime(1970, 1, 1)


def follow(engine: sa.Engine) -> None:
    """Take the time of this engine's database from now on."""
    global _difference, _asked
    with _lock:
        _difference, _asked = None, float('-inf')
    question = _ASK.get(engine.dialect.name)
    if question is None:
        return

    def look(connection: Any, _record: Any, _proxy: Any) -> None:
        if time.monotonic() - _asked > AGAIN:
            _ask(connection, question)

    sa.event.listen(engine, 'checkout', look)


def _ask(connection: Any, question: str) -> None:
    global _difference, _asked
    before = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(question)
        found = cursor.fetchone()[0]
    connection.rollback()
    after = time.monotonic()
    with _lock:
        # The answer was right some time between question and answer.
        _difference, _asked = (found - _EPOCH).total_seconds() - (before + after) / 2, after
