# SPDX-License-Identifier: Apache-2.0
"""Time in which the control plane was down does not count against a time to live."""

import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool.allocations.states import LIVE
from accelpool.db import models


def tick(session: orm.Session, now: datetime.datetime, longest: datetime.timedelta) -> datetime.timedelta:
    """Note that the control plane lives; after a silence longer than ``longest`` move every expiry by it.

    Returns by how much expiries were moved.
    """
    clock = session.get_one(models.Clock, 1, with_for_update=True)
    silence, clock.ticked_at = now - clock.ticked_at, max(now, clock.ticked_at)
    if silence <= longest:
        return datetime.timedelta(0)
    a = models.table(models.Allocation).c
    for row in session.execute(sa.select(a.id, a.expires_at).where(
            a.expires_at.is_not(None), a.state.in_(LIVE))).all():
        session.execute(
            sa.update(models.table(models.Allocation)).where(a.id == row.id, a.expires_at == row.expires_at)
            .values(expires_at=row.expires_at + silence, updated_at=a.updated_at))
    return silence
