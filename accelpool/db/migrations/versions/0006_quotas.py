# SPDX-License-Identifier: Apache-2.0
"""What projects use and may use; projects are charged for the allocations that there are.

Revision ID: 0006
Revises: 0005
"""

import collections
import datetime
import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = '0006'
down_revision = '0005'

_TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), 'mysql', 'mariadb')
_RESOURCES = ('slices', 'compute', 'memory')


def upgrade() -> None:
    op.create_table(
        'quotas',
        sa.Column('project_id', sa.String(length=64), nullable=False),
        *(sa.Column(f'limit_{name}', sa.BigInteger(), nullable=True) for name in _RESOURCES),
        *(sa.Column(f'used_{name}', sa.BigInteger(), nullable=False) for name in _RESOURCES),
        sa.Column('created_at', _TIME, nullable=False),
        sa.Column('updated_at', _TIME, nullable=False),
        sa.CheckConstraint('used_slices >= 0 AND used_compute >= 0 AND used_memory >= 0', name=op.f('ck_quotas_used')),
        sa.PrimaryKeyConstraint('project_id', name=op.f('pk_quotas')))
    op.add_column('allocations', sa.Column('charged_slices', sa.Integer(), nullable=True))
    op.add_column('allocations', sa.Column('charged_compute', sa.Integer(), nullable=True))
    op.add_column('allocations', sa.Column('charged_memory', sa.BigInteger(), nullable=True))
    _charge(op.get_bind())


def _charge(connection: sa.Connection) -> None:
    """Charge for what is held, and for what a pending allocation asks for."""
    allocations, slices, quotas = (sa.Table(name, sa.MetaData(), autoload_with=connection)
                                   for name in ('allocations', 'slices', 'quotas'))
    held = {row[0]: tuple(int(value) for value in row[1:]) for row in connection.execute(
        sa.select(slices.c.allocation_id, sa.func.count(), sa.func.sum(slices.c.compute), sa.func.sum(slices.c.memory))
        .group_by(slices.c.allocation_id))}
    pending = {row.id: _asked(row.request) for row in connection.execute(
        sa.select(allocations.c.id, allocations.c.request).where(allocations.c.state == 'pending'))}
    used: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0, 0])
    connection.execute(sa.update(allocations).values({f'charged_{name}': 0 for name in _RESOURCES}))
    for identifier, amounts in (pending | held).items():
        project = connection.scalar(sa.select(allocations.c.project_id).where(allocations.c.id == identifier))
        used[str(project)] = [a + b for a, b in zip(used[str(project)], amounts, strict=True)]
        connection.execute(sa.update(allocations).where(allocations.c.id == identifier).values(
            {f'charged_{name}': value for name, value in zip(_RESOURCES, amounts, strict=True)}))
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    for project, total in used.items():
        connection.execute(sa.insert(quotas).values(
            project_id=project, created_at=now, updated_at=now,
            **{f'used_{name}': value for name, value in zip(_RESOURCES, total, strict=True)}))


def _asked(request: Any) -> tuple[int, int, int]:
    asked = json.loads(request) if isinstance(request, str) else request
    count = asked.get('count') or 1
    return count, count * (asked.get('compute') or 0), count * (asked.get('memory') or 0)
