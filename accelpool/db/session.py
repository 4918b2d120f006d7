# SPDX-License-Identifier: Apache-2.0
"""Sessions: ``reader()`` to look, ``writer()`` to change; one engine for each process.

SQLite runs in WAL mode and a writer takes its lock at once (BEGIN IMMEDIATE), so that it never fails halfway.
Threads of one process queue for it here: SQLite itself would let them sleep and ask again, up to 100 ms at a time.
MariaDB and PostgreSQL run at READ COMMITTED: every claim is guarded by a compare-and-swap, and a repeatable
read would hide the rows that a retry must see.  Their readers have connections of their own, in autocommit mode: a
transaction around a query would only cost two more messages.
"""

import contextlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc, orm

from accelpool import errors
from accelpool.db import changes, now

LOG = logging.getLogger(__name__)
T = TypeVar('T')

#: Milliseconds that SQLite waits for another writer.
BUSY_TIMEOUT = 30_000
#: How often a transaction that lost to another one is tried again, each time from its beginning.
ATTEMPTS = 10
#: Connections to an SQLite file: one for each thread of the embedded service, in which all services are.
POOL = 32
#: Seconds after which an idle connection is asked whether it still lives: busy ones need no question before each use.
IDLE = 1.0

_engine: sa.Engine | None = None
_turn = threading.Lock()
_readers: orm.sessionmaker[orm.Session]
_writers: orm.sessionmaker[orm.Session]


class _Session(orm.Session):
    """Statements of the Core, which most of ours are, go to the connection: the ORM's way there is a fifth of all."""

    _connected: sa.Connection | None = None

    def execute(self, statement: Any, params: Any = None, **options: Any) -> Any:
        if options or statement._propagate_attrs:
            return super().execute(statement, params, **options)
        self.flush()
        if self._connected is None or self._connected.closed:
            self._connected = self.connection()
        return self._connected.execute(statement, params)


def configure(url: str, **options: Any) -> sa.Engine:
    """Connect this process to a database; a second call replaces the first.

    Returns the engine, with which the connections of the readers are disposed of, too.
    """
    global _engine, _readers, _writers  # noqa: PLW0603  one engine for each process
    if _engine is not None:
        _engine.dispose()
    _engine = looking = create_engine(url, **options)
    now.follow(_engine)
    if not one_writer():
        looking = create_engine(url, **options, isolation_level='AUTOCOMMIT', skip_autocommit_rollback=True)
        now.follow(looking)
        sa.event.listen(_engine, 'engine_disposed', lambda _: looking.dispose())
    _readers = orm.sessionmaker(looking, class_=_Session, expire_on_commit=False)
    _writers = orm.sessionmaker(
        _engine.execution_options(accelpool_writer=True), class_=_Session, expire_on_commit=False)
    return _engine


def create_engine(url: str, **options: Any) -> sa.Engine:
    """Return an engine with this project's settings for its kind of database."""
    parsed = sa.make_url(url)
    sqlite = parsed.get_backend_name() == 'sqlite'
    defaults: dict[str, Any] = {'pool_size': POOL} if sqlite else {'isolation_level': 'READ COMMITTED'}
    engine = sa.create_engine(parsed, **(defaults | options))
    if sqlite:
        sa.event.listen(engine, 'connect', _prepare_sqlite)
        sa.event.listen(engine, 'begin', _begin_sqlite)
    else:
        _ask_the_idle(engine)
    return engine


def _ask_the_idle(engine: sa.Engine) -> None:
    """Replace connections that have died while nobody used them, before somebody does."""
    dialect, left = engine.dialect, 'accelpool.left'

    def checkin(_connection: Any, record: Any) -> None:
        record.info[left] = time.monotonic()

    def checkout(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get(left, math.inf) < IDLE:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as failure:
            if not dialect.is_disconnect(failure, connection, None):
                raise
            raise exc.InvalidatePoolError from failure  # the others will be no better

    sa.event.listen(engine, 'checkin', checkin)
    sa.event.listen(engine, 'checkout', checkout)


def engine() -> sa.Engine:
    """Return this process's engine."""
    assert _engine is not None, 'accelpool.db.session.configure() has not been called'
    return _engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions behind our back
    cursor = connection.cursor()
    for pragma in ('journal_mode=WAL', 'synchronous=NORMAL', f'busy_timeout={BUSY_TIMEOUT}', 'foreign_keys=ON'):
        cursor.execute(f'PRAGMA {pragma}')
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writer = connection.get_execution_options().get('accelpool_writer')
    connection.exec_driver_sql('BEGIN IMMEDIATE' if writer else 'BEGIN')


@contextlib.contextmanager
def reader() -> Iterator[orm.Session]:
    """A session to look with; nothing is committed."""
    engine()
    with _readers() as session:
        yield session


@contextlib.contextmanager
def writer() -> Iterator[orm.Session]:
    """A session to change with: commits at the end, rolls back on an exception.

    :raises ServiceUnavailable: other threads kept the database busy for too long
    """
    with _alone() if one_writer() else contextlib.nullcontext(), _writers.begin() as session:
        yield session
    changes.tell(session.info)


def one_writer() -> bool:
    """Whether a writer has the whole database to itself, so that it need not lock rows (SQLite)."""
    return engine().dialect.name == 'sqlite'


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    if not _turn.acquire(timeout=BUSY_TIMEOUT / 1000):
        raise errors.ServiceUnavailable(f'The database was busy for {BUSY_TIMEOUT // 1000} s; try again')
    try:
        yield
    finally:
        _turn.release()


def retrying(work: Callable[[orm.Session], T]) -> T:
    """Run ``work`` in a writer; when the transaction loses to another one, run it again in a new one."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with writer() as session:
                return work(session)
        except exc.DBAPIError as failure:
            if attempt == ATTEMPTS or not _lost(failure):
                raise
            LOG.debug('transaction lost to another one, attempt %d: %s', attempt, failure)
            time.sleep(random.uniform(0, 0.01 * 2 ** attempt))
    raise AssertionError('unreachable')


def in_batches(work: Callable[[orm.Session, int], int], size: int, most: int | None = None) -> int:
    """Have ``work`` change rows until there are no more, in transactions of their own; returns how many there were.

    Between two of them others write, as long as these took: SQLite lets nobody queue, and replicas must keep up.

    :param work: changes up to so many rows and says how many these were
    :param size: rows in one transaction
    :param most: rows in all of them; None: everything
    """
    count = 0
    while (wanted := size if most is None else min(size, most - count)) > 0:
        begun = time.monotonic()
        done = retrying(lambda session, wanted=wanted: work(session, wanted))  # type: ignore[misc]
        count += done
        if done < wanted:
            break
        time.sleep(time.monotonic() - begun)
    return count


@contextlib.contextmanager
def availability() -> Iterator[None]:
    """:raises ServiceUnavailable: instead of what SQLAlchemy raises when the database is away"""
    try:
        yield
    except exc.SQLAlchemyError as failure:
        if not _unavailable(failure):
            raise
        LOG.error('The database is not available: %s', failure)
        raise errors.ServiceUnavailable('The database is not available; try again') from failure


def _unavailable(failure: exc.SQLAlchemyError) -> bool:
    """Tell a database that is away, full or overloaded, for which the caller is not to blame, from a real error.

    MySQL 1040 too many connections, 1021 and 1114 full, 1053 and 1927 it stops, 1290 and 1836 read-only (failover),
    2002-2013 no connection; SQLSTATE classes 08 connection, 53 resources, 57 intervention; 25006 read-only.
    """
    if isinstance(failure, exc.TimeoutError):  # no connection of the pool became free
        return True
    if not isinstance(failure, exc.DBAPIError):
        return False
    code, state = _codes(failure)
    return (failure.connection_invalidated or _lost(failure) or code in _AWAY or state[:2] in {'08', '53', '57'}
            or state == '25006' or any(text in str(failure.orig) for text in _AWAY_TEXTS))


#: See :func:`_unavailable`.
_AWAY = frozenset({1021, 1040, 1053, 1114, 1290, 1836, 1927, *range(2002, 2014)})
#: What has no code: SQLite, and libpq when it cannot connect.
_AWAY_TEXTS = ('disk is full', 'unable to open database file', 'connection to server', 'server closed the connection',
               'could not connect')


def _lost(failure: exc.DBAPIError) -> bool:
    """Tell a deadlock or serialisation failure from a real error.

    MySQL 1213 deadlock, 1205 lock wait timeout; SQLSTATE 40001, 40P01 (PostgreSQL); SQLite busy.
    """
    code, state = _codes(failure)
    return code in {1213, 1205} or state in {'40001', '40P01'} or 'database is locked' in str(failure.orig)


def _codes(failure: exc.DBAPIError) -> tuple[Any, str]:
    """Return MySQL's number (or what stands in its place) and the SQLSTATE ('' when there is none)."""
    original = failure.orig
    code = original.args[0] if original is not None and original.args else None
    return code, getattr(original, 'sqlstate', None) or getattr(original, 'pgcode', None) or ''
