# SPDX-License-Identifier: Apache-2.0
"""Who may do what with profiles."""

from accelpool.policy import base

LIST = 'accelpool:profile:list'
SHOW = 'accelpool:profile:show'
CREATE = 'accelpool:profile:create'
UPDATE = 'accelpool:profile:update'
DELETE = 'accelpool:profile:delete'

RULES = [
    base.rule('profile:list', base.READER, 'List profiles.', ('GET', '/v1/profiles'), ('GET', '/v2/device_profiles')),
    base.rule('profile:show', base.READER, 'Show a profile.', ('GET', '/v1/profiles/{id}'),
              ('GET', '/v2/device_profiles/{id}')),
    base.rule('profile:create', base.ADMIN, 'Create a profile.', ('POST', '/v1/profiles'),
              ('POST', '/v2/device_profiles')),
    base.rule('profile:update', base.ADMIN, 'Change a profile.', ('PATCH', '/v1/profiles/{id}')),
    base.rule('profile:delete', base.ADMIN, 'Delete a profile.', ('DELETE', '/v1/profiles/{id}'),
              ('DELETE', '/v2/device_profiles/{id}'), ('DELETE', '/v2/device_profiles')),
]
