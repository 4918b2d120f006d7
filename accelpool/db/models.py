# SPDX-License-Identifier: Apache-2.0
"""The tables.  Times are UTC without a zone; memory is MiB, compute percent points of one device."""

import datetime
import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import mysql

from accelpool.db import now

#: Microseconds on every database; MySQL's plain DATETIME would round to seconds.
Time = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), 'mysql', 'mariadb')
Id = sa.String(36)
#: JSON in which None is the database's NULL.
Nullable = sa.JSON(none_as_null=True)

#: The time as the database keeps it: use this one for everything that another process judges.
utcnow = now.utcnow


def new_id() -> str:
    return str(uuid.uuid4())


class Base(orm.DeclarativeBase):
    """Common base; constraint names are fixed so that migrations can name them."""

    type_annotation_map = {
        datetime.datetime: Time,
        dict[str, Any]: sa.JSON,
        list[Any]: sa.JSON,
        list[str]: sa.JSON,
    }
    metadata = sa.MetaData(naming_convention={
        'ix': 'ix_%(table_name)s_%(column_0_name)s',
        'uq': 'uq_%(table_name)s_%(column_0_name)s',
        'ck': 'ck_%(table_name)s_%(constraint_name)s',
        'fk': 'fk_%(table_name)s_%(column_0_name)s',
        'pk': 'pk_%(table_name)s',
    })


def table(model: type[Base]) -> sa.Table:
    """Return a model's table, for statements that need no objects."""
    found = model.__table__
    assert isinstance(found, sa.Table)
    return found


class _Stamped:
    created_at: orm.Mapped[datetime.datetime] = orm.mapped_column(default=utcnow)
    updated_at: orm.Mapped[datetime.datetime] = orm.mapped_column(default=utcnow, onupdate=utcnow)


class Host(_Stamped, Base):
    """A machine that runs a conductor; it is up while it is heard of."""

    __tablename__ = 'hosts'

    id: orm.Mapped[str] = orm.mapped_column(Id, primary_key=True, default=new_id)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(255), unique=True)
    enabled: orm.Mapped[bool] = orm.mapped_column(default=True)
    disabled_reason: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    last_seen: orm.Mapped[datetime.datetime] = orm.mapped_column(default=utcnow)
    advertise: orm.Mapped[list[Any]] = orm.mapped_column(default=list)


class Device(_Stamped, Base):
    """One accelerator, what is used of it, and the generation that guards it: it rises with all that can make a
    decision about the device wrong, which giving back never does.
    """

    __tablename__ = 'devices'
    __table_args__ = (
        sa.CheckConstraint('used_memory >= 0 AND used_compute >= 0 AND slices >= 0', name='used'),
        sa.Index('ix_devices_created', 'created_at', 'id'),
    )

    id: orm.Mapped[str] = orm.mapped_column(sa.String(64), primary_key=True)
    host_id: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey('hosts.id', ondelete='CASCADE'), index=True)
    driver: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    vendor: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    model: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    memory: orm.Mapped[int]
    overhead: orm.Mapped[int] = orm.mapped_column(default=0)     # charged beside the memory of a shared slice
    compute: orm.Mapped[int] = orm.mapped_column(default=100)
    used_memory: orm.Mapped[int] = orm.mapped_column(default=0)  # of the slices, with their overhead
    used_compute: orm.Mapped[int] = orm.mapped_column(default=0)
    slices: orm.Mapped[int] = orm.mapped_column(default=0)
    traits: orm.Mapped[list[str]] = orm.mapped_column(default=list)
    modes: orm.Mapped[list[str]] = orm.mapped_column(default=list)
    numa_node: orm.Mapped[int | None]
    pci_address: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))
    fabric: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    health: orm.Mapped[str] = orm.mapped_column(sa.String(16), default='ok')
    health_reason: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    enabled: orm.Mapped[bool] = orm.mapped_column(default=True)
    disabled_reason: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    partitions: orm.Mapped[dict[str, Any] | None] = orm.mapped_column(Nullable)
    options: orm.Mapped[dict[str, Any]] = orm.mapped_column(default=dict)
    generation: orm.Mapped[int] = orm.mapped_column(default=1)

    host: orm.Mapped[Host] = orm.relationship(lazy='joined', innerjoin=True)
    pools: orm.Mapped[list['Pool']] = orm.relationship(secondary='pool_devices', viewonly=True)

    @property
    def free_memory(self) -> int:
        return self.memory - self.used_memory

    @property
    def free_compute(self) -> int:
        return self.compute - self.used_compute


class Pool(_Stamped, Base):
    """A named set of devices."""

    __tablename__ = 'pools'

    id: orm.Mapped[str] = orm.mapped_column(Id, primary_key=True, default=new_id)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(255), unique=True)
    description: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    isolations: orm.Mapped[list[str] | None] = orm.mapped_column(Nullable)  # that its devices may use; None: all
    generation: orm.Mapped[int] = orm.mapped_column(default=1)

    devices: orm.Mapped[list[Device]] = orm.relationship(secondary='pool_devices', order_by=Device.id)


class PoolDevice(Base):
    """Membership of a device in a pool."""

    __tablename__ = 'pool_devices'

    pool_id: orm.Mapped[str] = orm.mapped_column(
        sa.ForeignKey('pools.id', ondelete='CASCADE'), primary_key=True)
    device_id: orm.Mapped[str] = orm.mapped_column(
        sa.ForeignKey('devices.id', ondelete='CASCADE'), primary_key=True, index=True)


class Profile(_Stamped, Base):
    """A request under a name; the fields are those of :class:`accelpool.types.Request`."""

    __tablename__ = 'profiles'
    __table_args__ = (sa.Index('ix_profiles_created', 'created_at', 'id'),)

    id: orm.Mapped[str] = orm.mapped_column(Id, primary_key=True, default=new_id)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(255), unique=True)
    description: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    count: orm.Mapped[int] = orm.mapped_column(default=1)
    compute: orm.Mapped[int] = orm.mapped_column(default=100)
    memory: orm.Mapped[int | None]
    isolation: orm.Mapped[str] = orm.mapped_column(sa.String(16), default='shared')
    template: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))
    locality: orm.Mapped[str] = orm.mapped_column(sa.String(16), default='any')
    technique: orm.Mapped[str] = orm.mapped_column(sa.String(16), default='interpose')
    traits: orm.Mapped[list[str]] = orm.mapped_column(default=list)
    any_traits: orm.Mapped[list[str]] = orm.mapped_column(default=list)
    vendor: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    model: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    pool_id: orm.Mapped[str | None] = orm.mapped_column(sa.ForeignKey('pools.id'), index=True)
    strict: orm.Mapped[bool] = orm.mapped_column(default=False)
    data_network: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))
    #: Groups as /v2 was given them; None: they follow from the other fields.
    groups: orm.Mapped[list[Any] | None] = orm.mapped_column(Nullable)
    generation: orm.Mapped[int] = orm.mapped_column(default=1)

    pool: orm.Mapped[Pool | None] = orm.relationship(lazy='joined')


class Allocation(_Stamped, Base):
    """One consumer's claim; ``request`` is what was asked for, as types.Request.to_dict() has it."""

    __tablename__ = 'allocations'
    __table_args__ = (
        sa.Index('ix_allocations_project', 'project_id', 'created_at'),
        sa.Index('ix_allocations_state', 'state', 'updated_at'),
    )

    id: orm.Mapped[str] = orm.mapped_column(Id, primary_key=True, default=new_id)
    name: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    project_id: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    user_id: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    profile: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))  # its name when it was used
    request: orm.Mapped[dict[str, Any]]
    consumer_type: orm.Mapped[str] = orm.mapped_column(sa.String(16), default='process')
    consumer_id: orm.Mapped[str | None] = orm.mapped_column(sa.String(255), index=True)
    consumer_host: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    state: orm.Mapped[str] = orm.mapped_column(sa.String(16), default='pending')
    reason: orm.Mapped[str | None] = orm.mapped_column(sa.Text)
    ttl: orm.Mapped[int | None]                                # seconds
    expires_at: orm.Mapped[datetime.datetime | None] = orm.mapped_column(index=True)

    # What the project's quota is charged for it now; None: it was made by a release without quotas.
    charged_slices: orm.Mapped[int | None]
    charged_compute: orm.Mapped[int | None]
    charged_memory: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)

    slices: orm.Mapped[list['Slice']] = orm.relationship(order_by='Slice.ordinal', viewonly=True)


class Slice(Base):
    """A share of a device; as long as the row exists, the device is charged for it."""

    __tablename__ = 'slices'

    id: orm.Mapped[str] = orm.mapped_column(Id, primary_key=True, default=new_id)
    allocation_id: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey('allocations.id'), index=True)
    device_id: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey('devices.id'), index=True)
    host: orm.Mapped[str] = orm.mapped_column(sa.String(255), index=True)
    ordinal: orm.Mapped[int] = orm.mapped_column(default=0)
    compute: orm.Mapped[int]
    memory: orm.Mapped[int]
    overhead: orm.Mapped[int] = orm.mapped_column(default=0)  # that its device is charged beside its memory
    isolation: orm.Mapped[str] = orm.mapped_column(sa.String(16))
    strict: orm.Mapped[bool] = orm.mapped_column(default=False)
    generation: orm.Mapped[int] = orm.mapped_column(default=1)
    template: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))
    position: orm.Mapped[int | None]
    #: How an instance on the same host gets it (drivers.base.Handle as a dict); None: through an agent.
    handle: orm.Mapped[dict[str, Any] | None] = orm.mapped_column(Nullable)
    bound: orm.Mapped[bool] = orm.mapped_column(default=False)


class Arq(Base):
    """One accelerator request of Nova's: a view on the allocation that it gets when it is bound."""

    __tablename__ = 'arqs'
    __table_args__ = (sa.Index('ix_arqs_project', 'project_id', 'id'), sa.Index('ix_arqs_state', 'state', 'updated_at'))

    id: orm.Mapped[str] = orm.mapped_column(Id, primary_key=True, default=new_id)
    project_id: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    user_id: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    profile: orm.Mapped[str] = orm.mapped_column(sa.String(255))  # its name when it was used
    group_id: orm.Mapped[int]                                     # which of the profile's groups
    request: orm.Mapped[dict[str, Any]]                           # for one slice
    state: orm.Mapped[str] = orm.mapped_column(sa.String(16))
    hostname: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    device_rp_uuid: orm.Mapped[str | None] = orm.mapped_column(Id)
    instance_uuid: orm.Mapped[str | None] = orm.mapped_column(Id, index=True)
    allocation_id: orm.Mapped[str | None] = orm.mapped_column(Id, index=True)
    created_at: orm.Mapped[datetime.datetime] = orm.mapped_column(default=utcnow)
    updated_at: orm.Mapped[datetime.datetime | None]


class Attribute(Base):
    """What an administrator has noted of a device in /v2, beside what its driver says."""

    __tablename__ = 'attributes'

    id: orm.Mapped[str] = orm.mapped_column(Id, primary_key=True, default=new_id)
    device_id: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey('devices.id', ondelete='CASCADE'), index=True)
    key: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    value: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    created_at: orm.Mapped[datetime.datetime] = orm.mapped_column(default=utcnow)


class Event(Base):
    """One thing that happened to an allocation; a transition has both states."""

    __tablename__ = 'events'

    id: orm.Mapped[int] = orm.mapped_column(
        sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), primary_key=True)
    allocation_id: orm.Mapped[str] = orm.mapped_column(
        sa.ForeignKey('allocations.id', ondelete='CASCADE'), index=True)
    time: orm.Mapped[datetime.datetime] = orm.mapped_column(default=utcnow)
    event: orm.Mapped[str] = orm.mapped_column(sa.String(32))
    from_state: orm.Mapped[str | None] = orm.mapped_column(sa.String(16))
    to_state: orm.Mapped[str | None] = orm.mapped_column(sa.String(16))
    detail: orm.Mapped[str | None] = orm.mapped_column(sa.Text)


class Quota(_Stamped, Base):
    """What a project uses, and what it may use: -1 everything, None what the configuration says."""

    __tablename__ = 'quotas'
    __table_args__ = (
        sa.CheckConstraint('used_slices >= 0 AND used_compute >= 0 AND used_memory >= 0', name='used'),
    )

    id: orm.Mapped[str] = orm.mapped_column('project_id', sa.String(64), primary_key=True)
    limit_slices: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    limit_compute: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    limit_memory: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    used_slices: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, default=0)
    used_compute: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, default=0)
    used_memory: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, default=0)


class Service(_Stamped, Base):
    """A running service; it is up while it is heard of."""

    __tablename__ = 'services'
    __table_args__ = (sa.UniqueConstraint('binary', 'host', name='uq_services_binary'),)

    id: orm.Mapped[str] = orm.mapped_column(Id, primary_key=True, default=new_id)
    binary: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    host: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    topic: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    last_seen: orm.Mapped[datetime.datetime] = orm.mapped_column(default=utcnow)
    disabled: orm.Mapped[bool] = orm.mapped_column(default=False)
    disabled_reason: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    version: orm.Mapped[str | None] = orm.mapped_column(sa.String(32))


class Enrolment(Base):
    """A token that a guest exchanges once, then the key by which that guest is known; only digests of either."""

    __tablename__ = 'enrolments'

    id: orm.Mapped[str] = orm.mapped_column(Id, primary_key=True, default=new_id)
    project_id: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    consumer_type: orm.Mapped[str] = orm.mapped_column(sa.String(16))
    consumer_id: orm.Mapped[str] = orm.mapped_column(sa.String(255), index=True)
    token_hash: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    key_hash: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))
    created_at: orm.Mapped[datetime.datetime] = orm.mapped_column(default=utcnow)
    expires_at: orm.Mapped[datetime.datetime] = orm.mapped_column(index=True)
    used_at: orm.Mapped[datetime.datetime | None]
    seen_at: orm.Mapped[datetime.datetime | None]


class Clock(Base):
    """When the control plane last looked at its allocations: one row, so that downtime does not count."""

    __tablename__ = 'clock'

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    ticked_at: orm.Mapped[datetime.datetime]
