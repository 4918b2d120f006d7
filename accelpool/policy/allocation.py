# SPDX-License-Identifier: Apache-2.0
"""Who may do what with allocations.

An allocation of another project does not exist for the caller (404) unless ``all_projects`` allows it.
"""

from accelpool.policy import base

ALL_PROJECTS = 'accelpool:allocation:all_projects'
LIST = 'accelpool:allocation:list'
SHOW = 'accelpool:allocation:show'
CREATE = 'accelpool:allocation:create'
EXTEND = 'accelpool:allocation:extend'
DELETE = 'accelpool:allocation:delete'
ATTACHMENT = 'accelpool:allocation:attachment'
ENROL = 'accelpool:allocation:enrol'

RULES = [
    base.rule('allocation:all_projects', base.OPERATOR, 'See allocations of every project.',
              ('GET', '/v1/allocations?all_projects=true'), ('GET', '/v1/allocations/{id}')),
    base.rule('allocation:list', base.PROJECT_READER_OR_OPERATOR, "List a project's allocations.",
              ('GET', '/v1/allocations')),
    base.rule('allocation:show', base.PROJECT_READER_OR_OPERATOR, 'Show an allocation, its events and its usage.',
              ('GET', '/v1/allocations/{id}'), ('GET', '/v1/allocations/{id}/events'),
              ('GET', '/v1/allocations/{id}/usage')),
    base.rule('allocation:create', base.PROJECT_MEMBER, 'Allocate slices.', ('POST', '/v1/allocations'),
              scopes=base.PROJECT_SCOPE),
    base.rule('allocation:extend', base.PROJECT_MEMBER_OR_ADMIN, "Start an allocation's time to live again.",
              ('PATCH', '/v1/allocations/{id}')),
    base.rule('allocation:delete', base.PROJECT_MEMBER_OR_ADMIN, 'Release an allocation.',
              ('DELETE', '/v1/allocations/{id}')),
    base.rule('allocation:attachment', base.PROJECT_MEMBER,
              'Get a credential for an allocation.  Only ever for the project that owns it.',
              ('GET', '/v1/allocations/{id}/attachment'), scopes=base.PROJECT_SCOPE),
    base.rule('allocation:enrol', base.PROJECT_MEMBER,
              'Get a single-use token for the consumer of an allocation.  Only ever for the project that owns it.',
              ('POST', '/v1/allocations/{id}/enrolments'), scopes=base.PROJECT_SCOPE),
]
