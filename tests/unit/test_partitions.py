# SPDX-License-Identifier: Apache-2.0
"""The choice of a partition: pure, so properties over all of what requests can do."""

import dataclasses
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from accelpool.partitions import Geometry, Span, Template, split

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


def shared() -> Geometry:
    """An A100 with the compute instances that share its larger GPU instances."""
    whole = a100()
    parts = tuple(dataclasses.replace(
        one, name=f'{length}c.{one.name}', special=True, within=one.name, length=length, offsets=offsets)
        for one in whole.templates for name, length, offsets in (
            ('3g.20gb', 1, (0, 1, 2)), ('3g.20gb', 2, (0,)), ('4g.20gb', 1, (0, 1, 2, 3)), ('4g.20gb', 2, (0, 2)))
        if name == one.name)
    return dataclasses.replace(whole, templates=whole.templates + parts)


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


class Parts(unittest.TestCase):
    """Compute instances that share a GPU instance."""

    def chosen(self, geometry: Geometry, used: list[tuple[str, int | None]], name: str) -> tuple[int, int] | None:
        """Choose one and take it; return where its instance begins, and where in that it does."""
        found = geometry.choose(used, 1, None, name)
        if found is None:
            return None
        assert found.start is not None
        used.append((name, found.start))
        return split(found.start)

    def test_the_next_ones_go_into_the_instance_of_the_first(self) -> None:
        used: list[tuple[str, int | None]] = []
        found = [self.chosen(shared(), used, '1c.3g.20gb') for _ in range(7)]
        self.assertEqual([{4}, {0}], [{one[0] for one in found[:3] if one}, {one[0] for one in found[3:6] if one}])
        self.assertEqual([{0, 1, 2}] * 2, [{one[1] for one in found[:3] if one}, {one[1] for one in found[3:6] if one}])
        self.assertIsNone(found[6], 'the device has two such instances, each with three compute slices')

    def test_small_ones_leave_room_for_the_large_in_their_instance(self) -> None:
        used: list[tuple[str, int | None]] = []
        first, second = (self.chosen(shared(), used, '1c.4g.20gb') for _ in range(2))
        assert first and second
        self.assertEqual({2, 3}, {first[1], second[1]})
        self.assertEqual((0, 0), self.chosen(shared(), used, '2c.4g.20gb'))
        self.assertIsNone(self.chosen(shared(), used, '1c.4g.20gb'))

    def test_an_instance_is_taken_once_and_given_back_with_its_last_part(self) -> None:
        used: list[tuple[str, int | None]] = []
        for _ in range(2):
            self.chosen(shared(), used, '1c.3g.20gb')
        self.assertEqual((0, 0), self.chosen(shared(), used, '4g.20gb'))
        self.assertIsNone(shared().choose(used, 1, None, '1g.5gb'), 'no slot is left')
        del used[:2]
        self.assertEqual((4, 0), self.chosen(shared(), used, '3g.20gb'))

    def test_not_into_an_instance_that_a_slice_has_alone_nor_into_that_of_others(self) -> None:
        used: list[tuple[str, int | None]] = [('3g.20gb', 4)]
        self.assertEqual(0, (self.chosen(shared(), used, '1c.3g.20gb') or (9, 9))[0])
        self.assertIsNone(self.chosen(shared(), used, '1c.4g.20gb'))
        foreign = dataclasses.replace(shared(), taken=(Span(start=4, size=4, needs={'slices': 3, '3g.20gb': 1}),))
        self.assertEqual(0, (self.chosen(foreign, [], '1c.3g.20gb') or (9, 9))[0])

    def test_only_by_name(self) -> None:
        names = {one.name for one in shared().matching(1, None)}
        self.assertEqual(set(), {name for name in names if 'c.' in name})

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.sampled_from(['1c.3g.20gb', '2c.3g.20gb', '1c.4g.20gb', '2c.4g.20gb', '3g.20gb', '1g.5gb']),
                    max_size=12), st.data())
    def test_no_two_have_the_same_slice_and_nothing_that_fits_is_refused(
            self, names: list[str], data: st.DataObject) -> None:
        geometry, used = shared(), []
        for name in names:
            template, = geometry.matching(1, None, name)
            taken = [geometry.span(*one) for one in used]
            self.assertEqual(bool(geometry.places(template, taken)), self.chosen(geometry, used, name) is not None)
            if used and data.draw(st.booleans()):
                used.pop(data.draw(st.integers(0, len(used) - 1)))
            instances = {(split(at)[0], one.split('.', 1)[1] if 'c.' in one else number)
                         for number, (one, at) in enumerate(used)}
            self.assertEqual(len(instances), len({start for start, _ in instances}), 'one instance at a place')
            computes = [(split(at)[0], slice_) for one, at in used for slice_ in range(
                split(at)[1], split(at)[1] + int(one[0]))]
            self.assertEqual(len(computes), len(set(computes)))


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
