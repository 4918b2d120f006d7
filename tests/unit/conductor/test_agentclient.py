# SPDX-License-Identifier: Apache-2.0
"""The control socket's client against agents that come and go."""

import pathlib
import tempfile
import threading
import unittest

from accelpool import errors
from accelpool.conductor.agentclient import AgentClient
from accelpool.types import Slice
from tests.unit.conductor.fake_agent import FakeAgent

SLICE = Slice(id='s', allocation_id='a', device_id='d', host='h', compute=10, memory=64)


class Client(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.agent = FakeAgent(pathlib.Path(place.name, 'agent.sock'))
        self.agent.start()
        self.addCleanup(self.agent.stop)
        self.client = AgentClient(self.agent.path, timeout=10)
        self.addCleanup(self.client.close)

    def test_bind_attach_unbind(self) -> None:
        self.client.bind(SLICE, 'project', {'id': 'd'})
        self.assertEqual('v1:a:s', self.client.attach(SLICE, 60)['credential'])
        self.assertEqual(['s'], [used['slice_id'] for used in self.client.slices()])
        self.client.unbind('s')
        self.client.unbind('s')
        with self.assertRaises(errors.NotFound):
            self.client.attach(SLICE, 60)

    def test_an_operator_may_say_where_the_agent_is(self) -> None:
        client = AgentClient(self.agent.path, 10, ['tcp://198.51.100.7:6690 data', 'tcp://203.0.113.7:1 management'])
        self.addCleanup(client.close)
        places = [{'url': 'tcp://198.51.100.7:6690', 'network': 'data'},
                  {'url': 'tcp://203.0.113.7:1', 'network': 'management'}]
        client.bind(SLICE, 'project', {'id': 'd'})
        self.assertEqual(places, client.hello()['advertise'])
        self.assertEqual(places, client.attach(SLICE, 60)['urls'])

    def test_a_restarted_agent_is_found_again(self) -> None:
        self.client.hello()
        self.agent.stop()
        with self.assertRaises(errors.AgentUnavailable):
            self.client.hello()
        self.agent.start()
        self.assertEqual(1, self.client.hello()['version'])

    def test_idle_connections_of_a_former_agent_do_no_harm(self) -> None:
        self.client.hello()
        self.agent.stop()
        self.agent.start()
        self.assertEqual(1, self.client.hello()['version'])

    def test_refusals_keep_their_meaning(self) -> None:
        for code, kind in (('not-found', errors.NotFound), ('invalid-request', errors.InvalidRequest),
                           ('something-new', errors.DriverError)):
            self.agent.refuse['hello'] = (code, 'because')
            with self.assertRaisesRegex(kind, 'because'):
                self.client.hello()

    def test_watching_ends_with_the_agent(self) -> None:
        seen: list[object] = []
        connected = threading.Event()

        def watch() -> None:
            for event in self.client.watch():
                seen.append(event['event'])
                connected.set()

        thread = threading.Thread(target=watch)
        thread.start()
        self.assertTrue(connected.wait(10))
        connected.clear()
        self.agent.event(event='holder-closed', allocation_id='a')
        self.assertTrue(connected.wait(10))
        self.agent.stop()
        thread.join(10)
        self.assertFalse(thread.is_alive())
        self.assertEqual(['connected', 'holder-closed'], seen)
        self.agent.start()

    def test_closing_wakes_the_watcher(self) -> None:
        events = self.client.watch()
        next(events)
        thread = threading.Thread(target=lambda: list(events))
        thread.start()
        self.client.close()
        thread.join(10)
        self.assertFalse(thread.is_alive())

    def test_several_threads_at_a_time(self) -> None:
        failures: list[Exception] = []

        def ask() -> None:
            try:
                for _ in range(50):
                    self.client.slices()
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failures)
