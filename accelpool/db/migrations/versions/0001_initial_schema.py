# SPDX-License-Identifier: Apache-2.0
"""Hosts, devices, pools, profiles, allocations, slices, events, services.

Revision ID: 0001
Revises: None
"""

import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = '0001'
down_revision = None

TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), 'mysql', 'mariadb')


def upgrade() -> None:
    op.create_table('allocations',
        sa.Column('id', sa.String(length=36), nullable=False),
        sa.Column('name', sa.String(length=255), nullable=True),
        sa.Column('project_id', sa.String(length=64), nullable=False),
        sa.Column('user_id', sa.String(length=64), nullable=False),
        sa.Column('profile', sa.String(length=255), nullable=True),
        sa.Column('request', sa.JSON(), nullable=False),
        sa.Column('consumer_type', sa.String(length=16), nullable=False),
        sa.Column('consumer_id', sa.String(length=255), nullable=True),
        sa.Column('consumer_host', sa.String(length=255), nullable=True),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('reason', sa.Text(), nullable=True),
        sa.Column('ttl', sa.Integer(), nullable=True),
        sa.Column('expires_at', TIME, nullable=True),
        sa.Column('created_at', TIME, nullable=False),
        sa.Column('updated_at', TIME, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_allocations'))
    )
    op.create_index('ix_allocations_consumer_id', 'allocations', ['consumer_id'])
    op.create_index('ix_allocations_expires_at', 'allocations', ['expires_at'])
    op.create_index('ix_allocations_project', 'allocations', ['project_id', 'created_at'])
    op.create_index('ix_allocations_state', 'allocations', ['state', 'updated_at'])

    clock = op.create_table('clock',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('ticked_at', TIME, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_clock'))
    )
    op.bulk_insert(clock, [{'id': 1, 'ticked_at': datetime.datetime.now(datetime.UTC).replace(tzinfo=None)}])
    op.create_table('hosts',
        sa.Column('id', sa.String(length=36), nullable=False),
        sa.Column('name', sa.String(length=255), nullable=False),
        sa.Column('enabled', sa.Boolean(), nullable=False),
        sa.Column('disabled_reason', sa.String(length=255), nullable=True),
        sa.Column('last_seen', TIME, nullable=False),
        sa.Column('advertise', sa.JSON(), nullable=False),
        sa.Column('created_at', TIME, nullable=False),
        sa.Column('updated_at', TIME, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_hosts')),
        sa.UniqueConstraint('name', name=op.f('uq_hosts_name'))
    )
    op.create_table('pools',
        sa.Column('id', sa.String(length=36), nullable=False),
        sa.Column('name', sa.String(length=255), nullable=False),
        sa.Column('description', sa.Text(), nullable=True),
        sa.Column('generation', sa.Integer(), nullable=False),
        sa.Column('created_at', TIME, nullable=False),
        sa.Column('updated_at', TIME, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_pools')),
        sa.UniqueConstraint('name', name=op.f('uq_pools_name'))
    )
    op.create_table('services',
        sa.Column('id', sa.String(length=36), nullable=False),
        sa.Column('binary', sa.String(length=64), nullable=False),
        sa.Column('host', sa.String(length=255), nullable=False),
        sa.Column('topic', sa.String(length=255), nullable=True),
        sa.Column('last_seen', TIME, nullable=False),
        sa.Column('disabled', sa.Boolean(), nullable=False),
        sa.Column('disabled_reason', sa.String(length=255), nullable=True),
        sa.Column('version', sa.String(length=32), nullable=True),
        sa.Column('created_at', TIME, nullable=False),
        sa.Column('updated_at', TIME, nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_services')),
        sa.UniqueConstraint('binary', 'host', name='uq_services_binary')
    )
    op.create_table('devices',
        sa.Column('id', sa.String(length=64), nullable=False),
        sa.Column('host_id', sa.String(length=36), nullable=False),
        sa.Column('driver', sa.String(length=64), nullable=False),
        sa.Column('vendor', sa.String(length=255), nullable=False),
        sa.Column('model', sa.String(length=255), nullable=False),
        sa.Column('memory', sa.Integer(), nullable=False),
        sa.Column('compute', sa.Integer(), nullable=False),
        sa.Column('used_memory', sa.Integer(), nullable=False),
        sa.Column('used_compute', sa.Integer(), nullable=False),
        sa.Column('slices', sa.Integer(), nullable=False),
        sa.Column('traits', sa.JSON(), nullable=False),
        sa.Column('modes', sa.JSON(), nullable=False),
        sa.Column('numa_node', sa.Integer(), nullable=True),
        sa.Column('pci_address', sa.String(length=64), nullable=True),
        sa.Column('fabric', sa.String(length=255), nullable=True),
        sa.Column('health', sa.String(length=16), nullable=False),
        sa.Column('health_reason', sa.String(length=255), nullable=True),
        sa.Column('enabled', sa.Boolean(), nullable=False),
        sa.Column('disabled_reason', sa.String(length=255), nullable=True),
        sa.Column('options', sa.JSON(), nullable=False),
        sa.Column('generation', sa.Integer(), nullable=False),
        sa.Column('created_at', TIME, nullable=False),
        sa.Column('updated_at', TIME, nullable=False),
        sa.CheckConstraint('used_memory >= 0 AND used_compute >= 0 AND slices >= 0', name=op.f('ck_devices_used')),
        sa.ForeignKeyConstraint(['host_id'], ['hosts.id'], name=op.f('fk_devices_host_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_devices'))
    )
    op.create_index('ix_devices_host_id', 'devices', ['host_id'])

    op.create_table('events',
        sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
        sa.Column('allocation_id', sa.String(length=36), nullable=False),
        sa.Column('time', TIME, nullable=False),
        sa.Column('event', sa.String(length=32), nullable=False),
        sa.Column('from_state', sa.String(length=16), nullable=True),
        sa.Column('to_state', sa.String(length=16), nullable=True),
        sa.Column('detail', sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(['allocation_id'], ['allocations.id'], name=op.f('fk_events_allocation_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_events'))
    )
    op.create_index('ix_events_allocation_id', 'events', ['allocation_id'])

    op.create_table('profiles',
        sa.Column('id', sa.String(length=36), nullable=False),
        sa.Column('name', sa.String(length=255), nullable=False),
        sa.Column('description', sa.Text(), nullable=True),
        sa.Column('count', sa.Integer(), nullable=False),
        sa.Column('compute', sa.Integer(), nullable=False),
        sa.Column('memory', sa.Integer(), nullable=True),
        sa.Column('isolation', sa.String(length=16), nullable=False),
        sa.Column('locality', sa.String(length=16), nullable=False),
        sa.Column('technique', sa.String(length=16), nullable=False),
        sa.Column('traits', sa.JSON(), nullable=False),
        sa.Column('any_traits', sa.JSON(), nullable=False),
        sa.Column('vendor', sa.String(length=255), nullable=True),
        sa.Column('model', sa.String(length=255), nullable=True),
        sa.Column('pool_id', sa.String(length=36), nullable=True),
        sa.Column('strict', sa.Boolean(), nullable=False),
        sa.Column('generation', sa.Integer(), nullable=False),
        sa.Column('created_at', TIME, nullable=False),
        sa.Column('updated_at', TIME, nullable=False),
        sa.ForeignKeyConstraint(['pool_id'], ['pools.id'], name=op.f('fk_profiles_pool_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_profiles')),
        sa.UniqueConstraint('name', name=op.f('uq_profiles_name'))
    )
    op.create_index('ix_profiles_pool_id', 'profiles', ['pool_id'])

    op.create_table('pool_devices',
        sa.Column('pool_id', sa.String(length=36), nullable=False),
        sa.Column('device_id', sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(['device_id'], ['devices.id'], name=op.f('fk_pool_devices_device_id'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['pool_id'], ['pools.id'], name=op.f('fk_pool_devices_pool_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('pool_id', 'device_id', name=op.f('pk_pool_devices'))
    )
    op.create_index('ix_pool_devices_device_id', 'pool_devices', ['device_id'])

    op.create_table('slices',
        sa.Column('id', sa.String(length=36), nullable=False),
        sa.Column('allocation_id', sa.String(length=36), nullable=False),
        sa.Column('device_id', sa.String(length=64), nullable=False),
        sa.Column('host', sa.String(length=255), nullable=False),
        sa.Column('ordinal', sa.Integer(), nullable=False),
        sa.Column('compute', sa.Integer(), nullable=False),
        sa.Column('memory', sa.Integer(), nullable=False),
        sa.Column('isolation', sa.String(length=16), nullable=False),
        sa.Column('strict', sa.Boolean(), nullable=False),
        sa.Column('generation', sa.Integer(), nullable=False),
        sa.Column('bound', sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(['allocation_id'], ['allocations.id'], name=op.f('fk_slices_allocation_id')),
        sa.ForeignKeyConstraint(['device_id'], ['devices.id'], name=op.f('fk_slices_device_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_slices'))
    )
    op.create_index('ix_slices_allocation_id', 'slices', ['allocation_id'])
    op.create_index('ix_slices_device_id', 'slices', ['device_id'])
    op.create_index('ix_slices_host', 'slices', ['host'])
