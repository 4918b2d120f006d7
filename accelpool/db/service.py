# SPDX-License-Identifier: Apache-2.0
"""Queries on services."""

import datetime
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors
from accelpool.db import models, paging

#: Names of the services.
API, SCHEDULER, CONDUCTOR = 'accelpool-api', 'accelpool-scheduler', 'accelpool-conductor'


def get(session: orm.Session, identifier: str) -> models.Service:
    """:raises NotFound:"""
    found = session.get(models.Service, identifier)
    if found is None:
        raise errors.NotFound(f'Service {identifier} does not exist')
    return found


def find(session: orm.Session, binary: str, host: str) -> models.Service | None:
    return session.scalar(sa.select(models.Service).filter_by(binary=binary, host=host))


def list_page(session: orm.Session, *, filters: Mapping[str, Any] | None = None, sort: paging.Sort = (),
              marker: str | None = None, limit: int | None = None) -> list[models.Service]:
    query = sa.select(models.Service).filter_by(**(filters or {}))
    return paging.page(session, models.Service, query, sort=sort, marker=marker, limit=limit)


def leads(session: orm.Session, binary: str, host: str, since: datetime.datetime) -> bool:
    """Whether no service of its kind that works comes before this one.  One with another clock may think so too.

    :param since: a service that has not been heard of since then does not work
    """
    first = session.scalar(sa.select(sa.func.min(models.Service.host)).where(
        models.Service.binary == binary, ~models.Service.disabled,
        sa.or_(models.Service.host == host, models.Service.last_seen >= since)))
    return bool(first == host)


def update(session: orm.Session, service: models.Service, **values: Any) -> None:
    for name, value in values.items():
        setattr(service, name, value)
    session.flush()


def heard_of(session: orm.Session, binary: str, host: str, *, topic: str | None = None,
             version: str | None = None) -> models.Service:
    """Note that a service lives; the first time registers it."""
    service = find(session, binary, host)
    if service is None:
        service = models.Service(binary=binary, host=host)
        session.add(service)
    service.last_seen, service.topic, service.version = models.utcnow(), topic, version
    session.flush()
    return service
