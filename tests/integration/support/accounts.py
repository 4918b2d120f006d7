# SPDX-License-Identifier: Apache-2.0
"""What must agree when nothing is under way: allocations, slices, devices, drivers and agents."""

import contextlib
import json
import socket
import time
import unittest
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from accelpool.allocations.states import State
from accelpool.db import models, session
from tests.integration.support.client import PATIENCE
from tests.support import database
from tools.integration import layout, pool

#: States in which something is still under way.
MOVING = (State.PENDING, State.SCHEDULED, State.BINDING, State.RELEASING, State.RESIZING, State.MIGRATING)


@contextlib.contextmanager
def connected() -> Iterator[None]:
    """This process looks into the database of the running services."""
    engine = session.configure(layout.database('accelpool', layout.SERVER))
    try:
        yield
    finally:
        engine.dispose()


def agent(host: str, method: str) -> Any:
    """Ask a host's agent over its control socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(pool.state(host) / 'agent.sock'))
        connection.sendall(json.dumps({'v': 1, 'id': 1, 'method': method, 'params': {}}).encode() + b'\n')
        with connection.makefile('rb') as lines:
            answer = json.loads(lines.readline())
    return answer['result']


def settled(case: unittest.TestCase, patience: float = PATIENCE) -> None:
    """Wait until no allocation is under way and no error holds anything.  Call inside :func:`connected`."""
    deadline = time.monotonic() + patience
    moving, last = list[Any](), False
    while not last:
        last = time.monotonic() >= deadline
        with session.reader() as reader:
            moving = [tuple(row) for row in reader.execute(
                sa.select(models.Allocation.id, models.Allocation.state, models.Allocation.updated_at)
                .where(sa.or_(models.Allocation.state.in_(MOVING), sa.and_(
                    models.Allocation.state == State.ERROR, models.Allocation.slices.any()))))]
        if not moving:
            return
        time.sleep(0.5)
    case.fail(f'not settled after {patience} s: {moving[:10]}')


def compare(case: unittest.TestCase, patience: float = PATIENCE) -> None:
    """Everything must agree: nothing is lost, leaked or given to two.  Call inside :func:`connected`.

    :param patience: seconds that all of it has
    """
    deadline = time.monotonic() + patience
    settled(case, patience)
    case.assertEqual(database.owed(), database.accounts(), 'devices are charged for exactly the slices that there are')
    with session.reader() as reader:
        rows = reader.execute(sa.select(models.Slice.id, models.Slice.host, models.Slice.bound, models.Allocation.state)
                              .join(models.Allocation)).all()
        for device in reader.scalars(sa.select(models.Device)):
            case.assertLessEqual(device.used_compute, device.compute)
            case.assertLessEqual(device.used_memory, device.memory)
    for row in rows:
        case.assertEqual((True, State.ACTIVE), (row.bound, row.state), row.id)
    for host in layout.AGENTS:
        ours = {row.id for row in rows if row.host == host}
        while (seen := (_admitted(host), _carved(host))) != (ours, ours) and time.monotonic() < deadline:
            time.sleep(0.5)  # reconcilers destroy what nobody owns within seconds
        case.assertEqual((ours, ours), seen, f'database, agent and driver of {host}')


def _admitted(host: str) -> set[str]:
    return {one['slice_id'] for one in agent(host, 'slices')}


def _carved(host: str) -> set[str]:
    path = pool.state(host) / 'mock-slices.json'
    return set(json.loads(path.read_text())) if path.exists() else set()
