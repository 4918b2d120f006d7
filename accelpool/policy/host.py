# SPDX-License-Identifier: Apache-2.0
"""Who may do what with hosts."""

from accelpool.policy import base

LIST = 'accelpool:host:list'
SHOW = 'accelpool:host:show'
UPDATE = 'accelpool:host:update'

RULES = [
    base.rule('host:list', base.OPERATOR, 'List hosts.', ('GET', '/v1/hosts')),
    base.rule('host:show', base.OPERATOR, 'Show a host.', ('GET', '/v1/hosts/{id}')),
    base.rule('host:update', base.ADMIN, 'Enable or disable a host.', ('PATCH', '/v1/hosts/{id}')),
]
