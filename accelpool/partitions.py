# SPDX-License-Identifier: Apache-2.0
"""Cutting devices in hardware: which partition serves a request, and where on the device it goes.  Pure.

The scheduler decides template and position inside the claim, from the device's geometry (what its driver reports) and
the slices that the database has on it: so two claims cannot take the same place, and what is sold is what fits.  The
driver carves exactly that.  Two kinds of limits cover the vendors: a place (MIG: first slot and size) and sums of
resources (vNPU templates: AI cores, AI CPUs, memory, ...); a template may have both.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self


@dataclasses.dataclass(frozen=True, kw_only=True)
class Template:
    """A kind of partition.

    ``starts``: the slots where it may begin, and ``size``: how many it covers; without starts its place does not
    matter.  ``needs``: what it takes of the device's capacity.  ``special``: only on demand by name (it takes
    something rare that a plain request has no use for).
    """

    name: str
    compute: int                      # percent points
    memory: int                       # MiB
    needs: Mapping[str, int] = dataclasses.field(default_factory=dict)
    size: int = 0
    starts: tuple[int, ...] = ()
    special: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """A part of the device that is taken."""

    start: int | None = None
    size: int = 0
    needs: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """A template and the slot where it begins; None where that does not matter."""

    template: Template
    start: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Geometry:
    """How a device can be partitioned, smallest template first, and what others have made of it."""

    templates: tuple[Template, ...]
    capacity: Mapping[str, int] = dataclasses.field(default_factory=dict)
    taken: tuple[Span, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return lists and plain values, as JSON gives them back."""
        return {'templates': [dataclasses.asdict(one) | {'starts': list(one.starts)} for one in self.templates],
                'capacity': dict(self.capacity), 'taken': [dataclasses.asdict(one) for one in self.taken]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            templates=tuple(Template(**{**one, 'starts': tuple(one['starts'])}) for one in data['templates']),
            capacity=data['capacity'], taken=tuple(Span(**one) for one in data['taken']))

    def span(self, name: str, start: int | None) -> Span:
        """Return what a partition takes; one of a template that there is no more takes its place only."""
        for one in self.templates:
            if one.name == name:
                return Span(start=start, size=one.size, needs=one.needs)
        return Span(start=start, size=1)

    def fits(self, template: Template, start: int | None, taken: Sequence[Span]) -> bool:
        """Return whether a template fits at a place beside what is taken."""
        for name, amount in template.needs.items():
            used = sum(one.needs.get(name, 0) for one in taken)
            if amount + used > self.capacity.get(name, 0):
                return False
        return start is None or all(
            one.start is None or start >= one.start + one.size or one.start >= start + template.size for one in taken)

    def places(self, template: Template, taken: Sequence[Span]) -> list[int | None]:
        """Return where a template fits."""
        starts: tuple[int | None, ...] = template.starts or (None,)
        return [start for start in starts if self.fits(template, start, taken)]

    def remaining(self, template: Template, taken: Sequence[Span]) -> int:
        """Return how many more of a template fit."""
        count, spans = 0, list(taken)
        while places := self.places(template, spans):
            spans.append(Span(start=places[0], size=template.size, needs=template.needs))
            count += 1
        return count

    def matching(self, compute: int, memory: int | None, name: str | None = None) -> list[Template]:
        """Return the templates that are enough for a request, the smallest first; a name says it all."""
        if name is not None:
            return [one for one in self.templates if one.name == name]
        return sorted((one for one in self.templates
                       if one.compute >= compute and one.memory >= (memory or 0) and not one.special),
                      key=lambda one: (one.size, one.compute, one.memory))

    def smallest(self, used: Iterable[tuple[str, int | None]], compute: int, memory: int | None,
                 name: str | None = None) -> Template | None:
        """Return the template that :meth:`choose` would choose."""
        taken = self._taken(used)
        return next((one for one in self.matching(compute, memory, name) if self.places(one, taken)), None)

    def choose(self, used: Iterable[tuple[str, int | None]], compute: int, memory: int | None,
               name: str | None = None) -> Choice | None:
        """Return the smallest template that serves a request, where it leaves most room for what comes later.

        :param used: template and start of the partitions that the pool has claimed
        :returns: None when nothing fits now
        """
        used = list(used)
        template = self.smallest(used, compute, memory, name)
        if template is None:
            return None
        taken = self._taken(used)
        best = max(self.places(template, taken), key=lambda start: (self._room(template, start, taken), start or 0))
        return Choice(template=template, start=best)

    def _taken(self, used: Iterable[tuple[str, int | None]]) -> list[Span]:
        return [*self.taken, *(self.span(template, start) for template, start in used)]

    def _room(self, template: Template, start: int | None, taken: Sequence[Span]) -> tuple[int, ...]:
        """Return how many of each template fit afterwards, the largest template first."""
        after = [*taken, Span(start=start, size=template.size, needs=template.needs)]
        return tuple(self.remaining(one, after) for one in sorted(
            self.templates, key=lambda one: (-one.size, -one.compute, -one.memory, one.special)))
