# SPDX-License-Identifier: Apache-2.0
"""Time in which the control plane was down does not count against a time to live."""

import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool.allocations.states import State
from accelpool.db import models


def tick(session: orm.Session, now: datetime.datetime, longest: datetime.timedelta) -> datetime.timedelta:
    """Note that the control plane lives; after a silence longer than ``longest`` move every expiry by it.

    Returns by how much expiries were moved.
    """
    clock = session.get(models.Clock, 1, with_for_update=True)
    if clock is None:
        session.add(models.Clock(id=1, ticked_at=now))
        return datetime.timedelta(0)
    silence, clock.ticked_at = now - clock.ticked_at, now
    if silence <= longest:
        return datetime.timedelta(0)
    for allocation in session.scalars(sa.select(models.Allocation).where(
            models.Allocation.expires_at.is_not(None),
            models.Allocation.state.not_in([State.RELEASING, State.RELEASED]))):
        assert allocation.expires_at is not None
        allocation.expires_at += silence
    return silence
