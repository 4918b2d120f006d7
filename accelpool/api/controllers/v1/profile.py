# SPDX-License-Identifier: Apache-2.0
"""``/v1/profiles``"""

import dataclasses
from typing import Any

from sqlalchemy import orm

from accelpool import policy, types
from accelpool.api import collection, demand, resource
from accelpool.api.schemas.v1 import profile as schemas
from accelpool.db import models
from accelpool.db import profile as db_profile
from accelpool.db import session as db
from accelpool.policy import profile as rules

#: Fields that a profile and a request share under the same name.
_SHAPE = [field.name for field in dataclasses.fields(types.Request)
          if field.name not in {'pool', 'consumer_host', 'provider'}]


def show(profile: models.Profile) -> dict[str, Any]:
    return {
        'id': profile.id, 'name': profile.name, 'description': profile.description,
        **{name: getattr(profile, name) for name in _SHAPE},
        'pool': profile.pool.name if profile.pool else None,
        'created_at': collection.time(profile.created_at), 'updated_at': collection.time(profile.updated_at),
    }


def _columns(session: orm.Session, body: dict[str, Any], base: models.Profile | None) -> dict[str, Any]:
    """Turn a body into columns; what it makes of the profile must be possible to ask for."""
    merged = demand.merge(session, demand.of_profile(base) if base else types.Request(), body)
    values: dict[str, Any] = {name: body[name] for name in ('name', 'description') if name in body}
    for name in _SHAPE:
        value = getattr(merged, name)
        values[name] = list(value) if isinstance(value, tuple) else value
    if any(name in body for name in (*_SHAPE, 'pool')):
        values['groups'] = None  # what /v2 was given does not hold any more
    return {**values, 'pool_id': merged.pool}


class ProfilesController(resource.Resource):
    """The collection and its items; an item is addressed by id or name."""

    @resource.endpoint(query=schemas.LIST_QUERY, response=schemas.LIST)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        policy.authorize(call.context, rules.LIST)
        with db.reader() as session:
            return collection.page(
                call, 'profiles', lambda **page: db_profile.list_page(session, **page), show)

    @resource.endpoint(response=schemas.SHOW)
    def get_one(self, call: resource.Call, profile_id: str) -> resource.Answer:
        policy.authorize(call.context, rules.SHOW)
        with db.reader() as session:
            return resource.tagged(show(db_profile.get(session, profile_id)))

    @resource.endpoint(body=schemas.CREATE, response=schemas.SHOW, status=201)
    def post(self, call: resource.Call) -> resource.Answer:
        policy.authorize(call.context, rules.CREATE)
        with db.writer() as session:
            return resource.tagged(show(
                db_profile.create(session, **_columns(session, call.body, None))))

    @resource.endpoint(body=schemas.UPDATE, response=schemas.SHOW)
    def patch(self, call: resource.Call, profile_id: str) -> resource.Answer:
        policy.authorize(call.context, rules.UPDATE)
        with db.writer() as session:
            profile = db_profile.get(session, profile_id)
            resource.check_if_match(call.request, resource.etag(show(profile)))
            db_profile.update(session, profile, **_columns(session, call.body, profile))
            return resource.tagged(show(profile))

    @resource.endpoint(status=204)
    def delete(self, call: resource.Call, profile_id: str) -> None:
        policy.authorize(call.context, rules.DELETE)
        with db.writer() as session:
            db_profile.delete(session, db_profile.get(session, profile_id))
