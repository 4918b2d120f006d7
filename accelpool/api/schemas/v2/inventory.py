# SPDX-License-Identifier: Apache-2.0
"""Schemas of devices, deployables and attributes."""

from accelpool.api.schemas.v1 import common as plain
from accelpool.api.schemas.v2 import common

DEVICE = plain.shown({
    'uuid': common.UUID, 'type': plain.STRING, 'vendor': plain.STRING, 'model': plain.STRING,
    'std_board_info': plain.STRING, 'vendor_board_info': plain.STRING, 'hostname': plain.STRING,
    'status': {'type': 'string', 'enum': ['enabled', 'maintaining']},
    'links': common.LINKS, 'created_at': common.TIME, 'updated_at': plain.nullable(common.TIME),
}, optional=['status'])
DEVICES = plain.shown({'devices': {'type': 'array', 'items': DEVICE}})
DEVICES_QUERY = common.query({
    'type': plain.LINE, 'vendor': plain.LINE, 'hostname': plain.LINE, **common.PAGE})

DEPLOYABLE = plain.shown({
    'uuid': common.UUID, 'parent_id': plain.nullable(plain.INTEGER), 'root_id': plain.nullable(plain.INTEGER),
    'name': plain.STRING, 'num_accelerators': plain.COUNT, 'device_id': plain.INTEGER,
    'attributes_list': plain.STRING, 'rp_uuid': common.UUID, 'driver_name': plain.STRING,
    'bitstream_id': plain.nullable(plain.STRING), 'links': common.LINKS,
    'created_at': common.TIME, 'updated_at': plain.nullable(common.TIME),
})
DEPLOYABLES = plain.shown({'deployables': {'type': 'array', 'items': DEPLOYABLE}})
DEPLOYABLES_QUERY = common.query(common.PAGE)
PROGRAM: common.Schema = {'type': 'array', 'maxItems': 64, 'items': {'type': 'object'}}

ATTRIBUTE = plain.shown({
    'uuid': common.UUID, 'deployable_id': plain.INTEGER, 'key': plain.STRING, 'value': plain.STRING,
    'created_at': common.TIME, 'updated_at': plain.nullable(common.TIME), 'links': common.LINKS,
})
ATTRIBUTES = plain.shown({'attributes': {'type': 'array', 'items': ATTRIBUTE}})
ATTRIBUTES_QUERY = common.query({'deployable_id': {'type': 'integer', 'minimum': 0}, 'key': plain.LINE})
ATTRIBUTE_CREATE = plain.request({
    'deployable_id': {'type': 'integer', 'minimum': 0}, 'key': plain.LINE, 'value': plain.LINE,
}, required=['deployable_id', 'key', 'value'])
