# SPDX-License-Identifier: Apache-2.0
"""The scheduler's view of devices."""

import datetime
from collections import defaultdict
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import types
from accelpool.db import models
from accelpool.db import service as db_service

_d, _h, _o, _p, _s, _v = (models.table(model).c for model in (
    models.Device, models.Host, models.Pool, models.PoolDevice, models.Slice, models.Service))
#: An operator has disabled the conductor of the host.
_disabled = sa.exists().where(_v.binary == db_service.CONDUCTOR, _v.host == _h.name, _v.disabled)
_CANDIDATES = sa.select(
    _d.id, _h.name, _d.vendor, _d.model, _d.compute, _d.memory, _d.used_compute, _d.used_memory, _d.slices,
    _d.overhead, _d.generation, _d.traits, _d.modes, _d.fabric, _d.health, _d.partitions, _p.pool_id, _o.isolations,
    _h.advertise,
    sa.and_(_d.enabled, _h.enabled, ~_disabled,
            _h.last_seen >= sa.bindparam('up_since', type_=models.Time)).label('ready'),
).select_from(
    models.table(models.Device).join(models.table(models.Host), _d.host_id == _h.id)
    .outerjoin(models.table(models.PoolDevice), _p.device_id == _d.id)
    .outerjoin(models.table(models.Pool), _o.id == _p.pool_id)
).order_by(_d.id, _p.pool_id)
_SOME_CANDIDATES = _CANDIDATES.where(_d.id.in_(sa.bindparam('only', expanding=True)))
_USED = sa.select(_s.device_id, _s.isolation, _s.template, _s.position).where(
    _s.device_id.in_(sa.bindparam('devices', expanding=True)))



def best(session: orm.Session, request: types.Request, limit: int) -> list[str]:
    """Return the devices on which a shared slice leaves least over, best first: the order of scheduler/weighers.py.

    They have room, and are well and of the right kind and place; what else there is to ask for the filters do.
    """
    compute = _d.compute - _d.used_compute - request.compute
    memory = _d.memory - _d.used_memory - _d.overhead - sa.literal(request.memory)
    query = sa.select(_d.id).join_from(
        models.table(models.Device), models.table(models.Host), _d.host_id == _h.id,
    ).where(compute >= 0, memory >= 0, _d.enabled, _d.health == types.Health.OK, _h.enabled)
    for column, value in ((_d.vendor, request.vendor), (_d.model, request.model)):
        if value is not None:
            query = query.where(column == value)
    if request.locality == types.Locality.HOST:
        query = query.where(_h.name == request.consumer_host)
    elif request.locality == types.Locality.REMOTE:
        query = query.where(_h.name != request.consumer_host)
    if request.pool is not None:
        query = query.where(sa.exists().where(_p.device_id == _d.id, _p.pool_id == request.pool))
    over = sa.cast(compute, sa.Double) / _d.compute + sa.cast(memory, sa.Double) / _d.memory
    return list(session.scalars(query.order_by(over, _h.name, _d.id).limit(limit)))


def look(session: orm.Session, up_since: datetime.datetime,
         only: Collection[str] | None = None) -> list[types.Candidate]:
    """Return every device as the scheduler sees it, by id; its modes are those that all of its pools allow.

    What slices there are on a device is read after the device: what changes in between makes the claim fail on the
    generation.

    :param up_since: hosts that have not been heard of since then are down
    :param only: these devices; None: all
    """
    query, parameters = (_CANDIDATES, {}) if only is None else (_SOME_CANDIDATES, {'only': list(only)})
    found: dict[str, sa.Row[*tuple[Any, ...]]] = {}
    pools: dict[str, list[str]] = defaultdict(list)
    modes: dict[str, tuple[str, ...]] = {}
    for row in session.execute(query, {'up_since': up_since, **parameters}):
        if row.id not in found:
            found[row.id] = row
            modes[row.id] = tuple(row.modes)
        if row.pool_id is not None:
            pools[row.id].append(row.pool_id)
        if row.isolations is not None:
            modes[row.id] = tuple(mode for mode in modes[row.id] if mode in row.isolations)
    used = _used(session, [row.id for row in found.values() if row.slices and (
        row.partitions is not None or types.Isolation.MPS in row.modes)])
    return [types.Candidate(
        device_id=row.id, host=row.name, vendor=row.vendor, model=row.model, compute=row.compute, memory=row.memory,
        free_compute=row.compute - row.used_compute, free_memory=row.memory - row.used_memory, overhead=row.overhead,
        slices=row.slices, generation=row.generation, traits=tuple(row.traits), modes=modes[row.id],
        pools=tuple(pools.get(row.id, ())), networks=tuple(sorted({place['network'] for place in row.advertise})),
        fabric=row.fabric, health=row.health, enabled=bool(row.ready), partitions=row.partitions,
        used=tuple(used.get(row.id, ()))) for row in found.values()]


def _used(session: orm.Session, devices: list[str]) -> dict[str, list[tuple[str, str | None, int | None]]]:
    """Return isolation, template and position of the slices on some devices."""
    used: dict[str, list[tuple[str, str | None, int | None]]] = defaultdict(list)
    if devices:
        for row in session.execute(_USED, {'devices': devices}):
            used[row.device_id].append((row.isolation, row.template, row.position))
    return used
