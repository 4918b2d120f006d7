# SPDX-License-Identifier: Apache-2.0
"""Services of the infrastructure die and come back.

Meanwhile running sessions go on and every request ends in a right answer or a 503 that says when to come again;
afterwards everything works within 30 s, and nothing is lost, leaked or given to two.
"""

import contextlib
import pathlib
import socket
import subprocess
import time
import unittest
from collections.abc import Callable

from tests.integration import support
from tests.integration.support import accounts, fault
from tests.integration.support.client import Client
from tests.support.agent import admit
from tools.integration import databases, layout, pool, process

setUpModule = support.up


class Faults(support.Case):
    """Each test has an allocation in use before, and makes and releases others meanwhile."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(accounts.connected())
        self.user = Client()
        fault.recovered(self, self.user)
        self.used = self._active()
        (device,) = self.user.get(f'/allocations/{self.used}/attachment')['devices']
        self.session = admit(device['urls'][0]['url'], device['credential'])
        self.addCleanup(self.session.close)
        self.old = self._active()
        self.made: list[str] = []

    def _active(self) -> str:
        made = self.user.allocate()
        self.user.wait(made['id'], 'active')
        return str(made['id'])

    def _meanwhile(self, seconds: float) -> dict[str, int]:
        """Do everything that users do, again and again; counts the answers."""
        counts: dict[str, int] = {}
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for method, path, body in (
                    ('POST', '/allocations', {'compute': 1, 'memory': 16}),
                    ('GET', f'/allocations/{self.used}', None),
                    ('GET', '/devices', None),
                    ('GET', f'/allocations/{self.used}/attachment', None),
                    ('DELETE', f'/allocations/{self.old}', None)):
                answer = fault.right_or_503(self, self.user, method, path, body)
                name = f'{method} {"?" if answer is None else answer.status_code}'
                counts[name] = counts.get(name, 0) + 1
                if answer is not None and method == 'POST' and answer.status_code == 202:
                    self.made.append(answer.json()['id'])
            self._session_lives()
        return counts

    def _session_lives(self) -> None:
        """The agent has not closed it: there is nothing to read, and it is open."""
        self.session.setblocking(False)
        try:
            self.assertNotEqual(b'', self.session.recv(1, socket.MSG_PEEK), 'the session was ended')
        except BlockingIOError:
            pass
        finally:
            self.session.setblocking(True)

    def _afterwards(self) -> None:
        """All that was asked for ends as it should, and everything agrees."""
        fault.recovered(self, self.user)
        self._session_lives()
        self.assertEqual('active', self.user.state(self.used))
        for identifier in self.made:
            self.user.wait(identifier, 'active', 'error', patience=fault.RECOVERY)
        answer = self.user.ask('DELETE', f'/allocations/{self.old}')
        self.assertIn(answer.status_code, {202, 204})
        self.user.wait(self.old, 'released')
        accounts.compare(self)
        self.session.close()
        for identifier in (*self.made, self.used):
            self.user.release(identifier)
        for identifier in (*self.made, self.used):
            self.user.wait(identifier, 'released')
        accounts.compare(self)

    def test_message_bus_killed(self) -> None:
        api = support.service('accelpool')
        api.stop()
        api.start()  # its processes have asked nobody yet, and have to open what answers come on
        with fault.killed(support.service('rabbitmq')):
            counts = self._meanwhile(10)
        self.assertIn('GET 200', counts)
        self._afterwards()

    def test_database_killed(self) -> None:
        with fault.killed(support.service(layout.SERVER)):
            counts = self._meanwhile(10)
        self.assertIn('GET 503', counts)
        self._afterwards()

    @unittest.skipUnless(layout.SERVER == 'mariadb', 'as MariaDB does it')
    def test_database_that_fails_over(self) -> None:
        """All connections end; for a while, whoever answers takes no writes."""
        self.addCleanup(databases.as_root, 'SET GLOBAL read_only = 0;')
        databases.as_root('SET GLOBAL read_only = 1;')
        for connection in databases.as_root(
                "SELECT id FROM information_schema.processlist WHERE user = 'openstack';").split():
            with contextlib.suppress(process.Failed):  # it has ended by itself
                databases.as_root(f'KILL {connection};')
        counts = self._meanwhile(10)
        self.assertIn('GET 200', counts)
        self.assertIn('POST 503', counts)
        databases.as_root('SET GLOBAL read_only = 0;')
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
            self._meanwhile(5)
        self._afterwards()

    def test_api_killed(self) -> None:
        with fault.killed(support.service('accelpool')):
            self._session_lives()
        self._afterwards()


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
        ballast = self._fill()
        failed = self.user.wait(self._ask(), 'error')
        self.assertIn('No space left on device', failed['reason'])
        self.user.wait(self.user.allocate(locality='remote', consumer_host=self.HOST)['id'], 'active')
        self.user.release(given)
        self.assertEqual(200, self.user.ask('GET', f'/allocations/{kept}/attachment').status_code)
        ballast.unlink()
        self.user.wait(given, 'released', patience=fault.RECOVERY)
        self.user.wait(self._ask(), 'active', patience=fault.RECOVERY)
        self.assertEqual('active', self.user.state(kept))
        accounts.compare(self)
