# SPDX-License-Identifier: Apache-2.0
"""What the scheduler must know beyond shares: how devices are partitioned, and which isolations their pools allow."""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import types
from accelpool.db import models

_d, _p, _s = (models.table(model).c for model in (models.Device, models.Pool, models.Slice))
_GEOMETRIES = sa.select(_d.id, _d.partitions).where(_d.partitions.is_not(None))
_POLICIES = sa.select(_p.id, _p.isolations).where(_p.isolations.is_not(None))
_USED = sa.select(_s.device_id, _s.isolation, _s.template, _s.position).where(
    _s.device_id.in_(sa.bindparam('devices', expanding=True)))


def complete(session: orm.Session, candidates: Sequence[types.Candidate]) -> list[types.Candidate]:
    """Return the candidates with their partitions, and only the modes that every pool of theirs allows.

    It reads after the candidates were read: what changed in between makes the claim fail on the generation.
    """
    geometries = {row.id: row.partitions for row in session.execute(_GEOMETRIES)}
    policies = {row.id: frozenset(row.isolations) for row in session.execute(_POLICIES)}
    cut = [one.device_id for one in candidates
           if one.slices and (one.device_id in geometries or types.Isolation.MPS in one.modes)]
    used: dict[str, list[tuple[str, str | None, int | None]]] = defaultdict(list)
    if cut:
        for row in session.execute(_USED, {'devices': cut}):
            used[row.device_id].append((row.isolation, row.template, row.position))
    found = []
    for one in candidates:
        modes = tuple(mode for mode in one.modes
                      if all(mode in policies[pool] for pool in one.pools if pool in policies))
        geometry = geometries.get(one.device_id)
        if geometry is not None or modes != one.modes or one.device_id in used:
            one = dataclasses.replace(  # noqa: PLW2901
                one, modes=modes, partitions=geometry, used=tuple(used.get(one.device_id, ())))
        found.append(one)
    return found
