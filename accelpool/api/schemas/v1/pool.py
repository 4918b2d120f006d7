# SPDX-License-Identifier: Apache-2.0
"""Schemas of pools and of the membership in them."""

from accelpool.api.schemas.v1 import common, shape

SHOW = common.shown({
    'id': common.STRING,
    'name': common.STRING,
    'description': common.nullable(common.STRING),
    'isolations': common.nullable(common.STRINGS),
    'devices': common.STRINGS,
    'created_at': common.TIME,
    'updated_at': common.TIME,
})
LIST = common.collection('pools', SHOW)
LIST_QUERY = common.collection_query(('name', 'created_at', 'id'), {'name': common.LINE})
_FIELDS: common.Schema = {
    'name': common.NAME, 'description': common.nullable(common.TEXT),
    'isolations': common.nullable({'type': 'array', 'items': shape.ISOLATION, 'minItems': 1, 'uniqueItems': True}),
}
CREATE = common.request(_FIELDS, required=['name'])
UPDATE = common.request(_FIELDS, non_empty=True)
#: Membership has nothing to say beyond its address.
JOIN = common.request({})
