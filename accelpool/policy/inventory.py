# SPDX-License-Identifier: Apache-2.0
"""Who may do what with the inventory as Cyborg's clients see it: devices, deployables and attributes of ``/v2``."""

from accelpool.policy import base

LIST = 'accelpool:inventory:list'
SHOW = 'accelpool:inventory:show'
UPDATE = 'accelpool:inventory:update'

_MANAGER_OR_ADMIN = f'role:manager or {base.ADMIN}'
_NOUNS = ('devices', 'deployables', 'attributes')

RULES = [
    base.rule('inventory:list', _MANAGER_OR_ADMIN, 'List devices, deployables and attributes.',
              *(('GET', f'/v2/{noun}') for noun in _NOUNS), scopes=base.PROJECT_SCOPE),
    base.rule('inventory:show', _MANAGER_OR_ADMIN, 'Show a device, a deployable or an attribute.',
              *(('GET', f'/v2/{noun}/{{id}}') for noun in _NOUNS), scopes=base.PROJECT_SCOPE),
    base.rule('inventory:update', base.ADMIN, 'Enable or disable a device, note an attribute of one.',
              ('POST', '/v2/devices/{id}/enable'), ('POST', '/v2/devices/{id}/disable'),
              ('PATCH', '/v2/deployables/{id}/program'), ('POST', '/v2/attributes'), ('DELETE', '/v2/attributes/{id}'),
              scopes=base.PROJECT_SCOPE),
]
