# SPDX-License-Identifier: Apache-2.0
"""The message bus: messages twice and in any order, a bus that hangs or has no room, a cut link, TLS."""

import dataclasses
import os
import random
import signal
import time

import requests
from oslo_config import cfg

from accelpool import conf
from accelpool.rpc import client
from tests.integration import support
from tests.integration.support import accounts, fault, link
from tests.integration.support.client import Client
from tests.integration.support.sessions import Session
from tools.integration import bus, layout

#: Longer than any peer that has vanished goes unnoticed: twice the heartbeat of rpc/transport.py, and a bit.
UNNOTICED = 25

setUpModule = support.up


class Messages(support.Case):
    """What a service says to another may come twice, late, or after what was said later."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(accounts.connected())
        conf.register_all()
        cfg.CONF([], project='accelpool', default_config_files=[], default_config_dirs=[])
        client._bus.cache_clear()
        client.transport.get.cache_clear()
        client.oslo_messaging.TransportURL.parse(cfg.CONF)
        cfg.CONF.set_override('transport_url', layout.bus(bus.VHOST))
        self.addCleanup(cfg.CONF.clear_override, 'transport_url')
        self.user = Client()

    def test_repeated_and_reordered_messages_do_no_harm(self) -> None:
        kept, gone = [], []
        chance = random.Random(7)
        for number in range(12):
            made = self.user.allocate()['id']
            self._noise(chance, made)
            self.user.wait(made, 'active')
            if number % 2:
                self.user.release(made)
                self._noise(chance, made)
                gone.append(made)
            else:
                kept.append(made)
        for identifier in gone:
            self.user.wait(identifier, 'released')
            self._noise(chance, identifier)
        for identifier in kept:
            self._noise(chance, identifier)
        accounts.compare(self)
        self.assertEqual({'active'}, {self.user.state(identifier) for identifier in kept})
        self.assertEqual({'released'}, {self.user.state(identifier) for identifier in gone})
        for identifier in kept:
            self.user.release(identifier)
        for identifier in kept:
            self.user.wait(identifier, 'released')
        accounts.compare(self)

    def _noise(self, chance: random.Random, identifier: str) -> None:
        """Everything that services say of an allocation, each twice, in any order, to every host."""
        said = [client.SchedulerClient().schedule] * 2
        for host in layout.AGENTS:
            said += [client.ConductorClient(host).bind, client.ConductorClient(host).release] * 2
        chance.shuffle(said)
        for say in said:
            say(identifier)


class Outages(support.Case):
    """The bus is there, and does not answer, or takes nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(accounts.connected())
        self.user = Client()
        fault.recovered(self, self.user)
        self.session = Session(self, self.user)

    def test_bus_that_hangs(self) -> None:
        """Its connections stay open; nothing comes and nothing is taken."""
        rabbitmq = support.service('rabbitmq').pid
        assert rabbitmq is not None
        os.killpg(rabbitmq, signal.SIGSTOP)
        try:
            made = fault.right_or_503(self, self.user, 'POST', '/allocations', {'compute': 1, 'memory': 16})
            time.sleep(UNNOTICED)
            again = fault.right_or_503(self, self.user, 'POST', '/allocations', {'compute': 1, 'memory': 16})
        finally:
            os.killpg(rabbitmq, signal.SIGCONT)
        self._afterwards(made, again)

    def test_bus_whose_disk_is_full(self) -> None:
        """RabbitMQ takes nothing from anybody who publishes, until there is room."""
        self.addCleanup(bus.ctl, 'set_disk_free_limit', '50MB')
        bus.ctl('set_disk_free_limit', '1000000GB')
        made = [fault.right_or_503(self, self.user, 'POST', '/allocations', {'compute': 1, 'memory': 16})
                for _ in range(3)]
        self.session.lives()
        fault.sick(self, 'the message bus takes no messages')
        time.sleep(UNNOTICED)
        made.append(fault.right_or_503(self, self.user, 'POST', '/allocations', {'compute': 1, 'memory': 16}))
        attachment = fault.right_or_503(self, self.user, 'GET', f'/allocations/{self.session.allocation}/attachment')
        self.assertEqual(503, None if attachment is None else attachment.status_code)
        bus.ctl('set_disk_free_limit', '50MB')
        self._afterwards(*made)

    def _afterwards(self, *made: requests.Response | None) -> None:
        """What was asked for comes, and everything agrees.

        :param made: answers to requests for allocations
        """
        recovery = fault.Recovery()
        fault.recovered(self, self.user, recovery.left)
        for answer in made:
            if answer is not None and answer.status_code == 202:
                self.user.wait(answer.json()['id'], 'active', patience=recovery.left)
        accounts.compare(self, recovery.left)
        self.session.lives()
        fault.healthy(self)

    def test_conductor_cut_from_bus_and_database(self) -> None:
        host = 'compute1'
        with link.apart(support.service(f'accelpool-conductor-{host}')) as way:
            fault.recovered(self, self.user)
            before = [self.user.allocate()['id'] for _ in range(6)]
            for identifier in before:
                self.user.wait(identifier, 'active')
            hosts = {self.user.get(f'/allocations/{one}')['slices'][0]['host']: one for one in before}
            way.cut()
            during = [self.user.allocate()['id'] for _ in range(4)]
            for one in hosts.values():
                fault.right_or_503(self, self.user, 'GET', f'/allocations/{one}/attachment')
            released = before.pop()
            self.user.release(released)
            time.sleep(UNNOTICED)
            way.mend()
            recovery = fault.Recovery()
            fault.recovered(self, self.user, recovery.left)
            for identifier in during:
                self.user.wait(identifier, 'active', patience=recovery.left)
            self.user.wait(released, 'released', patience=recovery.left)
            for identifier in before:
                self.assertEqual('active', self.user.state(identifier))
                self.assertEqual(200, self.user.ask('GET', f'/allocations/{identifier}/attachment').status_code)
            accounts.compare(self, recovery.left)
            self.session.lives()
            for identifier in (*before, *during):
                self.user.release(identifier)
            for identifier in (*before, *during):
                self.user.wait(identifier, 'released')
        accounts.compare(self)


class Tls(support.Case):
    """``transport_url`` to the TLS port, ``[oslo_messaging_rabbit] ssl`` and the authority: all that it takes."""

    def test_conductor_over_tls(self) -> None:
        self.enterContext(accounts.connected())
        config = layout.write(layout.ETC / 'accelpool' / 'tls.conf', (
            f'[DEFAULT]\ntransport_url = {layout.bus(bus.VHOST, tls=True)}\n'
            f'[oslo_messaging_rabbit]\nssl = true\nssl_ca_file = {bus.AUTHORITY}\n'))
        names = [f'accelpool-conductor-{host}' for host in layout.AGENTS]
        for name in names:
            plain = support.service(name)
            plain.stop()
            over_tls = dataclasses.replace(plain, command=[*plain.command, '--config-file', config])
            self.addCleanup(plain.stop)
            over_tls.start()
        fault.recovered(self, Client())
        connections = bus.ctl('list_connections', '-p', bus.VHOST, 'ssl', 'ssl_protocol').splitlines()
        self.assertIn('true\ttlsv1.3', connections)
        accounts.compare(self)
