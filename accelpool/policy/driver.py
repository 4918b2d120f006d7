# SPDX-License-Identifier: Apache-2.0
"""Who may see the drivers."""

from accelpool.policy import base

LIST = 'accelpool:driver:list'

RULES = [base.rule('driver:list', base.OPERATOR, 'List drivers.', ('GET', '/v1/drivers'))]
