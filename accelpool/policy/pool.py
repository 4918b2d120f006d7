# SPDX-License-Identifier: Apache-2.0
"""Who may do what with pools."""

from accelpool.policy import base

LIST = 'accelpool:pool:list'
SHOW = 'accelpool:pool:show'
CREATE = 'accelpool:pool:create'
UPDATE = 'accelpool:pool:update'
DELETE = 'accelpool:pool:delete'

RULES = [
    base.rule('pool:list', base.READER, 'List pools.', ('GET', '/v1/pools')),
    base.rule('pool:show', base.READER, 'Show a pool and its devices.', ('GET', '/v1/pools/{id}')),
    base.rule('pool:create', base.ADMIN, 'Create a pool.', ('POST', '/v1/pools')),
    base.rule('pool:update', base.ADMIN, 'Change a pool, or which devices are in it.',
              ('PATCH', '/v1/pools/{id}'), ('PUT', '/v1/pools/{id}/devices/{device}'),
              ('DELETE', '/v1/pools/{id}/devices/{device}')),
    base.rule('pool:delete', base.ADMIN, 'Delete a pool.', ('DELETE', '/v1/pools/{id}')),
]
