# SPDX-License-Identifier: Apache-2.0
"""Services of the infrastructure die and come back.

Meanwhile running sessions go on and every request ends in a right answer or a 503 that says when to come again;
afterwards everything works within 30 s, and nothing is lost, leaked or given to two.
"""

import collections
import contextlib
import pathlib
import subprocess
import time
from collections.abc import Callable, Iterator

from tests.integration import support
from tests.integration.support import accounts, fault
from tests.integration.support.arq import Instances
from tests.integration.support.client import Client
from tests.integration.support.sessions import Program, Session
from tools.integration import compute, databases, layout, pool

setUpModule = support.up


class Faults(support.Case):
    """Each test has sessions open before, and makes and releases allocations and instances meanwhile."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(accounts.connected())
        self.enterContext(_nova_rests())
        self.user = Client()
        fault.recovered(self, self.user)
        self.session = Session(self, self.user)
        self.used = self.session.allocation
        self.old = str(self.user.allocate()['id'])
        self.user.wait(self.old, 'active')
        self.made: list[str] = []
        self.instances = Instances(self)

    def _meanwhile(self, seconds: float, *others: int) -> dict[str, int]:
        """Do everything that users and Nova do, again and again; counts the answers.

        :param others: statuses that Nova may see when it binds, too
        """
        counts = collections.Counter[str]()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for method, path, body in (
                    ('POST', '/allocations', {'compute': 1, 'memory': 16}),
                    ('GET', f'/allocations/{self.used}', None),
                    ('GET', '/devices', None),
                    ('GET', f'/allocations/{self.used}/attachment', None),
                    ('DELETE', f'/allocations/{self.old}', None)):
                answer = fault.right_or_503(self, self.user, method, path, body)
                counts[f'{method} {"?" if answer is None else answer.status_code}'] += 1
                if answer is not None and method == 'POST' and answer.status_code == 202:
                    self.made.append(answer.json()['id'])
            counts.update(self.instances.step(*others))
            self.session.lives()
        return counts

    def _afterwards(self) -> None:
        """All that was asked for ends as it should, and everything agrees."""
        recovery = fault.Recovery()
        fault.recovered(self, self.user, recovery.left)
        self.session.lives()
        self.assertEqual('active', self.user.state(self.used))
        for identifier in self.made:
            self.user.wait(identifier, 'active', 'error', patience=recovery.left)
        answer = self.user.ask('DELETE', f'/allocations/{self.old}')
        self.assertIn(answer.status_code, {202, 204})
        self.user.wait(self.old, 'released', patience=recovery.left)
        self.instances.settled(recovery)
        accounts.compare(self, recovery.left)
        fault.healthy(self)
        self.session.close()
        self.instances.end()
        for identifier in (*self.made, self.used):
            self.user.release(identifier)
        for identifier in (*self.made, self.used):
            self.user.wait(identifier, 'released')
        accounts.compare(self)

    def test_message_bus_killed(self) -> None:
        api = support.service('accelpool')
        api.stop()
        api.start()  # its processes have asked nobody yet, and have to open what answers come on
        program = Program(self, self.user)
        with fault.killed(support.service('rabbitmq')):
            counts = self._meanwhile(10)
            fault.sick(self, 'the message bus takes no messages')
            program.goes_on()
        self.assertIn('GET 200', counts)
        self.assertIn('ARQ PATCH 202', counts)
        self._afterwards()
        program.end()

    def test_database_killed(self) -> None:
        with fault.killed(support.service(layout.SERVER)):
            counts = self._meanwhile(10)
            fault.sick(self, 'the database does not answer')
        self.assertIn('GET 503', counts)
        self.assertIn('ARQ POST 503', counts)
        self._afterwards()

    def test_database_that_fails_over(self) -> None:
        """All connections end; for a while, whoever answers takes no writes."""
        self.addCleanup(databases.take_writes)
        databases.refuse_writes()
        counts = self._meanwhile(10)
        self.assertIn('GET 200', counts)
        self.assertIn('POST 503', counts)
        self.assertIn('ARQ POST 503', counts)
        databases.take_writes()
        self._afterwards()

    def test_keystone_killed(self) -> None:
        with fault.killed(support.service('keystone')):
            self._meanwhile(5)
            stranger = Client('other', 'other')
            self.assertIsNone(fault.right_or_503(self, stranger, 'GET', '/allocations'))
            forged = self.user.ask('GET', '/allocations', authenticated=False,
                                   headers={'X-Auth-Token': f'gAAAA{time.time_ns()}'})
            self.assertIn(forged.status_code, {401, 503}, forged.text)
            if forged.status_code == 503:
                self.assertIn('Retry-After', forged.headers)
        self._afterwards()

    def test_both_schedulers_killed(self) -> None:
        with fault.killed(*(support.service(f'accelpool-scheduler{number}') for number in (1, 2))):
            counts = self._meanwhile(5)
        self.assertIn('POST 202', counts)
        self._afterwards()

    def test_conductors_killed(self) -> None:
        with fault.killed(*(support.service(f'accelpool-conductor-{host}') for host in layout.AGENTS)):
            self._meanwhile(5, 409)  # hosts that are silent count as down
        self._afterwards()

    def test_api_killed(self) -> None:
        with fault.killed(support.service('accelpool')):
            self.session.lives()
        self._afterwards()


@contextlib.contextmanager
def _nova_rests() -> Iterator[None]:
    """In an environment with Nova, the comparison would give back what instances have that it does not know."""
    with contextlib.ExitStack() as stack:
        if compute.NOVA.pid is not None:
            compute.NOVA.stop()
            stack.callback(compute.NOVA.start)
        yield


class DiskFull(support.Case):
    """The disk on which a host keeps its state is full."""

    HOST = 'compute1'

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(accounts.connected())
        self.user = Client()
        self.state = pool.state(self.HOST)
        self._services = [support.service(f'accelpool-{part}-{self.HOST}') for part in ('agent', 'conductor')]
        self._on(lambda: subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'accelpool', self.state], check=True))
        self.addCleanup(self._on, lambda: subprocess.run(['umount', self.state], check=True))

    def _on(self, change: Callable[[], object]) -> None:
        for service in self._services:
            service.stop()
        change()
        for service in self._services:
            service.start()

    def _fill(self) -> pathlib.Path:
        ballast = self.state / 'ballast'
        with contextlib.suppress(OSError), ballast.open('wb', buffering=0) as file:
            while True:
                file.write(bytes(4096))
        return ballast

    def _ask(self) -> str:
        return str(self.user.allocate(locality='host', consumer_host=self.HOST)['id'])

    def test_allocations_fail_with_the_reason_and_work_again_when_there_is_room(self) -> None:
        kept = self._ask()
        self.user.wait(kept, 'active')
        given = self._ask()
        self.user.wait(given, 'active')
        session = Session(self, self.user, locality='host', consumer_host=self.HOST)
        ballast = self._fill()
        failed = self.user.wait(self._ask(), 'error')
        self.assertIn('No space left on device', failed['reason'])
        self.user.wait(self.user.allocate(locality='remote', consumer_host=self.HOST)['id'], 'active')
        self.user.release(given)
        self.assertEqual(200, self.user.ask('GET', f'/allocations/{kept}/attachment').status_code)
        session.lives()
        ballast.unlink()
        recovery = fault.Recovery()
        self.user.wait(given, 'released', patience=recovery.left)
        self.user.wait(self._ask(), 'active', patience=recovery.left)
        self.assertEqual('active', self.user.state(kept))
        accounts.compare(self, recovery.left)
        session.lives()
