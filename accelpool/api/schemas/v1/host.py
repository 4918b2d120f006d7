# SPDX-License-Identifier: Apache-2.0
"""Schemas of hosts."""

from accelpool.api.schemas.v1 import common

SHOW = common.shown({
    'id': common.STRING,
    'name': common.STRING,
    'state': {'type': 'string', 'enum': ['up', 'down']},
    'enabled': common.BOOLEAN,
    'disabled_reason': common.nullable(common.STRING),
    'advertise': {'type': 'array', 'items': common.shown({'url': common.STRING, 'network': common.STRING})},
    'last_seen': common.TIME,
    'created_at': common.TIME,
    'updated_at': common.TIME,
})
LIST = common.collection('hosts', SHOW)
LIST_QUERY = common.collection_query(
    ('name', 'enabled', 'last_seen', 'created_at', 'id'), {'name': common.LINE, 'enabled': common.BOOLEAN})
UPDATE = common.request({
    'enabled': common.BOOLEAN,
    'disabled_reason': common.nullable(common.LINE),
}, non_empty=True)
