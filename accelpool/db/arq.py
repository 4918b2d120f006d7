# SPDX-License-Identifier: Apache-2.0
"""Queries on accelerator requests (ARQs) of Nova.

``state`` is what has been decided: ``Initial``, ``Unbound``, ``BindStarted`` (a conductor is carving), ``Bound``,
``BindFailed``.  What is shown also looks at the allocation (:func:`shown_state`).
"""

import dataclasses
import datetime
import enum
from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors, types
from accelpool.allocations.states import State as AllocationState
from accelpool.db import models
from accelpool.db import session as db_session


class State(enum.StrEnum):
    """States of an ARQ, as Nova knows them."""

    INITIAL = 'Initial'
    BIND_STARTED = 'BindStarted'
    BOUND = 'Bound'
    UNBOUND = 'Unbound'
    BIND_FAILED = 'BindFailed'


#: States in which an ARQ can be bound.
FREE = (State.INITIAL, State.UNBOUND)

_q, _a, _s = (models.table(model).c for model in (models.Arq, models.Allocation, models.Slice))
_VIEW = sa.select(
    _q.id, _q.project_id, _q.profile, _q.group_id, _q.state, _q.hostname, _q.device_rp_uuid, _q.instance_uuid,
    _q.allocation_id, _q.created_at, _q.updated_at, _a.state.label('allocation_state'), _s.id.label('slice_id'),
    _s.host, _s.handle,
).select_from(
    models.table(models.Arq).outerjoin(models.table(models.Allocation), _a.id == _q.allocation_id)
    .outerjoin(models.table(models.Slice), _s.allocation_id == _q.allocation_id))
_ONE = _VIEW.where(_q.id == sa.bindparam('arq'))
_SOME = _VIEW.where(_q.id.in_(sa.bindparam('arqs', expanding=True)))
_OF_INSTANCE = _VIEW.where(_q.instance_uuid == sa.bindparam('instance')).order_by(_q.group_id, _q.id)
_INSERT = sa.insert(models.table(models.Arq))
_BIND = sa.update(models.table(models.Arq)).where(_q.id == sa.bindparam('arq'), _q.state.in_(FREE)).values(
    state=sa.bindparam('after'), hostname=sa.bindparam('on'), device_rp_uuid=sa.bindparam('provider'),
    instance_uuid=sa.bindparam('instance'), project_id=sa.bindparam('project'),
    allocation_id=sa.bindparam('allocation'), updated_at=sa.bindparam('now'))
_UNBIND = sa.update(models.table(models.Arq)).where(_q.id.in_(sa.bindparam('arqs', expanding=True))).values(
    state=State.UNBOUND, hostname=None, device_rp_uuid=None, instance_uuid=None, allocation_id=None,
    updated_at=sa.bindparam('now'))
_DELETE = sa.delete(models.table(models.Arq)).where(_q.id.in_(sa.bindparam('arqs', expanding=True)))
_IDS = sa.select(_q.id, _q.allocation_id).where(_q.id.in_(sa.bindparam('arqs', expanding=True))).order_by(_q.id)
_IDS_OF_INSTANCE = sa.select(_q.id, _q.allocation_id).where(
    _q.instance_uuid == sa.bindparam('instance')).order_by(_q.id)

#: What was asked for, and by whom.
Asked: TypeAlias = sa.Row[*tuple[Any, ...]]
_ASKED = sa.select(_q.id, _q.project_id, _q.user_id, _q.profile, _q.request, _q.instance_uuid)
_INVOLVED = _ASKED.where(sa.or_(_q.id.in_(sa.bindparam('arqs', expanding=True)),
                                _q.instance_uuid.in_(sa.bindparam('instances', expanding=True))))
_LOCKED = _ASKED.where(_q.id.in_(sa.bindparam('arqs', expanding=True))).order_by(_q.id)


@dataclasses.dataclass(frozen=True)
class View:
    """An ARQ with how its allocation stands; its field names are the columns'."""

    id: str
    project_id: str
    profile: str
    group_id: int
    state: str
    hostname: str | None
    device_rp_uuid: str | None
    instance_uuid: str | None
    allocation_id: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime | None
    allocation_state: str | None = None
    slice_id: str | None = None
    host: str | None = None
    handle: dict[str, Any] | None = None

    def shown_state(self) -> State:
        """Return what Nova may see: a failure only after Nova was told of it.

        An ARQ that is ``BindFailed`` when Nova looks for the first time boots without a device.
        """
        if self.state == State.BIND_STARTED and self.allocation_state == AllocationState.ACTIVE:
            return State.BOUND
        return State(self.state)


def create(session: orm.Session, requests: Iterable[tuple[int, types.Request]], *, profile: str, project_id: str,
           user_id: str) -> list[View]:
    """Insert an ARQ for each (group, request for one slice)."""
    now = models.utcnow()
    rows: list[dict[str, Any]] = [{
        'id': models.new_id(), 'project_id': project_id, 'user_id': user_id, 'profile': profile, 'group_id': group,
        'request': request.to_dict(), 'state': State.INITIAL, 'hostname': None, 'device_rp_uuid': None,
        'instance_uuid': None, 'allocation_id': None, 'created_at': now, 'updated_at': None,
    } for group, request in requests]
    if rows:
        session.execute(_INSERT, rows)
    return [View(**{name: value for name, value in row.items() if name not in {'user_id', 'request'}}) for row in rows]


def show(session: orm.Session, identifier: str, project_id: str | None) -> View:
    """Return one ARQ.

    :param project_id: whose it must be; None: anybody's
    :raises NotFound: there is none, or it is somebody else's
    """
    row = session.execute(_ONE, {'arq': identifier}).first()
    if row is None or project_id not in (None, row.project_id):
        raise missing(identifier)
    return View(*row)


def of_instance(session: orm.Session, instance: str) -> list[View]:
    """Return an instance's ARQs."""
    return [View(*row) for row in session.execute(_OF_INSTANCE, {'instance': instance})]


def some(session: orm.Session, identifiers: Collection[str]) -> list[View]:
    """Return those of some ARQs that there are."""
    return [View(*row) for row in session.execute(_SOME, {'arqs': list(identifiers)})]


def list_page(session: orm.Session, *, project_id: str | None = None, marker: str | None = None,
              limit: int | None = None) -> list[View]:
    """Return ARQs by id, those after a marker if one is given.

    :raises InvalidRequest: the marker does not exist
    """
    query = _VIEW.order_by(_q.id).limit(limit)
    if project_id is not None:
        query = query.where(_q.project_id == project_id)
    if marker is not None:
        if session.get(models.Arq, marker) is None:
            raise errors.InvalidRequest(f'The marker {marker} does not exist', field='marker')
        query = query.where(_q.id > marker)
    return [View(*row) for row in session.execute(query)]


def involved(session: orm.Session, identifiers: Collection[str], instances: Collection[str]) -> dict[str, Asked]:
    """Return some ARQs and all those of some instances, by id.

    Nothing keeps others from changing them: :func:`bind` notices.
    """
    found = session.execute(_INVOLVED, {'arqs': list(identifiers), 'instances': list(instances)})
    return {one.id: one for one in found}


def lock(session: orm.Session, identifiers: Collection[str]) -> dict[str, Asked]:
    """Return ARQs by id, kept from others' changes until the transaction ends."""
    query = _LOCKED if db_session.one_writer() else _LOCKED.with_for_update()
    return {found.id: found for found in session.execute(query, {'arqs': list(identifiers)})}


def bind(session: orm.Session, identifier: str, *, state: State, hostname: str, device_rp_uuid: str,
         instance_uuid: str, project_id: str, allocation_id: str) -> None:
    """Note a binding.

    :raises StateConflict: it is bound already
    """
    changed = session.execute(_BIND, {
        'arq': identifier, 'after': state, 'on': hostname, 'provider': device_rp_uuid, 'instance': instance_uuid,
        'project': project_id, 'allocation': allocation_id, 'now': models.utcnow()})
    if changed.rowcount != 1:  # type: ignore[attr-defined]
        raise errors.StateConflict(f'Accelerator request {identifier} is bound already')


def unbind(session: orm.Session, identifiers: Collection[str]) -> list[str]:
    """Take bindings back; returns the allocations that they had."""
    return _take(session, _rows(session, _IDS, arqs=list(identifiers)), _UNBIND, now=models.utcnow())


def delete(session: orm.Session, identifiers: Collection[str]) -> list[str]:
    """Delete ARQs; returns the allocations that they had."""
    return _take(session, _rows(session, _IDS, arqs=list(identifiers)), _DELETE)


def delete_of_instance(session: orm.Session, instance: str) -> list[str]:
    """Delete all ARQs of an instance; returns the allocations that they had."""
    return _take(session, _rows(session, _IDS_OF_INSTANCE, instance=instance), _DELETE)


def _rows(session: orm.Session, query: sa.Select[tuple[str, str | None]],
          **parameters: Any) -> Sequence[sa.Row[tuple[str, str | None]]]:
    return session.execute(query if db_session.one_writer() else query.with_for_update(), parameters).all()


def _take(session: orm.Session, rows: Sequence[sa.Row[tuple[str, str | None]]], statement: Any,
          **parameters: Any) -> list[str]:
    if rows:
        session.execute(statement, {'arqs': [row.id for row in rows], **parameters},
                        execution_options={'synchronize_session': False})
    return [row.allocation_id for row in rows if row.allocation_id is not None]


def unsettled(session: orm.Session) -> list[View]:
    """Return ARQs whose binding was started and of whose end Nova may not know, oldest first."""
    query = _VIEW.where(_q.state == State.BIND_STARTED).order_by(_q.updated_at)
    return [View(*row) for row in session.execute(query)]


def of_allocation(session: orm.Session, allocation_id: str) -> list[View]:
    """Return the ARQ that has an allocation, if there is one."""
    return [View(*row) for row in session.execute(_VIEW.where(_q.allocation_id == allocation_id))]


def settle(session: orm.Session, identifier: str, state: State) -> None:
    """Note that Nova knows how a binding has ended."""
    session.execute(
        sa.update(models.table(models.Arq)).where(_q.id == identifier, _q.state == State.BIND_STARTED)
        .values(state=state, updated_at=models.utcnow()))


def instances(session: orm.Session, before: datetime.datetime) -> list[str]:
    """Return the instances whose ARQs were bound before a time."""
    return list(session.scalars(
        sa.select(_q.instance_uuid).where(_q.instance_uuid.is_not(None), _q.updated_at < before)
        .distinct().order_by(_q.instance_uuid)))


def delete_forgotten(session: orm.Session, before: datetime.datetime) -> int:
    """Delete ARQs that were made before a time and never bound: they hold nothing.  Returns how many."""
    gone = session.execute(sa.delete(models.table(models.Arq)).where(
        _q.state.in_(FREE), _q.created_at < before, sa.or_(_q.updated_at.is_(None), _q.updated_at < before)))
    return int(gone.rowcount)  # type: ignore[attr-defined]


def missing(identifier: str) -> errors.NotFound:
    """In Cyborg's words."""
    return errors.NotFound(f'ExtArq not found with uuid={identifier}')
