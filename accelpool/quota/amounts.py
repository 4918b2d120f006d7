# SPDX-License-Identifier: Apache-2.0
"""What a project is charged for: slices, percent points of devices, MiB of their memory."""

import dataclasses
from collections.abc import Iterable
from typing import Self

from accelpool import types

#: Names of the resources, as in the API and in Keystone's limits.
RESOURCES = ('slices', 'compute', 'memory')
#: A limit that is none.
UNLIMITED = -1


@dataclasses.dataclass(frozen=True)
class Amounts:
    """So much of each resource; a difference may be negative."""

    slices: int = 0
    compute: int = 0
    memory: int = 0

    def __sub__(self, other: 'Amounts') -> 'Amounts':
        return Amounts(self.slices - other.slices, self.compute - other.compute, self.memory - other.memory)

    def __bool__(self) -> bool:
        return self != Amounts()

    @classmethod
    def of_request(cls, request: types.Request) -> Self:
        """Return what a request is charged before devices are chosen.

        What is not known yet, the memory of a whole device, counts when they are.
        """
        return cls(request.count, request.count * request.compute, request.count * (request.memory or 0))

    @classmethod
    def of_slices(cls, slices: Iterable[types.Slice]) -> Self:
        """Return what slices are charged: a partition may be larger than what was asked for."""
        found = list(slices)
        return cls(len(found), sum(one.compute for one in found), sum(one.memory for one in found))


@dataclasses.dataclass(frozen=True)
class Limits:
    """The most that a project may have at a time; -1 is no limit, None: not said here."""

    slices: int | None = None
    compute: int | None = None
    memory: int | None = None

    def over(self, other: 'Limits') -> 'Limits':
        """Return these limits, and the other's where these say nothing."""
        return Limits(*(mine if mine is not None else getattr(other, name)
                        for name, mine in dataclasses.asdict(self).items()))


#: Limits that say nothing.
UNSAID = Limits()
