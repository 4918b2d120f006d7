# SPDX-License-Identifier: Apache-2.0
"""The personas that every rule is made of.

admin: runs the pool.  member: uses it for a project.  reader: looks on.  Keystone implies member from admin
and reader from member, so a rule names the least of them.
"""

from oslo_policy import policy

ADMIN = 'rule:admin'
PROJECT_MEMBER = 'rule:project_member'
PROJECT_READER = 'rule:project_reader'
# The owner first: that is who asks nearly always.
PROJECT_MEMBER_OR_ADMIN = f'{PROJECT_MEMBER} or {ADMIN}'
PROJECT_READER_OR_ADMIN = f'{PROJECT_READER} or {ADMIN}'
READER = 'rule:reader'

RULES = [
    policy.RuleDefault('admin', 'role:admin', 'Runs the pool.', scope_types=['project']),
    policy.RuleDefault('reader', 'role:reader', 'Looks at the pool, from any project.',
                       scope_types=['project']),
    policy.RuleDefault('project_member', 'role:member and project_id:%(project_id)s',
                       'Uses the pool for the project that owns the object.', scope_types=['project']),
    policy.RuleDefault('project_reader', 'role:reader and project_id:%(project_id)s',
                       'Looks at what the project owns.', scope_types=['project']),
]


def rule(name: str, check: str, description: str, *operations: tuple[str, str]) -> policy.DocumentedRuleDefault:
    """Return a documented rule ``accelpool:<name>`` for operations given as (method, path)."""
    return policy.DocumentedRuleDefault(
        name=f'accelpool:{name}', check_str=check, scope_types=['project'], description=description,
        operations=[{'method': method, 'path': path} for method, path in operations])
