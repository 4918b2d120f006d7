# SPDX-License-Identifier: Apache-2.0
"""Schemas of profiles."""

from accelpool.api.schemas.v1 import common, shape

SHOW = common.shown({
    'id': common.STRING,
    'name': common.STRING,
    'description': common.nullable(common.STRING),
    **shape.SHOWN,
    'created_at': common.TIME,
    'updated_at': common.TIME,
})
LIST = common.collection('profiles', SHOW)
LIST_QUERY = common.collection_query(
    ('name', 'count', 'compute', 'memory', 'created_at', 'id'), {'name': common.LINE})
_FIELDS: common.Schema = {
    'name': common.NAME, 'description': common.nullable(common.TEXT), **shape.PROPERTIES}
CREATE = common.request(_FIELDS, required=['name'])
UPDATE = common.request(_FIELDS, non_empty=True)
