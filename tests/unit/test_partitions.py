# SPDX-License-Identifier: Apache-2.0
"""The choice of a partition: pure, so properties over all of what requests can do."""

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from accelpool.partitions import Geometry, Span, Template

STARTS = {'1g.5gb': (0, 1, 2, 3, 4, 5, 6), '1g.5gb+me': (0, 1, 2, 3, 4, 5, 6), '1g.10gb': (0, 2, 4, 6),
          '2g.10gb': (0, 2, 4), '3g.20gb': (0, 4), '4g.20gb': (0,), '7g.40gb': (0,)}
SIZES = {'1g.5gb': 1, '1g.5gb+me': 1, '1g.10gb': 2, '2g.10gb': 2, '3g.20gb': 4, '4g.20gb': 4, '7g.40gb': 8}
MEMORY = {1: 4864, 2: 9856, 4: 19968, 8: 40192}
COUNTS = {'1g.5gb': 7, '1g.5gb+me': 1, '1g.10gb': 4, '2g.10gb': 3, '3g.20gb': 2, '4g.20gb': 1, '7g.40gb': 1}


def a100(*taken: Span) -> Geometry:
    return Geometry(templates=tuple(Template(
        name=name, compute=100 * int(name[0]) // 7, memory=MEMORY[SIZES[name]],
        needs={'slices': int(name[0]), name: 1}, size=SIZES[name], starts=starts, special='+' in name)
        for name, starts in STARTS.items()), capacity={'slices': 7, **COUNTS}, taken=taken)


def vnpu() -> Geometry:
    """A device that is cut by sums, like Ascend's templates."""
    return Geometry(templates=(
        Template(name='vir02', compute=25, memory=6144, needs={'aicore': 2, 'aicpu': 2}),
        Template(name='vir04', compute=50, memory=12288, needs={'aicore': 4, 'aicpu': 4}),
        Template(name='vir04_3c', compute=50, memory=12288, needs={'aicore': 4, 'aicpu': 3}, special=True),
    ), capacity={'aicore': 8, 'aicpu': 7})


class Choosing(unittest.TestCase):
    def test_rounds_up_to_the_smallest_that_is_enough(self) -> None:
        for compute, memory, wanted in (
                (1, 1, '1g.5gb'), (14, 4864, '1g.5gb'), (14, 4865, '1g.10gb'), (15, 100, '2g.10gb'),
                (20, 9856, '2g.10gb'), (29, 1, '3g.20gb'), (50, 1, '4g.20gb'), (58, 1, '7g.40gb'), (1, 30000, '7g.40gb')):
            with self.subTest(compute=compute, memory=memory):
                chosen = a100().choose([], compute, memory)
                assert chosen is not None
                self.assertEqual(wanted, chosen.template.name)
        self.assertIsNone(a100().choose([], 1, 50000))

    def test_media_engines_only_by_name(self) -> None:
        chosen = a100().choose([], 100, None, '1g.5gb+me')
        assert chosen is not None
        self.assertEqual('1g.5gb+me', chosen.template.name)
        self.assertIsNone(a100().choose([('1g.5gb+me', 6)], 1, None, '1g.5gb+me'))

    def test_small_ones_leave_room_for_the_large(self) -> None:
        geometry, used = a100(), []
        for _ in range(3):
            chosen = geometry.choose(used, 10, 1000)
            assert chosen is not None
            used.append((chosen.template.name, chosen.start))
        self.assertEqual([6, 5, 4], [start for _, start in used])
        largest = geometry.choose(used, 57, 19968)
        assert largest is not None
        self.assertEqual(('4g.20gb', 0), (largest.template.name, largest.start))

    def test_a_larger_one_serves_when_the_smallest_has_no_place(self) -> None:
        used = [('1g.5gb', start) for start in range(4)] + [('1g.10gb', 4)]
        chosen = a100().choose(used, 10, 9856)
        assert chosen is not None
        self.assertEqual(('1g.10gb', 6), (chosen.template.name, chosen.start))
        self.assertIsNone(a100().choose([*used, ('1g.5gb', 6)], 10, 9856))

    def test_what_others_made_is_taken(self) -> None:
        geometry = a100(Span(start=0, size=4, needs={'slices': 3}))
        self.assertIsNone(geometry.choose([], 57, None))
        chosen = geometry.choose([], 42, None)
        assert chosen is not None
        self.assertEqual(('3g.20gb', 4), (chosen.template.name, chosen.start))

    def test_sums_limit_where_places_do_not_matter(self) -> None:
        geometry = vnpu()
        used = [('vir04', None)]
        self.assertIsNone(geometry.choose(used, 50, 12288))
        chosen = geometry.choose(used, 50, None, 'vir04_3c')
        assert chosen is not None and chosen.start is None
        small = geometry.choose(used, 10, 1)
        assert small is not None
        self.assertEqual('vir02', small.template.name)

    def test_survives_json(self) -> None:
        geometry = a100(Span(start=1, size=1, needs={'slices': 1}))
        self.assertEqual(geometry.to_dict(), Geometry.from_dict(geometry.to_dict()).to_dict())


requests = st.lists(st.one_of(
    st.tuples(st.integers(1, 100), st.integers(1, 41000), st.none()),
    st.tuples(st.just(1), st.none(), st.sampled_from(sorted(STARTS)))), max_size=12)


class Properties(unittest.TestCase):
    @settings(max_examples=60, deadline=None)
    @given(requests, st.data())
    def test_nothing_overlaps_and_nothing_that_fits_is_refused(self, wanted: list[tuple], data: st.DataObject) -> None:
        geometry, used = a100(), []
        for compute, memory, name in wanted:
            chosen = geometry.choose(used, compute, memory, name)
            taken = [geometry.span(*one) for one in used]
            if chosen is None:
                self.assertFalse([one for one in geometry.matching(compute, memory, name)
                                  if geometry.places(one, taken)])
                continue
            self.assertIn(chosen.start, chosen.template.starts)
            if name is None:
                self.assertGreaterEqual(chosen.template.compute, compute)
                self.assertGreaterEqual(chosen.template.memory, memory or 0)
            used.append((chosen.template.name, chosen.start))
            if data.draw(st.booleans()):
                used.pop(data.draw(st.integers(0, len(used) - 1)))
            slots = [slot for one, start in used for slot in range(start, start + SIZES[one])]
            self.assertEqual(len(slots), len(set(slots)))
            self.assertLessEqual(max(slots, default=0), 7)
            self.assertLessEqual(sum(int(one[0]) for one, _ in used), 7)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(sorted(STARTS)), st.integers(0, 7)), max_size=5),
           st.sampled_from(sorted(STARTS)))
    def test_the_place_leaves_the_most_of_the_largest_templates(self, tried: list[tuple[str, int]], name: str) -> None:
        geometry = a100()
        used: list[tuple[str, int | None]] = []
        for one, start in tried:
            template = next(t for t in geometry.templates if t.name == one)
            if start in template.starts and geometry.fits(template, start, [geometry.span(*u) for u in used]):
                used.append((one, start))
        chosen = geometry.choose(used, 1, None, name)
        if chosen is None:
            return
        order = sorted(geometry.templates, key=lambda t: (-t.size, -t.compute, -t.memory, t.special))

        def room(start: int | None) -> list[int]:
            after = [geometry.span(*one) for one in [*used, (name, start)]]
            return [geometry.remaining(template, after) for template in order]

        before = [geometry.span(*one) for one in used]
        self.assertEqual(room(chosen.start), max(room(start) for start in geometry.places(chosen.template, before)))
