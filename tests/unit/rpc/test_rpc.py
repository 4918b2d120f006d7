# SPDX-License-Identifier: Apache-2.0
"""Messages over the in-memory bus, as the embedded service uses it."""

import threading
import time
import unittest
import unittest.mock
from typing import Any

from oslo_config import cfg
from oslo_context import context

from accelpool import conf, errors
from accelpool.rpc import client, server, transport


class Scheduler:
    def __init__(self) -> None:
        self.scheduled: list[tuple[str, Any]] = []
        self.done = threading.Event()

    def schedule(self, allocation_id: str) -> None:
        self.scheduled.append((allocation_id, context.get_current()))
        self.done.set()

    def candidates(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get('count') == 0:
            raise errors.InvalidRequest('count is at least 1', field='count')
        return {'candidates': [request], 'rejections': []}

    def _secret(self) -> str:
        return 'not offered'


class Conductor:
    def __init__(self, host: str) -> None:
        self.host = host

    def attach(self, allocation_id: str) -> list[dict[str, Any]]:
        return [{'host': self.host, 'allocation': allocation_id}]


class Messages(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        conf.register_all()
        cfg.CONF([], project='accelpool', default_config_files=[], default_config_dirs=[])
        transport.use_memory()
        cls.scheduler = Scheduler()
        servers = [
            server.start(transport.SCHEDULER_TOPIC, 'x', cls.scheduler, threads=2),
            *(server.start(transport.CONDUCTOR_TOPIC, host, Conductor(host), threads=2)
              for host in ('host-a', 'host-b'))]
        for running in servers:
            cls.addClassCleanup(running.wait)
            cls.addClassCleanup(running.stop)

    def test_a_call_returns_plain_values(self) -> None:
        answer = client.SchedulerClient().candidates({'count': 1, 'traits': ['A']})
        self.assertEqual([{'count': 1, 'traits': ['A']}], answer['candidates'])

    def test_a_cast_carries_the_request_but_not_its_token(self) -> None:
        self.scheduler.done.clear()
        context.RequestContext(project_id='p', auth_token='secret', request_id='req-1')
        client.SchedulerClient().schedule('a-1')
        self.assertTrue(self.scheduler.done.wait(10))
        allocation_id, received = self.scheduler.scheduled[-1]
        self.assertEqual(('a-1', 'req-1', 'p', None),
                         (allocation_id, received.request_id, received.project_id, received.auth_token))

    def test_each_conductor_gets_its_own_messages(self) -> None:
        for host in ('host-a', 'host-b', 'host-a'):
            self.assertEqual([{'host': host, 'allocation': 'a'}], client.ConductorClient(host).attach('a'))

    def test_errors_arrive_as_themselves(self) -> None:
        with self.assertRaises(errors.InvalidRequest) as caught:
            client.SchedulerClient().candidates({'count': 0})
        self.assertEqual(('count is at least 1', 'count', 400),
                         (caught.exception.detail, caught.exception.field, caught.exception.status))

    def test_nobody_there_is_service_unavailable(self) -> None:
        with unittest.mock.patch.object(client, 'TIMEOUT', 1), self.assertRaises(errors.ServiceUnavailable):
            client.ConductorClient('host-z').attach('a')

    def test_private_methods_are_not_offered(self) -> None:
        with unittest.mock.patch.object(client, 'TIMEOUT', 2), self.assertRaises(Exception) as caught:
            client.SchedulerClient()._call('_secret')
        self.assertNotIn('not offered', str(caught.exception))

    def test_an_older_peer_takes_what_it_knows_and_refuses_the_rest(self) -> None:
        bus = client.SchedulerClient()
        self.assertEqual([{}], bus._call('candidates', request={})['candidates'])
        with self.assertRaises(errors.ServiceUnavailable) as caught:
            bus._call('candidates', since='1.99', request={})
        self.assertIn('older release', caught.exception.detail)

    def test_a_version_cap_refuses_before_anything_is_sent(self) -> None:
        cfg.CONF.set_override('version_cap', '1.0', group='rpc')
        client._bus.cache_clear()
        self.addCleanup(client._bus.cache_clear)
        self.addCleanup(cfg.CONF.clear_override, 'version_cap', group='rpc')
        bus = client.SchedulerClient()
        self.assertEqual([{}], bus._call('candidates', request={})['candidates'])
        for send in (bus._call, bus._cast):
            with self.assertRaises(errors.ServiceUnavailable) as caught:
                send('candidates', since='1.1', request={})
            self.assertIn('older release', caught.exception.detail)

    def test_an_idle_bus_takes_no_processor(self) -> None:
        """Listeners sleep: the transport that this one replaces would burn a core for each of them."""
        before = time.process_time()
        time.sleep(1)
        self.assertLess(time.process_time() - before, 0.3)
