# SPDX-License-Identifier: Apache-2.0
"""Queries on allocations.  Every change of state is one compare-and-swap and one event row."""

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc, orm

from accelpool import errors, types
from accelpool.allocations.states import HOLDING, Event, State, next_state
from accelpool.db import event as db_event
from accelpool.db import models, paging
from accelpool.db import slice as db_slice


def get(session: orm.Session, identifier: str) -> models.Allocation:
    """:raises NotFound:"""
    found = session.scalar(sa.select(models.Allocation).where(models.Allocation.id == identifier).options(
        orm.selectinload(models.Allocation.slices)))
    if found is None:
        raise errors.NotFound(f'Allocation {identifier} does not exist')
    return found


def list_page(session: orm.Session, *, filters: Mapping[str, Any] | None = None, sort: paging.Sort = (),
              marker: str | None = None, limit: int | None = None) -> list[models.Allocation]:
    """Filters are columns, and ``host`` (has a slice there).  Without ``state`` released ones are left out."""
    wanted = dict(filters or {})
    query = sa.select(models.Allocation).options(orm.selectinload(models.Allocation.slices))
    host = wanted.pop('host', None)
    if host is not None:
        query = query.where(models.Allocation.slices.any(models.Slice.host == host))
    if 'state' not in wanted:
        query = query.where(models.Allocation.state != State.RELEASED)
    return paging.page(
        session, models.Allocation, query.filter_by(**wanted), sort=sort, marker=marker, limit=limit)


def create(session: orm.Session, *, request: types.Request, ttl: int | None = None,
           **values: Any) -> models.Allocation:
    """Insert a pending allocation.

    :param values: columns: project_id, user_id, name, profile, consumer_type, ..., and perhaps id
    :param ttl: seconds to live
    :raises Conflict: the id is taken
    """
    now = models.utcnow()
    allocation = models.Allocation(
        **{'id': models.new_id(), **values}, request=request.to_dict(), state=State.PENDING, ttl=ttl,
        expires_at=_expiry(now, ttl), created_at=now, updated_at=now)
    allocation.slices = []
    session.add(allocation)
    try:
        session.flush()
    except exc.IntegrityError as failure:
        raise errors.Conflict(f'There is an allocation {allocation.id} already', field='id') from failure
    db_event.add(session, allocation.id, Event.CREATE, to_state=State.PENDING)
    return allocation


def _expiry(now: datetime.datetime, ttl: int | None) -> datetime.datetime | None:
    return None if ttl is None else now + datetime.timedelta(seconds=ttl)


def transition(session: orm.Session, identifier: str, event: Event, *,
               expected: Iterable[State] | None = None, detail: str | None = None) -> State:
    """Move an allocation along ``event``; ``detail`` of a failure becomes its reason.

    :param expected: states from which the caller means to go; None: any that allows it
    :raises NotFound: there is no such allocation
    :raises StateConflict: its state does not allow it, or somebody else was faster
    """
    row = session.execute(sa.select(models.Allocation.state).where(
        models.Allocation.id == identifier)).first()
    if row is None:
        raise errors.NotFound(f'Allocation {identifier} does not exist')
    before = State(row.state)
    if expected is not None and before not in set(expected):
        raise errors.StateConflict(f'Allocation {identifier} is {before}')
    after = next_state(before, event)
    values: dict[str, Any] = {'state': after, 'updated_at': models.utcnow()}
    if event == Event.FAIL:
        values['reason'] = detail
    _swap(session, identifier, before, values)
    db_event.add(session, identifier, event, from_state=before, to_state=after, detail=detail)
    return after


def _swap(session: orm.Session, identifier: str, before: State, values: dict[str, Any]) -> None:
    result = session.execute(
        sa.update(models.Allocation).where(
            models.Allocation.id == identifier, models.Allocation.state == before).values(**values),
        execution_options={'synchronize_session': False})
    if result.rowcount != 1:  # type: ignore[attr-defined]
        raise errors.StateConflict(f'Allocation {identifier} is not {before} any more')
    loaded = session.identity_map.get(orm.util.identity_key(models.Allocation, identifier))
    if loaded is not None:
        session.expire(loaded, list(values))


def claim(session: orm.Session, identifier: str, slices: Iterable[types.Slice],
          generations: Mapping[str, int]) -> None:
    """Charge the devices and move the allocation from pending to scheduled, or change nothing.

    :param generations: for each device, the generation on which the decision was made
    :raises ClaimConflict: a device has changed since
    :raises StateConflict: the allocation is not pending any more
    """
    chosen = list(slices)
    for wanted in chosen:
        db_slice.charge(session, wanted, generations[wanted.device_id])
    transition(session, identifier, Event.CLAIM, expected=[State.PENDING],
               detail=', '.join(f'{s.compute} % and {s.memory} MiB of {s.device_id} on {s.host}' for s in chosen))


def release_slice(session: orm.Session, slice_id: str) -> bool:
    """Give a slice's share back to its device; the last one of a releasing allocation finishes it.

    Returns whether there was such a slice.
    """
    found = session.get(models.Slice, slice_id)
    if found is None:
        return False
    identifier = found.allocation_id
    db_slice.discharge(session, found)
    finish_if_empty(session, identifier)
    return True


def finish_if_empty(session: orm.Session, identifier: str) -> None:
    """Move a releasing allocation that holds nothing any more to released."""
    holds = session.scalar(sa.select(models.Slice.id).where(models.Slice.allocation_id == identifier).limit(1))
    state = session.scalar(sa.select(models.Allocation.state).where(models.Allocation.id == identifier))
    if holds is None and state == State.RELEASING:
        transition(session, identifier, Event.FINISH, expected=[State.RELEASING])


def release(session: orm.Session, identifier: str, detail: str | None = None) -> State:
    """Begin to release; an allocation without slices is released at once.  Returns its state.

    An allocation that is releasing or released stays as it is: asking twice is no error.
    """
    allocation = get(session, identifier)
    if allocation.state not in {State.RELEASING, State.RELEASED}:
        transition(session, identifier, Event.RELEASE, detail=detail)
        finish_if_empty(session, identifier)
    return State(allocation.state)


def bound(session: orm.Session, identifier: str, slice_ids: Iterable[str]) -> None:
    """Mark slices as bound; when all of the allocation's are, it becomes active."""
    session.execute(sa.update(models.Slice).where(models.Slice.id.in_(list(slice_ids))).values(bound=True),
                    execution_options={'synchronize_session': False})
    waiting = session.scalar(sa.select(models.Slice.id).where(
        models.Slice.allocation_id == identifier, models.Slice.bound.is_(False)).limit(1))
    if waiting is None:
        transition(session, identifier, Event.ACTIVATE, expected=[State.BINDING])


def extend(session: orm.Session, identifier: str, ttl: int | None) -> None:
    """Let the time to live start again now.

    :raises StateConflict: the allocation is going or gone
    """
    now = models.utcnow()
    live = [state for state in State if state not in {State.RELEASING, State.RELEASED}]
    result = session.execute(
        sa.update(models.Allocation).where(
            models.Allocation.id == identifier, models.Allocation.state.in_(live)
        ).values(ttl=ttl, expires_at=_expiry(now, ttl), updated_at=now),
        execution_options={'synchronize_session': 'fetch'})
    if result.rowcount != 1:  # type: ignore[attr-defined]
        raise errors.StateConflict(f'Allocation {identifier} is not live any more')


def touch(session: orm.Session, identifiers: Iterable[str]) -> None:
    """Let the time to live of allocations in use (a live session or holder) start again now."""
    now = models.utcnow()
    for allocation in session.scalars(sa.select(models.Allocation).where(
            models.Allocation.id.in_(list(identifiers)), models.Allocation.ttl.is_not(None),
            models.Allocation.state.in_([s for s in HOLDING if s != State.RELEASING]))):
        allocation.expires_at = _expiry(now, allocation.ttl)


def purge(session: orm.Session, before: datetime.datetime) -> int:
    """Delete allocations that were released before a time, with their events; returns how many."""
    old = session.scalars(sa.select(models.Allocation.id).where(
        models.Allocation.state == State.RELEASED, models.Allocation.updated_at < before)).all()
    for start in range(0, len(old), 500):
        some = old[start:start + 500]
        session.execute(sa.delete(models.Event).where(models.Event.allocation_id.in_(some)))
        session.execute(sa.delete(models.Allocation).where(models.Allocation.id.in_(some)))
    return len(old)
