# SPDX-License-Identifier: Apache-2.0
"""The personas that every rule is made of.

admin: runs the pool, with a project's token or the system's.  member: uses it for a project.  reader: looks on, at
one project or, with the system's token, at everything.  service: another service that works for a user, as Nova
does.  Keystone implies member from admin and reader from member, so a rule names the least of them.
"""

from collections.abc import Sequence

from oslo_policy import policy

ADMIN = 'rule:admin'
SYSTEM_READER = 'rule:system_reader'
OPERATOR = f'{ADMIN} or {SYSTEM_READER}'
PROJECT_MEMBER = 'rule:project_member'
PROJECT_READER = 'rule:project_reader'
# The owner first: that is who asks nearly always.
PROJECT_MEMBER_OR_ADMIN = f'{PROJECT_MEMBER} or {ADMIN}'
PROJECT_READER_OR_OPERATOR = f'{PROJECT_READER} or {OPERATOR}'
READER = 'rule:reader'
SERVICE = 'rule:service'

#: Scopes of tokens: what is done for a project needs the project's.
ANY_SCOPE = ('system', 'project')
PROJECT_SCOPE = ('project',)

RULES = [
    policy.RuleDefault('admin', 'role:admin', 'Runs the pool.', scope_types=['system', 'project']),
    policy.RuleDefault('system_reader', 'role:reader and system_scope:all', 'Looks at everything.',
                       scope_types=['system']),
    policy.RuleDefault('reader', 'role:reader', 'Looks at the pool, from any project.',
                       scope_types=['system', 'project']),
    policy.RuleDefault('project_member', 'role:member and project_id:%(project_id)s',
                       'Uses the pool for the project that owns the object.', scope_types=['project']),
    policy.RuleDefault('project_reader', 'role:reader and project_id:%(project_id)s',
                       'Looks at what the project owns.', scope_types=['project']),
    policy.RuleDefault('service', 'service_roles:service or role:service',
                       "Another service: its token came beside the user's, or it asks for itself.",
                       scope_types=['project']),
]


def rule(name: str, check: str, description: str, *operations: tuple[str, str],
         scopes: Sequence[str] = ANY_SCOPE) -> policy.DocumentedRuleDefault:
    """Return a documented rule ``accelpool:<name>`` for operations given as (method, path)."""
    return policy.DocumentedRuleDefault(
        name=f'accelpool:{name}', check_str=check, scope_types=list(scopes), description=description,
        operations=[{'method': method, 'path': path} for method, path in operations])
