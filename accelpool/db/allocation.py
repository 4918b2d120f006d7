# SPDX-License-Identifier: Apache-2.0
"""Queries on allocations.  Every change of state is one compare-and-swap and one event row."""

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc, orm

from accelpool import errors, types
from accelpool.allocations.states import HOLDING, LIVE, Event, State, next_state
from accelpool.db import changes, models, paging
from accelpool.db import event as db_event
from accelpool.db import quota as db_quota
from accelpool.db import session as db_session
from accelpool.db import slice as db_slice
from accelpool.quota.amounts import UNSAID, Amounts, Limits

# Statements of the hot path are built once: building one costs more than running it on SQLite.
_a, _s = models.table(models.Allocation).c, models.table(models.Slice).c
_this = _a.id == sa.bindparam('allocation')
_GET = sa.select(models.Allocation).where(models.Allocation.id == sa.bindparam('allocation')).options(
    orm.joinedload(models.Allocation.slices))
_INSERT = sa.insert(models.table(models.Allocation))
_STATE = sa.select(_a.state).where(_this)
_ASKED = sa.select(_a.request).where(_this, _a.state == State.PENDING)
_SCHEDULED = sa.select(_a.id).where(
    _a.id.in_(sa.bindparam('allocations', expanding=True)), _a.state == State.SCHEDULED)
_LOCK = _STATE.with_for_update()
_SWAP = sa.update(models.table(models.Allocation)).where(_this, _a.state == sa.bindparam('before')).values(
    state=sa.bindparam('after'), updated_at=sa.bindparam('now'))
_SWAP_FAILED = _SWAP.values(reason=sa.bindparam('why'))
_its_slices = sa.select(sa.literal(1)).select_from(models.table(models.Slice)).where(_s.allocation_id == _a.id)
_NOTHING = db_quota.charged(Amounts())
_SWAP_EMPTIED = _SWAP.values(_NOTHING)
_SWAP_EMPTY = _SWAP_EMPTIED.where(~_its_slices.exists())
_HELD = sa.select(*db_quota.ACCOUNT, *db_slice.SHARE).where(
    _this, _a.state == State.SCHEDULED, _s.allocation_id == _a.id).order_by(_s.device_id)
_SETTLE = sa.update(models.table(models.Allocation)).where(
    _this, _a.state == State.ERROR, _a.charged_slices != 0, ~_its_slices.exists()).values(_NOTHING)
_CHARGED = sa.update(models.table(models.Allocation)).where(_this).values(
    {name: sa.bindparam(f'new_{name}') for name in _NOTHING})
_SWAP_BOUND = _SWAP.where(~_its_slices.where(_s.bound == sa.false()).exists())
_BOUND = sa.update(models.table(models.Slice)).where(_s.id == sa.bindparam('slice')).values(
    bound=True, handle=sa.bindparam('how'))


def get(session: orm.Session, identifier: str) -> models.Allocation:
    """:raises NotFound:"""
    found = session.scalars(_GET, {'allocation': identifier}).unique().one_or_none()
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


def create(session: orm.Session, *, request: types.Request, ttl: int | None = None, given: Limits = UNSAID,
           charge: bool = True, **values: Any) -> models.Allocation:
    """Insert a pending allocation, for which its project is charged; what is returned does not belong to the session.

    :param values: columns: project_id, user_id, name, profile, consumer_type, ..., and perhaps id
    :param ttl: seconds to live
    :param given: limits of the project from elsewhere than the database
    :param charge: False: for an allocation that holds nothing and never will
    :raises Conflict: the id is taken
    :raises QuotaExceeded: the project may not have so much
    """
    amounts = Amounts.of_request(request) if charge else Amounts()
    row = _insert(session, request, State.PENDING, ttl, amounts, values)
    db_event.add(session, row['id'], Event.CREATE, to_state=State.PENDING)
    db_quota.charge(session, row['project_id'], amounts, given)
    changes.note(session.info, 'allocation', Event.CREATE, row['id'], state=State.PENDING)
    return models.Allocation(**row, slices=[])


def create_claimed(session: orm.Session, *, request: types.Request, slices: Sequence[types.Slice],
                   generations: Mapping[str, int | None], begun: bool, given: Limits = UNSAID, **values: Any) -> None:
    """Create an allocation and claim its slices at once: what :func:`create` and :func:`claim` do one after the other.

    :param begun: its conductors are about to hear of it and carve it, which this says in their stead
    :param values: as for create(); the id is that of the slices
    :raises ClaimConflict, QuotaExceeded: as claim() does
    """
    chosen = _in_order(slices)
    amounts = Amounts.of_slices(chosen)
    identifier = chosen[0].allocation_id
    steps = [(Event.CREATE, None, State.PENDING, None), (Event.CLAIM, State.PENDING, State.SCHEDULED, _what(chosen))]
    if begun:
        steps.append((Event.BIND, State.SCHEDULED, State.BINDING, None))
    _insert(session, request, steps[-1][2], None, amounts, {**values, 'id': identifier})
    _note_all(session, identifier, steps)
    _charge(session, chosen, generations)
    db_quota.charge(session, values['project_id'], amounts, given)


def _note_all(session: orm.Session, identifier: str,
              steps: Sequence[tuple[Event, State | None, State, str | None]]) -> None:
    """Note several transitions at once: event, the state before, the one after, detail."""
    db_event.add_all(session, identifier, steps)
    for event, before, after, _ in steps:
        changes.note(session.info, 'allocation', event, identifier, state=after,
                     **({} if before is None else {'previous_state': before}))


def _insert(session: orm.Session, request: types.Request, state: State, ttl: int | None, amounts: Amounts,
            values: Mapping[str, Any]) -> dict[str, Any]:
    now = models.utcnow()
    row = {'id': models.new_id(), 'consumer_type': 'process', **values, 'request': request.to_dict(),
           'state': state, 'ttl': ttl, 'expires_at': _expiry(now, ttl), 'created_at': now, 'updated_at': now,
           **db_quota.charged(amounts)}
    try:
        session.execute(_INSERT, row)
    except exc.IntegrityError as failure:
        raise errors.Conflict(f'There is an allocation {row["id"]} already', field='id') from failure
    return row


def _expiry(now: datetime.datetime, ttl: int | None) -> datetime.datetime | None:
    return None if ttl is None else now + datetime.timedelta(seconds=ttl)


def transition(session: orm.Session, identifier: str, event: Event, *,
               expected: Collection[State] | None = None, detail: str | None = None) -> State:
    """Move an allocation along ``event``; ``detail`` of a failure becomes its reason.

    :param expected: states from which the caller means to go; None: any that allows it
    :raises NotFound: there is no such allocation
    :raises StateConflict: its state does not allow it, or somebody else was faster
    """
    if expected is not None and len(expected) == 1:
        (before,) = expected
    else:
        before = state(session, identifier)
        if expected is not None and before not in expected:
            raise errors.StateConflict(f'Allocation {identifier} is {before}')
    after = next_state(before, event)
    fields = {'why': detail} if event == Event.FAIL else {}
    if not _swap(session, identifier, event, before, after, detail,
                 _SWAP_FAILED if event == Event.FAIL else _SWAP, **fields):
        raise errors.StateConflict(f'Allocation {identifier} is {state(session, identifier)}, not {before}')
    if after == State.ERROR and (account := _settle(session, identifier)) is not None:
        db_quota.discharge(session, account)
    return after


def state(session: orm.Session, identifier: str) -> State:
    """:raises NotFound:"""
    found = session.scalar(_STATE, {'allocation': identifier})
    if found is None:
        raise errors.NotFound(f'Allocation {identifier} does not exist')
    return State(found)


def asked(session: orm.Session, identifier: str) -> dict[str, Any] | None:
    """Return the request of a pending allocation; None when there is no pending one."""
    found: dict[str, Any] | None = session.scalar(_ASKED, {'allocation': identifier})
    return found


def scheduled(session: orm.Session, identifiers: Collection[str]) -> set[str]:
    """Return those of some allocations that wait for their conductors."""
    return set(session.scalars(_SCHEDULED, {'allocations': list(identifiers)}))


def _swap(session: orm.Session, identifier: str, event: Event, before: State, after: State,
          detail: str | None, statement: sa.Update, **fields: Any) -> bool:
    """Compare and swap, with the event's row; False: the comparison failed."""
    swapped = session.execute(statement, {
        'allocation': identifier, 'before': before, 'after': after, 'now': models.utcnow(), **fields})
    if swapped.rowcount != 1:  # type: ignore[attr-defined]
        return False
    changes.note(session.info, 'allocation', event, identifier, state=after, previous_state=before,
                 **({'reason': detail} if event == Event.FAIL else {}))
    loaded = session.identity_map.get(orm.util.identity_key(models.Allocation, identifier))
    if loaded is not None:
        session.expire(loaded, ['state', 'updated_at', 'reason'])
    db_event.add(session, identifier, event, from_state=before, to_state=after, detail=detail)
    return True


def claim(session: orm.Session, identifier: str, slices: Iterable[types.Slice],
          generations: Mapping[str, int | None], given: Limits = UNSAID) -> None:
    """Charge the devices and move the allocation from pending to scheduled, or change nothing.

    :param generations: for each device, the generation on which the decision was made; None: only its shares count
    :param given: limits of the project from elsewhere than the database
    :raises ClaimConflict: a device has changed since
    :raises QuotaExceeded: the devices are more than what was asked for, and more than the project may have
    :raises StateConflict: the allocation is not pending any more
    """
    chosen = _in_order(slices)
    transition(session, identifier, Event.CLAIM, expected=[State.PENDING], detail=_what(chosen))
    account = db_quota.account(session, identifier)
    _charge(session, chosen, generations)
    amounts = Amounts.of_slices(chosen)
    if amounts != account.charged:
        session.execute(_CHARGED, {'allocation': identifier} | {
            f'new_{name}': value for name, value in db_quota.charged(amounts).items()})
        db_quota.charge(session, account.project_id, amounts - account.charged, given)


def _in_order(slices: Iterable[types.Slice]) -> list[types.Slice]:
    """Return slices in the order in which all charge devices, so that two claims cannot deadlock."""
    return sorted(slices, key=lambda s: s.device_id)


def _charge(session: orm.Session, chosen: Iterable[types.Slice], generations: Mapping[str, int | None]) -> None:
    for wanted in chosen:
        db_slice.charge(session, wanted, generations[wanted.device_id])
    db_slice.insert(session, chosen)


def _what(chosen: Iterable[types.Slice]) -> str:
    return ', '.join(f'{s.compute} % and {s.memory} MiB of {s.device_id} on {s.host}' for s in chosen)


def abandon(session: orm.Session, identifier: str, detail: str) -> bool:
    """Release a scheduled allocation of which no conductor has begun to bind anything; it holds nothing afterwards.

    False: it is in another state, and its conductors must be asked.
    """
    held = session.execute(_HELD, {'allocation': identifier}).all()
    if not held or session.execute(_SWAP_EMPTIED, {  # type: ignore[attr-defined]
            'allocation': identifier, 'before': State.SCHEDULED, 'after': State.RELEASED,
            'now': models.utcnow()}).rowcount != 1:
        return False
    db_slice.remove_all(session, identifier)
    _note_all(session, identifier, [(Event.RELEASE, State.SCHEDULED, State.RELEASING, detail),
                                    (Event.FINISH, State.RELEASING, State.RELEASED, None)])
    db_slice.give_back(session, held)
    db_quota.discharge(session, db_quota.Account.of(held[0]))
    return True


def release_slice(session: orm.Session, slice_id: str) -> bool:
    """Give a slice's share back to its device; the last one of a releasing allocation finishes it.

    Returns whether there was such a slice.
    """
    removed = db_slice.remove(session, slice_id)
    if removed is None:
        return False
    account = _finish(session, removed.allocation_id) or _settle(session, removed.allocation_id)
    db_slice.give_back(session, [removed])
    if account is not None:
        db_quota.discharge(session, account)
    return True


def finish_if_empty(session: orm.Session, identifier: str) -> bool:
    """Move a releasing allocation that holds nothing any more to released; returns whether it did.

    Its project is charged nothing more for it.
    """
    account = _finish(session, identifier)
    if account is not None:
        db_quota.discharge(session, account)
    return account is not None


def _finish(session: orm.Session, identifier: str) -> db_quota.Account | None:
    """Do so, but for what its project is charged, which is returned; None: it is not releasing, or not empty."""
    account = db_quota.account(session, identifier, lock=not db_session.one_writer())
    finished = _swap(session, identifier, Event.FINISH, State.RELEASING, State.RELEASED, None, _SWAP_EMPTY)
    return account if finished else None


def _settle(session: orm.Session, identifier: str) -> db_quota.Account | None:
    """Note that an allocation in error is not charged for, if it holds nothing; returns what its project is charged."""
    account = db_quota.account(session, identifier)
    settled = session.execute(_SETTLE, {'allocation': identifier}).rowcount == 1  # type: ignore[attr-defined]
    return account if settled else None


def _lock(session: orm.Session, identifier: str) -> None:
    """Wait for others who look whether theirs is the last slice: each would see the other's before its commit."""
    if not db_session.one_writer():
        session.execute(_LOCK, {'allocation': identifier})


def release(session: orm.Session, identifier: str, detail: str | None = None) -> State:
    """Begin to release; an allocation without slices is released at once.  Returns its state.

    An allocation that is releasing or released stays as it is: asking twice is no error.

    :raises NotFound: there is no such allocation
    """
    _lock(session, identifier)
    before = state(session, identifier)
    if before not in LIVE:
        return before
    transition(session, identifier, Event.RELEASE, expected=[before], detail=detail)
    return State.RELEASED if finish_if_empty(session, identifier) else State.RELEASING


def expire(session: orm.Session, identifier: str, now: datetime.datetime) -> bool:
    """Begin to release an allocation whose time to live has ended; False: it was extended meanwhile."""
    _lock(session, identifier)
    due = session.scalar(sa.select(_a.id).where(
        _a.id == identifier, _a.expires_at <= now, _a.state.in_(LIVE)))
    if due is None:
        return False
    release(session, identifier, 'its time to live has ended')
    return True


def bound(session: orm.Session, identifier: str, slice_ids: Iterable[str],
          handles: Mapping[str, dict[str, Any]] | None = None) -> bool:
    """Mark slices as bound; when all of the allocation's are, it becomes active.  Returns whether it did.

    :param handles: how an instance on the slice's host gets it, by slice; those without go through an agent
    """
    _lock(session, identifier)
    session.execute(_BOUND, [{'slice': slice_id, 'how': (handles or {}).get(slice_id)} for slice_id in slice_ids])
    return _swap(session, identifier, Event.ACTIVATE, State.BINDING, State.ACTIVE, None, _SWAP_BOUND)


def extend(session: orm.Session, identifier: str, ttl: int | None) -> None:
    """Let the time to live start again now.

    :raises StateConflict: the allocation is going or gone
    """
    now = models.utcnow()
    result = session.execute(
        sa.update(models.Allocation).where(
            models.Allocation.id == identifier, models.Allocation.state.in_(LIVE)
        ).values(ttl=ttl, expires_at=_expiry(now, ttl), updated_at=now),
        execution_options={'synchronize_session': 'fetch'})
    if result.rowcount != 1:  # type: ignore[attr-defined]
        raise errors.StateConflict(f'Allocation {identifier} is not live any more')
    changes.note(session.info, 'allocation', 'extend', identifier)


def touch(session: orm.Session, identifiers: Iterable[str]) -> None:
    """Let the time to live of allocations in use (a live session or holder) start again now.

    Being in use is no change: ``updated_at`` stays.
    """
    now = models.utcnow()
    used = session.execute(sa.select(_a.id, _a.ttl).where(
        _a.id.in_(list(identifiers)), _a.ttl.is_not(None), _a.state.in_(HOLDING - {State.RELEASING}))).all()
    for row in used:
        session.execute(
            sa.update(models.table(models.Allocation)).where(_a.id == row.id, _a.ttl == row.ttl)
            .values(expires_at=_expiry(now, row.ttl), updated_at=_a.updated_at))


def purge(session: orm.Session, limit: int, *, before: datetime.datetime) -> int:
    """Delete up to ``limit`` allocations that were released before a time, with their events; returns how many."""
    old = session.scalars(sa.select(models.Allocation.id).where(
        models.Allocation.state == State.RELEASED, models.Allocation.updated_at < before).limit(limit)).all()
    session.execute(sa.delete(models.Event).where(models.Event.allocation_id.in_(old)))
    session.execute(sa.delete(models.Allocation).where(models.Allocation.id.in_(old)))
    return len(old)
