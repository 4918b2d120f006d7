# SPDX-License-Identifier: Apache-2.0
"""Devices are charged the overhead of slices that are used side by side.

Slices that exist are charged when their device's driver has told its overhead.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'


def upgrade() -> None:
    for table in ('devices', 'slices'):
        op.add_column(table, sa.Column('overhead', sa.Integer(), nullable=False, server_default='0'))
