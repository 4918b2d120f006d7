# SPDX-License-Identifier: Apache-2.0

import unittest

import prometheus_client
from oslo_config import cfg

from accelpool import conf, types
from accelpool.allocations.states import Event
from accelpool.db import allocation, session
from accelpool.scheduler import metrics, service
from tests.support import database


class Conductor:
    def __init__(self, host: str) -> None:
        pass

    def bind(self, allocation_id: str) -> None:
        pass


class Metrics(unittest.TestCase):
    def setUp(self) -> None:
        conf.register_all()
        cfg.CONF([], project='accelpool', default_config_files=[], default_config_dirs=[])
        database.use(self)
        database.add_device('d', memory=1000)
        self.outcomes = metrics.Outcomes()
        self.registry = prometheus_client.CollectorRegistry()
        for collector in (self.outcomes, metrics.Collector()):
            self.registry.register(collector)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def test_outcomes(self) -> None:
        scheduler = service.SchedulerService(Conductor, 60, self.outcomes.observe)
        for memory in (400, 400, 400):
            scheduler.schedule(database.add_allocation(types.Request(compute=10, memory=memory)))
        scheduler.schedule('nobody')
        counted = {outcome: self.value('accelpool_scheduler_decision_seconds_count', outcome=outcome)
                   for outcome in ('scheduled', 'no-candidates', 'not-pending')}
        self.assertEqual({'scheduled': 2, 'no-candidates': 1, 'not-pending': 1}, counted)

    def test_queues_and_the_pool(self) -> None:
        waiting = [database.add_allocation(types.Request(compute=10, memory=100)) for _ in range(3)]
        with session.writer() as writer:
            allocation.transition(writer, waiting[0], Event.FAIL, detail='x')
            allocation.release(writer, waiting[1])
        self.assertEqual(1, self.value('accelpool_allocations', state='pending'))
        self.assertEqual(1, self.value('accelpool_allocations', state='error'))
        self.assertEqual(0, self.value('accelpool_allocations', state='releasing'))
        self.assertGreaterEqual(self.value('accelpool_queue_oldest_seconds', state='pending') or -1, 0)
        self.assertEqual(1000, self.value('accelpool_pool_memory_mib', vendor='accelpool', model='emu'))
        self.assertEqual(0, self.value('accelpool_pool_memory_mib_used', vendor='accelpool', model='emu'))
        self.assertEqual(1, self.value('accelpool_database_up'))

    def test_a_database_that_is_away(self) -> None:
        session.configure('sqlite:////nowhere/at/all.sqlite')
        self.assertEqual(0, self.value('accelpool_database_up'))
        self.assertIsNone(self.value('accelpool_allocations', state='pending'))
