# SPDX-License-Identifier: Apache-2.0
"""Queries on pools and on which devices are in them."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc, orm

from accelpool import errors
from accelpool.db import models, paging

#: Every new device joins it.
DEFAULT = 'default'


def get(session: orm.Session, id_or_name: str) -> models.Pool:
    """:raises NotFound:"""
    found = session.scalar(sa.select(models.Pool).where(
        sa.or_(models.Pool.id == id_or_name, models.Pool.name == id_or_name)
    ).options(orm.selectinload(models.Pool.devices)))
    if found is None:
        raise errors.NotFound(f'Pool {id_or_name} does not exist')
    return found


def list_page(session: orm.Session, *, filters: Mapping[str, Any] | None = None, sort: paging.Sort = (),
              marker: str | None = None, limit: int | None = None) -> list[models.Pool]:
    query = sa.select(models.Pool).filter_by(**(filters or {})).options(orm.selectinload(models.Pool.devices))
    return paging.page(session, models.Pool, query, sort=sort, marker=marker, limit=limit)


def create(session: orm.Session, **values: Any) -> models.Pool:
    """:raises Conflict: the name is taken"""
    pool = models.Pool(**values)
    pool.devices = []
    session.add(pool)
    _flush(session, pool)
    return pool


def update(session: orm.Session, pool: models.Pool, **values: Any) -> None:
    """:raises Conflict: the name is taken"""
    for name, value in values.items():
        setattr(pool, name, value)
    pool.generation += 1
    _flush(session, pool)


def _flush(session: orm.Session, pool: models.Pool) -> None:
    name = pool.name
    try:
        session.flush()
    except exc.IntegrityError as failure:
        raise errors.Conflict(f'There is a pool named {name} already', field='name') from failure


def delete(session: orm.Session, pool: models.Pool) -> None:
    """:raises Conflict: a profile names it"""
    user = session.scalar(sa.select(models.Profile.name).where(models.Profile.pool_id == pool.id).limit(1))
    if user is not None:
        raise errors.Conflict(f'Profile {user} draws from pool {pool.name}; change or delete the profile first')
    session.delete(pool)
    session.flush()


def ensure_default(session: orm.Session) -> models.Pool:
    """Return the default pool; the first time creates it, unless another host is faster."""
    named_so = sa.select(models.Pool).where(models.Pool.name == DEFAULT)
    pool = session.scalar(named_so)
    if pool is not None:
        return pool
    try:
        with session.begin_nested():
            return create(session, name=DEFAULT, description='every device joins it')
    except errors.Conflict:
        return session.scalars(named_so).one()


def add_device(session: orm.Session, pool: models.Pool, device: models.Device) -> None:
    """Put a device into a pool; nothing happens when it is there."""
    if session.get(models.PoolDevice, (pool.id, device.id)) is None:
        session.add(models.PoolDevice(pool_id=pool.id, device_id=device.id))
        pool.generation += 1
        session.flush()
        session.expire(pool, ['devices'])


def remove_device(session: orm.Session, pool: models.Pool, device: models.Device) -> None:
    """:raises NotFound: the device is not in the pool"""
    member = session.get(models.PoolDevice, (pool.id, device.id))
    if member is None:
        raise errors.NotFound(f'Device {device.id} is not in pool {pool.name}')
    session.delete(member)
    pool.generation += 1
    session.flush()
    session.expire(pool, ['devices'])
