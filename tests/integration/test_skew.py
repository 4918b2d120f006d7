# SPDX-License-Identifier: Apache-2.0
"""Clocks that differ by five minutes, and services of two releases."""

import dataclasses
import datetime
import pathlib
import time

from tests.integration import support
from tests.integration.support import accounts, fault
from tests.integration.support.client import Client
from tests.support.agent import admit
from tools.integration.process import Service

#: The library that tells a program another time; Debian's package faketime.
LIBRARY = next(pathlib.Path('/usr/lib').glob('*/faketime/libfaketimeMT.so.1'), None)

setUpModule = support.up


def elsewhen(service: Service, seconds: int) -> Service:
    """Return the service as it runs on a machine whose clock is ahead by so much, or behind."""
    assert LIBRARY is not None, 'the package faketime is needed (tools/integration/up.sh installs it)'
    return dataclasses.replace(service, env={
        **service.env, 'LD_PRELOAD': str(LIBRARY), 'FAKETIME': f'{seconds:+d}s', 'FAKETIME_DONT_FAKE_MONOTONIC': '1'})


class Clocks(support.Case):
    """The conductor of one host is five minutes behind, that of the other ahead; so are the schedulers."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(accounts.connected())
        for name, seconds in (
                ('accelpool-conductor-compute1', -300), ('accelpool-conductor-compute2', 300),
                ('accelpool-agent-compute1', -300), ('accelpool-agent-compute2', 300),
                ('accelpool-scheduler1', -300), ('accelpool-scheduler2', 300)):
            service = support.service(name)
            service.stop()
            self.addCleanup(service.stop)
            elsewhen(service, seconds).start()

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
        (device,) = user.get(f'/allocations/{made[0]}/attachment')['devices']
        with admit(device['urls'][0]['url'], device['credential']):
            time.sleep(15)  # long enough for every reconciler to look twice
            for identifier in made:
                self.assertEqual('active', user.state(identifier))
        services = Client('admin', 'admin').get('/services')['services']
        self.assertEqual([], [one for one in services if one.get('state', 'up') != 'up'])
        accounts.compare(self)
        for identifier in made:
            user.release(identifier)
        for identifier in made:
            user.wait(identifier, 'released')
        accounts.compare(self)
