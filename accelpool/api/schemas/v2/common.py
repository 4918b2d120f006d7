# SPDX-License-Identifier: Apache-2.0
"""Pieces of schema of ``/v2``."""

from accelpool.api.schemas.v1 import common

Schema = common.Schema

#: What Cyborg takes for a UUID is any 32 hexadecimal digits; here it is the usual form, in any case.
UUID: Schema = {
    'type': 'string', 'pattern': r'^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z', 'description': 'a UUID',
}
TIME: Schema = {'type': 'string', 'pattern': r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$'}
#: Pages are ours: Cyborg's lists have none, and without ``limit`` neither have these.
PAGE: Schema = {'limit': {'type': 'integer', 'minimum': 1, 'maximum': common.MAX_LIMIT}, 'marker': common.LINE}

_LINK = common.shown({'href': common.STRING, 'rel': common.STRING})
LINKS: Schema = {'type': 'array', 'items': _LINK}

VERSION = common.shown({
    'id': common.STRING, 'links': LINKS, 'max_version': common.STRING, 'min_version': common.STRING,
    'status': common.STRING,
})


def query(properties: Schema) -> Schema:
    """Return the schema of a query string."""
    return {'type': 'object', 'properties': properties, 'additionalProperties': False}
