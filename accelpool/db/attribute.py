# SPDX-License-Identifier: Apache-2.0
"""Queries on the attributes that administrators have noted of devices."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors
from accelpool.db import models


def of_devices(session: orm.Session, device_ids: Collection[str] | None = None) -> dict[str, list[models.Attribute]]:
    """Return what was noted, by device; of all devices if none are named."""
    query = sa.select(models.Attribute).order_by(models.Attribute.device_id, models.Attribute.id)
    if device_ids is not None:
        query = query.where(models.Attribute.device_id.in_(device_ids))
    found: dict[str, list[models.Attribute]] = {}
    for attribute in session.scalars(query):
        found.setdefault(attribute.device_id, []).append(attribute)
    return found


def create(session: orm.Session, *, device_id: str, key: str, value: str) -> models.Attribute:
    made = models.Attribute(device_id=device_id, key=key, value=value)
    session.add(made)
    session.flush()
    return made


def delete(session: orm.Session, identifier: str) -> None:
    """:raises NotFound: nobody has noted such an attribute"""
    found = session.get(models.Attribute, identifier)
    if found is None:
        raise errors.NotFound(f'Attribute not found with uuid={identifier}')
    session.delete(found)
    session.flush()
