# SPDX-License-Identifier: Apache-2.0
import dataclasses
import unittest

from hypothesis import given
from hypothesis import strategies as st

from accelpool.partitions import Geometry, Template
from accelpool.placement import names
from accelpool.placement.providers import Amounts, Holding, Provider, inventories, providers, same_host
from accelpool.scheduler import placement
from accelpool.types import Candidate, Health, Isolation, Request


def device(name: str = 'd', **values: object) -> Candidate:
    return Candidate(**{
        'device_id': name, 'host': 'host-a', 'vendor': 'accelpool', 'model': 'emu', 'compute': 100, 'memory': 1000,
        'free_compute': 100, 'free_memory': 1000, 'slices': 0, 'generation': 1, 'pools': ('p',), **values})


def free(provider: Provider, theirs: dict[str, Amounts]) -> Amounts:
    """Return what Placement would still give: total, without what is reserved and what is held."""
    offered = inventories(provider, theirs)
    held = [sum(amounts[kind] for amounts in theirs.values()) for kind in (0, 1)]
    return Amounts(*(offered[name]['total'] - offered[name]['reserved'] - taken
                     for name, taken in zip((names.COMPUTE, names.MEMORY), held, strict=True)))


class Tree(unittest.TestCase):
    """Which device is in which provider."""

    def test_devices_without_a_difference_that_matters_are_one_provider(self) -> None:
        found = providers([device('a'), device('b', host='host-b', memory=500)], [], {})
        (one,) = found.values()
        self.assertEqual((Amounts(200, 1500), None), (one.total, one.parent))
        self.assertLessEqual({names.OWNER, names.SHARES, 'CUSTOM_ACCELPOOL_POOL_P', 'CUSTOM_ACCELPOOL_MODEL_EMU',
                              'CUSTOM_ACCELPOOL_VENDOR_ACCELPOOL', 'CUSTOM_ACCELPOOL_MODE_SHARED'}, one.traits)

    def test_any_difference_that_a_request_can_see_makes_another_provider(self) -> None:
        base = device('a')
        for values in ({'model': 'other'}, {'vendor': 'other'}, {'traits': ('X',)}, {'pools': ('p', 'q')},
                       {'modes': (Isolation.SHARED,)}):
            with self.subTest(values=values):
                self.assertEqual(2, len(providers([base, device('b', **values)], [], {})))

    def test_a_device_that_cannot_be_shared_is_below_its_host(self) -> None:
        whole = device(modes=(Isolation.WHOLE, Isolation.PARTITION))
        ((identifier, one),) = providers([whole], [], {'host-a': 'c1', 'host-b': 'c2'}).items()
        self.assertEqual(('c1', identifier), (one.parent, names.local_provider('d')))
        self.assertIn(names.LOCAL, one.traits)
        self.assertNotIn(names.SHARES, one.traits)

    def test_so_is_one_of_a_local_pool(self) -> None:
        (one,) = providers([device()], [], {'host-a': 'c1'}, ['p']).values()
        self.assertEqual('c1', one.parent)

    def test_a_local_device_of_a_host_that_is_no_compute_host_is_nowhere(self) -> None:
        self.assertEqual({}, providers([device()], [], {'host-b': 'c2'}, ['p']))

    def test_a_request_that_placement_has_placed_stays_behind_the_provider(self) -> None:
        devices = [device('a'), device('b', model='other'), device('c', modes=(Isolation.WHOLE, 'mps'))]
        for identifier, wanted in ((found.uuid, found) for found in providers(
                devices, [], {'host-a': 'c1'}).values()):
            isolation = Isolation.WHOLE if wanted.parent else Isolation.SHARED
            request = Request(memory=1, isolation=isolation, provider=identifier)
            (chosen,) = placement.judge(request, devices).fitting
            self.assertIn(names.model(chosen.model), wanted.traits)
            self.assertEqual(chosen.device_id == 'c', wanted.parent is not None)
        self.assertEqual((), placement.judge(Request(memory=1, provider='another'), devices).fitting)

    def test_nova_may_use_the_full_name_of_a_host(self) -> None:
        cases = [('a', ['a', 'b'], 'a'), ('a', ['a.example.org', 'b'], 'a.example.org'), ('a.example.org', ['a'], 'a'),
                 ('a', ['a.x', 'a.y'], None), ('a.x', ['a.x', 'a.y'], 'a.x'), ('c', ['a'], None)]
        for name, others, wanted in cases:
            with self.subTest(name=name, others=others):
                self.assertEqual(wanted, same_host(name, others))


class Amount(unittest.TestCase):
    """What a provider offers."""

    def offered(self, devices: list[Candidate], holdings: list[Holding] = (),
                theirs: dict[str, Amounts] | None = None) -> tuple[tuple[int, int, int], ...]:
        """Return (total, reserved, largest unit) of compute and of memory."""
        (one,) = providers(devices, holdings, {}).values()
        found = inventories(one, theirs or {})
        return tuple((found[name]['total'], found[name]['reserved'], found[name]['max_unit'])
                     for name in (names.COMPUTE, names.MEMORY))

    def test_the_largest_unit_is_what_one_device_has_free(self) -> None:
        held = [Holding('a', Amounts(70, 100)), Holding('b', Amounts(40, 800))]
        self.assertEqual(((200, 110, 60), (2000, 900, 900)), self.offered([device('a'), device('b')], held))

    def test_an_instance_is_not_reserved_for(self) -> None:
        held = [Holding('d', Amounts(30, 300), 'vm'), Holding('d', Amounts(10, 50))]
        self.assertEqual(((100, 10, 60), (1000, 50, 650)), self.offered([device()], held, {'vm': Amounts(30, 300)}))

    def test_what_an_instance_has_beyond_its_claim_is_reserved(self) -> None:
        held = [Holding('d', Amounts(100, 1000), 'vm')]
        self.assertEqual(((100, 0, 1), (1000, 1000, 1)), self.offered([device()], held, {'vm': Amounts(100, 0)}))

    def test_a_claim_that_is_not_ours_yet_does_not_eat_what_others_hold(self) -> None:
        held = [Holding('d', Amounts(20, 200))]
        self.assertEqual(((100, 20, 80), (1000, 200, 800)), self.offered([device()], held, {'new': Amounts(30, 300)}))

    def test_a_device_that_takes_nothing_is_reserved_as_far_as_it_is_free(self) -> None:
        held = [Holding('a', Amounts(30, 300), 'vm')]
        for values in ({'enabled': False}, {'health': Health.FAILED}):
            with self.subTest(values=values):
                self.assertEqual(((200, 70, 100), (1500, 700, 500)), self.offered(
                    [device('a', **values), device('b', memory=500)], held, {'vm': Amounts(30, 300)}))

    def test_the_overhead_of_one_more_share_is_nobodys(self) -> None:
        held = [Holding('d', Amounts(30, 400), 'vm')]  # 300 MiB and an overhead of 100 MiB
        theirs = {'vm': Amounts(30, 300)}
        self.assertEqual(((100, 0, 70), (1000, 200, 500)), self.offered([device(overhead=100)], held, theirs))
        full = [Holding('d', Amounts(30, 950), 'vm')]
        (one,) = providers([device(overhead=100)], full, {}).values()
        self.assertEqual(0, free(one, {'vm': Amounts(30, 850)}).memory, 'what is left is less than the overhead')
        only_whole = device(overhead=100, modes=(Isolation.WHOLE,))
        (one,) = providers([only_whole], [], {'host-a': 'c1'}).values()
        self.assertEqual((Amounts(100, 1000), Amounts()), (one.largest, one.lost))

    def test_where_nothing_is_free_placement_has_nothing_to_give(self) -> None:
        held = [Holding('d', Amounts(100, 1000), 'vm')]
        (one,) = providers([device()], held, {}).values()
        self.assertEqual((0, 0), free(one, {'vm': Amounts(100, 1000)}))

    def test_of_a_device_that_is_cut_in_hardware_the_largest_part_that_fits_is_offered(self) -> None:
        small = Template(name='1g', compute=14, memory=100, size=1, starts=(0, 1, 2))
        large = Template(name='2g', compute=28, memory=300, size=2, starts=(0,))
        cut = device(modes=(Isolation.WHOLE, Isolation.PARTITION), slices=1, used=(('partition', '1g', 1),),
                     partitions=Geometry(templates=(small, large)).to_dict())
        held = [Holding('d', Amounts(14, 100), 'vm')]
        (one,) = providers([cut], held, {'host-a': 'c1'}).values()
        self.assertEqual(Amounts(14, 100), one.largest)
        self.assertEqual({'CUSTOM_ACCELPOOL_TEMPLATE_1G'}, {name for name in one.traits if 'TEMPLATE' in name})
        (one,) = providers([dataclasses.replace(cut, used=(), slices=0)], [], {'host-a': 'c1'}).values()
        self.assertEqual(Amounts(100, 1000), one.largest)
        self.assertEqual(2, len({name for name in one.traits if 'TEMPLATE' in name}))
        never_whole = dataclasses.replace(cut, used=(), slices=0, modes=(Isolation.PARTITION,))
        (one,) = providers([never_whole], [], {'host-a': 'c1'}).values()
        self.assertEqual(Amounts(28, 300), one.largest)

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40), st.integers(1, 400), st.integers(0, 4),
                              st.booleans()), max_size=12), st.sets(st.integers(0, 3)), st.sampled_from([0, 1, 150, 1200]))
    def test_placement_never_has_more_to_give_than_we_have(
            self, slices: list[tuple[int, int, int, int, bool]], sick: set[int], overhead: int) -> None:
        used = [Amounts()] * 4
        holdings, theirs = [], {}
        for where, compute, memory, who, known in slices:
            amounts = Amounts(compute, memory + overhead)
            after = used[where].plus(amounts)
            if after.compute > 100 or after.memory > 1000:
                continue
            used[where] = after
            instance = f'vm{who}' if who else None
            holdings.append(Holding(f'd{where}', amounts, instance))
            if instance and known:
                theirs[instance] = theirs.get(instance, Amounts()).plus(Amounts(compute, memory))
        devices = [device(f'd{n}', health=Health.FAILED if n in sick else Health.OK, overhead=overhead)
                   for n in range(4)]
        (one,) = providers(devices, holdings, {}).values()
        ours = [sum(max(0, Amounts(100, 1000 - overhead)[kind] - used[n][kind]) for n in range(4) if n not in sick)
                for kind in (0, 1)]
        self.assertEqual(tuple(ours), free(one, theirs))
        self.assertEqual(max([0, *(1000 - overhead - used[n].memory for n in range(4) if n not in sick)]),
                         one.largest.memory)
