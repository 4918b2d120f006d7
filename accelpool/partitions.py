# SPDX-License-Identifier: Apache-2.0
"""Cutting devices in hardware: which partition serves a request, and where on the device it goes.  Pure.

The scheduler decides template and position inside the claim, from the device's geometry (what its driver reports) and
the slices that the database has on it: so two claims cannot take the same place, and what is sold is what fits.  The
driver carves exactly that.  Two kinds of limits cover the vendors: a place (MIG: first slot and size) and sums of
resources (vNPU templates: AI cores, AI CPUs, memory, ...); a template may have both.

A *part* is a share of an instance of another template (MIG: a compute instance in a GPU instance): the first one opens
an instance, the next ones go into it while there is room, and it is gone with the last.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self


@dataclasses.dataclass(frozen=True, kw_only=True)
class Template:
    """A kind of partition.

    ``starts``: the slots where it may begin, and ``size``: how many it covers; without starts its place does not
    matter.  ``needs``: what it takes of the device's capacity.  ``special``: only on demand by name (it takes
    something rare that a plain request has no use for, or is a part).

    A part has ``within``, the template whose instance it is in; ``needs``, ``size`` and ``starts`` are the instance's.
    ``length``: how many compute slices of the instance it covers, and ``offsets``: where among these it may begin.
    """

    name: str
    compute: int                      # percent points
    memory: int                       # MiB
    needs: Mapping[str, int] = dataclasses.field(default_factory=dict)
    size: int = 0
    starts: tuple[int, ...] = ()
    special: bool = False
    within: str = ''
    length: int = 0
    offsets: tuple[int, ...] = (0,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """What is taken of the device; by a part, ``length`` of the instance ``within`` there, from ``offset`` on."""

    start: int | None = None
    size: int = 0
    needs: Mapping[str, int] = dataclasses.field(default_factory=dict)
    within: str = ''
    offset: int = 0
    length: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """A template and its position: the slot where it begins; None where that does not matter.

    A part's says both where its instance begins and where it begins in that: see :func:`split`.
    """

    template: Template
    start: int | None


#: More than there are slots in any device.
_STRIDE = 64


def split(position: int) -> tuple[int, int]:
    """Return the slot where an instance begins, and where in it a part begins (0: what is no part)."""
    offset, start = divmod(position, _STRIDE)
    return start, offset


@dataclasses.dataclass(frozen=True, kw_only=True)
class Geometry:
    """How a device can be partitioned, smallest template first, and what others have made of it."""

    templates: tuple[Template, ...]
    capacity: Mapping[str, int] = dataclasses.field(default_factory=dict)
    taken: tuple[Span, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return lists and plain values, as JSON gives them back."""
        return {'templates': [dataclasses.asdict(one) | {'starts': list(one.starts), 'offsets': list(one.offsets)}
                              for one in self.templates],
                'capacity': dict(self.capacity), 'taken': [dataclasses.asdict(one) for one in self.taken]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            templates=tuple(Template(**{
                **one, 'starts': tuple(one['starts']), 'offsets': tuple(one.get('offsets', (0,)))})
                for one in data['templates']),
            capacity=data['capacity'], taken=tuple(Span(**one) for one in data['taken']))

    def span(self, name: str, position: int | None) -> Span:
        """Return what a partition takes; one of a template that there is no more takes its place only."""
        for one in self.templates:
            if one.name == name:
                return _span(one, position)
        return Span(start=position if position is None else split(position)[0], size=1)

    def fits(self, template: Template, position: int | None, taken: Sequence[Span]) -> bool:
        """Return whether a template fits at a position beside what is taken."""
        return position in self.places(template, taken)

    def places(self, template: Template, taken: Sequence[Span]) -> list[int | None]:
        """Return the positions where a template fits, beside what is taken."""
        instances = _instances(taken)
        opens = all(amount + sum(one.needs.get(name, 0) for one in instances) <= self.capacity.get(name, 0)
                    for name, amount in template.needs.items())
        if not template.starts:
            return [None] if opens else []
        found: list[int | None] = []
        for start in template.starts:
            beside = template.within and [
                one for one in taken if one.start == start and one.within == template.within]
            if beside:  # its instance is there
                found += [start + _STRIDE * offset for offset in template.offsets if all(
                    offset >= one.offset + one.length or one.offset >= offset + template.length for one in beside)]
            elif opens and all(one.start is None or start >= one.start + one.size or one.start >= start + template.size
                               for one in instances):
                found += [start + _STRIDE * offset for offset in template.offsets]
        return found

    def remaining(self, template: Template, taken: Sequence[Span]) -> int:
        """Return how many more of a template fit."""
        count, spans = 0, list(taken)
        while places := self.places(template, spans):
            spans.append(_span(template, places[0]))
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

        :param used: template and position of the partitions that the pool has claimed
        :returns: None when nothing fits now
        """
        used = list(used)
        template = self.smallest(used, compute, memory, name)
        if template is None:
            return None
        taken = self._taken(used)
        best = max(self.places(template, taken),
                   key=lambda position: (self._room(template, position, taken), position or 0))
        return Choice(template=template, start=best)

    def _taken(self, used: Iterable[tuple[str, int | None]]) -> list[Span]:
        return [*self.taken, *(self.span(template, start) for template, start in used)]

    def _room(self, template: Template, position: int | None, taken: Sequence[Span]) -> tuple[int, ...]:
        """Return how many of each template fit afterwards, the largest first; then how many of the parts beside it."""
        after = [*taken, _span(template, position)]
        counted = sorted((one for one in self.templates if not one.within or one.within == template.within),
                         key=lambda one: (bool(one.within), -one.size, -one.compute, -one.memory, one.special))
        return tuple(self.remaining(one, after) for one in counted)


def _span(template: Template, position: int | None) -> Span:
    start, offset = (None, 0) if position is None else split(position)
    return Span(start=start, size=template.size, needs=template.needs, within=template.within, offset=offset,
                length=template.length)


def _instances(taken: Sequence[Span]) -> Sequence[Span]:
    """Return what is taken with each instance once, however many parts it has."""
    if not any(one.within for one in taken):
        return taken
    found: dict[Any, Span] = {}
    for number, one in enumerate(taken):
        found.setdefault((one.within, one.start) if one.within else number, one)
    return list(found.values())
