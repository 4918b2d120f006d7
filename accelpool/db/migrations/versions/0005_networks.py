# SPDX-License-Identifier: Apache-2.0
"""Profiles name the network that sessions take.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'


def upgrade() -> None:
    op.add_column('profiles', sa.Column('data_network', sa.String(length=64), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('profiles') as profiles:
        profiles.drop_column('data_network')
