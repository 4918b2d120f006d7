# SPDX-License-Identifier: Apache-2.0
"""Who may do what with quotas.

The quota of another project does not exist for the caller (404) unless ``list`` allows to see all of them.
"""

from accelpool.policy import base

LIST = 'accelpool:quota:list'
SHOW = 'accelpool:quota:show'
UPDATE = 'accelpool:quota:update'

RULES = [
    base.rule('quota:list', base.OPERATOR, 'List what every project uses and may use.', ('GET', '/v1/quotas')),
    base.rule('quota:show', base.PROJECT_READER_OR_OPERATOR, 'Show what a project uses and may use.',
              ('GET', '/v1/quotas/{id}')),
    base.rule('quota:update', base.ADMIN, 'Set the limits of a project.', ('PATCH', '/v1/quotas/{id}')),
]
