# SPDX-License-Identifier: Apache-2.0
"""Who holds what: slices with their consumers, for the inventory in Placement; and whether anything has changed."""

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool.db import models
from accelpool.db import service as db_service

_a, _d, _h, _p, _s, _v = (models.table(model).c for model in (
    models.Allocation, models.Device, models.Host, models.Pool, models.Slice, models.Service))
_HELD = sa.select(
    _s.device_id, _s.compute, (_s.memory + _s.overhead).label('memory'), _a.consumer_type, _a.consumer_id,
).join_from(
    models.table(models.Slice), models.table(models.Allocation), _s.allocation_id == _a.id)
#: A device's generation rises with every claim and report of its driver, a pool's with its members; a release lowers
#: the number of slices.
_DEVICES = sa.select(
    sa.func.count(), sa.func.sum(_d.generation), sa.func.sum(_d.slices), sa.func.max(_d.updated_at))
_POOLS = sa.select(sa.func.count(), sa.func.sum(_p.generation), sa.func.max(_p.updated_at))
_HOSTS = sa.select(_h.id).where(
    _h.enabled.is_(True), _h.last_seen >= sa.bindparam('up_since', type_=models.Time)).order_by(_h.id)
_DISABLED = sa.select(_v.host).where(_v.binary == db_service.CONDUCTOR, _v.disabled.is_(True)).order_by(_v.host)


def held(session: orm.Session) -> list[sa.Row[Any]]:
    """Return device_id, compute, memory with its overhead, consumer_type and consumer_id of every slice."""
    return list(session.execute(_HELD))


def mark(session: orm.Session, up_since: datetime.datetime) -> tuple[Any, ...]:
    """Return what is another one after any change of devices, slices, pools, or which hosts are up.

    It costs a small part of reading everything.
    """
    return (*session.execute(_DEVICES).one(), *session.execute(_POOLS).one(),
            tuple(session.scalars(_HOSTS, {'up_since': up_since})), tuple(session.scalars(_DISABLED)))
