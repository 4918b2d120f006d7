# SPDX-License-Identifier: Apache-2.0
"""Queries on profiles."""

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc, orm

from accelpool import errors
from accelpool.db import models, paging

_OF_NAMES = sa.select(models.Profile).where(
    models.Profile.name.in_(sa.bindparam('names', expanding=True))).order_by(models.Profile.name)
_NAMED = sa.select(models.Profile).where(models.Profile.name == sa.bindparam('name'))


def get(session: orm.Session, id_or_name: str) -> models.Profile:
    """:raises NotFound:"""
    found = session.scalar(sa.select(models.Profile).where(
        sa.or_(models.Profile.id == id_or_name, models.Profile.name == id_or_name)))
    if found is None:
        raise errors.NotFound(f'Profile {id_or_name} does not exist')
    return found


def named(session: orm.Session, name: str) -> models.Profile:
    """Return the profile of a name, which is no id.

    :raises NotFound:
    """
    found = session.scalar(_NAMED, {'name': name})
    if found is None:
        raise errors.NotFound(f'Device Profile not found with name={name}')
    return found


def of_names(session: orm.Session, names: Collection[str]) -> list[models.Profile]:
    """Return those of some names that there are."""
    return list(session.scalars(_OF_NAMES, {'names': list(names)}))


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
