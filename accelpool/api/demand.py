# SPDX-License-Identifier: Apache-2.0
"""From a body to a request for slices: the profile's content with the caller's fields over it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors, types
from accelpool.api.schemas.v1 import shape
from accelpool.db import models
from accelpool.db import pool as db_pool
from accelpool.db import profile as db_profile


def of_profile(profile: models.Profile | db_profile.Listed) -> types.Request:
    """Return what a profile asks for."""
    values = {field.name: getattr(profile, field.name) for field in dataclasses.fields(types.Request)
              if field.name not in {'pool', 'consumer_host', 'provider'}}
    return types.Request.from_dict({**values, 'pool': profile.pool_id})


def resolve(session: orm.Session, body: Mapping[str, Any]) -> types.Request:
    """Return what the body of an allocation asks for, with its profile's content.

    :raises InvalidRequest: an unknown profile or pool, a field that does not go with another one, or more
        memory than any device of the inventory has
    """
    base = types.Request()
    name = body.get('profile')
    if name is not None:
        try:
            profile = db_profile.get(session, name)
        except errors.NotFound as failure:
            raise errors.InvalidRequest(failure.detail, field='profile') from failure
        if profile.groups and any(group != profile.groups[0] for group in profile.groups):
            raise errors.InvalidRequest(
                f'profile: the groups of {name} differ, so it is for instances alone', field='profile')
        base = of_profile(profile)
    request = dataclasses.replace(
        merge(session, base, body), consumer_host=body.get('consumer_host'))
    if request.locality != types.Locality.ANY and request.consumer_host is None:
        raise errors.InvalidRequest(
            f'consumer_host: is needed with locality {request.locality}', field='consumer_host')
    if body.get('memory') is not None:
        _check_memory(session, body['memory'])
    return request


def merge(session: orm.Session, base: types.Request, body: Mapping[str, Any]) -> types.Request:
    """Return ``base`` with the fields of a body (checked by the schema) over it.

    :raises InvalidRequest: an unknown pool, or fields that do not go together
    """
    given: dict[str, Any] = {
        name: tuple(body[name]) if isinstance(body[name], list) else body[name]
        for name in shape.PROPERTIES if name in body}
    if given.get('pool') is not None:
        try:
            given['pool'] = db_pool.get(session, given['pool']).id
        except errors.NotFound as failure:
            raise errors.InvalidRequest(failure.detail, field='pool') from failure
    request = dataclasses.replace(base, **given)
    if request.isolation == types.Isolation.WHOLE:
        if given.get('compute', 100) != 100:
            raise errors.InvalidRequest('compute: a whole device is 100 percent points', field='compute')
        if given.get('memory') is not None:
            raise errors.InvalidRequest('memory: a whole device comes with all of its memory', field='memory')
        return dataclasses.replace(request, compute=100, memory=None)
    if request.template is not None:
        if request.isolation not in (types.Isolation.PARTITION, types.ANY_ISOLATION):
            raise errors.InvalidRequest(
                f'template: goes with isolation partition or any, not {request.isolation}', field='template')
        return request
    if request.memory is None:
        raise errors.InvalidRequest(
            f'memory: is required for a slice with isolation {request.isolation}', field='memory')
    return request


def _check_memory(session: orm.Session, memory: int) -> None:
    largest = session.scalar(sa.select(sa.func.max(models.Device.memory)))
    if largest is not None and memory > largest:
        raise errors.InvalidRequest(
            f'memory: {memory} MiB is more than any device has; the largest has {largest} MiB', field='memory')
