# SPDX-License-Identifier: Apache-2.0
"""Who may do what with services."""

from accelpool.policy import base

LIST = 'accelpool:service:list'
UPDATE = 'accelpool:service:update'

RULES = [
    base.rule('service:list', base.OPERATOR, 'List services.', ('GET', '/v1/services')),
    base.rule('service:update', base.ADMIN, 'Enable or disable a service.', ('PATCH', '/v1/services/{id}')),
]
