# SPDX-License-Identifier: Apache-2.0
import unittest

from hypothesis import given
from hypothesis import strategies as st

from accelpool.scheduler import placement
from accelpool.types import Candidate, Health, Isolation, Locality, Request


def device(name: str = 'd', **values: object) -> Candidate:
    return Candidate(**{
        'device_id': name, 'host': 'host-a', 'vendor': 'accelpool', 'model': 'emu', 'compute': 100, 'memory': 1000,
        'free_compute': 100, 'free_memory': 1000, 'slices': 0, 'generation': 1, **values})


class Filters(unittest.TestCase):
    def rejected(self, request: Request, *candidates: Candidate) -> str:
        """Return the filter that refuses the last candidate, or ''."""
        verdict = placement.judge(request, candidates)
        found = [r.filter for r in verdict.rejections if r.device_id == candidates[-1].device_id]
        return found[0] if found else ''

    def test_each_filter_accepts_and_refuses(self) -> None:
        small = Request(compute=10, memory=100)
        cases = [
            (small, {}, ''),
            (small, {'enabled': False}, 'health'),
            (small, {'health': Health.DEGRADED}, 'health'),
            (Request(compute=1, memory=1, pool='p'), {'pools': ('p',)}, ''),
            (Request(compute=1, memory=1, pool='p'), {'pools': ('q',)}, 'pool'),
            (Request(compute=1, memory=1, model='other'), {}, 'model'),
            (Request(compute=1, memory=1, vendor='other'), {}, 'model'),
            (Request(compute=1, memory=1, traits=('A', 'B')), {'traits': ('A',)}, 'traits'),
            (Request(compute=1, memory=1, any_traits=('A', 'B')), {'traits': ('B',)}, ''),
            (Request(compute=1, memory=1, any_traits=('A', 'B')), {'traits': ('C',)}, 'traits'),
            (Request(compute=1, memory=1, data_network='data'), {'networks': ('data', 'default')}, ''),
            (Request(compute=1, memory=1, data_network='data'), {'networks': ('default',)}, 'network'),
            (small, {'modes': ('whole',)}, 'isolation'),
            (Request(isolation=Isolation.WHOLE), {'slices': 1, 'free_compute': 90}, 'isolation'),
            (Request(isolation=Isolation.WHOLE), {}, ''),
            (Request(isolation=Isolation.WHOLE, memory=2000), {}, 'capacity'),
            (small, {'free_compute': 9}, 'capacity'),
            (small, {'free_memory': 99}, 'capacity'),
            (Request(compute=1, memory=1001), {}, 'capacity'),
            (Request(compute=1, memory=700), {'overhead': 300}, ''),
            (Request(compute=1, memory=701), {'overhead': 300}, 'capacity'),
            (Request(compute=1, memory=100), {'overhead': 300, 'free_memory': 399}, 'capacity'),
            (Request(isolation=Isolation.WHOLE, memory=1000), {'overhead': 300}, ''),
        ]
        for request, values, wanted in cases:
            with self.subTest(request=request, values=values):
                self.assertEqual(wanted, self.rejected(request, device(**values)))

    def test_locality_is_seen_from_the_consumer_host(self) -> None:
        here, there = device('here', fabric='f'), device('there', host='host-b', fabric='f')
        far = device('far', host='host-c', fabric='g')

        def fitting(locality: str) -> list[str]:
            request = Request(compute=1, memory=1, locality=locality, consumer_host='host-a')
            return sorted(c.device_id for c in placement.judge(request, [here, there, far]).fitting)

        self.assertEqual(['here'], fitting(Locality.HOST))
        self.assertEqual(['far', 'there'], fitting(Locality.REMOTE))
        self.assertEqual(['here', 'there'], fitting(Locality.FABRIC))
        self.assertEqual(['far', 'here', 'there'], fitting(Locality.ANY))
        self.assertEqual('locality', self.rejected(Request(compute=1, memory=1, locality='remote'), here))


class Placement(unittest.TestCase):
    def test_best_fit_fills_what_is_cut_before_it_opens_a_whole_device(self) -> None:
        verdict = placement.judge(Request(compute=10, memory=100), [
            device('whole'), device('cut', slices=1, free_compute=40, free_memory=400)])
        self.assertEqual(['cut', 'whole'], [c.device_id for c in verdict.fitting])

    def test_ties_go_to_the_first_host_and_device(self) -> None:
        devices = [device('b'), device('a', host='host-b'), device('c')]
        for order in (devices, devices[::-1]):
            verdict = placement.judge(Request(compute=1, memory=1), order)
            self.assertEqual(['b', 'c', 'a'], [c.device_id for c in verdict.fitting])

    def test_slices_of_one_allocation_are_on_distinct_devices(self) -> None:
        request = Request(count=2, compute=10, memory=100)
        verdict = placement.judge(request, [device('a'), device('b')])
        slices = placement.place(request, 'x', verdict)
        self.assertEqual([('a', 0), ('b', 1)], [(s.device_id, s.ordinal) for s in slices])
        one = placement.judge(request, [device('a')])
        self.assertIsNone(placement.place(request, 'x', one))
        self.assertIn('2 device(s) wanted, 1 fit', placement.explain(request, one))

    def test_whole_takes_all_of_the_device(self) -> None:
        request = Request(isolation=Isolation.WHOLE)
        slices = placement.place(request, 'x', placement.judge(request, [device()]))
        self.assertEqual([(100, 1000)], [(s.compute, s.memory) for s in slices])

    def test_a_slice_beside_others_costs_the_device_its_overhead(self) -> None:
        for isolation, memory, wanted in ((Isolation.SHARED, 100, (100, 300)), (Isolation.SHARED, None, (700, 300)),
                                          (Isolation.MPS, 100, (100, 300)), (Isolation.WHOLE, None, (1000, 0))):
            with self.subTest(isolation=isolation, memory=memory):
                request = Request(isolation=isolation, memory=memory, consumer_host='host-a')
                one = device(overhead=300, modes=(Isolation.WHOLE, Isolation.SHARED, Isolation.MPS))
                (found,) = placement.place(request, 'x', placement.judge(request, [one]))
                self.assertEqual(wanted, (found.memory, found.overhead))

    def test_why_a_slice_does_not_fit_tells_of_the_overhead(self) -> None:
        request = Request(compute=1, memory=800)
        self.assertIn('less than 800 MiB and 300 MiB for the context of its sessions',
                      placement.explain(request, placement.judge(request, [device(overhead=300)])))

    @given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 1000)), max_size=8),
           st.integers(1, 100), st.integers(1, 1000), st.integers(1, 4))
    def test_what_is_placed_fits_and_what_is_not_has_a_reason(
            self, free: list[tuple[int, int]], compute: int, memory: int, count: int) -> None:
        devices = [device(f'd{i}', free_compute=c, free_memory=m) for i, (c, m) in enumerate(free)]
        request = Request(compute=compute, memory=memory, count=count)
        verdict = placement.judge(request, devices)
        self.assertEqual(len(devices), len(verdict.fitting) + len(verdict.rejections))
        slices = placement.place(request, 'x', verdict)
        able = [c for c in devices if c.free_compute >= compute and c.free_memory >= memory]
        self.assertEqual(len(able) >= count, slices is not None)
        by_id = {c.device_id: c for c in devices}
        for one in slices or ():
            self.assertLessEqual(one.compute, by_id[one.device_id].free_compute)
            self.assertLessEqual(one.memory, by_id[one.device_id].free_memory)
