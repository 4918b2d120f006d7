# SPDX-License-Identifier: Apache-2.0
"""Queries on devices, and the scheduler's view of all of them."""

import datetime
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors, types
from accelpool.db import changes, models, paging
from accelpool.db import service as db_service

_d, _h, _o, _p, _s, _v = (models.table(model).c for model in (
    models.Device, models.Host, models.Pool, models.PoolDevice, models.Slice, models.Service))
#: An operator has disabled the conductor of the host.
_disabled = sa.exists().where(_v.binary == db_service.CONDUCTOR, _v.host == _h.name, _v.disabled)
_CANDIDATES = sa.select(
    _d.id, _h.name, _d.vendor, _d.model, _d.compute, _d.memory, _d.used_compute, _d.used_memory, _d.slices,
    _d.overhead, _d.generation, _d.traits, _d.modes, _d.fabric, _d.health, _d.partitions, _p.pool_id, _o.isolations,
    _h.advertise,
    sa.and_(_d.enabled, _h.enabled, ~_disabled,
            _h.last_seen >= sa.bindparam('up_since', type_=models.Time)).label('ready'),
).select_from(
    models.table(models.Device).join(models.table(models.Host), _d.host_id == _h.id)
    .outerjoin(models.table(models.PoolDevice), _p.device_id == _d.id)
    .outerjoin(models.table(models.Pool), _o.id == _p.pool_id)
).order_by(_d.id, _p.pool_id)
_USED = sa.select(_s.device_id, _s.isolation, _s.template, _s.position).where(
    _s.device_id.in_(sa.bindparam('devices', expanding=True)))


#: What a short list shows of devices: no objects, no lists of traits.
Listed: TypeAlias = sa.Row[*tuple[Any, ...]]
_LISTED = sa.select(
    _d.id, _d.driver, _d.vendor, _d.model, _d.memory, _d.numa_node, _d.pci_address, _d.health, _d.enabled,
    _d.created_at, _d.updated_at, _h.name.label('hostname'),
).select_from(models.table(models.Device).join(models.table(models.Host), _d.host_id == _h.id))


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


def candidates(session: orm.Session, up_since: datetime.datetime) -> list[types.Candidate]:
    """Return every device as the scheduler sees it, by id; its modes are those that all of its pools allow.

    What slices there are on a device is read after the device: what changes in between makes the claim fail on the
    generation.

    :param up_since: hosts that have not been heard of since then are down
    """
    found: dict[str, sa.Row[*tuple[Any, ...]]] = {}
    pools: dict[str, list[str]] = defaultdict(list)
    modes: dict[str, tuple[str, ...]] = {}
    for row in session.execute(_CANDIDATES, {'up_since': up_since}):
        if row.id not in found:
            found[row.id] = row
            modes[row.id] = tuple(row.modes)
        if row.pool_id is not None:
            pools[row.id].append(row.pool_id)
        if row.isolations is not None:
            modes[row.id] = tuple(mode for mode in modes[row.id] if mode in row.isolations)
    used = _used(session, [row.id for row in found.values() if row.slices and (
        row.partitions is not None or types.Isolation.MPS in row.modes)])
    return [types.Candidate(
        device_id=row.id, host=row.name, vendor=row.vendor, model=row.model, compute=row.compute, memory=row.memory,
        free_compute=row.compute - row.used_compute, free_memory=row.memory - row.used_memory, overhead=row.overhead,
        slices=row.slices, generation=row.generation, traits=tuple(row.traits), modes=modes[row.id],
        pools=tuple(pools.get(row.id, ())), networks=tuple(sorted({place['network'] for place in row.advertise})),
        fabric=row.fabric, health=row.health, enabled=bool(row.ready), partitions=row.partitions,
        used=tuple(used.get(row.id, ()))) for row in found.values()]


def _used(session: orm.Session, devices: list[str]) -> dict[str, list[tuple[str, str | None, int | None]]]:
    """Return isolation, template and position of the slices on some devices."""
    used: dict[str, list[tuple[str, str | None, int | None]]] = defaultdict(list)
    if devices:
        for row in session.execute(_USED, {'devices': devices}):
            used[row.device_id].append((row.isolation, row.template, row.position))
    return used
