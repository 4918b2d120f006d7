# SPDX-License-Identifier: Apache-2.0
"""Schemas of pools and of the membership in them."""

from accelpool.api.schemas.v1 import common

SHOW = common.shown({
    'id': common.STRING,
    'name': common.STRING,
    'description': common.nullable(common.STRING),
    'devices': common.STRINGS,
    'created_at': common.TIME,
    'updated_at': common.TIME,
})
LIST = common.collection('pools', SHOW)
LIST_QUERY = common.collection_query(('name', 'created_at', 'id'), {'name': common.LINE})
CREATE = common.request(
    {'name': common.NAME, 'description': common.nullable(common.TEXT)}, required=['name'])
UPDATE = common.request(
    {'name': common.NAME, 'description': common.nullable(common.TEXT)}, non_empty=True)
#: Membership has nothing to say beyond its address.
JOIN = common.request({})
