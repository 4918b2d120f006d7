# SPDX-License-Identifier: Apache-2.0
"""Schemas of device profiles."""

from accelpool.api.schemas.v1 import common as plain
from accelpool.api.schemas.v1 import shape
from accelpool.api.schemas.v2 import common

#: Values in a request may be numbers too; they are kept as text, which is what Nova reads.
_VALUE: common.Schema = {'type': ['string', 'integer'], 'maxLength': 255, 'pattern': r'^(?![\s\S]*[\x00-\x1f\x7f])'}
_RESOURCE: common.Schema = {
    'type': ['string', 'integer'], 'pattern': r'^[0-9]{1,9}\Z', 'minimum': 0, 'maximum': 999999999,
    'description': 'a number of units'}
_GROUP: common.Schema = {
    'type': 'object', 'minProperties': 1, 'maxProperties': 64,
    'patternProperties': {
        r'^resources: *[A-Z0-9_]{1,255} *\Z': _RESOURCE,
        r'^trait: *[A-Z0-9_]{1,255} *\Z': {'type': 'string', 'enum': ['required', 'forbidden']},
        r'^accel:[\x21-\x7e]{1,240}\Z': _VALUE,
    },
    'additionalProperties': False,
}
CREATE: common.Schema = {
    'type': 'array', 'minItems': 1, 'maxItems': 1,
    'items': plain.request({
        'name': {'type': 'string', 'minLength': 1, 'maxLength': 255, 'pattern': r'^[a-zA-Z0-9_-]+\Z',
                 'description': 'letters, digits, - and _'},
        'description': plain.nullable(plain.TEXT),
        'uuid': common.UUID,
        'groups': {'type': 'array', 'minItems': 1, 'maxItems': shape.MAX_COUNT, 'items': _GROUP},
    }, required=['name', 'groups']),
}

PROFILE = plain.shown({
    'uuid': common.UUID, 'name': plain.STRING, 'description': plain.nullable(plain.STRING),
    'groups': {'type': 'array', 'items': {'type': 'object', 'additionalProperties': plain.STRING}},
    'created_at': common.TIME, 'updated_at': plain.nullable(common.TIME), 'links': common.LINKS,
})
SHOW = plain.shown({'device_profile': PROFILE})
LIST = plain.shown({'device_profiles': {'type': 'array', 'items': PROFILE}})
LIST_QUERY = common.query({'name': {'type': 'string', 'maxLength': 4096}, **common.PAGE})
DELETE_QUERY: common.Schema = {
    **common.query({'value': {'type': 'string', 'minLength': 1, 'maxLength': 4096}}), 'required': ['value']}
