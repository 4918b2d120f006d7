# SPDX-License-Identifier: Apache-2.0
"""Who holds what: slices with their consumers, for the inventory in Placement."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool.db import models

_a, _s = models.table(models.Allocation).c, models.table(models.Slice).c
_HELD = sa.select(_s.device_id, _s.compute, _s.memory, _a.consumer_type, _a.consumer_id).join_from(
    models.table(models.Slice), models.table(models.Allocation), _s.allocation_id == _a.id)


def held(session: orm.Session) -> list[sa.Row[Any]]:
    """Return device_id, compute, memory, consumer_type and consumer_id of every slice."""
    return list(session.execute(_HELD))
