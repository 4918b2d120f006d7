# SPDX-License-Identifier: Apache-2.0
"""A page of profiles or devices is read without sorting all of them.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = '0008'
down_revision = '0007'

TABLES = ('devices', 'profiles')


def upgrade() -> None:
    for table in TABLES:
        op.create_index(f'ix_{table}_created', table, ['created_at', 'id'])
