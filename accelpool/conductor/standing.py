# SPDX-License-Identifier: Apache-2.0
"""What a conductor must know of an allocation before it does anything, in one query."""

import dataclasses
from typing import Self

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool.allocations.states import State
from accelpool.db import models
from accelpool.types import Slice

#: Fields of a slice that its row does not share with its allocation.
_FIELDS = tuple(field.name for field in dataclasses.fields(Slice) if field.name != 'allocation_id')

_a, _s = (models.table(model).c for model in (models.Allocation, models.Slice))
# Built once: building it costs more than running it.
_QUERY = sa.select(
    _a.state, _a.project_id, *(_s[name].label(f'slice_{name}') for name in _FIELDS),
).select_from(models.table(models.Allocation).outerjoin(models.table(models.Slice), sa.and_(
    _s.allocation_id == _a.id, _s.host == sa.bindparam('on'),
))).where(_a.id == sa.bindparam('allocation')).order_by(_s.ordinal)


@dataclasses.dataclass(frozen=True)
class Standing:
    """An allocation with its slices on one host."""

    state: State
    project: str
    slices: tuple[Slice, ...]

    @classmethod
    def read(cls, session: orm.Session, allocation_id: str, host: str) -> Self | None:
        """Return how an allocation stands; None when there is no such one."""
        rows = session.execute(_QUERY, {'allocation': allocation_id, 'on': host}).all()
        if not rows:
            return None
        state, project, *_ = rows[0]
        return cls(State(state), project, tuple(
            Slice(allocation_id=allocation_id, **dict(zip(_FIELDS, row[2:], strict=True)))
            for row in rows if row.slice_id is not None))
