# SPDX-License-Identifier: Apache-2.0
"""Accelerator requests of Nova, and what /v2 keeps of profiles, slices and devices.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = '0003'
down_revision = '0002'

_TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), 'mysql', 'mariadb')


def upgrade() -> None:
    op.add_column('profiles', sa.Column('groups', sa.JSON(), nullable=True))
    op.add_column('slices', sa.Column('handle', sa.JSON(), nullable=True))
    op.create_table(
        'arqs',
        sa.Column('id', sa.String(length=36), nullable=False),
        sa.Column('project_id', sa.String(length=64), nullable=False),
        sa.Column('user_id', sa.String(length=64), nullable=False),
        sa.Column('profile', sa.String(length=255), nullable=False),
        sa.Column('group_id', sa.Integer(), nullable=False),
        sa.Column('request', sa.JSON(), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('hostname', sa.String(length=255), nullable=True),
        sa.Column('device_rp_uuid', sa.String(length=36), nullable=True),
        sa.Column('instance_uuid', sa.String(length=36), nullable=True),
        sa.Column('allocation_id', sa.String(length=36), nullable=True),
        sa.Column('created_at', _TIME, nullable=False),
        sa.Column('updated_at', _TIME, nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_arqs')),
    )
    op.create_index('ix_arqs_project', 'arqs', ['project_id', 'id'])
    op.create_index('ix_arqs_state', 'arqs', ['state', 'updated_at'])
    op.create_index(op.f('ix_arqs_instance_uuid'), 'arqs', ['instance_uuid'])
    op.create_index(op.f('ix_arqs_allocation_id'), 'arqs', ['allocation_id'])
    op.create_table(
        'attributes',
        sa.Column('id', sa.String(length=36), nullable=False),
        sa.Column('device_id', sa.String(length=64), nullable=False),
        sa.Column('key', sa.String(length=255), nullable=False),
        sa.Column('value', sa.String(length=255), nullable=False),
        sa.Column('created_at', _TIME, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_attributes')),
        sa.ForeignKeyConstraint(['device_id'], ['devices.id'], name=op.f('fk_attributes_device_id'),
                                ondelete='CASCADE'),
    )
    op.create_index(op.f('ix_attributes_device_id'), 'attributes', ['device_id'])
