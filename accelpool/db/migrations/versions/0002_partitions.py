# SPDX-License-Identifier: Apache-2.0
"""Partitions of devices, and the isolations that a pool allows.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'


def upgrade() -> None:
    op.add_column('devices', sa.Column('partitions', sa.JSON(), nullable=True))
    op.add_column('slices', sa.Column('template', sa.String(length=64), nullable=True))
    op.add_column('slices', sa.Column('position', sa.Integer(), nullable=True))
    op.add_column('profiles', sa.Column('template', sa.String(length=64), nullable=True))
    op.add_column('pools', sa.Column('isolations', sa.JSON(), nullable=True))
