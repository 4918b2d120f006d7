# SPDX-License-Identifier: Apache-2.0
import contextlib
import logging
import time
import unittest
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from oslo_config import cfg

from accelpool import conf
from accelpool.allocations.states import Event
from accelpool.db import arq, session
from accelpool.rpc import memory  # chooses the threads of the next one
from tests.support import database

import oslo_messaging  # isort: skip
from accelpool.consumers import nova_notifications  # isort: skip

URL = 'kombu+memory://'
SERVER, OTHER = '00000000-0000-4000-8000-0000000000a1', '00000000-0000-4000-8000-0000000000a2'


def payload(server: str) -> dict[str, Any]:
    """Return what Nova 34 says of an instance: what matters here of an InstanceActionPayload 1.9."""
    return {
        'nova_object.name': 'InstanceActionPayload', 'nova_object.namespace': 'nova', 'nova_object.version': '1.9',
        'nova_object.data': {
            'uuid': server, 'tenant_id': 'p', 'host': 'compute1', 'node': 'compute1', 'state': 'deleted', 'fault': None,
            'flavor': {
                'nova_object.name': 'FlavorPayload', 'nova_object.namespace': 'nova', 'nova_object.version': '1.4',
                'nova_object.data': {'name': 'accel', 'extra_specs': {'accel:device_profile': 'x'}}}}}


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, 'not within 60 s'
        time.sleep(0.02)


class Notifications(unittest.TestCase):
    def setUp(self) -> None:
        self.url = database.use(self)
        self.enterContext(mock.patch.object(nova_notifications, 'PAUSE', 0.05))
        for server in (SERVER, OTHER):
            database.add_binding(server, Event.CLAIM, Event.BIND)

    def has(self, server: str) -> bool:
        with session.reader() as reader:
            return bool(arq.of_instance(reader, server))

    @contextlib.contextmanager
    def without_database(self) -> Iterator[None]:
        session.configure('sqlite:////nowhere/accelpool.sqlite')
        try:
            yield
        finally:
            self.addCleanup(session.configure(self.url).dispose)


class Told(Notifications):
    """What comes of one notification."""

    def tell(self, said: Any = None) -> str:
        return str(nova_notifications.Endpoint().info(
            {}, 'nova-compute:compute1', 'instance.delete.end', payload(SERVER) if said is None else said, {}))

    def test_what_an_instance_had_is_given_back(self) -> None:
        with self.assertLogs(nova_notifications.LOG, logging.WARNING) as logged:
            self.assertEqual(oslo_messaging.NotificationResult.HANDLED, self.tell())
        self.assertIn('without giving back 1 slices', logged.output[0])
        self.assertEqual((False, True), (self.has(SERVER), self.has(OTHER)))

    def test_an_instance_that_has_nothing_is_nothing_to_speak_of(self) -> None:
        self.tell()
        with self.assertNoLogs(nova_notifications.LOG):
            self.assertEqual(oslo_messaging.NotificationResult.HANDLED, self.tell())

    def test_without_the_database_it_is_kept(self) -> None:
        with self.without_database(), self.assertLogs(nova_notifications.LOG, logging.ERROR):
            self.assertEqual(oslo_messaging.NotificationResult.REQUEUE, self.tell())
        self.assertTrue(self.has(SERVER))

    def test_what_does_not_say_of_whom_it_speaks_does_not_come_again(self) -> None:
        for said in ({}, {'uuid': SERVER}, {'nova_object.data': None}, {'nova_object.data': {}}, 'text', []):
            with self.subTest(said), self.assertLogs(nova_notifications.LOG, logging.ERROR) as logged:
                self.assertEqual(oslo_messaging.NotificationResult.HANDLED, self.tell(said))
            self.assertIn('without saying which', logged.output[0])
        self.assertTrue(self.has(SERVER))


class Heard(Notifications):
    """Sent as Nova sends it: its exchange, its topic, its form."""

    def setUp(self) -> None:
        super().setUp()
        conf.register_all()
        cfg.CONF([], project='accelpool', default_config_files=[], default_config_dirs=[])
        memory.install()
        oslo_messaging.TransportURL.parse(cfg.CONF)  # registers the option
        cfg.CONF.set_override('control_exchange', 'nova')
        self.nova = oslo_messaging.Notifier(
            oslo_messaging.get_notification_transport(cfg.CONF, url=URL), publisher_id='nova-compute:compute1',
            driver='messagingv2', topics=['versioned_notifications'])
        cfg.CONF.clear_override('control_exchange')
        cfg.CONF.set_override('notification_url', URL, 'nova')
        self.addCleanup(cfg.CONF.clear_override, 'notification_url', 'nova')
        listener = nova_notifications.listener()
        assert listener is not None
        self.stop = listener.stop
        listener.start()
        self.addCleanup(self.stop)

    def test_only_of_deleted_instances_anything_is_given_back(self) -> None:
        self.nova.info({}, 'instance.delete.start', payload(OTHER))
        self.nova.info({}, 'instance.delete.end', payload(SERVER))
        wait_for(lambda: not self.has(SERVER))
        self.stop()  # when all that it has heard is done
        self.assertTrue(self.has(OTHER))

    def test_what_could_not_be_given_back_is_when_the_database_is_there_again(self) -> None:
        with self.assertLogs(nova_notifications.LOG, logging.ERROR) as logged, self.without_database():
            self.nova.info({}, 'instance.delete.end', payload(SERVER))
            wait_for(lambda: len(logged.output) > 1)
        wait_for(lambda: not self.has(SERVER))


if __name__ == '__main__':
    unittest.main()
