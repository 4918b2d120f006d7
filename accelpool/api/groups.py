# SPDX-License-Identifier: Apache-2.0
"""Between a profile as ``/v1`` has it and the groups of a device profile as Nova reads them.

``resources:<class>`` and ``trait:<name>`` are for Placement, through Nova; Nova skips ``accel:<name>``.  Of these,
``accel:isolation``, ``accel:compute`` and the other names of a request's fields are ours; every other one is kept.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from sqlalchemy import orm

from accelpool import errors, types
from accelpool.api import demand, validation
from accelpool.api.schemas.v1 import common, shape
from accelpool.db import profile as db_profile
from accelpool.placement import groups as placement_groups
from accelpool.placement import names

RESOURCES, TRAIT, OWN = 'resources:', 'trait:', 'accel:'

#: Fields of a request that a group may have under ``accel:``; how many slices there are is for the groups to say.
_FIELDS = {name: schema for name, schema in shape.PROPERTIES.items() if name != 'count'}
_BODY = validation.Checker(common.request(_FIELDS))
_PREFIX = 'CUSTOM_ACCELPOOL_'
_MODES = {names.mode(isolation): str(isolation) for isolation in types.Isolation}


def requests(session: orm.Session, groups: list[dict[str, str]]) -> list[tuple[int, types.Request]]:
    """Return for each accelerator request the number of its group and what it asks for.

    A group with resource classes of ours is one slice; of any other class, as of Cyborg's, it is so many whole devices
    as it has units.

    :raises InvalidRequest: a key of ours has a value that it cannot have
    """
    found = []
    for number, group in enumerate(groups):
        try:
            request = demand.merge(session, types.Request(), _body(group))
        except errors.InvalidRequest as failure:
            raise errors.InvalidRequest(f'groups.{number}: {failure.detail}', field=f'groups.{number}') from failure
        found += [(number, request)] * _units(group)
    if len(found) > shape.MAX_COUNT:
        raise errors.InvalidRequest(f'groups: {len(found)} slices are more than {shape.MAX_COUNT}', field='groups')
    return found


def complete(group: dict[str, str], request: types.Request) -> dict[str, str]:
    """Add what Placement must be asked for, where a group has keys of ours alone."""
    if any(name.startswith(RESOURCES) for name in group):
        return group
    (derived,) = placement_groups.groups(dataclasses.replace(request, count=1))
    return {**derived, **group}


def of_profile(profile: db_profile.Listed) -> list[dict[str, Any]]:
    """Return a profile's groups: as they were given, or as they follow from its fields."""
    if profile.groups is not None:
        return list(profile.groups)
    request = demand.of_profile(profile)
    own = _own(request, profile.pool_name)
    return [{**group, **own} for group in placement_groups.groups(request)]


def _own(request: types.Request, pool: str | None) -> dict[str, str]:
    """Return the fields that differ from the defaults and cannot be read from the keys for Placement."""
    plain, shown = types.Request(), {OWN + 'isolation': str(request.isolation)}
    values: dict[str, Any] = {name: getattr(request, name) for name in _FIELDS
                              if name not in {'isolation', 'compute', 'memory', 'pool'}}
    for name, value in {**values, 'pool': pool}.items():
        if value != getattr(plain, name):
            shown[OWN + name] = ','.join(value) if isinstance(value, tuple) else _text(value)
    return shown


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _units(group: Mapping[str, str]) -> int:
    classes = {name.removeprefix(RESOURCES): value for name, value in group.items() if name.startswith(RESOURCES)}
    if not classes or any(name.startswith(_PREFIX) for name in classes):
        return 1
    return sum(int(value) for value in classes.values())


def _body(group: Mapping[str, str]) -> dict[str, Any]:
    """Return what ``/v1`` would be asked for."""
    given = {name.removeprefix(OWN): value for name, value in group.items() if name.startswith(OWN)}
    body = {name: _value(schema, given[name]) for name, schema in _FIELDS.items() if name in given}
    required = [name.removeprefix(TRAIT) for name, value in group.items()
                if name.startswith(TRAIT) and value == 'required']
    body.setdefault('isolation', _isolation(group, required))
    body.setdefault('traits', [name for name in required if not name.startswith(_PREFIX)])
    if body['isolation'] != types.Isolation.WHOLE:
        for field, resource in (('compute', names.COMPUTE), ('memory', names.MEMORY)):
            if RESOURCES + resource in group:
                body.setdefault(field, _value({'type': 'integer'}, group[RESOURCES + resource]))
    _BODY.check(body)
    return body


def _isolation(group: Mapping[str, str], required: list[str]) -> str:
    mode = next((_MODES[name] for name in required if name in _MODES), None)
    if mode is not None:
        return mode
    shares = (RESOURCES + _PREFIX, OWN + 'compute', OWN + 'memory', OWN + 'template')
    ours = any(name.startswith(shares) for name in group)
    return types.Isolation.SHARED if ours else types.Isolation.WHOLE


def _value(schema: Mapping[str, Any], text: str) -> Any:
    """Turn a group's text into what the schema wants; what does not convert stays text and is refused by it."""
    kinds = schema['type'] if isinstance(schema['type'], list) else [schema['type']]
    if 'integer' in kinds and text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    if 'boolean' in kinds and text.lower() in {'true', 'false'}:
        return text.lower() == 'true'
    if 'array' in kinds:
        return [part.strip() for part in text.split(',')] if text else []
    return text
