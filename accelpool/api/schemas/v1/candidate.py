# SPDX-License-Identifier: Apache-2.0
"""Schemas of the dry run."""

from accelpool.api.schemas.v1 import common, shape

CREATE = common.request({
    'profile': common.nullable(common.LINE),
    **shape.PROPERTIES,
    'consumer_host': common.nullable(common.LINE),
})
SHOW = common.shown({
    'candidates': {'type': 'array', 'items': common.shown({
        'device_id': common.STRING,
        'host': common.STRING,
        'vendor': common.STRING,
        'model': common.STRING,
        'compute': common.COUNT,
        'memory': common.COUNT,
        'free_compute': common.COUNT,
        'free_memory': common.INTEGER,
        'slices': common.COUNT,
    })},
    'rejections': {'type': 'array', 'items': common.shown({
        'device_id': common.STRING,
        'host': common.STRING,
        'filter': common.STRING,
        'reason': common.STRING,
    })},
})
