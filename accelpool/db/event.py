# SPDX-License-Identifier: Apache-2.0
"""What happened to allocations."""

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors
from accelpool.db import models, paging


def add(session: orm.Session, allocation_id: str, event: str, *, from_state: str | None = None,
        to_state: str | None = None, detail: str | None = None) -> None:
    """Note an event; a transition names both states."""
    session.execute(sa.insert(models.Event).values(
        allocation_id=allocation_id, time=models.utcnow(), event=event,
        from_state=from_state, to_state=to_state, detail=detail))


def list_page(session: orm.Session, *, allocation_id: str, marker: str | None = None,
              limit: int | None = None) -> list[models.Event]:
    """Return events in the order in which they happened; the marker is an event's id.

    :raises InvalidRequest: the marker does not exist
    """
    if marker is not None and not marker.isdecimal():
        raise errors.InvalidRequest(f'The marker {marker} does not exist', field='marker')
    query = sa.select(models.Event).where(models.Event.allocation_id == allocation_id)
    return paging.page(session, models.Event, query, marker=marker, limit=limit)
