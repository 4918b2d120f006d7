# SPDX-License-Identifier: Apache-2.0
"""Schemas of accelerator requests."""

import re

from accelpool.api.schemas.v1 import common as plain
from accelpool.api.schemas.v2 import common
from accelpool.db import arq as db_arq

CREATE = plain.request({
    'device_profile_name': {'type': 'string', 'maxLength': 255},
    # python-cyborgclient sends both, null or not; Cyborg and we make a request for every group and program nothing.
    'device_profile_group_id': {'type': ['integer', 'string', 'null'], 'maxLength': 255},
    'image_uuid': {'type': ['string', 'null'], 'maxLength': 255},
}, required=['device_profile_name'])

#: Fields that a binding has; ``project_id`` from 2.1 on, for administrators.
FIELDS = ('hostname', 'device_rp_uuid', 'instance_uuid')
_STEP = plain.request({
    'op': {'type': 'string', 'enum': ['add', 'remove'], 'description': 'add or remove'},
    'path': {'type': 'string', 'enum': [f'/{name}' for name in (*FIELDS, 'project_id')]},
    'value': {'type': ['string', 'null'], 'maxLength': 255, 'pattern': r'^(?![\s\S]*[\x00-\x1f\x7f])'},
}, required=['op', 'path'])
#: ARQ -> JSON patch.
PATCH: common.Schema = {
    'type': 'object', 'minProperties': 1, 'maxProperties': 256, 'additionalProperties': False,
    'patternProperties': {common.UUID['pattern']: {'type': 'array', 'minItems': 1, 'maxItems': 8, 'items': _STEP}},
}

ARQ = plain.shown({
    'uuid': common.UUID, 'state': {'type': 'string', 'enum': [str(state) for state in db_arq.State]},
    'device_profile_name': plain.STRING, 'device_profile_group_id': plain.INTEGER,
    'hostname': plain.nullable(plain.STRING), 'device_rp_uuid': plain.nullable(plain.STRING),
    'instance_uuid': plain.nullable(plain.STRING), 'project_id': plain.STRING,
    'attach_handle_type': {'type': 'string', 'enum': ['', 'PCI', 'MDEV', 'REMOTE']},
    'attach_handle_uuid': plain.nullable(plain.STRING), 'attach_handle_info': {'type': 'object'},
    'links': common.LINKS, 'created_at': common.TIME, 'updated_at': plain.nullable(common.TIME),
})
LIST = plain.shown({'arqs': {'type': 'array', 'items': ARQ}})
LIST_QUERY = common.query({
    'bind_state': {'type': 'string', 'enum': ['resolved']}, 'instance': common.UUID, **common.PAGE})
DELETE_QUERY = {
    **common.query({'arqs': {'type': 'string', 'minLength': 1, 'maxLength': 16384}, 'instance': common.UUID}),
    'minProperties': 1, 'maxProperties': 1,
}


def is_uuid(text: str) -> bool:
    return re.match(common.UUID['pattern'], text) is not None
