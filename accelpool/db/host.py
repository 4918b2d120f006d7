# SPDX-License-Identifier: Apache-2.0
"""Queries on hosts."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors
from accelpool.db import models, paging


def get(session: orm.Session, id_or_name: str) -> models.Host:
    """:raises NotFound:"""
    found = session.scalar(sa.select(models.Host).where(
        sa.or_(models.Host.id == id_or_name, models.Host.name == id_or_name)))
    if found is None:
        raise errors.NotFound(f'Host {id_or_name} does not exist')
    return found


def list_page(session: orm.Session, *, filters: Mapping[str, Any] | None = None, sort: paging.Sort = (),
              marker: str | None = None, limit: int | None = None) -> list[models.Host]:
    query = sa.select(models.Host).filter_by(**(filters or {}))
    return paging.page(session, models.Host, query, sort=sort, marker=marker, limit=limit)


def update(session: orm.Session, host: models.Host, **values: Any) -> None:
    for name, value in values.items():
        setattr(host, name, value)
    session.flush()


def heard_of(session: orm.Session, name: str, advertise: list[Any] | None = None) -> models.Host:
    """Note that a host lives; the first time creates it."""
    host = session.scalar(sa.select(models.Host).where(models.Host.name == name))
    if host is None:
        host = models.Host(name=name)
        session.add(host)
    host.last_seen = models.utcnow()
    if advertise is not None:
        host.advertise = advertise
    session.flush()
    return host
