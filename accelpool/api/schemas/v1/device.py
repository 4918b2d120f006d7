# SPDX-License-Identifier: Apache-2.0
"""Schemas of devices."""

from accelpool import types
from accelpool.api.schemas.v1 import common

HEALTH: common.Schema = {'type': 'string', 'enum': [str(item) for item in types.Health]}

SHOW = common.shown({
    'id': common.STRING,
    'host': common.STRING,
    'driver': common.STRING,
    'vendor': common.STRING,
    'model': common.STRING,
    'memory': common.COUNT,
    'free_memory': common.INTEGER,
    'overhead': common.COUNT,
    'compute': common.COUNT,
    'free_compute': common.INTEGER,
    'slices': common.COUNT,
    'traits': common.STRINGS,
    'modes': common.STRINGS,
    'numa_node': common.nullable(common.INTEGER),
    'pci_address': common.nullable(common.STRING),
    'fabric': common.nullable(common.STRING),
    'pools': common.STRINGS,
    'properties': common.nullable({'type': 'object'}),
    'health': HEALTH,
    'health_reason': common.nullable(common.STRING),
    'enabled': common.BOOLEAN,
    'disabled_reason': common.nullable(common.STRING),
    'created_at': common.TIME,
    'updated_at': common.TIME,
})
LIST = common.collection('devices', SHOW)
LIST_QUERY = common.collection_query(
    ('id', 'vendor', 'model', 'driver', 'memory', 'health', 'slices', 'created_at'),
    {
        'host': common.LINE, 'driver': common.LINE, 'vendor': common.LINE, 'model': common.LINE,
        'pool': common.LINE, 'health': HEALTH, 'enabled': common.BOOLEAN,
    })
UPDATE = common.request(
    {'enabled': common.BOOLEAN, 'disabled_reason': common.nullable(common.LINE)}, non_empty=True)
