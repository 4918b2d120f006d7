# SPDX-License-Identifier: Apache-2.0
"""Clocks that differ by five minutes, and services of two releases."""

import datetime
import pathlib
import time
from typing import Any

from accelpool.rpc import transport
from tests.integration import support
from tests.integration.support import accounts, fault, former
from tests.integration.support.client import Client
from tests.integration.support.sessions import Program, Session
from tests.support.agent import admit
from tools.integration import layout, pool, process

#: The library that tells a program another time; Debian's package faketime.
LIBRARY = next(pathlib.Path('/usr/lib').glob('*/faketime/libfaketimeMT.so.1'), None)

setUpModule = support.up


def elsewhen(seconds: int) -> dict[str, str]:
    """Return the environment of a machine whose clock is ahead by so much, or behind."""
    assert LIBRARY is not None, 'the package faketime is needed (tools/integration/up.sh installs it)'
    return {'LD_PRELOAD': str(LIBRARY), 'FAKETIME': f'{seconds:+d}s', 'FAKETIME_DONT_FAKE_MONOTONIC': '1'}


class Clocks(support.Case):
    """The conductor of one host is five minutes behind, that of the other ahead; so are schedulers, API and consumer."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(accounts.connected())
        for name, seconds in (
                ('accelpool-conductor-compute1', -300), ('accelpool-conductor-compute2', 300),
                ('accelpool-agent-compute1', -300), ('accelpool-agent-compute2', 300),
                ('accelpool-scheduler1', -300), ('accelpool-scheduler2', 300), ('accelpool', 300)):
            self.instead(name, env=support.service(name).env | elsewhen(seconds))

    def test_all_hosts_are_up_and_nothing_expires_early(self) -> None:
        user = Client()
        fault.recovered(self, user)
        made = [user.allocate(ttl=60, compute=60)['id'] for _ in range(4)]  # one on each device
        for identifier in made:
            found = user.wait(identifier, 'active')
            left = datetime.datetime.fromisoformat(found['expires_at']) - datetime.datetime.now(datetime.UTC)
            self.assertTrue(0 < left.total_seconds() <= 61, left)
        hosts = {user.get(f'/allocations/{identifier}')['slices'][0]['host'] for identifier in made}
        self.assertEqual({'compute1', 'compute2'}, hosts)
        session = Session(self, user)
        programs = [Program(self, user, elsewhen(seconds)) for seconds in (-300, 300)]
        time.sleep(15)  # long enough for every reconciler to look twice
        for identifier in made:
            self.assertEqual('active', user.state(identifier))
        session.lives()
        for program in programs:
            program.end()
        services = Client('admin', 'admin').get('/services')['services']
        self.assertEqual([], [one for one in services if one.get('state', 'up') != 'up'])
        accounts.compare(self)
        for identifier in made:
            user.release(identifier)
        for identifier in made:
            user.wait(identifier, 'released')
        session.lives()
        accounts.compare(self)


#: Asks a conductor for what version 1.1 of the messages brought, as a service with this configuration does.
ROUTE = """
import sys
from accelpool import conf, errors
from accelpool.rpc import client
conf.setup(sys.argv[2:], 'accelpool-test')
try:
    print(client.ConductorClient(sys.argv[1]).route('a', [{'url': 'tcp://127.0.0.1:1', 'network': 'n'}]))
except errors.ServiceUnavailable as failure:
    print(failure.status, failure.detail)
"""


class Releases(support.Case):
    """Services of this release beside services that know, or are told to use, the former messages only."""

    FORMER = '1.0'

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(accounts.connected())
        self.assertEqual(transport.VERSION, max(former.BROUGHT, key=former.number))
        self.user = Client()

    def older(self, name: str) -> None:
        """Run a service of the former release."""
        python, _, module, *arguments = support.service(name).command
        self.instead(name, command=[
            python, '-m', 'tests.integration.support.former', self.FORMER, str(module).rpartition('.')[2], *arguments])

    def capped(self, name: str) -> None:
        """Run a service that shall send no newer messages."""
        self.configured(name, f'[rpc]\nversion_cap = {self.FORMER}\n')

    def assert_everything_works(self) -> None:
        """Every operation that crosses the bus, for a consumer on either host, with a device of either."""
        for host in layout.AGENTS:
            for locality in ('host', 'remote'):
                with self.subTest(host=host, locality=locality):
                    self.whole_life(host, locality)
        accounts.compare(self)

    def whole_life(self, host: str, locality: str) -> None:
        asked = {'compute': 10, 'memory': 64, 'locality': locality, 'consumer_host': host}
        tried = self.right('POST', '/candidates', asked)
        self.assertTrue(tried['candidates'], tried)
        made = self.right('POST', '/allocations', asked)
        active = self.user.wait(made['id'], 'active')
        self.assertEqual(locality == 'host', active['slices'][0]['host'] == host)
        path = f'/allocations/{made["id"]}'
        attachment = self.right('GET', f'{path}/attachment')
        self.assertTrue(attachment['holder'])
        (device,) = attachment['devices']
        # the way through the consumer's own agent is there where that is of this release, and never the only one
        direct = [way for way in device['urls'] if 'via' not in way and way['url'].startswith('tcp:')]
        with admit(direct[0]['url'], device['credential']):
            (used,) = self.right('GET', f'{path}/usage')['slices']
            self.assertEqual(1, used['usage']['sessions'])
        self.right('DELETE', path)
        self.user.wait(made['id'], 'released')

    def right(self, method: str, path: str, body: Any = None) -> Any:
        """Ask what must work; the answer comes soon."""
        begun = time.monotonic()
        answer = self.user.ask(method, path, body)
        self.assertLess(answer.status_code, 300, f'{method} {path}: {answer.text}')
        self.assertLess(time.monotonic() - begun, fault.LONGEST)
        return answer.json() if answer.content else None

    def route(self, host: str) -> str:
        """Return what a service hears that asks a conductor for something of version 1.1."""
        return process.run(layout.OURS / 'bin/python', '-c', ROUTE, host, '--config-file', pool.CONFIG,
                           log='skew', env={'PYTHONPATH': str(layout.ROOT)})

    def test_a_conductor_of_the_former_release(self) -> None:
        self.older('accelpool-conductor-compute1')
        self.assert_everything_works()
        versions = {one['host']: one['version'] for one in Client('admin', 'admin').get('/services')['services']
                    if one['binary'] == 'accelpool-conductor'}
        self.assertEqual({'compute1': self.FORMER, 'compute2': transport.VERSION}, versions)
        self.assertIn('503 accelpool.conductor on compute1 is of an older release, which cannot route',
                      self.route('compute1'))
        self.assertIn("'via'", self.route('compute2'))

    def test_schedulers_of_the_former_release(self) -> None:
        for name in pool.SCHEDULERS:
            self.older(f'accelpool-{name}')
        self.assert_everything_works()

    def test_services_that_are_told_to_send_former_messages(self) -> None:
        for name in ('accelpool', *(f'accelpool-{name}' for name in pool.SCHEDULERS), 'accelpool-conductor-compute2'):
            self.capped(name)
        self.older('accelpool-conductor-compute1')
        self.assert_everything_works()
