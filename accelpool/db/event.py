# SPDX-License-Identifier: Apache-2.0
"""What happened to allocations."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors
from accelpool.db import models, paging

_INSERT = sa.insert(models.table(models.Event))

#: No more digits than any database's BIGINT takes.
_LONGEST_ID = 18


def add(session: orm.Session, allocation_id: str, event: str, *, from_state: str | None = None,
        to_state: str | None = None, detail: str | None = None) -> None:
    """Note an event; a transition names both states."""
    session.execute(_INSERT, _row(allocation_id, event, from_state, to_state, detail))


def add_all(session: orm.Session, allocation_id: str,
            events: Iterable[tuple[str, str | None, str, str | None]]) -> None:
    """Note several transitions at once: event, the state before, the one after, detail."""
    session.execute(_INSERT, [_row(allocation_id, *event) for event in events])


def _row(allocation_id: str, event: str, from_state: str | None, to_state: str | None,
         detail: str | None) -> dict[str, Any]:
    return {'allocation_id': allocation_id, 'time': models.utcnow(), 'event': event,
            'from_state': from_state, 'to_state': to_state, 'detail': detail}


def list_page(session: orm.Session, *, allocation_id: str, marker: str | None = None,
              limit: int | None = None) -> list[models.Event]:
    """Return events in the order in which they happened; the marker is the id of one of them.

    :raises InvalidRequest: the marker does not exist
    """
    if marker is not None:
        found = session.get(models.Event, int(marker)) if _is_id(marker) else None
        if found is None or found.allocation_id != allocation_id:
            raise errors.InvalidRequest(f'The marker {marker} does not exist', field='marker')
    query = sa.select(models.Event).where(models.Event.allocation_id == allocation_id)
    return paging.page(session, models.Event, query, marker=None if marker is None else int(marker), limit=limit)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_ID
