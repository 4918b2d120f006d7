# SPDX-License-Identifier: Apache-2.0
"""Schemas of allocations, and of what hangs below one: attachment, events, usage."""

from accelpool.allocations import states
from accelpool.api.schemas.v1 import common, shape

STATE: common.Schema = {'type': 'string', 'enum': [str(state) for state in states.State]}
CONSUMER_TYPE: common.Schema = {'type': 'string', 'enum': ['instance', 'node', 'pod', 'process']}
#: Seconds; null = until it is deleted.  At most a year.
TTL = common.nullable({'type': 'integer', 'minimum': 1, 'maximum': 366 * 24 * 3600})

SLICE = common.shown({
    'id': common.STRING,
    'device_id': common.STRING,
    'host': common.STRING,
    'ordinal': common.COUNT,
    'compute': common.COUNT,
    'memory': common.COUNT,
    'isolation': shape.ISOLATION,
    'template': common.nullable(common.STRING),
})
SHOW = common.shown({
    'id': common.STRING,
    'name': common.nullable(common.STRING),
    'project_id': common.STRING,
    'user_id': common.STRING,
    'state': STATE,
    'reason': common.nullable(common.STRING),
    'profile': common.nullable(common.STRING),
    'request': common.shown(shape.SHOWN),
    'slices': {'type': 'array', 'items': SLICE},
    'consumer_type': CONSUMER_TYPE,
    'consumer_id': common.nullable(common.STRING),
    'consumer_host': common.nullable(common.STRING),
    'ttl': TTL,
    'expires_at': common.nullable(common.TIME),
    'created_at': common.TIME,
    'updated_at': common.TIME,
})
LIST = common.collection('allocations', SHOW)
LIST_QUERY = common.collection_query(
    ('created_at', 'updated_at', 'expires_at', 'name', 'state', 'profile', 'project_id', 'id'),
    {
        'state': STATE, 'name': common.LINE, 'profile': common.LINE, 'host': common.LINE,
        'consumer_type': CONSUMER_TYPE, 'consumer_id': common.LINE, 'consumer_host': common.LINE,
        'project_id': common.LINE, 'all_projects': common.BOOLEAN,
    })
CREATE = common.request({
    'id': common.UUID,
    'name': common.nullable(common.LINE),
    'profile': common.nullable(common.LINE),
    **shape.PROPERTIES,
    'consumer_type': CONSUMER_TYPE,
    'consumer_id': common.nullable(common.LINE),
    'consumer_host': common.nullable(common.LINE),
    'ttl': TTL,
})
UPDATE = common.request({'ttl': TTL}, required=['ttl'])

URLS: common.Schema = {
    'type': 'array', 'minItems': 1,
    'items': common.shown(
        {'url': common.STRING, 'network': common.STRING, 'via': common.STRING, 'ticket': common.STRING},
        optional=['via', 'ticket']),
}
ATTACHMENT = common.shown({
    'version': {'const': 1},
    'technique': shape.TECHNIQUE,
    'allocation': common.STRING,
    'devices': {'type': 'array', 'items': common.shown({
        'ordinal': common.COUNT,
        'slice': common.STRING,
        'interface': common.STRING,
        'urls': URLS,
        'credential': common.STRING,
        'expires': common.INTEGER,
    })},
    'holder': common.nullable(common.shown({'url': common.STRING, 'credential': common.STRING})),
})

EVENT = common.shown({
    'id': common.INTEGER,
    'time': common.TIME,
    'event': common.STRING,
    'from_state': common.nullable(STATE),
    'to_state': common.nullable(STATE),
    'detail': common.nullable(common.STRING),
})
EVENTS = common.collection('events', EVENT)
EVENTS_QUERY: common.Schema = {
    'type': 'object',
    'properties': {
        'limit': {'type': 'integer', 'minimum': 1, 'maximum': common.MAX_LIMIT}, 'marker': common.LINE},
    'additionalProperties': False,
}

#: ``usage`` is what the agent counts for the slice now; null when its host does not answer.
USAGE = common.shown({
    'allocation': common.STRING,
    'slices': {'type': 'array', 'items': {
        **SLICE,
        'properties': {**SLICE['properties'], 'usage': {
            'type': ['object', 'null'], 'additionalProperties': {'type': 'number'}}},
        'required': [*SLICE['required'], 'usage'],
    }},
})
