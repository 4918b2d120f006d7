# SPDX-License-Identifier: Apache-2.0
"""What a notification says of an object: its fields, in a form with a name and a version.

A minor version adds fields, a major one takes some away or changes their meaning.
"""

import datetime
from typing import Any

from accelpool import errors
from accelpool.db import allocation as db_allocation
from accelpool.db import changes, models
from accelpool.db import device as db_device
from accelpool.db import session as db

NAMESPACE = 'accelpool'
ALLOCATION, DEVICE, SLICE = (('AllocationPayload', '1.0'), ('DevicePayload', '1.0'), ('SlicePayload', '1.0'))

_ALLOCATION = ('id', 'name', 'project_id', 'user_id', 'profile', 'request', 'consumer_type', 'consumer_id',
               'consumer_host', 'state', 'reason', 'ttl', 'expires_at', 'created_at', 'updated_at')
_DEVICE = ('id', 'driver', 'vendor', 'model', 'memory', 'compute', 'used_memory', 'used_compute', 'slices', 'traits',
           'modes', 'numa_node', 'pci_address', 'fabric', 'health', 'health_reason', 'enabled', 'disabled_reason')
_SLICE = ('id', 'device_id', 'host', 'ordinal', 'compute', 'memory', 'isolation', 'template')


def of(change: changes.Change) -> dict[str, Any] | None:
    """Return the payload of a change; None when the object is gone."""
    with db.reader() as session:
        try:
            if change.noun == 'device':
                device = db_device.get(session, change.id)
                return _versioned(DEVICE, _fields(device, _DEVICE) | {'host': device.host.name} | change.fields)
            allocation = db_allocation.get(session, change.id)
        except errors.NotFound:
            return None
        slices = [_versioned(SLICE, _fields(one, _SLICE)) for one in allocation.slices]
        return _versioned(ALLOCATION, {
            **_fields(allocation, _ALLOCATION), 'slices': slices, 'previous_state': None, **change.fields})


def _versioned(kind: tuple[str, str], data: dict[str, Any]) -> dict[str, Any]:
    name, version = kind
    return {'accelpool_object.name': name, 'accelpool_object.namespace': NAMESPACE,
            'accelpool_object.version': version, 'accelpool_object.data': data}


def _fields(row: models.Base, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: f'{value.isoformat()}Z' if isinstance(value, datetime.datetime) else value
            for name, value in ((name, getattr(row, name)) for name in names)}
