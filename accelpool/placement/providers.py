# SPDX-License-Identifier: Apache-2.0
"""From devices and slices to what Placement should know.  Pure.

A device is in exactly one inventory.  A *local* device is a provider of its own below its host's compute provider.
All others are in *shared* providers, which serve every member of one aggregate.  A shared provider stands for all
devices in which a request cannot see a difference (pools, vendor, model, traits, modes), so that what Placement
promises by its traits holds for each of them; which device serves a slice is the scheduler's choice.
"""

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from accelpool.partitions import Geometry, Template
from accelpool.placement import names
from accelpool.types import SIDE_BY_SIDE, Candidate, Health, Isolation


class Amounts(NamedTuple):
    """Percent points and MiB."""

    compute: int = 0
    memory: int = 0

    def plus(self, other: 'Amounts') -> 'Amounts':
        return Amounts(self.compute + other.compute, self.memory + other.memory)

    def minus(self, other: 'Amounts') -> 'Amounts':
        """Return what is more than ``other``, in each kind."""
        return Amounts(max(0, self.compute - other.compute), max(0, self.memory - other.memory))

    def largest(self, other: 'Amounts') -> 'Amounts':
        return Amounts(max(self.compute, other.compute), max(self.memory, other.memory))


@dataclasses.dataclass(frozen=True)
class Holding:
    """A slice as Placement cares about it."""

    device_id: str
    amounts: Amounts
    instance: str | None = None       # the instance that has it, which is also its consumer in Placement


@dataclasses.dataclass(frozen=True)
class Provider:
    """What a provider should be.  Its inventory also depends on what Placement's consumers hold of it."""

    uuid: str
    name: str
    parent: str | None                # the compute provider of a local device
    traits: frozenset[str]
    total: Amounts
    largest: Amounts                  # of each kind, the most that one device has free
    lost: Amounts                     # free, but on devices that take no slices now, or the overhead of a next slice
    held: Mapping[str | None, Amounts]  # by our accounts; None: by consumers that Placement does not know

    @property
    def shared(self) -> bool:
        return self.parent is None


def providers(devices: Iterable[Candidate], holdings: Iterable[Holding], computes: Mapping[str, str],
              local_pools: Collection[str] = ()) -> dict[str, Provider]:
    """Return every provider that should be there, by its identifier.

    A local device whose host is no compute host is in none.

    :param devices: all devices
    :param holdings: all slices
    :param computes: Nova's compute providers: name -> identifier
    :param local_pools: ids of pools whose devices are local
    """
    of_device: dict[str, list[Holding]] = collections.defaultdict(list)
    for held in holdings:
        of_device[held.device_id].append(held)
    found: dict[str, list[Candidate]] = collections.defaultdict(list)
    parents: dict[str, str] = {}
    for device in devices:
        if is_local(device, local_pools):
            compute = same_host(device.host, computes)
            if compute is None:
                continue
            identifier = names.local_provider(device.device_id)
            parents[identifier] = computes[compute]
        else:
            identifier = names.shared_provider(
                device.pools, device.vendor, device.model, device.traits, device.modes)
        found[identifier].append(device)
    return {identifier: _provider(identifier, members, of_device, parents.get(identifier))
            for identifier, members in found.items()}


def is_local(device: Candidate, local_pools: Collection[str]) -> bool:
    """Whether only its own host can use a device: it cannot be shared, or an operator wants it so."""
    return Isolation.SHARED not in device.modes or not set(device.pools).isdisjoint(local_pools)


def same_host(name: str, others: Iterable[str]) -> str | None:
    """Return which of the others is the same machine: Nova may use its full name where we use the short one."""
    known = list(others)
    if name in known:
        return name
    short = [other for other in known if other.partition('.')[0] == name.partition('.')[0]]
    return short[0] if len(short) == 1 else None


def _provider(identifier: str, devices: Sequence[Candidate], of_device: Mapping[str, Sequence[Holding]],
              parent: str | None) -> Provider:
    total = largest = lost = Amounts()
    templates: set[str] = set()
    held: dict[str | None, Amounts] = collections.defaultdict(Amounts)
    for device in devices:
        whole = Amounts(device.compute, device.memory)
        used = Amounts()
        for one in of_device.get(device.device_id, ()):
            used = used.plus(one.amounts)
            held[one.instance] = held[one.instance].plus(one.amounts)
        free = whole.minus(used)
        total = total.plus(whole)
        if not device.enabled or device.health != Health.OK:
            lost = lost.plus(free)
            continue
        beside = Amounts(0, min(free.memory, device.overhead)) if set(SIDE_BY_SIDE) & set(device.modes) else Amounts()
        lost, free = lost.plus(beside), free.minus(beside)
        room = _room(device)
        templates |= {names.template(one.name) for one in room}
        uncut = not device.partitions or Isolation.SHARED in device.modes \
            or (Isolation.WHOLE in device.modes and used == Amounts())
        largest = largest.largest(free if uncut else _cover(room))
    first = devices[0]
    traits = templates | {names.OWNER, names.vendor(first.vendor), names.model(first.model)} \
        | {names.trait(name) for name in first.traits} | {names.mode(name) for name in first.modes} \
        | {names.pool(name) for name in first.pools} | {names.SHARES if parent is None else names.LOCAL}
    label = f'accelpool {first.model} {identifier[:8]}' if parent is None else f'accelpool {first.device_id}'
    return Provider(
        uuid=identifier, name=label[:names.NAME_LENGTH], parent=parent, traits=frozenset(traits),
        total=total, largest=largest, lost=lost, held=dict(held))


def _room(device: Candidate) -> list[Template]:
    """Return the templates of which one more fits on a device."""
    if device.partitions is None or Isolation.PARTITION not in device.modes:
        return []
    geometry = Geometry.from_dict(device.partitions)
    taken = [(template, position) for _, template, position in device.used if template is not None]
    return [one for one in geometry.templates if geometry.smallest(taken, 0, None, one.name) is not None]


def _cover(templates: Iterable[Template]) -> Amounts:
    found = Amounts()
    for one in templates:
        found = found.largest(Amounts(one.compute, one.memory))
    return found


def inventories(provider: Provider, theirs: Mapping[str, Amounts]) -> dict[str, dict[str, Any]]:
    """Return a provider's inventories as Placement has them.

    ``reserved`` is what no instance may get although Placement would not know why: what others hold, what an
    instance holds beyond its claim in Placement (a partition is larger than what was asked for, a whole device has
    all its memory, a share its overhead), and what is free on devices that take nothing now or would go into the
    overhead of one more share.  A claim that Nova has just made and that is not yet one of ours changes nothing.

    :param theirs: what each consumer holds of this provider by Placement's accounts
    """
    reserved = provider.lost
    for consumer, amounts in provider.held.items():
        reserved = reserved.plus(amounts.minus(theirs.get(consumer or '', Amounts())))
    return {
        name: inventory(total, min(kept, total), most)
        for name, total, kept, most in zip(
            (names.COMPUTE, names.MEMORY), provider.total, reserved, provider.largest, strict=True)}


def inventory(total: int, reserved: int, largest: int) -> dict[str, Any]:
    """Return one inventory.  Where nothing is free all is reserved or held: Placement has no unit of size 0."""
    return {'total': total, 'reserved': reserved, 'min_unit': 1, 'max_unit': max(1, largest), 'step_size': 1,
            'allocation_ratio': 1.0}
