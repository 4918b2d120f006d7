# SPDX-License-Identifier: Apache-2.0
"""Schemas of the version documents."""

from accelpool.api.schemas.v1 import common

VERSION = common.shown({
    'id': common.STRING, 'status': {'type': 'string', 'enum': ['CURRENT', 'SUPPORTED', 'DEPRECATED']},
    'min_version': common.STRING, 'version': common.STRING, 'max_version': common.STRING, 'links': common.LINKS,
}, optional=['max_version'])
SHOW = common.shown({'version': VERSION})
LIST = common.shown({'versions': {'type': 'array', 'items': VERSION}})
