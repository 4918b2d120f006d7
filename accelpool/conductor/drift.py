# SPDX-License-Identifier: Apache-2.0
"""Where database, agent and driver of one host differ, and what brings them together again.  Pure.

The database is right: what it does not know is taken apart, what it wants is made.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Set

from accelpool.allocations.states import State


@dataclasses.dataclass(frozen=True)
class Row:
    """A slice in the database, and how its allocation stands."""

    slice_id: str
    allocation_id: str
    generation: int
    bound: bool
    state: State


@dataclasses.dataclass(frozen=True)
class Drift:
    """What to do: allocations to bind or release again, slices to forget."""

    bind: Set[str] = frozenset()
    release: Set[str] = frozenset()
    lost: Mapping[str, str] = dataclasses.field(default_factory=dict)  # slice that was usable -> allocation
    unbind: Set[str] = frozenset()               # at the agent
    destroy: Mapping[str, str] = dataclasses.field(default_factory=dict)  # slice -> driver


def compare(rows: Iterable[Row], admitted: Mapping[str, int], carved: Mapping[str, str],
            kept: Mapping[str, int] | None = None) -> Drift:
    """Return what must be done.

    :param rows: what the database has of this host, read last: a slice has a row before anything else
    :param admitted: what the agent serves: slice id -> generation
    :param carved: what the drivers have: slice id -> driver
    :param kept: what is bound without the agent: slice id -> generation
    """
    there = {**(kept or {}), **admitted}
    bind, release, known, lost = set(), set(), set(), {}
    for row in rows:
        known.add(row.slice_id)
        if row.state in {State.RELEASING, State.ERROR}:
            release.add(row.allocation_id)
        elif not row.bound or there.get(row.slice_id) != row.generation or row.slice_id not in carved:
            bind.add(row.allocation_id)
            if row.bound and row.slice_id not in carved:
                lost[row.slice_id] = row.allocation_id
    return Drift(
        bind=bind, release=release, lost=lost, unbind=admitted.keys() - known,
        destroy={slice_id: driver for slice_id, driver in carved.items() if slice_id not in known})
