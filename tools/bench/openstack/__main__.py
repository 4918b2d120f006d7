# SPDX-License-Identifier: Apache-2.0
"""Prints the table: ``python -m tools.bench.openstack [--quick]``, after ``tools/integration/up.sh cyborg``.

Neither side sends notifications or shows metrics; ours uses the database driver that the deployment guide advises.
"""

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator

import sqlalchemy as sa
from keystoneauth1 import adapter, session
from keystoneauth1.identity import v3

from accelpool.placement import names
from tools.bench.openstack import floor, measure, rows
from tools.bench.openstack.client import Client
from tools.integration import cyborg, layout, pool
from tools.integration.process import Service, listens

#: Takes the events that a bind sends to Nova; it listens where the catalogue says that Nova is.
EVENTS = Service('nova-events', [sys.executable, '-m', 'tools.bench.openstack.events', str(layout.port('nova'))],
                 ready=lambda: listens(layout.port('nova')), env={'PYTHONPATH': str(layout.ROOT)})


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the two services."""

    name: str
    base: str
    host: str
    profile: str
    groups: tuple[dict[str, str], ...]
    #: Which of Placement's providers its profile draws from.
    provider: str
    services: tuple[Service, ...]
    database: str


OURS = Side(
    'accelpool', layout.url('accelpool', '/v2'), layout.COMPUTES[0], 'bench',
    ({'resources:CUSTOM_ACCELPOOL_COMPUTE': '1', 'resources:CUSTOM_ACCELPOOL_MEMORY_MIB': '1'},),
    'required=CUSTOM_OWNER_ACCELPOOL,MISC_SHARES_VIA_AGGREGATE',
    # As many as Cyborg has here: one of each, and one host's.
    (pool.API, pool.SCHEDULER[pool.SCHEDULERS[0]], pool.CONDUCTOR[layout.COMPUTES[0]], pool.AGENT[layout.COMPUTES[0]]),
    layout.database('accelpool'))
#: A part that the hardware keeps apart: carved, then told to Nova.
PARTITION = ({'accel:isolation': 'partition', 'accel:model': 'gpu-mdev', 'accel:template': 'emulated-quarter',
              'accel:locality': 'host'},)
THEIRS = Side(
    'Cyborg 17', layout.url('cyborg', '/v2'), cyborg.HOST, 'bench',
    ({'resources:FPGA': '1', 'trait:CUSTOM_FAKE_DEVICE': 'required'},),
    'resources=FPGA:1', cyborg.SERVICES, layout.database('cyborg'))


@dataclasses.dataclass
class Row:
    """One line: a larger ratio is better for us."""

    what: str
    theirs: float
    ours: float
    unit: str
    target: float
    more_is_better: bool = False

    def __str__(self) -> str:
        ratio = self.ours / self.theirs if self.more_is_better else self.theirs / self.ours
        verdict = 'met' if ratio >= self.target else 'MISSED'
        return (f'{self.what:52} {self.theirs:9.1f} {self.ours:9.1f} {self.unit:8} {ratio:6.1f}x '
                f'(target {self.target:g}x: {verdict})')


def providers() -> dict[str, str]:
    """Return the provider of each side's profile."""
    placement = adapter.Adapter(session.Session(v3.Password(
        layout.url('keystone', '/v3'), username='admin', password=layout.PASSWORD, project_name='admin',
        user_domain_id='default', project_domain_id='default')), service_type='placement',
        default_microversion='1.36', endpoint_override=layout.url('placement'))
    found = {}
    for side in (OURS, THEIRS):
        matching = placement.get(f'/resource_providers?{side.provider}').json()['resource_providers']
        if not matching:
            raise SystemExit(f'Placement has no provider of {side.name}')
        found[side.name] = matching[0]['uuid']
    return found


def partitioned() -> str:
    """Return the provider of the device on our host that can be partitioned."""
    with sa.create_engine(OURS.database).connect() as connection:
        return names.local_provider(connection.scalar(sa.text(
            "SELECT devices.id FROM devices JOIN hosts ON hosts.id = devices.host_id "
            "WHERE devices.model = 'gpu-mdev' AND hosts.name = :host"), {'host': OURS.host}))


def table(rounds: int) -> Iterator[Row]:
    where = providers()
    clients = {side.name: Client(side.base) for side in (OURS, THEIRS)}
    for side in (OURS, THEIRS):
        clients[side.name].ensure_profile(side.profile, list(side.groups))

    def both(look: Callable[[Side], float]) -> tuple[float, float]:
        return look(THEIRS), look(OURS)

    def memory(when: str) -> Row:
        return Row(f'memory of all services, idle, {when}', *both(lambda side: measure.memory(side.services)), 'MiB', 2)

    yield memory('just started')
    latency = both(lambda side: 1e3 * measure.bound(
        clients[side.name], side.profile, side.host, where[side.name], rounds))
    yield Row('create..Bound, shared slice, p50', *latency, 'ms', 8)
    print(f'{"  (the floor: one call over a quorum queue, p50":52} {1e3 * floor.call(rounds):19.1f} ms)')
    ours = clients[OURS.name]
    ours.ensure_profile('bench-partition', list(PARTITION))
    yield Row('create..Bound, partition, p50', latency[0], 1e3 * measure.bound(
        ours, 'bench-partition', OURS.host, partitioned(), rounds), 'ms', 4)
    theirs, plain = both(lambda side: measure.cycles(
        side.base, side.profile, side.host, where[side.name], rounds))
    yield Row('full cycles, 8 clients', theirs, plain, 'a second', 10, more_is_better=True)
    yield Row('full cycles, 8 clients, ours until it is carved', theirs, measure.cycles(
        OURS.base, OURS.profile, OURS.host, where[OURS.name], rounds, carved=True), 'a second', 1, more_is_better=True)
    yield memory('after work')
    for count in (100, 10_000):
        for side in (OURS, THEIRS):
            rows.fill(side.database, 'profiles' if side is OURS else 'device_profiles', count, {
                'name': lambda number: f'filled-{number}', 'id' if side is OURS else 'uuid': rows.new_uuid})
            rows.fill(side.database, 'devices', count, {'id' if side is OURS else 'uuid': rows.new_uuid})
        for noun in ('device_profiles', 'devices'):
            yield Row(f'{noun}, {count} rows, first page', *both(lambda side, noun=noun: 1e3 * measure.listing(
                clients[side.name], f'/{noun}?limit=100' if side is OURS else f'/{noun}')), 'ms', 3)


@contextlib.contextmanager
def deployed() -> Iterator[None]:
    """Start both sides anew, ours as in a deployment, without what tests want to see; afterwards it is as it was."""
    for service in THEIRS.services:
        service.stop()
        service.start()
    ours = (*OURS.services[1:], OURS.services[0])  # what serves the agent's host waits for the agent
    for tested in (False, True):
        for service in ours:
            service.stop()
        pool.configure(tested=tested)
        for service in reversed(ours):
            service.start(wait=False)
        for service in ours:
            service.wait_ready()
        if not tested:
            yield


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m tools.bench.openstack')
    parser.add_argument('--quick', action='store_true', help='fewer rounds')
    options = parser.parse_args()
    print(f'{"":52} {"Cyborg 17":>9} {"accelpool":>9}')
    with contextlib.ExitStack() as stack:
        EVENTS.start()
        stack.callback(EVENTS.stop)
        stack.enter_context(deployed())
        for row in table(24 if options.quick else 96):
            print(row, flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
