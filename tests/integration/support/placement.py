# SPDX-License-Identifier: Apache-2.0
"""What Nova does in Placement, and a pool beside a real Placement: database, scheduler and its loop, no conductors."""

import random
import time
import unittest
import urllib.parse
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keystoneauth1 import adapter
from oslo_config import cfg

from accelpool import errors, types
from accelpool.db import allocation, arq, models, service, session
from accelpool.placement import names
from accelpool.placement.client import MICROVERSION, Client
from accelpool.placement.difference import Found
from accelpool.placement.groups import groups
from accelpool.placement.providers import Amounts
from accelpool.placement.sync import Sync
from accelpool.scheduler.service import SchedulerService
from tests.integration.support import fault
from tests.integration.support.client import keystone
from tests.integration.support.contender import PATIENCE, Nobody, bind, release, without_conductors
from tests.support import database
from tools.integration import compute, databases, identity, layout, pool, tasks

#: Trait of compute hosts that are not Nova's.
MARK = 'CUSTOM_OF_A_TEST'
#: Seconds that requests to a Placement which is not there may take.
TIMEOUT = 5


def up() -> None:
    """Bring up Placement."""
    layout.make()
    tasks.run({'mariadb': (databases.mariadb, ()), 'keystone': (identity.keystone, ('mariadb',)),
               'placement': (compute.placement, ('mariadb',))}, quiet=True)


def alone() -> None:
    """Bring up Placement; schedulers of a deployed accelpool would not agree with the tests' own: they rest."""
    up()
    for scheduler in pool.SCHEDULER.values():
        if scheduler.pid is not None:
            scheduler.stop()
            unittest.addModuleCleanup(scheduler.start)


def client() -> Client:
    """Return the client of a service user."""
    return Client(_adapter())


def _adapter() -> adapter.Adapter:
    return adapter.Adapter(
        keystone('accelpool', 'service'), service_type='placement', interface='public', region_name=layout.REGION,
        default_microversion=MICROVERSION, connect_retries=0, status_code_retries=0)


def ours(client: Client) -> dict[str, Found]:
    """Return all of our providers as Placement has them."""
    found = {identifier: client.read(identifier) for identifier in client.ours()}
    return {identifier: one for identifier, one in found.items() if one is not None}


def disagreements(client: Client) -> list[str]:
    """Compare Placement's accounts with the database's, instance by instance and in sum; returns what differs.

    An instance that has a whole device or a partition may have more than it has asked for: what is free in sum shows
    whether Placement knows.
    """
    mine: dict[str, Amounts] = {}
    free = Amounts()
    with session.reader() as reader:
        for one in reader.query(models.Allocation).filter_by(consumer_type='instance').where(
                models.Allocation.slices.any()):
            (group,) = groups(types.Request.from_dict(one.request))
            asked = Amounts(*(int(group.get(f'resources:{name}', 0)) for name in (names.COMPUTE, names.MEMORY)))
            mine[one.consumer_id] = mine.get(one.consumer_id, Amounts()).plus(asked)
        for one in reader.query(models.Device).filter_by(enabled=True, health='ok'):
            free = free.plus(Amounts(one.free_compute, one.free_memory))
    theirs: dict[str, Amounts] = {}
    left = [0, 0]
    for found in ours(client).values():
        for consumer, amounts in found.allocations.items():
            theirs[consumer] = theirs.get(consumer, Amounts()).plus(amounts)
        for kind, name in enumerate((names.COMPUTE, names.MEMORY)):
            offered = found.inventories[name]
            taken = sum(amounts[kind] for amounts in found.allocations.values())
            left[kind] += offered['total'] - offered['reserved'] - taken
    differing = [f'{consumer}: {theirs.get(consumer)} in Placement, {mine.get(consumer)} here'
                 for consumer in sorted(theirs.keys() | mine.keys()) if theirs.get(consumer) != mine.get(consumer)]
    return differing + ([] if tuple(left) == free else [f'free: {left} in Placement, {free} here'])


def sweep() -> None:
    """Delete all of our providers and the compute hosts of tests, with the claims on them."""
    nova = Nova()
    nova.ask('PUT', f'/traits/{MARK}')
    nova.remove(ours(client()))
    nova.remove(one['uuid'] for one in nova.ask('GET', f'/resource_providers?required={MARK}')['resource_providers'])


def agree(case: unittest.TestCase, patience: float = fault.RECOVERY) -> None:
    """Wait until Placement's accounts are those of the database that this process is connected to."""
    deadline = time.monotonic() + patience
    differing = ['not compared']
    while differing and time.monotonic() < deadline:
        try:
            differing = disagreements(client())
        except errors.ServiceUnavailable as error:
            differing = [error.detail]
        time.sleep(0.3)
    case.assertEqual([], differing)


class Nova:
    """Compute providers, and claims on behalf of instances."""

    def __init__(self, *computes: str) -> None:
        self._adapter = _adapter()
        self.computes = {name: str(uuid.uuid4()) for name in computes}
        for name, identifier in self.computes.items():
            self.ask('POST', '/resource_providers', {'name': name, 'uuid': identifier})
            self.ask('PUT', f'/resource_providers/{identifier}/traits', {
                'resource_provider_generation': 0, 'traits': [names.COMPUTE_NODE, MARK]})
            self.ask('PUT', f'/resource_providers/{identifier}/inventories', {
                'resource_provider_generation': 1, 'inventories': {'VCPU': {'total': 10_000}}})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask what must succeed."""
        answer = self._adapter.request(
            path, method, raise_exc=False, timeout=TIMEOUT, **({} if body is None else {'json': body}))
        assert answer.status_code < 400, answer.text
        return answer.json() if answer.content else {}

    def candidates(self, wanted: Sequence[Mapping[str, str]], limit: int = 100) -> list[dict[str, Any]]:
        """Return the answers to a flavor of one VCPU with the groups of a device profile."""
        query = {'resources': 'VCPU:1', 'group_policy': 'none', 'limit': str(limit)}
        for number, group in enumerate(wanted):
            query[f'resources_dp{number}'] = ','.join(
                f'{key.partition(":")[2]}:{value}' for key, value in group.items() if key.startswith('resources:'))
            traits = [('!' if value == 'forbidden' else '') + key.partition(':')[2]
                      for key, value in group.items() if key.startswith('trait:')]
            if traits:
                query[f'required_dp{number}'] = ','.join(traits)
        found = self.ask('GET', f'/allocation_candidates?{urllib.parse.urlencode(query)}')
        # Others may have compute hosts of their own in this Placement.
        ours = set(self.computes.values())
        return [one for one in found['allocation_requests'] if not ours.isdisjoint(one['allocations'])]

    def claim(self, instance: str, candidate: dict[str, Any]) -> bool:
        """Claim a candidate; False: somebody else was faster."""
        answer = self._adapter.request(f'/allocations/{instance}', 'PUT', raise_exc=False, timeout=TIMEOUT, json={
            'allocations': candidate['allocations'], 'mappings': candidate['mappings'],
            'consumer_generation': None, 'project_id': 'p', 'user_id': 'u'})
        assert answer.status_code in {204, 409}, answer.text
        return bool(answer.status_code == 204)

    def remove(self, providers: Iterable[str]) -> None:
        """Delete providers with their consumers' claims."""
        for identifier in list(providers):
            for consumer in self.ask('GET', f'/resource_providers/{identifier}/allocations')['allocations']:
                self.delete(consumer)
            self.ask('DELETE', f'/resource_providers/{identifier}')

    def delete(self, instance: str) -> bool:
        """Give an instance's claim back, if it has one; returns whether it had."""
        answer = self._adapter.request(f'/allocations/{instance}', 'DELETE', raise_exc=False, timeout=TIMEOUT)
        assert answer.status_code in {204, 404}, answer.text
        return bool(answer.status_code == 204)


def hypervisors() -> Nova:
    """Tell Placement of the hosts, as Nova does where it runs: devices for local use belong to them; returns who boots
    there."""
    sweep()
    there = {one['name']: one['uuid'] for one in Nova().ask('GET', '/resource_providers')['resource_providers']
             if one['name'] in layout.COMPUTES}
    nova = Nova(*(set(layout.COMPUTES) - there.keys()))
    nova.computes |= there
    return nova


class Pool:
    """Devices in an empty database, a scheduler that claims them, and Nova's users."""

    def __init__(self, case: unittest.TestCase, *computes: str) -> None:
        case.addCleanup(cfg.CONF.reset)
        case.enterContext(without_conductors())
        cfg.CONF.set_override('auth_type', 'password', 'placement')  # a binding is for the provider that Nova names
        database.use(case)
        case.addCleanup(self._clear)
        sweep()
        self.nova = Nova(*computes)
        self.scheduler = SchedulerService(Nobody, down_after=PATIENCE)
        self.client = client()
        self.hear_of('scheduler1')
        self.sync = self.another()

    def another(self, name: str = 'scheduler1', local_pools: Sequence[str] = ()) -> Sync:
        """Return the loop of a scheduler that has just been started."""
        return Sync(client(), name, PATIENCE, local_pools)

    def hear_of(self, name: str) -> None:
        with session.writer() as writer:
            service.heard_of(writer, 'accelpool-scheduler', name)

    def instance(self, request: types.Request, candidates: Sequence[dict[str, Any]], name: str | None = None) -> str:
        """Boot an instance on one of the candidates, as Nova does; returns our allocation, '': somebody was faster.

        :raises NoCandidates: we cannot keep what Placement has promised; Nova has given its claim back
        """
        name = name or str(uuid.uuid4())
        candidate = random.choice(candidates)
        if not self.nova.claim(name, candidate):
            return ''
        (provider,) = candidate['mappings']['_dp0']
        node = next(node for node, uuid in self.nova.computes.items() if uuid in candidate['allocations'])
        try:
            bind(request, name, node, provider)
        except errors.NoCandidates:
            self.nova.delete(name)
            raise
        with session.reader() as reader:
            (one,) = arq.of_instance(reader, name)
        return str(one.allocation_id)

    def process(self, request: types.Request) -> str:
        """Allocate for a consumer that Placement does not know."""
        identifier = database.add_allocation(request)
        self.scheduler.schedule(identifier)
        return identifier

    def release(self, identifier: str) -> None:
        release(identifier)

    def provider_of(self, identifier: str) -> Found:
        """Return what Placement has of the provider of an allocation's device."""
        with session.reader() as reader:
            request = allocation.get(reader, identifier).request
        found = self.client.read(request['provider'])
        assert found is not None
        return found

    def ours(self) -> dict[str, Found]:
        return ours(self.client)

    def disagreements(self) -> list[str]:
        return disagreements(self.client)

    def _clear(self) -> None:
        """Leave Placement as it was."""
        compute.PLACEMENT.start()
        sweep()
