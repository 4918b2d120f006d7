# SPDX-License-Identifier: Apache-2.0
"""Schemas of quotas."""

from accelpool.api.schemas.v1 import common
from accelpool.quota.amounts import RESOURCES, UNLIMITED

LIMIT: common.Schema = {
    'type': 'integer', 'minimum': UNLIMITED, 'maximum': 2**53,
    'description': 'the most that the project may have at a time; -1 is no limit',
}
RESOURCE = common.shown({
    'limit': LIMIT,
    'used': common.COUNT,
    'source': {'type': 'string', 'enum': ['keystone', 'project', 'default'], 'description': 'who says the limit'},
})
SHOW = common.shown({'project_id': common.STRING, **dict.fromkeys(RESOURCES, RESOURCE)})
LIST = common.collection('quotas', SHOW)
LIST_QUERY = common.collection_query(('project_id',))
UPDATE = common.request(dict.fromkeys(RESOURCES, common.nullable(LIMIT)), non_empty=True)
