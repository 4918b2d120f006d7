# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of a scheduler: what came of requests, what waits, and what the pool has.

What is read from the database is the same from every scheduler: take the maximum of them.
"""

import time
from collections.abc import Iterable

import prometheus_client
import sqlalchemy as sa
from prometheus_client import core, registry
from sqlalchemy import exc, orm

from accelpool.allocations.states import State
from accelpool.db import models
from accelpool.db import session as db

#: Bounds of the histogram, in seconds: a decision takes milliseconds, one that loses often takes longer.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
#: States in which somebody still has to do something: the scheduler, the conductors, the conductors.
WAITING = (State.PENDING, State.SCHEDULED, State.BINDING, State.RELEASING)



class Outcomes(registry.Collector):
    """What came of requests, and after how many seconds."""

    def __init__(self) -> None:
        self._histogram = prometheus_client.Histogram(
            'accelpool_scheduler_decision_seconds', 'Time from the message to the outcome', ['outcome'],
            buckets=BUCKETS, registry=None)

    def observe(self, outcome: str, seconds: float) -> None:
        self._histogram.labels(outcome).observe(seconds)

    def collect(self) -> Iterable[core.Metric]:
        return self._histogram.collect()


class Collector(registry.Collector):
    """What the database has."""

    def collect(self) -> Iterable[core.Metric]:
        started = time.monotonic()
        try:
            with db.reader() as session:
                found = [*_allocations(session), *_devices(session)]
        except exc.SQLAlchemyError:
            found = []
        yield core.GaugeMetricFamily('accelpool_database_up', '1 while the database answers', value=float(bool(found)))
        yield core.GaugeMetricFamily('accelpool_database_seconds', 'Time that it took to ask it',
                                     value=time.monotonic() - started)
        yield from found


def _allocations(session: orm.Session) -> Iterable[core.Metric]:
    table = models.Allocation
    count = core.GaugeMetricFamily('accelpool_allocations', 'Allocations that are not released', labels=('state',))
    age = core.GaugeMetricFamily('accelpool_queue_oldest_seconds', 'How long the one that waits longest has waited',
                                 labels=('state',))
    now = models.utcnow()
    rows = {state: (number, oldest) for state, number, oldest in session.execute(
        sa.select(table.state, sa.func.count(), sa.func.min(table.updated_at))
        .where(table.state != State.RELEASED).group_by(table.state))}
    for state in sorted({*rows, *WAITING}):
        number, oldest = rows.get(state, (0, None))
        count.add_metric([state], number)
        if state in WAITING:
            age.add_metric([state], 0 if oldest is None else max(0.0, (now - oldest).total_seconds()))
    return count, age


def _devices(session: orm.Session) -> Iterable[core.Metric]:
    device = models.Device
    labels = ('vendor', 'model')
    kinds = (
        ('accelpool_devices', 'Devices', sa.func.count()),
        ('accelpool_pool_compute_points', 'Percent points of all devices', sa.func.sum(device.compute)),
        ('accelpool_pool_compute_points_used', 'Percent points that are in slices', sa.func.sum(device.used_compute)),
        ('accelpool_pool_memory_mib', 'Memory of all devices', sa.func.sum(device.memory)),
        ('accelpool_pool_memory_mib_used', 'Memory that slices take, with their overhead',
         sa.func.sum(device.used_memory)),
        ('accelpool_pool_slices', 'Slices', sa.func.sum(device.slices)),
    )
    families = [core.GaugeMetricFamily(name, text, labels=labels) for name, text, _ in kinds]
    for vendor, model, *values in session.execute(
            sa.select(device.vendor, device.model, *(column for _, _, column in kinds))
            .group_by(device.vendor, device.model)):
        for family, value in zip(families, values, strict=True):
            family.add_metric([vendor, model], float(value))
    return families
