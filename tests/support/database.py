# SPDX-License-Identifier: Apache-2.0
"""A fresh database file for a test, with a small pool in it."""

import contextlib
import functools
import os
import pathlib
import tempfile
import unittest

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import types
from accelpool.allocations.states import Event
from accelpool.db import allocation, arq, device, host, migration, models, pool, session


def use(case: unittest.TestCase, url: str | None = None) -> str:
    """Configure this process for an empty database that goes away with the test; returns its URL.

    :param url: another one than an SQLite file, as ``ACCELPOOL_TEST_DATABASE`` for all tests; all in it is deleted
    """
    url = url or os.environ.get('ACCELPOOL_TEST_DATABASE')
    if url is None:
        place = tempfile.TemporaryDirectory(prefix='accelpool-test-')
        case.addCleanup(place.cleanup)
        path = pathlib.Path(place.name, 'accelpool.sqlite')
        path.write_bytes(_template())
        url = f'sqlite:///{path}'
    engine = session.configure(url)
    case.addCleanup(engine.dispose)
    if engine.dialect.name != 'sqlite':
        erase(engine)
        migration.sync(engine)
    return url


def erase(engine: sa.Engine) -> None:
    """Delete everything in a database."""
    found = sa.MetaData()
    found.reflect(engine)
    found.drop_all(engine)


@functools.cache
def _template() -> bytes:
    """Return a migrated database: to copy is faster than to migrate."""
    with tempfile.TemporaryDirectory(prefix='accelpool-test-') as place:
        path = pathlib.Path(place, 'accelpool.sqlite')
        engine = session.create_engine(f'sqlite:///{path}')
        migration.sync(engine)
        engine.dispose()
        return path.read_bytes()


def add_device(name: str, on: str = 'host-a', memory: int = 1000, **values: object) -> None:
    with session.writer() as writer:
        where = host.heard_of(writer, on)
        device.save(writer, where, types.Device(
            id=name, driver='mock', vendor='accelpool', model='emu', memory=memory, **values))
        default = pool.ensure_default(writer)
        pool.add_device(writer, default, device.get(writer, name))


def add_allocation(request: types.Request | None = None, **values: object) -> str:
    """Make an allocation as the API does: the first two of a project at the same time may lock each other out."""
    return session.retrying(lambda writer: allocation.create(
        writer, request=request or types.Request(compute=10, memory=100),
        project_id='p', user_id='u', **values).id)


def add_binding(server: str, *events: Event) -> tuple[str, str]:
    """Make an accelerator request whose binding to an instance was started and has come so far; returns it and its
    allocation, which is of no device.
    """
    with session.writer() as writer:
        made = allocation.create(
            writer, request=types.Request(compute=10, memory=1), project_id='p', user_id='u',
            consumer_type='instance', consumer_id=server)
        (one,) = arq.create(writer, [(0, types.Request())], profile='x', project_id='p', user_id='u')
        arq.bind(writer, one.id, state=arq.State.BIND_STARTED, hostname='host-a', device_rp_uuid=server,
                 instance_uuid=server, project_id='p', allocation_id=made.id)
        for event in events:
            allocation.transition(writer, made.id, event, detail='so it is')
    return one.id, made.id


def state_of(identifier: str) -> str:
    with session.reader() as reader:
        return allocation.get(reader, identifier).state


def accounts(within: orm.Session | None = None) -> dict[str, tuple[int, int, int]]:
    """Return (used compute, used memory, slices) of every device.

    :param within: look in this session, a snapshot, instead of a new one
    """
    with contextlib.nullcontext(within) if within else session.reader() as reader:
        return {d.id: (d.used_compute, d.used_memory, d.slices) for d in device.list_page(reader)}


def owed(within: orm.Session | None = None) -> dict[str, tuple[int, int, int]]:
    """The same, added up from the slices: equal to accounts() or something is wrong."""
    with contextlib.nullcontext(within) if within else session.reader() as reader:
        sums = {d.id: (0, 0, 0) for d in device.list_page(reader)}
        for found in reader.query(models.Slice):
            compute, memory, count = sums[found.device_id]
            sums[found.device_id] = compute + found.compute, memory + found.memory + found.overhead, count + 1
    return sums
