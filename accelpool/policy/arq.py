# SPDX-License-Identifier: Apache-2.0
"""Who may do what with accelerator requests (``/v2``).

Users have them through Nova, which speaks with the user's token and, to bind and to give back, a service token beside
it.  Another project's request does not exist for the caller (404) unless ``all_projects`` allows it.
"""

from accelpool.policy import base

ALL_PROJECTS = 'accelpool:arq:all_projects'
LIST = 'accelpool:arq:list'
SHOW = 'accelpool:arq:show'
CREATE = 'accelpool:arq:create'
UPDATE = 'accelpool:arq:update'
DELETE = 'accelpool:arq:delete'
SERVICE = 'accelpool:arq:service'

_MEMBER_OR_SERVICE = f'{base.PROJECT_MEMBER} or {base.SERVICE}'

RULES = [
    base.rule('arq:all_projects', base.ADMIN, 'See accelerator requests of every project.',
              ('GET', '/v2/accelerator_requests'),
              scopes=base.PROJECT_SCOPE),
    base.rule('arq:list', base.PROJECT_READER_OR_OPERATOR, "List a project's accelerator requests.",
              ('GET', '/v2/accelerator_requests'),
              scopes=base.PROJECT_SCOPE),
    base.rule('arq:show', base.PROJECT_READER_OR_OPERATOR, 'Show an accelerator request.',
              ('GET', '/v2/accelerator_requests/{id}'),
              scopes=base.PROJECT_SCOPE),
    base.rule('arq:create', _MEMBER_OR_SERVICE, 'Create accelerator requests.', ('POST', '/v2/accelerator_requests'),
              scopes=base.PROJECT_SCOPE),
    base.rule('arq:update', _MEMBER_OR_SERVICE, 'Bind accelerator requests to an instance, or take that back.',
              ('PATCH', '/v2/accelerator_requests'), ('PATCH', '/v2/accelerator_requests/{id}'),
              scopes=base.PROJECT_SCOPE),
    base.rule('arq:delete', _MEMBER_OR_SERVICE, 'Delete accelerator requests.', ('DELETE', '/v2/accelerator_requests'),
              ('DELETE', '/v2/accelerator_requests/{id}'),
              scopes=base.PROJECT_SCOPE),
    base.rule('arq:service', base.SERVICE,
              'Change what belongs to an instance: the caller sends a service token too, as Nova does.',
              ('PATCH', '/v2/accelerator_requests'), ('DELETE', '/v2/accelerator_requests'),
              scopes=base.PROJECT_SCOPE),
]
