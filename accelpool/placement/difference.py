# SPDX-License-Identifier: Apache-2.0
"""What must be changed in Placement, one provider at a time.  Pure."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from accelpool.placement import names
from accelpool.placement.providers import Amounts, Provider, inventories, inventory


@dataclasses.dataclass(frozen=True)
class Found:
    """A provider as Placement has it."""

    uuid: str
    name: str
    parent: str | None
    generation: int
    traits: frozenset[str] = frozenset()
    aggregates: frozenset[str] = frozenset()
    inventories: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    allocations: Mapping[str, Amounts] = dataclasses.field(default_factory=dict)  # by consumer


class Verb(enum.StrEnum):
    """The changes that Placement's API has."""

    CREATE = 'create'
    MOVE = 'move'              # name and parent
    TRAITS = 'traits'
    AGGREGATES = 'aggregates'
    INVENTORIES = 'inventories'
    DELETE = 'delete'


@dataclasses.dataclass(frozen=True)
class Step:
    """One change of one provider; ``value`` is what it shall have then."""

    verb: Verb
    value: Any = None


def difference(wanted: Provider | None, found: Found | None) -> list[Step]:
    """Return the steps from what is there to what should be, in order.

    What a provider offers comes last, when everything that says who may have it is right.  A provider that should
    not be there offers nothing until its consumers are gone, and goes then.
    """
    if wanted is None:
        return [] if found is None else _drain(found)
    steps = []
    if found is None:
        found = Found(wanted.uuid, wanted.name, wanted.parent, 0)
        steps.append(Step(Verb.CREATE, {'name': wanted.name, 'parent': wanted.parent}))
    elif (found.name, found.parent) != (wanted.name, wanted.parent):
        steps.append(Step(Verb.MOVE, {'name': wanted.name, 'parent': wanted.parent}))
    if found.traits != wanted.traits:
        steps.append(Step(Verb.TRAITS, wanted.traits))
    if wanted.shared and names.AGGREGATE not in found.aggregates:
        steps.append(join(found.aggregates))
    offered = inventories(wanted, found.allocations)
    if found.inventories != offered:
        steps.append(Step(Verb.INVENTORIES, offered))
    return steps


def join(aggregates: frozenset[str]) -> Step:
    """Return the step that makes a provider a member of our aggregate, and leaves it in the others."""
    return Step(Verb.AGGREGATES, aggregates | {names.AGGREGATE})


def _drain(found: Found) -> list[Step]:
    if not found.allocations:
        return [Step(Verb.DELETE)]
    closed = {name: inventory(one['total'], one['total'], 0) for name, one in found.inventories.items()}
    return [] if found.inventories == closed else [Step(Verb.INVENTORIES, closed)]
