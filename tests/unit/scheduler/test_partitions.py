# SPDX-License-Identifier: Apache-2.0
"""How the scheduler treats devices that hardware can cut: what fits, what excludes what, what a slice becomes."""

import unittest

from accelpool.partitions import Geometry, Template
from accelpool.scheduler import placement
from accelpool.types import ANY_ISOLATION, Candidate, Isolation, Request

#: A device with two halves, or four quarters; like a MIG device, and like an Ascend chip it may be used otherwise too.
GEOMETRY = Geometry(templates=(
    Template(name='quarter', compute=25, memory=250, size=1, starts=(0, 1, 2, 3)),
    Template(name='half', compute=50, memory=500, size=2, starts=(0, 2)))).to_dict()


def device(**values: object) -> Candidate:
    return Candidate(**{
        'device_id': 'd', 'host': 'host-a', 'vendor': 'v', 'model': 'm', 'compute': 100, 'memory': 1000,
        'free_compute': 100, 'free_memory': 1000, 'slices': 0, 'generation': 1, 'partitions': GEOMETRY,
        'modes': ('whole', 'partition', 'shared'), **values})


def cut(*places: tuple[str, int], **values: object) -> Candidate:
    return device(slices=len(places), used=tuple(('partition', name, start) for name, start in places), **values)


class Partitions(unittest.TestCase):
    def reason(self, candidate: Candidate, **request: object) -> str:
        verdict = placement.judge(Request(**{'compute': 10, 'memory': 10, **request}), [candidate])
        return verdict.rejections[0].reason if verdict.rejections else ''

    def test_a_slice_is_what_its_template_says(self) -> None:
        request = Request(compute=30, memory=10, isolation=Isolation.PARTITION)
        slices = placement.place(request, 'a', placement.judge(request, [cut(('quarter', 3))]))
        assert slices is not None
        self.assertEqual(('half', 0, 50, 500, 'partition'), (
            slices[0].template, slices[0].position, slices[0].compute, slices[0].memory, slices[0].isolation))

    def test_free_on_paper_is_not_enough(self) -> None:
        fragmented = cut(('quarter', 0), ('quarter', 2), free_compute=50, free_memory=500)
        self.assertIn('there is no room for a partition half', self.reason(
            fragmented, isolation=Isolation.PARTITION, compute=50))
        self.assertEqual('', self.reason(fragmented, isolation=Isolation.PARTITION))

    def test_what_no_template_serves(self) -> None:
        self.assertIn('it can have quarter, half', self.reason(device(), isolation=Isolation.PARTITION, compute=60))
        self.assertIn('it can have quarter, half', self.reason(device(), template='third', isolation=Isolation.PARTITION))

    def test_kinds_of_slices_exclude_each_other(self) -> None:
        shared = device(slices=1, used=(('shared', None, None),))
        mps = device(slices=1, used=(('mps', None, None),), modes=('shared', 'mps'), partitions=None)
        self.assertIn('carries slices with isolation shared', self.reason(shared, isolation=Isolation.PARTITION))
        self.assertIn('carries slices with isolation partition', self.reason(cut(('quarter', 0)), isolation='shared'))
        self.assertIn('carries slices with isolation mps', self.reason(mps, isolation='shared'))
        self.assertEqual('', self.reason(mps, isolation='mps', consumer_host='host-a'))
        self.assertIn('consumers on its own host', self.reason(mps, isolation='mps', consumer_host='host-b'))

    def test_any_is_what_the_device_is_used_for_already(self) -> None:
        def got(candidate: Candidate) -> str:
            request = Request(compute=10, memory=10, isolation=ANY_ISOLATION)
            slices = placement.place(request, 'a', placement.judge(request, [candidate]))
            assert slices is not None
            return slices[0].isolation

        self.assertEqual('shared', got(device()))
        self.assertEqual('partition', got(cut(('half', 0))))
        self.assertEqual('partition', got(device(modes=('partition',))))
        self.assertEqual('shared', got(device(slices=1, used=(('shared', None, None),))))
