# SPDX-License-Identifier: Apache-2.0
"""The inventory in a real Placement: what Nova finds there, what it gets, and that both accounts stay the same."""

import random
import tempfile
import threading
import unittest
import uuid

from oslo_config import cfg

from accelpool import conf, errors, types
from accelpool.allocations.states import State
from accelpool.db import device, pool, session
from accelpool.placement import names, sync
from accelpool.placement.groups import groups
from accelpool.types import Isolation, Locality, Request
from tests.integration.support import placement
from tests.support import database
from tools.integration import compute, identity, process

setUpModule = placement.alone

SMALL = Request(compute=30, memory=300)


class Inventory(unittest.TestCase):
    """What Nova can ask for."""

    def setUp(self) -> None:
        self.pool = placement.Pool(self, 'host-a', 'host-b.example.org')
        self.nova = self.pool.nova

    def test_an_instance_on_any_compute_host_draws_from_the_pool(self) -> None:
        database.add_device('a', 'host-c', traits=('HW_GPU_API_CUDA', 'CUSTOM_FAST'))
        self.pool.sync.reconcile()
        request = Request(compute=30, memory=300, vendor='accelpool', model='emu', traits=('CUSTOM_FAST',))
        found = self.nova.candidates(groups(request))
        self.assertEqual(2, len(found))  # one for each compute host
        identifier = self.pool.instance(request, found)
        self.assertEqual(State.SCHEDULED, database.state_of(identifier))
        self.assertEqual({'a': (30, 300, 1)}, database.accounts())
        self.assertEqual([], self.pool.disagreements())
        self.assertEqual([], self.nova.candidates(groups(Request(compute=1, memory=1, traits=('HW_CPU_X86_AVX2',)))))

    def test_slices_of_two_groups_come_from_the_pool_together(self) -> None:
        database.add_device('a')
        self.pool.sync.reconcile()
        (found, _) = self.nova.candidates(groups(Request(count=2, compute=30, memory=300)))
        self.assertEqual({'_dp0', '_dp1', ''}, found['mappings'].keys())

    def test_a_device_that_cannot_be_shared_is_for_its_own_host(self) -> None:
        database.add_device('whole', 'host-b', modes=(Isolation.WHOLE,))
        database.add_device('elsewhere', 'host-c', modes=(Isolation.WHOLE,))
        self.pool.sync.reconcile()
        (found,) = self.pool.ours().values()
        self.assertEqual(self.nova.computes['host-b.example.org'], found.parent)
        self.assertLessEqual({names.OWNER, names.LOCAL}, found.traits)
        request = Request(isolation=Isolation.WHOLE, locality=Locality.HOST)
        (one,) = self.nova.candidates(groups(request))
        self.assertIn(self.nova.computes['host-b.example.org'], one['allocations'])
        self.assertEqual([], self.nova.candidates(groups(Request(isolation=Isolation.WHOLE, locality='remote'))))
        self.pool.instance(request, [one])
        self.assertEqual({'whole': (100, 1000, 1), 'elsewhere': (0, 0, 0)}, database.accounts())
        self.pool.sync.reconcile()
        self.assertEqual([], self.nova.candidates(groups(request)))

    def test_an_operator_makes_the_devices_of_a_pool_local(self) -> None:
        database.add_device('a', 'host-a')
        loop = self.pool.another(local_pools=['default'])
        self.pool.sync.reconcile()
        (shared,) = self.pool.ours()
        loop.reconcile()
        (local,) = self.pool.ours()  # in one inventory only
        self.assertNotEqual(shared, local)
        (found,) = self.nova.candidates(groups(Request(compute=30, memory=300, locality=Locality.HOST)))
        self.pool.instance(SMALL, [found])
        self.assertEqual({'a': (30, 300, 1)}, database.accounts())

    def test_a_local_device_follows_its_host(self) -> None:
        loop = self.pool.another(local_pools=['default'])
        for host, compute_host in (('host-a', 'host-a'), ('host-b', 'host-b.example.org')):
            database.add_device('a', host)
            loop.reconcile()
            (found,) = self.pool.ours().values()
            self.assertEqual(self.nova.computes[compute_host], found.parent)

    def test_a_provider_that_placement_refuses_does_not_keep_the_others_away(self) -> None:
        database.add_device('a')
        database.add_device('b', traits=('CUSTOM_FAST',))
        self.pool.sync.reconcile()
        one, other = self.pool.ours().values()
        for found in (one, other):
            self.nova.ask('DELETE', f'/resource_providers/{found.uuid}')
        stranger = str(uuid.uuid4())
        self.nova.ask('POST', '/resource_providers', {'name': one.name, 'uuid': stranger})
        self.addCleanup(self.nova.remove, [stranger])
        with self.assertRaisesRegex(errors.ServiceUnavailable, one.name):
            self.pool.sync.reconcile()
        self.assertEqual({other.uuid}, self.pool.ours().keys())

    def test_what_others_hold_is_reserved(self) -> None:
        database.add_device('a')
        self.pool.process(Request(compute=60, memory=700))
        self.pool.sync.reconcile()
        self.assertEqual([], self.nova.candidates(groups(Request(compute=41, memory=1))))
        self.assertEqual([], self.nova.candidates(groups(Request(compute=1, memory=301))))
        identifier = self.pool.instance(SMALL, self.nova.candidates(groups(SMALL)))
        self.pool.sync.reconcile()
        self.assertEqual([], self.pool.disagreements())
        self.pool.release(identifier)
        self.pool.sync.reconcile()
        # Nova still holds its claim: nobody else gets that until it is given back.
        self.assertEqual([], self.nova.candidates(groups(SMALL)))

    def test_nothing_larger_is_offered_than_one_device_has_free(self) -> None:
        for name in 'ab':
            database.add_device(name)
            self.pool.process(Request(compute=60, memory=600))
        self.pool.sync.reconcile()
        self.assertEqual([], self.nova.candidates(groups(Request(compute=41, memory=1))))
        self.assertEqual(2, len(self.nova.candidates(groups(Request(compute=40, memory=400)))))

    def test_devices_that_take_nothing_offer_nothing(self) -> None:
        database.add_device('a')
        identifier = self._boot()
        for health, offered in (('degraded', 0), ('ok', 2), ('missing', 0)):
            database.add_device('a', health=health)
            self.pool.sync.reconcile()
            self.assertEqual(offered, len(self.nova.candidates(groups(SMALL))), health)
            self.assertEqual([], self.pool.disagreements())
        self.pool.release(identifier)

    def test_a_provider_that_should_not_be_there_goes_when_nobody_uses_it(self) -> None:
        database.add_device('a')
        identifier = self._boot()
        (former,) = self.pool.ours()
        with session.writer() as writer:
            pool.add_device(writer, pool.create(writer, name='more'), device.get(writer, 'a'))
        self.pool.sync.reconcile()
        self.assertEqual(2, len(self.pool.ours()))
        self.assertEqual(2, len(self.nova.candidates(groups(Request(compute=70, memory=700)))))
        self.assertEqual([], self.nova.candidates(groups(Request(compute=71, memory=1))))
        self.nova.delete(self._instance_of(identifier))
        self.pool.release(identifier)
        self.pool.sync.reconcile()
        self.assertNotIn(former, self.pool.ours())

    def test_what_others_break_is_mended(self) -> None:
        database.add_device('a')
        self.pool.sync.reconcile()
        (found,) = self.pool.ours().values()
        path = f'/resource_providers/{found.uuid}'
        self.nova.ask('PUT', f'{path}/inventories', {
            'resource_provider_generation': found.generation,
            'inventories': {names.COMPUTE: {'total': 5000}, names.MEMORY: {'total': 1}}})
        self.nova.ask('PUT', f'{path}/traits', {
            'resource_provider_generation': found.generation + 1, 'traits': [names.OWNER]})
        for breaking in (lambda: None, lambda: self.nova.ask('DELETE', path)):
            breaking()
            self.pool.sync.reconcile()
            (mended,) = self.pool.ours().values()
            self.assertEqual((found.name, found.traits, found.inventories),
                             (mended.name, mended.traits, mended.inventories))
            self.assertIn(names.AGGREGATE, mended.aggregates)

    def test_a_compute_host_keeps_its_other_aggregates(self) -> None:
        other = str(uuid.uuid4())
        host = self.nova.computes['host-a']
        self.nova.ask('PUT', f'/resource_providers/{host}/aggregates', {
            'resource_provider_generation': 2, 'aggregates': [other]})
        database.add_device('a')
        self.pool.sync.reconcile()
        self.assertEqual({other, names.AGGREGATE}, self.pool.client.aggregates(host)[0])

    def _boot(self) -> str:
        self.pool.sync.reconcile()
        return self.pool.instance(SMALL, self.nova.candidates(groups(SMALL)))

    def _instance_of(self, identifier: str) -> str:
        (consumer,) = self.pool.provider_of(identifier).allocations
        return consumer


class Schedulers(unittest.TestCase):
    """Who keeps the inventory, and what happens while it cannot."""

    def setUp(self) -> None:
        self.pool = placement.Pool(self, 'host-a')

    def test_the_first_scheduler_that_works_does_it(self) -> None:
        database.add_device('a')
        self.pool.hear_of('scheduler2')
        self.pool.another('scheduler2').run()
        self.assertEqual({}, self.pool.ours())
        with session.writer() as writer:
            writer.query(placement.models.Service).filter_by(host='scheduler1').update({'disabled': True})
        self.pool.another('scheduler1').run()
        self.assertEqual({}, self.pool.ours())
        self.pool.another('scheduler2').run()
        self.assertEqual(1, len(self.pool.ours()))

    def test_its_configuration_is_that_of_any_openstack_service(self) -> None:
        database.add_device('a')
        cfg.CONF.reset()
        conf.register_all()
        with tempfile.NamedTemporaryFile('w', suffix='.conf') as file:
            cfg.CONF([], default_config_files=[])
            self.assertIsNone(sync.loop('scheduler1'))
            file.write(f'[placement]\ninterval = 0.1\n{identity.credentials("accelpool")}')
            file.flush()
            cfg.CONF([], default_config_files=[file.name])
            loop = sync.loop('scheduler1')
            cfg.CONF.set_override('auth_type', 'no-such-plugin', group='placement')
            with self.assertRaisesRegex(errors.InvalidRequest, r'\[placement\] .*no-such-plugin'):
                sync.loop('scheduler1')
            cfg.CONF.clear_override('auth_type', group='placement')
        loop.start()
        self.addCleanup(loop.stop)
        process.wait_for(self.pool.ours, 'the provider to be there', 30)

    def test_two_at_once_do_no_harm(self) -> None:
        for number in range(8):
            database.add_device(f'd{number}', traits=(f'CUSTOM_M{number % 3}',))
        failures: list[Exception] = []

        def work(name: str) -> None:
            loop = self.pool.another(name)
            for _ in range(5):
                self.pool.process(Request(compute=5, memory=50))
                try:
                    loop.reconcile()
                except Exception as failure:
                    failures.append(failure)

        threads = [threading.Thread(target=work, args=[name]) for name in ('scheduler1', 'scheduler2')]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failures)
        self.pool.sync.reconcile()
        self.assertEqual([], self.pool.disagreements())

    def test_claims_go_on_without_placement(self) -> None:
        database.add_device('a')
        compute.PLACEMENT.kill()
        with self.assertLogs('accelpool.placement.sync', 'WARNING') as logged:
            self.pool.sync.run()
            self.assertEqual(State.SCHEDULED, database.state_of(self.pool.process(SMALL)))
            self.pool.sync.run()
        self.assertEqual(1, len(logged.output), logged.output)  # once, not at every try
        compute.PLACEMENT.start()
        self.pool.sync.run()
        self.assertEqual([], self.pool.disagreements())


class Accounts(unittest.TestCase):
    """Random operations and faults of either side, then a comparison."""

    OPERATIONS = 1000
    KINDS = (Request(compute=10, memory=100), Request(compute=25, memory=400), Request(compute=50, memory=200),
             Request(compute=60, memory=700), Request(isolation=Isolation.WHOLE), Request(compute=20, memory=150, traits=('CUSTOM_X',)))

    def test_placement_and_the_database_agree_after_random_operations_and_faults(self) -> None:
        seed = random.randrange(1 << 32)
        print(f'seed {seed}')
        random.seed(seed)
        self.pool = placement.Pool(self, 'host-a', 'host-b')
        self.instances: dict[str, str] = {}   # allocation -> instance
        self.processes: list[str] = []
        self.lost: list[str] = []             # instances of which Nova could not tell Placement that they are gone
        self.leaked: list[str] = []           # allocations of which nobody told us that their instance is gone
        self.counts = dict.fromkeys(('booted', 'refused', 'broken', 'overtaken'), 0)
        for number in range(8):
            database.add_device(f'd{number}', f'host-{"abc"[number % 3]}', traits=(f'CUSTOM_{"XY"[number % 2]}',))
        database.add_device('local', 'host-a', modes=(Isolation.WHOLE,))
        outage = silence = 0  # operations until Placement, and our loop, come back
        for _ in range(self.OPERATIONS):
            if not outage and random.random() < 0.004:  # it takes seconds to start
                compute.PLACEMENT.kill()
                outage = random.randint(1, 10)
            if not silence and random.random() < 0.01:
                silence = random.randint(1, 10)
            self._operation(bool(outage))
            if not silence and random.random() < 0.7:
                self.pool.sync.run()
            if outage == 1:
                compute.PLACEMENT.start()
            if silence == 1:
                self.pool.sync = self.pool.another()  # a new process, which remembers nothing
            outage, silence = max(0, outage - 1), max(0, silence - 1)
        compute.PLACEMENT.start()
        for instance in self.lost:
            self.pool.nova.delete(instance)
        self.pool.sync = self.pool.another()
        self.pool.sync.reconcile()
        leaked = {self.instances[identifier] for identifier in self.leaked}
        differing = self.pool.disagreements()
        self.assertEqual(leaked, {line.partition(':')[0] for line in differing}, differing)
        for identifier in self.leaked:
            self.pool.release(identifier)
        self.pool.sync.reconcile()
        self.assertEqual([], self.pool.disagreements())
        self.assertEqual(database.owed(), database.accounts())
        print(self.counts)
        self.assertGreater(self.counts['booted'], self.OPERATIONS // 10)

    def _operation(self, outage: bool) -> None:
        match random.choices(('boot', 'delete', 'start', 'stop', 'health'), (35, 30, 15, 14, 6))[0]:
            case 'boot' if not outage:
                self._boot(random.choice(self.KINDS))
            case 'delete' if self.instances.keys() - set(self.leaked):
                self._delete(random.choice(sorted(self.instances.keys() - set(self.leaked))), outage)
            case 'start':
                identifier = self.pool.process(random.choice(self.KINDS[:4]))
                if database.state_of(identifier) == State.SCHEDULED:
                    self.processes.append(identifier)
            case 'stop' if self.processes:
                self.pool.release(self.processes.pop(random.randrange(len(self.processes))))
            case 'health':
                with session.writer() as writer:
                    one = device.get(writer, f'd{random.randrange(8)}')
                    device.update(writer, one, health=random.choice(['ok', 'ok', 'ok', 'degraded']))

    def _boot(self, request: types.Request) -> None:
        found = self.pool.nova.candidates(groups(request))
        if not found:
            self.counts['refused'] += 1
            return
        instance = str(uuid.uuid4())
        try:
            identifier = self.pool.instance(request, found, instance)
        except errors.NoCandidates:
            self.counts['broken'] += 1
            return
        if identifier:
            self.instances[identifier] = instance
        self.counts['booted' if identifier else 'overtaken'] += 1

    def _delete(self, identifier: str, outage: bool) -> None:
        if outage:
            self.lost.append(self.instances[identifier])
        else:
            self.pool.nova.delete(self.instances[identifier])
        if random.random() < 0.05:
            self.leaked.append(identifier)
        else:
            self.pool.release(identifier)
            del self.instances[identifier]
