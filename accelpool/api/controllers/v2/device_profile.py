# SPDX-License-Identifier: Apache-2.0
"""``/v2/device_profiles``: the profiles of ``/v1``, as groups."""

import dataclasses
import re
from typing import Any

from sqlalchemy import orm

from accelpool import errors, policy, types
from accelpool.api import cyborg, groups, resource
from accelpool.api.schemas.v2 import device_profile as schemas
from accelpool.db import models
from accelpool.db import profile as db_profile
from accelpool.db import session as db
from accelpool.policy import profile as rules

NOUN = 'device_profiles'

_UUID = re.compile(r'[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}')


def show(call: resource.Call, profile: db_profile.Listed) -> dict[str, Any]:
    return {
        'uuid': profile.id, 'name': profile.name, 'description': profile.description,
        'groups': groups.of_profile(profile),
        'created_at': cyborg.time(profile.created_at),
        'updated_at': cyborg.time(profile.updated_at) if profile.generation > 1 else None,
        'links': cyborg.links(call.url, NOUN, profile.id),
    }


def _columns(session: orm.Session, given: list[dict[str, Any]]) -> dict[str, Any]:
    """Turn groups into columns: as ``/v1`` shows them, which is the first group's shape where groups differ."""
    kept = [_tidy(group) for group in given]
    asked = groups.requests(session, kept)
    if not asked:
        raise errors.InvalidRequest('groups: they ask for nothing', field='groups')
    shapes = dict(asked)
    kept = [groups.complete(group, shapes[number]) if number in shapes else group for number, group in enumerate(kept)]
    first = dataclasses.replace(asked[0][1], count=len(asked))
    values: dict[str, Any] = {
        field.name: getattr(first, field.name) for field in dataclasses.fields(types.Request)
        if hasattr(models.Profile, field.name) and field.name != 'pool'}
    listed = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
    return {**values, **listed, 'pool_id': first.pool, 'groups': kept}


def _tidy(group: dict[str, Any]) -> dict[str, str]:
    """Text without the spaces that Cyborg's clients may leave around names."""
    pairs = ((name.partition(':'), str(value)) for name, value in group.items())
    return {f'{prefix}:{name.strip()}': value for (prefix, _, name), value in pairs}


class DeviceProfilesController(resource.Resource):
    """The collection and its items."""

    @resource.endpoint(query=schemas.LIST_QUERY, response=schemas.LIST)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        """List; ``name`` is one name or several with commas between them."""
        policy.authorize(call.context, rules.LIST)
        with db.reader() as session:
            if 'name' in call.query:
                found = db_profile.of_names(session, call.query['name'].split(','))
            else:
                found = db_profile.listed(session, marker=call.query.get('marker'), limit=call.query.get('limit'))
        return {NOUN: [show(call, profile) for profile in found]}

    @resource.endpoint(response=schemas.SHOW)
    def get_one(self, call: resource.Call, profile_id: str) -> dict[str, Any]:
        policy.authorize(call.context, rules.SHOW)
        if not _UUID.fullmatch(profile_id):
            cyborg.need(call.version, cyborg.PROFILE_BY_NAME)
        with db.reader() as session:
            return {'device_profile': show(call, self._find(session, profile_id))}

    @resource.endpoint(body=schemas.CREATE, response=schemas.PROFILE, status=201)
    def post(self, call: resource.Call) -> dict[str, Any]:
        policy.authorize(call.context, rules.CREATE)
        (body,) = call.body
        with db.writer() as session:
            values = _columns(session, body['groups'])
            if 'uuid' in body:
                values['id'] = body['uuid'].lower()
            made = db_profile.create(session, name=body['name'], description=body.get('description'), **values)
            return show(call, db_profile.of_id(session, made.id))

    @resource.endpoint(status=204)
    def delete(self, call: resource.Call, profile_id: str) -> None:
        self._delete(call, [profile_id])

    @resource.endpoint(query=schemas.DELETE_QUERY, status=204)
    def delete_all(self, call: resource.Call) -> None:
        """Delete several by name: all, or none if one of them is not there."""
        self._delete(call, call.query['value'].split(','))

    def _delete(self, call: resource.Call, identifiers: list[str]) -> None:
        policy.authorize(call.context, rules.DELETE)
        with db.writer() as session:
            for identifier in identifiers:
                db_profile.delete(session, db_profile.get(session, self._find(session, identifier).id))

    def _find(self, session: orm.Session, identifier: str) -> db_profile.Listed:
        find = db_profile.of_id if _UUID.fullmatch(identifier) else db_profile.named
        return find(session, identifier)
