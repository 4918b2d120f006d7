# SPDX-License-Identifier: Apache-2.0
"""Schemas of services."""

from accelpool.api.schemas.v1 import common

SHOW = common.shown({
    'id': common.STRING,
    'binary': common.STRING,
    'host': common.STRING,
    'topic': common.nullable(common.STRING),
    'state': {'type': 'string', 'enum': ['up', 'down']},
    'disabled': common.BOOLEAN,
    'disabled_reason': common.nullable(common.STRING),
    'version': common.nullable(common.STRING),
    'last_seen': common.TIME,
    'created_at': common.TIME,
})
LIST = common.collection('services', SHOW)
LIST_QUERY = common.collection_query(
    ('binary', 'host', 'last_seen', 'created_at', 'id'),
    {'binary': common.LINE, 'host': common.LINE, 'disabled': common.BOOLEAN})
UPDATE = common.request(
    {'disabled': common.BOOLEAN, 'disabled_reason': common.nullable(common.LINE)}, non_empty=True)
