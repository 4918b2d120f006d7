# SPDX-License-Identifier: Apache-2.0
"""How often a promise of Placement cannot be kept, by the way in which the pool is offered there.

A model of Placement (sums, ``reserved``, ``max_unit``) in front of the real scheduler and the real inventory code:
1,000 random operations of instances and of consumers that Placement does not know, for each of ten seeds.  A promise
is a claim in Placement; it is broken when no device can serve it, and the instance goes to ERROR.
"""

import dataclasses
import random
from collections.abc import Iterator, Mapping

from accelpool import types
from accelpool.placement import names
from accelpool.placement.providers import Amounts, Holding, Provider, inventories, providers
from accelpool.scheduler import placement
from tools.bench.figure import Figure

OPERATIONS, SEEDS, DEVICES = 1000, 10, 32
#: 80 GiB in MiB.
MEMORY = 81_920
#: Percent points, GiB.  Half of all wishes are lopsided: much of one kind, little of the other.
WISHES = ((10, 8), (20, 16), (25, 20), (40, 32), (50, 40), (60, 8), (80, 10), (10, 40), (15, 60), (100, 80))
#: How many of the slices belong to consumers that Placement does not know, and how many operations end one: less
#: than half, so that the pool stays full.
OTHERS, GONE = 0.3, 0.4


@dataclasses.dataclass(frozen=True)
class Way:
    """How the pool is offered."""

    name: str
    each: bool = False        # one sharing provider for each device
    bound: str = 'each'       # max_unit: of each kind what some device has free; what one device has of both; none
    lag: int = 1              # operations between two comparisons with Placement


@dataclasses.dataclass
class Counts:
    """What came of the requests of instances."""

    asked: int = 0
    promised: int = 0
    broken: int = 0
    denied: int = 0           # refused by Placement although a device had room
    candidates: int = 0       # for each compute host
    used: float = 0.0         # percent of all compute, summed over the operations

    def add(self, other: 'Counts') -> None:
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


WAYS = (
    Way('one provider for all devices alike'),
    Way('the same without max_unit', bound='none'),
    Way('the same, max_unit from one device', bound='one'),
    Way('the same, compared every 5 operations', lag=5),
    Way('one provider for each device', each=True),
    Way('the same, compared every 5 operations', each=True, lag=5),
)


class Pool:
    """Devices, who has slices of them, and what Placement thinks of it."""

    def __init__(self, way: Way, seed: int) -> None:
        self._way = way
        self._random = random.Random(seed)
        self._slices: dict[str, types.Slice] = {}     # by consumer
        self._claims: dict[str, tuple[str, Amounts]] = {}   # Placement's: consumer -> provider, amounts
        self._offered: dict[str, dict[str, dict[str, int]]] = {}
        self.counts = Counts()

    def run(self) -> Counts:
        self._fill()
        for number in range(OPERATIONS):
            if number % self._way.lag == 0:
                self._compare()
            if self._slices and self._random.random() < GONE:
                consumer = self._random.choice(sorted(self._slices))
                del self._slices[consumer]
                self._claims.pop(consumer, None)
            elif self._random.random() < OTHERS:
                self._claim(f'other{number}', self._wish())
            else:
                self._instance(f'vm{number}', self._wish())
            self.counts.used += sum(one.compute for one in self._slices.values()) / DEVICES
        return self.counts

    def _fill(self) -> None:
        """Let others take slices until something does not fit: only a full pool is fragmented."""
        number = 0
        while self._claim(f'first{number}', self._wish()):
            number += 1

    def _wish(self) -> types.Request:
        compute, memory = self._random.choice(WISHES)
        return types.Request(compute=compute, memory=memory * 1024)

    def _instance(self, name: str, wish: types.Request) -> None:
        self.counts.asked += 1
        amounts = Amounts(wish.compute, wish.memory or 0)
        fitting = [identifier for identifier in self._offered if self._has(identifier, amounts)]
        self.counts.candidates += len(fitting)
        if not fitting:
            self.counts.denied += bool(placement.judge(wish, self._candidates()).fitting)
            return
        provider = self._random.choice(fitting)
        self.counts.promised += 1
        if self._claim(name, dataclasses.replace(wish, provider=provider)):
            self._claims[name] = provider, amounts
        else:
            self.counts.broken += 1

    def _claim(self, name: str, wish: types.Request) -> bool:
        found = placement.place(wish, name, placement.judge(wish, self._candidates()))
        if found is None:
            return False
        (self._slices[name],) = found
        return True

    def _candidates(self) -> list[types.Candidate]:
        used: dict[str, Amounts] = {}
        count: dict[str, int] = {}
        for one in self._slices.values():
            used[one.device_id] = used.get(one.device_id, Amounts()).plus(Amounts(one.compute, one.memory))
            count[one.device_id] = count.get(one.device_id, 0) + 1
        return [types.Candidate(
            device_id=name, host=name, vendor='v', model='m', compute=100, memory=MEMORY, generation=1,
            free_compute=100 - used.get(name, Amounts()).compute, free_memory=MEMORY - used.get(name, Amounts()).memory,
            slices=count.get(name, 0), traits=(name,) if self._way.each else ())
            for name in (f'd{number:02}' for number in range(DEVICES))]

    def _compare(self) -> None:
        holdings = [Holding(one.device_id, Amounts(one.compute, one.memory), name if name in self._claims else None)
                    for name, one in self._slices.items()]
        self._offered = {
            identifier: self._inventories(provider)
            for identifier, provider in providers(self._candidates(), holdings, {}).items()}

    def _inventories(self, provider: Provider) -> dict[str, dict[str, int]]:
        if self._way.bound == 'none':
            provider = dataclasses.replace(provider, largest=Amounts(100, MEMORY))
        elif self._way.bound == 'one':
            best = max(self._candidates(), key=lambda one: min(one.free_compute / 100, one.free_memory / MEMORY))
            provider = dataclasses.replace(provider, largest=Amounts(best.free_compute, best.free_memory))
        return inventories(provider, self._held(provider.uuid))

    def _held(self, provider: str) -> Mapping[str, Amounts]:
        return {consumer: amounts for consumer, (where, amounts) in self._claims.items() if where == provider}

    def _has(self, provider: str, amounts: Amounts) -> bool:
        held = self._held(provider).values()
        return all(
            wanted <= one['max_unit'] and one['reserved'] + taken + wanted <= one['total']
            for wanted, one, taken in zip(
                amounts, (self._offered[provider][name] for name in (names.COMPUTE, names.MEMORY)),
                (sum(each[kind] for each in held) for kind in (0, 1)), strict=True))


def measure(quick: bool = False) -> Iterator[Figure]:
    for way in WAYS:
        total = Counts()
        seeds = 2 if quick else SEEDS
        for seed in range(seeds):
            total.add(Pool(way, seed).run())
        yield Figure(
            f'Placement, {DEVICES} devices, {way.name}',
            f'{100 * (total.promised - total.broken) / total.asked:.1f} % of {total.asked} requests granted, '
            f'{100 * total.broken / total.promised:.1f} % of {total.promised} promises broken, '
            f'{100 * total.denied / total.asked:.1f} % of requests denied with room left, '
            f'{total.candidates / total.asked:.1f} candidates for each compute host, '
            f'{total.used / (OPERATIONS * seeds):.1f} % of compute in use', 'report', None)
