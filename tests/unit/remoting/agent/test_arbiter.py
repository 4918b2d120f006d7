# SPDX-License-Identifier: Apache-2.0
"""Shares of one device in simulated time: the arbiter drives model workers that follow the gate's rules."""

import dataclasses
import heapq
import unittest
from collections.abc import Callable

import hypothesis
from hypothesis import strategies

from accelpool.remoting.agent import arbiter

MS = 1_000_000
SECOND = 1000 * MS
FOREVER = 1 << 62


@dataclasses.dataclass
class Worker:
    """A session: runs ``segment`` ns of device work, then thinks for ``think`` ns (0: its queue is never empty)."""

    number: int
    slice_id: str
    segment: int = MS // 2
    think: int = 0
    starts: int = 0
    used: int = 0
    granted: bool = False
    revoked: bool = False
    running: bool = False
    budget: int = 0
    unreported: int = 0


class Device:
    """One engine; every event is a callable at a time."""

    def __init__(self, *workers: Worker, shares: dict[str, int], strict: tuple[str, ...] = (),
                 preemptible: bool = True) -> None:
        self.now = 0
        self.arbiter = arbiter.Arbiter()
        self.workers = {w.number: w for w in workers}
        self.preemptible = preemptible
        self.busy_until = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        for slice_id, share in shares.items():
            self.arbiter.add_slice(slice_id, share, slice_id in strict, 0)
        for worker in workers:
            self.arbiter.join(worker.number, worker.slice_id)
            self.at(worker.starts, lambda w=worker: self.wish(w))

    def at(self, time: int, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (time, self._count, act))

    def run(self, until: int) -> None:
        while True:
            due = self.arbiter.deadline()
            following = self._events[0][0] if self._events else FOREVER
            if due is not None and max(due, self.now) <= min(following, until):
                before, self.now = self.now, max(due, self.now)
                self.obey(self.arbiter.tick(self.now))
                if self.now == before and self.arbiter.deadline() == due:
                    self.now += 1  # as a real timer, which is never early
                continue
            if following > until:
                self.now = until
                return
            self.now, _, act = heapq.heappop(self._events)
            act()

    def obey(self, instructions: list[arbiter.Instruction]) -> None:
        for instruction in instructions:
            worker = self.workers.get(instruction.session)
            if worker is None:
                continue
            if isinstance(instruction, arbiter.Grant):
                worker.granted, worker.revoked, worker.budget = True, False, instruction.budget
                if not worker.running and worker.unreported >= 0 and self._works(worker):
                    self.step(worker)
            else:
                worker.revoked = True
                if not worker.running and not self._works(worker):
                    self.give(worker, False)

    def wish(self, worker: Worker) -> None:
        if worker.number not in self.workers:
            return
        worker.pending = True
        if worker.granted:
            self.step(worker)
        else:
            self.obey(self.arbiter.want(worker.number, self.now))

    @staticmethod
    def _works(worker: Worker) -> bool:
        return getattr(worker, 'pending', False)

    def step(self, worker: Worker) -> None:
        """One piece of work on the device, which must be free."""
        if worker.running:
            return
        assert self.now >= self.busy_until, 'two sessions have the device'
        worker.running = True
        self.busy_until = self.now + worker.segment
        self.at(self.busy_until, lambda: self.done(worker))

    def done(self, worker: Worker) -> None:
        worker.running = False
        if worker.number not in self.workers:
            return
        worker.used += worker.segment
        worker.unreported += worker.segment
        worker.budget -= worker.segment
        if worker.think:
            worker.pending = False
            self.at(self.now + worker.think, lambda: self.wish(worker))
        if worker.revoked and (worker.budget <= 0 or worker.think):
            self.give(worker, not worker.think)
            return
        if worker.unreported >= 100 * MS:
            used, worker.unreported = worker.unreported, 0
            self.obey(self.arbiter.use(worker.number, used, self.now))
        if self._works(worker) and worker.granted:
            self.step(worker)

    def give(self, worker: Worker, more: bool) -> None:
        used, worker.unreported = worker.unreported, 0
        worker.granted = worker.revoked = False
        self.obey(self.arbiter.give(worker.number, used, more, self.now))

    def kill(self, worker: Worker) -> None:
        del self.workers[worker.number]
        self.busy_until = self.now
        self.obey(self.arbiter.leave(worker.number, self.now))


def percent(*workers: Worker) -> list[float]:
    total = sum(w.used for w in workers)
    return [100 * w.used / total for w in workers]


class Shares(unittest.TestCase):
    """Within five points over ten seconds, as promised."""

    def assert_shares(self, found: list[float], wanted: list[float]) -> None:
        for one, other in zip(found, wanted, strict=True):
            self.assertAlmostEqual(one, other, delta=5, msg=f'{found} instead of {wanted}')

    def test_two_that_never_rest(self) -> None:
        for first, second in ((30, 70), (10, 90), (1, 99), (50, 50)):
            with self.subTest(first=first):
                a, b = Worker(1, 'a'), Worker(2, 'b')
                Device(a, b, shares={'a': first, 'b': second}).run(10 * SECOND)
                self.assert_shares(percent(a, b), [first, second])

    def test_the_window_is_short(self) -> None:
        a, b = Worker(1, 'a'), Worker(2, 'b')
        device = Device(a, b, shares={'a': 30, 'b': 70})
        device.run(SECOND)
        for _ in range(10):
            before = a.used
            device.run(device.now + 200 * MS)
            self.assertAlmostEqual((a.used - before) / MS, 60, delta=15)

    def test_long_kernels_against_short_ones(self) -> None:
        """A kernel of 80 ms cannot be preempted; the others catch up."""
        a, b = Worker(1, 'a', segment=80 * MS), Worker(2, 'b', segment=MS)
        Device(a, b, shares={'a': 30, 'b': 70}).run(10 * SECOND)
        self.assert_shares(percent(a, b), [30, 70])

    def test_three_slices_of_which_two_work_share_by_their_shares(self) -> None:
        a, b = Worker(1, 'a'), Worker(2, 'b')
        Device(a, b, shares={'a': 10, 'b': 30, 'c': 60}).run(10 * SECOND)
        self.assert_shares(percent(a, b), [25, 75])

    def test_sessions_of_one_slice_share_its_share(self) -> None:
        a, b, c = Worker(1, 'a'), Worker(2, 'b'), Worker(3, 'b')
        Device(a, b, c, shares={'a': 50, 'b': 50}).run(10 * SECOND)
        self.assert_shares(percent(a, b, c), [50, 25, 25])

    def test_a_late_one_has_its_share_from_then_on(self) -> None:
        a, b = Worker(1, 'a'), Worker(2, 'b', starts=5 * SECOND)
        device = Device(a, b, shares={'a': 30, 'b': 70})
        device.run(5 * SECOND)
        self.assertAlmostEqual(a.used / SECOND, 5, delta=0.01)
        a.used = 0
        device.run(15 * SECOND)
        self.assert_shares(percent(a, b), [30, 70])

    def test_who_slept_cannot_claim_the_past(self) -> None:
        a, b = Worker(1, 'a'), Worker(2, 'b', starts=5 * SECOND)
        device = Device(a, b, shares={'a': 50, 'b': 50})
        device.run(5 * SECOND + 300 * MS)
        self.assertGreater(a.used / MS, 5000 + 50)

    def test_a_program_that_waits_for_each_launch_gets_its_share_too(self) -> None:
        a, b = Worker(1, 'a'), Worker(2, 'b', segment=2 * MS, think=MS // 5)
        Device(a, b, shares={'a': 30, 'b': 70}).run(10 * SECOND)
        self.assert_shares(percent(a, b), [30, 70])

    def test_a_slice_with_little_work_gets_it_done_soon(self) -> None:
        """1 ms of work every 50 ms beside somebody who never rests: not behind in the end."""
        a, b = Worker(1, 'a'), Worker(2, 'b', segment=MS, think=50 * MS)
        Device(a, b, shares={'a': 50, 'b': 50}).run(10 * SECOND)
        self.assertGreater(b.used / MS, 10_000 / (50 + 1 + 3))
        self.assertGreater((a.used + b.used) / SECOND, 9.8)


class WorkConserving(unittest.TestCase):

    def test_alone_has_everything_and_one_grant(self) -> None:
        a = Worker(1, 'a')
        device = Device(a, shares={'a': 10, 'b': 90})
        device.run(SECOND)
        self.assertAlmostEqual(a.used / SECOND, 1, delta=0.01)
        self.assertEqual(device.arbiter.grants, 1)

    def test_an_idle_holder_gives_way(self) -> None:
        a, b = Worker(1, 'a', segment=MS, think=FOREVER), Worker(2, 'b', starts=10 * MS)
        device = Device(a, b, shares={'a': 50, 'b': 50})
        device.run(SECOND)
        self.assertEqual(a.used, MS)
        self.assertAlmostEqual(b.used / MS, 990, delta=5)

    def test_a_dead_holder_frees_the_grant(self) -> None:
        a, b = Worker(1, 'a', segment=FOREVER // 4), Worker(2, 'b', starts=MS)
        device = Device(a, b, shares={'a': 50, 'b': 50})
        device.run(SECOND)
        self.assertEqual(b.used, 0)
        device.kill(a)
        device.run(2 * SECOND)
        self.assertAlmostEqual(b.used / SECOND, 1, delta=0.01)

    def test_the_dead_want_nothing(self) -> None:
        a, b, c = Worker(1, 'a'), Worker(2, 'b'), Worker(3, 'c')
        device = Device(a, b, c, shares={'a': 30, 'b': 30, 'c': 40})
        device.run(100 * MS)
        for worker in (b, c):
            device.kill(worker)
        before = a.used
        device.run(SECOND)
        self.assertAlmostEqual((a.used - before) / MS, 900, delta=12)


class Strict(unittest.TestCase):

    def test_never_more_than_its_share_even_alone(self) -> None:
        a = Worker(1, 'a', segment=MS // 10)
        Device(a, shares={'a': 30}, strict=('a',)).run(10 * SECOND)
        self.assertAlmostEqual(a.used / SECOND, 3, delta=0.1)

    def test_what_it_leaves_goes_to_others(self) -> None:
        a, b = Worker(1, 'a', segment=MS // 10), Worker(2, 'b', segment=MS // 10)
        Device(a, b, shares={'a': 30, 'b': 10}, strict=('a',)).run(10 * SECOND)
        self.assertAlmostEqual(a.used / SECOND, 3, delta=0.5)
        self.assertAlmostEqual((a.used + b.used) / SECOND, 10, delta=0.1)

    def test_a_newcomer_does_not_pay_for_what_was_left_over(self) -> None:
        a, b = Worker(1, 'a', segment=MS // 10), Worker(2, 'b', segment=MS // 10)
        c = Worker(3, 'c', segment=MS // 10, starts=5 * SECOND)
        device = Device(a, b, c, shares={'a': 30, 'b': 35, 'c': 35}, strict=('a',))
        device.run(5 * SECOND)
        a.used = b.used = 0
        device.run(15 * SECOND)
        for worker, share in ((a, 30), (b, 35), (c, 35)):
            self.assertAlmostEqual(worker.used / SECOND * 10, share, delta=5)

    def test_long_kernels_are_paid_for(self) -> None:
        a = Worker(1, 'a', segment=200 * MS)
        Device(a, shares={'a': 25}, strict=('a',)).run(20 * SECOND)
        self.assertAlmostEqual(a.used / SECOND, 5, delta=0.3)


class Anything(unittest.TestCase):
    """Whatever the workers do: one holder at a time (the model asserts it), and nobody starves."""

    @hypothesis.settings(max_examples=40, deadline=None)
    @hypothesis.given(strategies.lists(strategies.tuples(
        strategies.sampled_from('abcd'), strategies.integers(MS // 10, 30 * MS),
        strategies.sampled_from([0, 0, MS // 3, 5 * MS, 40 * MS]), strategies.integers(0, SECOND)),
        min_size=1, max_size=6), strategies.sets(strategies.sampled_from('abcd')))
    def test_everybody_gets_some(self, described: list[tuple[str, int, int, int]], strict: set[str]) -> None:
        workers = [Worker(number, name, segment, think, start)
                   for number, (name, segment, think, start) in enumerate(described)]
        device = Device(*workers, shares={'a': 5, 'b': 15, 'c': 30, 'd': 50}, strict=tuple(strict))
        device.run(8 * SECOND)
        for worker in workers:
            self.assertGreater(worker.used, 0)

    def test_a_share_can_change(self) -> None:
        a, b = Worker(1, 'a'), Worker(2, 'b')
        device = Device(a, b, shares={'a': 30, 'b': 70})
        device.run(SECOND)
        device.arbiter.add_slice('a', 70, False, device.now)
        device.arbiter.add_slice('b', 30, False, device.now)
        a.used = b.used = 0
        device.run(11 * SECOND)
        self.assertAlmostEqual(percent(a, b)[0], 70, delta=5)


class Reports(unittest.TestCase):
    """What workers report is believed within what can be."""

    def setUp(self) -> None:
        self.arbiter = arbiter.Arbiter()
        for session, slice_id in ((1, 'honest'), (2, 'liar')):
            self.arbiter.add_slice(slice_id, 50, False, 0)
            self.arbiter.join(session, slice_id)

    def test_nobody_uses_more_time_than_there_was(self) -> None:
        self.arbiter.want(2, 0)
        self.arbiter.use(2, 1 << 63, 10 * MS)
        self.arbiter.use(2, 1 << 63, 11 * MS)
        self.arbiter.use(1, 1 << 63, 11 * MS)  # which has not had the device
        self.assertLess(self.arbiter.busy_ns, 50 * MS)

    def test_holding_the_device_costs_something_while_another_waits(self) -> None:
        self.arbiter.want(2, 0)
        self.arbiter.want(1, 0)
        self.arbiter.give(2, 0, True, 800 * MS)
        self.assertGreaterEqual(self.arbiter.used('liar'), 100 * MS)
        self.assertEqual(1, self.arbiter.holder)

    def test_holding_it_alone_costs_nothing(self) -> None:
        self.arbiter.want(2, 0)
        self.arbiter.give(2, 5, False, 800 * MS)
        self.assertEqual(5, self.arbiter.used('liar'))
