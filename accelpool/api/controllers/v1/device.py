# SPDX-License-Identifier: Apache-2.0
"""``/v1/devices``"""

from typing import Any

from accelpool import policy
from accelpool.api import collection, resource
from accelpool.api.controllers.v1 import host as host_controller
from accelpool.api.schemas.v1 import device as schemas
from accelpool.db import device as db_device
from accelpool.db import models
from accelpool.db import session as db
from accelpool.policy import device as rules

#: Fields that change with every claim: not part of the ETag, so that a busy device can be disabled.
_BUSY = {'free_memory', 'free_compute', 'slices', 'updated_at', 'properties'}
#: Fields shown as the database has them.
_PLAIN = (
    'id', 'driver', 'vendor', 'model', 'memory', 'free_memory', 'overhead', 'compute', 'free_compute', 'slices',
    'traits', 'modes', 'numa_node', 'pci_address', 'fabric', 'health', 'health_reason', 'enabled', 'disabled_reason')


def show(device: models.Device, *, properties: bool = False) -> dict[str, Any]:
    """:param properties: with what its driver says of it for its operators"""
    return {
        **{name: getattr(device, name) for name in _PLAIN},
        'properties': device.options if properties else None,
        'host': device.host.name, 'pools': sorted(pool.name for pool in device.pools),
        'created_at': collection.time(device.created_at), 'updated_at': collection.time(device.updated_at),
    }


def _one(call: resource.Call, device: models.Device) -> dict[str, Any]:
    return show(device, properties=policy.allows(call.context, rules.PROPERTIES))


def _etag(shown: dict[str, Any]) -> str:
    return resource.etag({name: value for name, value in shown.items() if name not in _BUSY})


class DevicesController(resource.Resource):
    """The collection and its items."""

    @resource.endpoint(query=schemas.LIST_QUERY, response=schemas.LIST)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        policy.authorize(call.context, rules.LIST)
        with db.reader() as session:
            return collection.page(
                call, 'devices', lambda **page: db_device.list_page(session, **page), show,
                default_sort='id')

    @resource.endpoint(response=schemas.SHOW)
    def get_one(self, call: resource.Call, device_id: str) -> resource.Answer:
        policy.authorize(call.context, rules.SHOW)
        with db.reader() as session:
            shown = _one(call, db_device.get(session, device_id))
        return resource.Answer(shown, headers={'ETag': _etag(shown)})

    @resource.endpoint(body=schemas.UPDATE, response=schemas.SHOW)
    def patch(self, call: resource.Call, device_id: str) -> resource.Answer:
        policy.authorize(call.context, rules.UPDATE)
        with db.writer() as session:
            device = db_device.get(session, device_id)
            resource.check_if_match(call.request, _etag(_one(call, device)))
            db_device.update(session, device, **host_controller.with_reason(call.body))
            shown = _one(call, device)
        return resource.Answer(shown, headers={'ETag': _etag(shown)})
