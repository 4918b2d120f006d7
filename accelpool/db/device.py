# SPDX-License-Identifier: Apache-2.0
"""Queries on devices, and the scheduler's view of all of them."""

import datetime
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors, types
from accelpool.db import models, paging


def get(session: orm.Session, identifier: str) -> models.Device:
    """:raises NotFound:"""
    found = session.scalar(sa.select(models.Device).where(models.Device.id == identifier).options(
        orm.selectinload(models.Device.pools)))
    if found is None:
        raise errors.NotFound(f'Device {identifier} does not exist')
    return found


def list_page(session: orm.Session, *, filters: Mapping[str, Any] | None = None, sort: paging.Sort = (),
              marker: str | None = None, limit: int | None = None) -> list[models.Device]:
    """Filters are columns, ``host`` (a name) and ``pool`` (id or name)."""
    wanted = dict(filters or {})
    query = sa.select(models.Device).options(orm.selectinload(models.Device.pools))
    host = wanted.pop('host', None)
    if host is not None:
        query = query.where(models.Device.host.has(models.Host.name == host))
    pool = wanted.pop('pool', None)
    if pool is not None:
        query = query.where(models.Device.pools.any(
            sa.or_(models.Pool.id == pool, models.Pool.name == pool)))
    return paging.page(session, models.Device, query.filter_by(**wanted), sort=sort, marker=marker, limit=limit)


def update(session: orm.Session, device: models.Device, **values: Any) -> None:
    """Change an operator's fields; a claim decided on the old values fails."""
    for name, value in values.items():
        setattr(device, name, value)
    device.generation = models.Device.generation + 1
    session.flush()
    session.refresh(device)


def of_host(session: orm.Session, host: str) -> dict[str, types.Device]:
    """Return what the database knows of a host's devices, as its driver would say it."""
    found = session.scalars(sa.select(models.Device).where(
        models.Device.host.has(models.Host.name == host)))
    names = types.Device.__dataclass_fields__
    return {device.id: types.Device.from_dict({name: getattr(device, name) for name in names})
            for device in found}


def save(session: orm.Session, host: models.Host, device: types.Device) -> None:
    """Insert a discovered device, or update what its driver says of it."""
    values = device.to_dict() | {
        'traits': list(device.traits), 'modes': list(device.modes), 'host_id': host.id}
    known = session.get(models.Device, device.id)
    if known is None:
        session.add(models.Device(**values))
        session.flush()
        return
    if known.host_id != host.id and known.slices:
        raise errors.Conflict(f'Device {device.id} has slices on another host')
    for name, value in values.items():
        setattr(known, name, value)
    known.generation = models.Device.generation + 1
    session.flush()


def candidates(session: orm.Session, up_since: datetime.datetime) -> list[types.Candidate]:
    """Return every device as the scheduler sees it; hosts not heard of since ``up_since`` are down."""
    pools: dict[str, list[str]] = defaultdict(list)
    for member in session.execute(sa.select(models.PoolDevice.device_id, models.PoolDevice.pool_id)):
        pools[member.device_id].append(member.pool_id)
    d, h = models.Device.__table__.c, models.Host.__table__.c
    rows = session.execute(sa.select(
        d.id, h.name, d.vendor, d.model, d.compute, d.memory, d.used_compute, d.used_memory, d.slices,
        d.generation, d.traits, d.modes, d.fabric, d.health,
        sa.and_(d.enabled, h.enabled, h.last_seen >= up_since).label('ready'),
    ).join_from(models.Device.__table__, models.Host.__table__, d.host_id == h.id).order_by(d.id))
    return [types.Candidate(
        device_id=row.id, host=row.name, vendor=row.vendor, model=row.model, compute=row.compute,
        memory=row.memory, free_compute=row.compute - row.used_compute,
        free_memory=row.memory - row.used_memory, slices=row.slices, generation=row.generation,
        traits=tuple(row.traits), modes=tuple(row.modes), pools=tuple(pools[row.id]), fabric=row.fabric,
        health=row.health, enabled=bool(row.ready)) for row in rows]
