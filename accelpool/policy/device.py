# SPDX-License-Identifier: Apache-2.0
"""Who may do what with devices."""

from accelpool.policy import base

LIST = 'accelpool:device:list'
SHOW = 'accelpool:device:show'
PROPERTIES = 'accelpool:device:properties'
UPDATE = 'accelpool:device:update'

RULES = [
    base.rule('device:list', base.READER, 'List devices.', ('GET', '/v1/devices')),
    base.rule('device:show', base.READER, 'Show a device.', ('GET', '/v1/devices/{id}')),
    base.rule('device:properties', base.ADMIN, 'See what the driver says of a device beyond that.',
              ('GET', '/v1/devices/{id}')),
    base.rule('device:update', base.ADMIN, 'Enable or disable a device.', ('PATCH', '/v1/devices/{id}')),
]
