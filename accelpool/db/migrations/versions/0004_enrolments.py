# SPDX-License-Identifier: Apache-2.0
"""Enrolments of guests.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = '0004'
down_revision = '0003'

_TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), 'mysql', 'mariadb')


def upgrade() -> None:
    op.create_table(
        'enrolments',
        sa.Column('id', sa.String(length=36), nullable=False),
        sa.Column('project_id', sa.String(length=64), nullable=False),
        sa.Column('consumer_type', sa.String(length=16), nullable=False),
        sa.Column('consumer_id', sa.String(length=255), nullable=False),
        sa.Column('token_hash', sa.String(length=64), nullable=False),
        sa.Column('key_hash', sa.String(length=64), nullable=True),
        sa.Column('created_at', _TIME, nullable=False),
        sa.Column('expires_at', _TIME, nullable=False),
        sa.Column('used_at', _TIME, nullable=True),
        sa.Column('seen_at', _TIME, nullable=True),
        sa.PrimaryKeyConstraint('id', name='pk_enrolments'),
    )
    op.create_index('ix_enrolments_consumer_id', 'enrolments', ['consumer_id'])
    op.create_index('ix_enrolments_expires_at', 'enrolments', ['expires_at'])
