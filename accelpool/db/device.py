# SPDX-License-Identifier: Apache-2.0
"""Queries on devices."""

from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors, types
from accelpool.db import changes, models, paging

_d, _h, _s, _q = (models.table(model).c for model in (models.Device, models.Host, models.Slice, models.Arq))
#: What a short list shows of devices: no objects, no lists of traits.
Listed: TypeAlias = sa.Row[*tuple[Any, ...]]
_LISTED = sa.select(
    _d.id, _d.driver, _d.vendor, _d.model, _d.memory, _d.numa_node, _d.pci_address, _d.health, _d.enabled,
    _d.created_at, _d.updated_at, _h.name.label('hostname'),
).select_from(  # an outer join, though every device has a host: so a page begins with the devices, in their order
    models.table(models.Device).outerjoin(models.table(models.Host), _d.host_id == _h.id))

_HOLDINGS = sa.select(
    _d.id, sa.and_(_d.enabled, _h.enabled), _s.id, _s.isolation, _s.handle.is_not(None), _q.hostname,
).select_from(
    models.table(models.Device).join(models.table(models.Host), _d.host_id == _h.id)
    .outerjoin(models.table(models.Slice), _s.device_id == _d.id)
    .outerjoin(models.table(models.Arq), _q.allocation_id == _s.allocation_id)
).where(_h.name == sa.bindparam('on'))


def get(session: orm.Session, identifier: str) -> models.Device:
    """:raises NotFound:"""
    found = session.scalar(sa.select(models.Device).where(models.Device.id == identifier).options(
        orm.selectinload(models.Device.pools)))
    if found is None:
        raise errors.NotFound(f'Device {identifier} does not exist')
    return found


def ids(session: orm.Session) -> list[str]:
    """Return the identifier of every device."""
    return list(session.scalars(sa.select(_d.id).order_by(_d.id)))


def list_page(session: orm.Session, *, filters: Mapping[str, Any] | None = None, sort: paging.Sort = (),
              marker: str | None = None, limit: int | None = None) -> list[models.Device]:
    """Filters are columns, ``host`` (a name) and ``pool`` (id or name)."""
    wanted = dict(filters or {})
    query = sa.select(models.Device).options(orm.selectinload(models.Device.pools))
    host = wanted.pop('host', None)
    if host is not None:
        query = query.where(models.Device.host.has(models.Host.name == host))
    pool = wanted.pop('pool', None)
    if pool is not None:
        query = query.where(models.Device.pools.any(
            sa.or_(models.Pool.id == pool, models.Pool.name == pool)))
    return paging.page(session, models.Device, query.filter_by(**wanted), sort=sort, marker=marker, limit=limit)


def listed(session: orm.Session, *, filters: Mapping[str, Any] | None = None, marker: str | None = None,
           limit: int | None = None) -> list[Listed]:
    """Return devices by id; filters are ``vendor``, ``host`` (a name) and ``id``."""
    columns = {'vendor': _d.vendor, 'host': _h.name, 'id': _d.id}
    query = _LISTED.where(*(columns[name] == value for name, value in (filters or {}).items()))
    return list(session.execute(paging.part(
        session, models.Device, query, sort=(('id', 'asc'),), marker=marker, limit=limit)))


def update(session: orm.Session, device: models.Device, **values: Any) -> None:
    """Change an operator's fields; a claim decided on the old values fails."""
    for name, value in values.items():
        setattr(device, name, value)
    device.generation = models.Device.generation + 1
    session.flush()
    session.refresh(device)
    changes.note(session.info, 'device', 'update', device.id, changed=sorted(values))


def of_host(session: orm.Session, host: str) -> dict[str, types.Device]:
    """Return what the database knows of a host's devices, as its driver would say it."""
    found = session.scalars(sa.select(models.Device).where(
        models.Device.host.has(models.Host.name == host)))
    names = types.Device.__dataclass_fields__
    return {device.id: types.Device.from_dict({name: getattr(device, name) for name in names})
            for device in found}


def holdings(session: orm.Session, host: str) -> list[sa.Row[*tuple[Any, ...]]]:
    """Return a host's devices with each of their slices: the fields of the conductor's ``Holding``."""
    return list(session.execute(_HOLDINGS, {'on': host}))


def save(session: orm.Session, host: models.Host, device: types.Device) -> None:
    """Insert a discovered device, or update what its driver says of it."""
    values = device.to_dict() | {
        'traits': list(device.traits), 'modes': list(device.modes), 'host_id': host.id}
    known = session.get(models.Device, device.id)
    if known is None:
        session.add(models.Device(**values))
        session.flush()
        changes.note(session.info, 'device', 'create', device.id, changed=[])
        return
    if known.host_id != host.id and known.slices:
        raise errors.Conflict(f'Device {device.id} has slices on another host')
    changed = sorted(name for name, value in values.items() if getattr(known, name) != value)
    if 'overhead' in changed:
        _charge_overhead(session, device)
    for name, value in values.items():
        setattr(known, name, value)
    known.generation = models.Device.generation + 1
    session.flush()
    changes.note(session.info, 'device', 'update', device.id, changed=changed)


def _charge_overhead(session: orm.Session, device: types.Device) -> None:
    """Charge a device another overhead for the slices that it carries; it may have more in use than it has then."""
    lock(session, [device.id])
    session.execute(sa.update(models.table(models.Slice)).where(
        _s.device_id == device.id, _s.isolation.in_(types.SIDE_BY_SIDE)).values(overhead=device.overhead))
    used = session.scalar(sa.select(sa.func.coalesce(sa.func.sum(_s.memory + _s.overhead), 0)).where(
        _s.device_id == device.id))
    session.execute(sa.update(models.table(models.Device)).where(_d.id == device.id).values(
        used_memory=used, updated_at=models.utcnow()))


def lock(session: orm.Session, identifiers: Collection[str]) -> None:
    """Keep others from changing these devices until the transaction ends."""
    session.execute(sa.select(_d.id).where(_d.id.in_(identifiers)).order_by(_d.id).with_for_update()).all()
