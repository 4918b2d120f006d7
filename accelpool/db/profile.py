# SPDX-License-Identifier: Apache-2.0
"""Queries on profiles."""

import types
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import exc, orm

from accelpool import errors
from accelpool.db import models, paging

#: A profile's columns with ``pool_name``: what the hot paths need is no object (and a row's ``count`` is a method).
Listed: TypeAlias = types.SimpleNamespace
_p, _o = models.table(models.Profile).c, models.table(models.Pool).c
_LISTED = sa.select(*_p, _o.name.label('pool_name')).select_from(
    models.table(models.Profile).outerjoin(models.table(models.Pool), _o.id == _p.pool_id))
_OF_NAMES = _LISTED.where(_p.name.in_(sa.bindparam('names', expanding=True))).order_by(_p.name)
_NAMED = _LISTED.where(_p.name == sa.bindparam('name'))
_OF_IDS = _LISTED.where(_p.id.in_(sa.bindparam('ids', expanding=True)))
_SHORT = sa.select(_p.id, _p.name, _p.description, _p.groups, _p.created_at, _p.updated_at, _p.generation)
_OF_ID = _LISTED.where(_p.id == sa.bindparam('id'))


def get(session: orm.Session, id_or_name: str) -> models.Profile:
    """:raises NotFound:"""
    found = session.scalar(sa.select(models.Profile).where(
        sa.or_(models.Profile.id == id_or_name, models.Profile.name == id_or_name)))
    if found is None:
        raise errors.NotFound(f'Profile {id_or_name} does not exist')
    return found


def named(session: orm.Session, name: str) -> Listed:
    """Return the profile of a name, which is no id.

    :raises NotFound:
    """
    found = session.execute(_NAMED, {'name': name}).first()
    if found is None:
        raise errors.NotFound(f'Device Profile not found with name={name}')
    return Listed(**found._mapping)


def of_id(session: orm.Session, identifier: str) -> Listed:
    """:raises NotFound:"""
    found = session.execute(_OF_ID, {'id': identifier.lower()}).first()
    if found is None:
        raise errors.NotFound(f'Device Profile not found with uuid={identifier}')
    return Listed(**found._mapping)


def of_names(session: orm.Session, names: Collection[str]) -> list[Listed]:
    """Return those of some names that there are."""
    return [Listed(**row._mapping) for row in session.execute(_OF_NAMES, {'names': list(names)})]


def listed(session: orm.Session, *, marker: str | None = None, limit: int | None = None) -> list[Listed]:
    """Return profiles, the oldest first; those that have groups with no more than ``/v2`` shows of them."""
    query = paging.part(session, models.Profile, _SHORT, sort=(('created_at', 'asc'),), marker=marker, limit=limit)
    rows = session.execute(query).all()
    # All columns only of those whose groups follow from them.
    without = [row.id for row in rows if row.groups is None]
    of_fields = {row.id: row for row in session.execute(_OF_IDS, {'ids': without})} if without else {}
    return [Listed(**of_fields.get(row.id, row)._mapping) for row in rows]


def list_page(session: orm.Session, *, filters: Mapping[str, Any] | None = None, sort: paging.Sort = (),
              marker: str | None = None, limit: int | None = None) -> list[models.Profile]:
    query = sa.select(models.Profile).filter_by(**(filters or {}))
    return paging.page(session, models.Profile, query, sort=sort, marker=marker, limit=limit)


def create(session: orm.Session, **values: Any) -> models.Profile:
    """:raises Conflict: the name is taken"""
    profile = models.Profile(**values)
    session.add(profile)
    _flush(session, profile)
    return profile


def update(session: orm.Session, profile: models.Profile, **values: Any) -> None:
    """:raises Conflict: the name is taken"""
    for name, value in values.items():
        setattr(profile, name, value)
    profile.generation += 1
    _flush(session, profile)


def _flush(session: orm.Session, profile: models.Profile) -> None:
    name = profile.name
    try:
        session.flush()
    except exc.IntegrityError as failure:
        raise errors.Conflict(f'There is a profile named {name} already', field='name') from failure
    session.refresh(profile)


def delete(session: orm.Session, profile: models.Profile) -> None:
    """Allocations made from it keep what they have."""
    session.delete(profile)
    session.flush()
