# SPDX-License-Identifier: Apache-2.0
"""Queries on slices.  A slice's row and the charge on its device come and go in one transaction."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors, types
from accelpool.db import models


def charge(session: orm.Session, wanted: types.Slice, generation: int) -> None:
    """Insert a slice and raise what is used of its device, if the device is still as it was.

    :raises ClaimConflict: the device's generation is another, or the share is not free
    """
    device = models.Device
    result = session.execute(
        sa.update(device).where(
            device.id == wanted.device_id, device.generation == generation,
            device.used_compute + wanted.compute <= device.compute,
            device.used_memory + wanted.memory <= device.memory,
        ).values(used_compute=device.used_compute + wanted.compute,
                 used_memory=device.used_memory + wanted.memory,
                 slices=device.slices + 1, generation=device.generation + 1),
        execution_options={'synchronize_session': False})
    if result.rowcount != 1:  # type: ignore[attr-defined]
        raise errors.ClaimConflict(f'Device {wanted.device_id} has changed since generation {generation}')
    session.execute(sa.insert(models.Slice).values(**wanted.to_dict(), bound=False))


def discharge(session: orm.Session, found: models.Slice) -> None:
    """Delete a slice and give its share back to its device; once only, whoever else tries."""
    gone = session.execute(sa.delete(models.Slice).where(models.Slice.id == found.id),
                           execution_options={'synchronize_session': False})
    session.expunge(found)
    if gone.rowcount != 1:  # type: ignore[attr-defined]
        return
    device = models.Device
    session.execute(
        sa.update(device).where(device.id == found.device_id).values(
            used_compute=device.used_compute - found.compute, used_memory=device.used_memory - found.memory,
            slices=device.slices - 1, generation=device.generation + 1),
        execution_options={'synchronize_session': False})


def of_host(session: orm.Session, host: str) -> list[tuple[models.Slice, str]]:
    """Return a host's slices, each with the state of its allocation."""
    rows = session.execute(
        sa.select(models.Slice, models.Allocation.state)
        .join(models.Allocation, models.Allocation.id == models.Slice.allocation_id)
        .where(models.Slice.host == host).order_by(models.Slice.id))
    return [(row[0], row[1]) for row in rows]


def of_allocation(session: orm.Session, allocation_id: str, host: str | None = None) -> list[models.Slice]:
    """Return an allocation's slices, those of one host if it is named, by ordinal."""
    query = sa.select(models.Slice).where(models.Slice.allocation_id == allocation_id)
    if host is not None:
        query = query.where(models.Slice.host == host)
    return list(session.scalars(query.order_by(models.Slice.ordinal)))


def plain(found: models.Slice) -> types.Slice:
    """Return a slice's row as the value that crosses boundaries."""
    values: dict[str, Any] = {name: getattr(found, name) for name in types.Slice.__dataclass_fields__}
    return types.Slice(**values)
