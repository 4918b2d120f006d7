# SPDX-License-Identifier: Apache-2.0
"""Queries on hosts."""

import datetime
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors
from accelpool.db import models, paging

_NAMES = sa.select(models.table(models.Host).c.name)


def get(session: orm.Session, id_or_name: str) -> models.Host:
    """:raises NotFound:"""
    found = session.scalar(sa.select(models.Host).where(
        sa.or_(models.Host.id == id_or_name, models.Host.name == id_or_name)))
    if found is None:
        raise errors.NotFound(f'Host {id_or_name} does not exist')
    return found


def names(session: orm.Session) -> list[str]:
    """Return the name of every host."""
    return list(session.scalars(_NAMES))


def list_page(session: orm.Session, *, filters: Mapping[str, Any] | None = None, sort: paging.Sort = (),
              marker: str | None = None, limit: int | None = None) -> list[models.Host]:
    query = sa.select(models.Host).filter_by(**(filters or {}))
    return paging.page(session, models.Host, query, sort=sort, marker=marker, limit=limit)


def update(session: orm.Session, host: models.Host, **values: Any) -> None:
    for name, value in values.items():
        setattr(host, name, value)
    session.flush()


def heard_of(session: orm.Session, name: str, advertise: list[Any] | None = None, *,
             at: datetime.datetime | None = None) -> models.Host:
    """Note that a host's agent has answered; the first time creates the host.

    :param advertise: where the agent can be reached; None: nothing was heard, only make sure that the host exists
    :param at: when the agent was asked.  An allocation expires only when its hosts have been heard of since, and
        did not say that it is in use: so that belongs into the same transaction.
    """
    host = session.scalar(sa.select(models.Host).where(models.Host.name == name))
    if host is None:
        host = models.Host(name=name, last_seen=at or models.utcnow())
        session.add(host)
    if advertise is not None:
        host.advertise, host.last_seen = advertise, at or models.utcnow()
    session.flush()
    return host
