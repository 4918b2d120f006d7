# SPDX-License-Identifier: Apache-2.0
"""Schemas of drivers."""

from accelpool.api.schemas.v1 import common

SHOW = common.shown({
    'id': common.STRING, 'name': common.STRING, 'interfaces': common.STRINGS, 'hosts': common.STRINGS})
LIST = common.collection('drivers', SHOW)
LIST_QUERY = common.collection_query(('name',))
