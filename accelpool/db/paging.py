# SPDX-License-Identifier: Apache-2.0
"""Pages of a collection: keyset pagination after a marker, with the id as the last sort key.

NULL sorts first when ascending and last when descending, on every database.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors
from accelpool.db import models

M = TypeVar('M', bound=models.Base)
Q = TypeVar('Q', bound=sa.Select[*tuple[Any, ...]])
Sort = Sequence[tuple[str, Literal['asc', 'desc']]]


def page(session: orm.Session, model: type[M], query: sa.Select[M], **place: Any) -> list[M]:
    """Return one page of ``query``, which selects objects; the rest is as for :func:`part`."""
    return list(session.scalars(part(session, model, query, **place)).unique())


def part(session: orm.Session, model: type[models.Base], query: Q, *, sort: Sort = (),
         marker: str | int | None = None, limit: int | None = None) -> Q:
    """Return ``query``, whose rows are a model's, for one page of it.

    :raises InvalidRequest: the marker does not exist
    """
    keys = [*sort, ('id', 'asc')] if 'id' not in dict(sort) else list(sort)
    columns = [(getattr(model, name), direction) for name, direction in keys]
    if marker is not None:
        start = session.get(model, marker)
        if start is None:
            raise errors.InvalidRequest(f'The marker {marker} does not exist', field='marker')
        query = query.where(_after(columns, [getattr(start, name) for name, _ in keys]))
    for column, direction in columns:
        present = sa.case((column.is_(None), 0), else_=1)
        query = query.order_by(*(part.asc() if direction == 'asc' else part.desc()
                                 for part in ((present, column) if _nullable(column) else (column,))))
    return query.limit(limit)


def _nullable(column: Any) -> bool:
    return bool(column.property.columns[0].nullable)


def _after(columns: Sequence[tuple[Any, str]], values: list[Any]) -> sa.ColumnElement[bool]:
    """Lexicographic "comes after": equal in all keys before one, and after in that one."""
    cases = []
    for position, ((column, direction), value) in enumerate(zip(columns, values, strict=True)):
        equal = [c.is_(v) if v is None else c == v
                 for (c, _), v in zip(columns[:position], values[:position], strict=True)]
        if direction == 'asc':
            beyond = column.is_not(None) if value is None else column > value
        elif value is None:
            continue
        else:
            beyond = sa.or_(column < value, column.is_(None))
        cases.append(sa.and_(*equal, beyond))
    return sa.or_(*cases)
