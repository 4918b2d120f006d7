# SPDX-License-Identifier: Apache-2.0
"""``/v2/attributes``: what is known of deployables, and what administrators have noted of them."""

import datetime
from collections.abc import Iterator
from typing import Any

from sqlalchemy import orm

from accelpool import errors, policy
from accelpool.api import cyborg, inventory, resource
from accelpool.api.schemas.v2 import inventory as schemas
from accelpool.db import attribute as db_attribute
from accelpool.db import device as db_device
from accelpool.db import models
from accelpool.db import session as db
from accelpool.policy import inventory as rules


def _show(call: resource.Call, device_id: str, one: inventory.Attribute,
          created_at: datetime.datetime) -> dict[str, Any]:
    return {
        'uuid': one.uuid, 'deployable_id': inventory.number(device_id), 'key': one.key, 'value': one.value,
        'created_at': cyborg.time(created_at), 'updated_at': None,
        'links': cyborg.links(call.url, 'attributes', one.uuid),
    }


def _all(call: resource.Call, session: orm.Session) -> Iterator[dict[str, Any]]:
    noted = db_attribute.of_devices(session)
    for device in db_device.list_page(session, sort=(('id', 'asc'),)):
        for one in inventory.attributes(device):
            yield _show(call, device.id, one, device.created_at)
        for row in noted.get(device.id, []):
            yield _noted(call, row)


def _noted(call: resource.Call, row: models.Attribute) -> dict[str, Any]:
    return _show(call, row.device_id, inventory.Attribute(row.id, row.key, row.value), row.created_at)


class AttributesController(resource.Resource):
    """The collection and its items."""

    @resource.endpoint(query=schemas.ATTRIBUTES_QUERY, response=schemas.ATTRIBUTES)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        policy.authorize(call.context, rules.LIST)
        with db.reader() as session:
            return {'attributes': [
                shown for shown in _all(call, session)
                if all(shown[name] == value for name, value in call.query.items())]}

    @resource.endpoint(response=schemas.ATTRIBUTE)
    def get_one(self, call: resource.Call, attribute_id: str) -> dict[str, Any]:
        policy.authorize(call.context, rules.SHOW)
        with db.reader() as session:
            for shown in _all(call, session):
                if shown['uuid'] == attribute_id.lower():
                    return shown
        raise errors.NotFound(f'Attribute not found with uuid={attribute_id}')

    @resource.endpoint(body=schemas.ATTRIBUTE_CREATE, response=schemas.ATTRIBUTE, status=201)
    def post(self, call: resource.Call) -> dict[str, Any]:
        """Note something of a deployable."""
        policy.authorize(call.context, rules.UPDATE)
        with db.writer() as session:
            device_id = next((known for known in db_device.ids(session)
                              if inventory.number(known) == call.body['deployable_id']), None)
            if device_id is None:
                raise errors.NotFound(f'Deployable not found with id={call.body["deployable_id"]}')
            return _noted(call, db_attribute.create(
                session, device_id=device_id, key=call.body['key'], value=call.body['value']))

    @resource.endpoint(status=204)
    def delete(self, call: resource.Call, attribute_id: str) -> None:
        """Delete what was noted; what a device's driver says cannot be deleted."""
        policy.authorize(call.context, rules.UPDATE)
        with db.writer() as session:
            db_attribute.delete(session, attribute_id.lower())
