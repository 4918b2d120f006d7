# SPDX-License-Identifier: Apache-2.0
"""Claims in a large pool, of which the database hands out the best devices alone."""

import random
import unittest
from unittest import mock

from accelpool import errors, types
from accelpool.db import device as db_device
from accelpool.db import host as db_host
from accelpool.db import pool as db_pool
from accelpool.db import session
from accelpool.scheduler import claim
from tests.support import database

MODELS = ('big', 'small')


class LargePool(unittest.TestCase):
    """The answer is the one that reading every device gives."""

    def setUp(self) -> None:
        database.use(self)
        self.random = random.Random(7)
        with session.writer() as writer:
            default = db_pool.ensure_default(writer)
            for number in range(60):
                host = db_host.heard_of(writer, f'host-{number % 5}')
                memory = self.random.choice((500, 1000))
                db_device.save(writer, host, types.Device(
                    id=f'd{number:02}', driver='mock', vendor='accelpool', model=self.random.choice(MODELS),
                    memory=memory, overhead=self.random.choice((0, 30)),
                    traits=('CUSTOM_A',) if number % 3 else ('CUSTOM_B',),
                    health=self.random.choice((types.Health.OK, types.Health.OK, types.Health.DEGRADED))))
                found = db_device.get(writer, f'd{number:02}')
                found.used_compute, found.used_memory = self.random.randrange(100), self.random.randrange(memory)
                if number % 2:
                    db_pool.add_device(writer, default, found)
        self.pool = default.id
        self.enterContext(mock.patch.object(claim, 'MANY', 10))

    def choose(self, request: types.Request, few: int) -> tuple[str, ...] | str:
        """Return the devices chosen when the database is asked for so many; or why there are none."""
        claimer = claim.Claimer(60)
        claimer._many = bool(few)
        with mock.patch.object(claim, 'FEW', few), session.reader() as reader:
            try:
                choice = claimer.choose(reader, 'a', request, set())
            except errors.NoCandidates as nothing:
                return nothing.detail
        return tuple(sorted(choice.generations))

    def request(self) -> types.Request:
        maybe = lambda value: self.random.choice((None, value))  # noqa: E731
        return types.Request(
            compute=self.random.randrange(1, 80), memory=self.random.randrange(1, 700),
            count=self.random.choice((1, 1, 2)), model=maybe(self.random.choice(MODELS)), vendor=maybe('accelpool'),
            pool=maybe(self.pool), traits=self.random.choice(((), ('CUSTOM_A',))),
            any_traits=self.random.choice(((), ('CUSTOM_B', 'CUSTOM_C'))),
            locality=self.random.choice(tuple(types.Locality)), consumer_host='host-1')

    def test_it_is_the_same_choice(self) -> None:
        found = set()
        for _ in range(300):
            request = self.request()
            everything = self.choose(request, 0)
            found.add(type(everything))
            for few in (3, 60):
                self.assertEqual(everything, self.choose(request, few), request)
        self.assertEqual({str, tuple}, found)

    def test_a_claimer_learns_that_the_pool_is_large(self) -> None:
        claimer = claim.Claimer(60)
        with session.reader() as reader:
            for looks in (60, 3):
                with mock.patch.object(claim, 'FEW', 3), mock.patch.object(
                        claim.placement, 'judge', wraps=claim.placement.judge) as judge:
                    claimer.choose(reader, 'a', types.Request(compute=1, memory=1), set())
                    self.assertEqual([looks], [len(call.args[1]) for call in judge.call_args_list])
