# SPDX-License-Identifier: Apache-2.0
"""Queries on slices.  A slice's row and the charge on its device come and go in one transaction.

Others wait for the row of a device from its change to the end of the transaction: it is changed late, before the row of
the project, for which still more wait.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors, types
from accelpool.allocations.states import State
from accelpool.db import models

# Statements of the hot path are built once: building one costs more than running it on SQLite.
_d, _s = models.table(models.Device).c, models.table(models.Slice).c
_compute, _memory = sa.bindparam('share_compute', type_=sa.Integer), sa.bindparam('share_memory', type_=sa.Integer)
_CHARGE = sa.update(models.table(models.Device)).where(
    _d.id == sa.bindparam('device'), _d.generation == sa.bindparam('seen'),
    _d.used_compute + _compute <= _d.compute, _d.used_memory + _memory <= _d.memory,
).values(used_compute=_d.used_compute + _compute, used_memory=_d.used_memory + _memory,
         slices=_d.slices + 1, generation=_d.generation + 1, updated_at=sa.bindparam('now'))
_FREE = sa.update(models.table(models.Device)).where(
    _d.id == sa.bindparam('device'), _d.enabled, _d.health == types.Health.OK, _d.overhead == sa.bindparam('beside'),
    _d.used_compute + _compute <= _d.compute, _d.used_memory + _memory <= _d.memory,
).values(used_compute=_d.used_compute + _compute, used_memory=_d.used_memory + _memory,
         slices=_d.slices + 1, generation=_d.generation + 1, updated_at=sa.bindparam('now'))
# The generation stays: what was decided while less was free is still right.
_DISCHARGE = sa.update(models.table(models.Device)).where(_d.id == sa.bindparam('device')).values(
    used_compute=_d.used_compute - _compute, used_memory=_d.used_memory - _memory,
    slices=_d.slices - 1, updated_at=sa.bindparam('now'))
_INSERT = sa.insert(models.table(models.Slice))
#: Columns of a slice that say what its device is charged for it.
SHARE = (_s.device_id, _s.compute, (_s.memory + _s.overhead).label('memory'))
_FIND = sa.select(_s.allocation_id, *SHARE).where(_s.id == sa.bindparam('slice'))
_DELETE = sa.delete(models.table(models.Slice)).where(_s.id == sa.bindparam('slice'))
_DELETE_ALL = sa.delete(models.table(models.Slice)).where(_s.allocation_id == sa.bindparam('allocation'))
_OF_ALLOCATION = sa.select(models.Slice).where(
    models.Slice.allocation_id == sa.bindparam('allocation')).order_by(models.Slice.ordinal)
_OF_ALLOCATION_ON = _OF_ALLOCATION.where(models.Slice.host == sa.bindparam('on'))

_a = models.table(models.Allocation).c
_OWNED = sa.select(_s.id, _s.allocation_id, _a.project_id, _s.device_id, _s.ordinal, _s.memory).where(
    _a.id == _s.allocation_id, _s.host == sa.bindparam('on'))


def charge(session: orm.Session, wanted: types.Slice, generation: int | None) -> None:
    """Raise what is used of a slice's device, if the device is still as it was.

    :param generation: the one on which the decision was made; None: where only the shares count, they are enough of a
        guard (with the overhead, which the driver may report anew), and those who want shares of one device at the same
        time do not refuse each other
    :raises ClaimConflict: the device's generation is another, or the share is not free
    """
    values = {'device': wanted.device_id, 'now': models.utcnow(),
              'share_compute': wanted.compute, 'share_memory': wanted.memory + wanted.overhead}
    charged = (session.execute(_FREE, values | {'beside': wanted.overhead}) if generation is None else
               session.execute(_CHARGE, values | {'seen': generation}))
    if charged.rowcount != 1:  # type: ignore[attr-defined]
        raise errors.ClaimConflict(f'Device {wanted.device_id} has changed since it was chosen')


def insert(session: orm.Session, wanted: Iterable[types.Slice]) -> None:
    """Insert slices for which their devices were charged."""
    session.execute(_INSERT, [{**one.to_dict(), 'bound': False} for one in wanted])


def remove(session: orm.Session, slice_id: str) -> sa.Row[*tuple[Any, ...]] | None:
    """Delete a slice; once only, whoever else tries.

    Returns its allocation and its ``SHARE``, which must be given back in the same transaction; None when it was gone
    already.
    """
    found = session.execute(_FIND, {'slice': slice_id}).first()
    if found is None or session.execute(_DELETE, {'slice': slice_id}).rowcount != 1:  # type: ignore[attr-defined]
        return None
    return found


def remove_all(session: orm.Session, allocation_id: str) -> None:
    """Delete all slices of an allocation, which only the caller may do now."""
    session.execute(_DELETE_ALL, {'allocation': allocation_id})


def give_back(session: orm.Session, shares: Iterable[sa.Row[*tuple[Any, ...]]]) -> None:
    """Give the ``SHARE`` of deleted slices back to their devices.

    :param shares: by device: the order in which claims lock devices
    """
    for share in shares:
        session.execute(_DISCHARGE, {
            'device': share.device_id, 'now': models.utcnow(),
            'share_compute': share.compute, 'share_memory': share.memory})


def of_host(session: orm.Session, host: str) -> list[tuple[models.Slice, str]]:
    """Return a host's slices, each with the state of its allocation."""
    rows = session.execute(
        sa.select(models.Slice, models.Allocation.state)
        .join(models.Allocation, models.Allocation.id == models.Slice.allocation_id)
        .where(models.Slice.host == host).order_by(models.Slice.id))
    return [(row[0], row[1]) for row in rows]


def allocations_on(session: orm.Session, device_id: str) -> list[str]:
    """Return the allocations that have a slice on a device."""
    return list(session.scalars(sa.select(_s.allocation_id).where(_s.device_id == device_id).distinct()))


@dataclasses.dataclass(frozen=True)
class Owned:
    """A slice, and whose it is."""

    id: str
    allocation_id: str
    project_id: str
    device_id: str
    ordinal: int
    memory: int


def owned(session: orm.Session, host: str) -> list[Owned]:
    """Return a host's slices."""
    rows = session.execute(_OWNED, {'on': host})
    return [Owned(*row) for row in rows]


def of_allocation(session: orm.Session, allocation_id: str, host: str | None = None) -> list[models.Slice]:
    """Return an allocation's slices, those of one host if it is named, by ordinal."""
    if host is None:
        return list(session.scalars(_OF_ALLOCATION, {'allocation': allocation_id}))
    return list(session.scalars(_OF_ALLOCATION_ON, {'allocation': allocation_id, 'on': host}))


def leaving(session: orm.Session) -> bool:
    """Whether there are slices that are being given back."""
    return session.scalar(
        sa.select(models.Slice.id).join(models.Allocation, models.Allocation.id == models.Slice.allocation_id)
        .where(models.Allocation.state.in_((State.RELEASING, State.ERROR))).limit(1)) is not None


def plain(found: models.Slice) -> types.Slice:
    """Return a slice's row as the value that crosses boundaries."""
    values: dict[str, Any] = {name: getattr(found, name) for name in types.Slice.__dataclass_fields__}
    return types.Slice(**values)
