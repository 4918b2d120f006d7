# SPDX-License-Identifier: Apache-2.0
"""Notifications as somebody who listens on RabbitMQ gets them, from all services."""

import queue
import time
import unittest
from typing import Any

import accelpool.rpc  # chooses the threads of oslo.messaging

import oslo_messaging  # isort: skip
from oslo_config import cfg

from tests.integration import support
from tests.integration.support.client import Client
from tools.integration import bus, layout

setUpModule = support.up
assert accelpool.rpc

TOPIC = 'accelpool_versioned_notifications'
#: Seconds in which a notification must have come.
PATIENCE = 30


class Endpoint:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.told: queue.SimpleQueue[tuple[str, str, dict[str, Any]]] = queue.SimpleQueue()

    def info(self, _context: Any, publisher: str, event_type: str, payload: dict[str, Any], _meta: Any) -> None:
        self.told.put((publisher.partition(':')[0], event_type, payload['accelpool_object.data']))

    error = info


class Listening(unittest.TestCase):
    def setUp(self) -> None:
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
        oslo_messaging.set_transport_defaults('accelpool')
        transport = oslo_messaging.get_notification_transport(conf, url=layout.bus(bus.VHOST))
        conf.set_override('rabbit_quorum_queue', True, group='oslo_messaging_rabbit')
        self.endpoint = Endpoint()
        listener = oslo_messaging.get_notification_listener(
            transport, [oslo_messaging.Target(topic=TOPIC)], [self.endpoint], executor='threading')
        listener.start()
        self.addCleanup(listener.wait)
        self.addCleanup(listener.stop)

    def until(self, identifier: str, last: str) -> list[tuple[str, str, Any]]:
        """Return what is told of an object, up to an event."""
        found = []
        deadline = time.monotonic() + PATIENCE
        while not found or found[-1][1] != last:
            told = self.endpoint.told.get(timeout=max(0.0, deadline - time.monotonic()))
            if told[2]['id'] == identifier:
                found.append(told)
        return found

    def test_the_life_of_an_allocation_is_told_by_those_who_lead_it(self) -> None:
        user = Client()
        made = user.allocate()
        user.wait(made['id'], 'active')
        user.release(made['id'])
        told = self.until(made['id'], 'allocation.finish')
        self.assertEqual(
            {('accelpool-api', 'allocation.create'), ('accelpool-scheduler', 'allocation.claim'),
             ('accelpool-conductor', 'allocation.bind'), ('accelpool-conductor', 'allocation.activate'),
             ('accelpool-api', 'allocation.release'), ('accelpool-conductor', 'allocation.finish')},
            {(service, event) for service, event, _ in told})
        self.assertEqual({made['project_id']}, {data['project_id'] for _, _, data in told})
        finish = next(data for _, event, data in told if event == 'allocation.finish')
        self.assertEqual(('released', 'releasing'), (finish['state'], finish['previous_state']))

    def test_a_device_that_an_operator_disables_is_told(self) -> None:
        operator = Client('admin', 'admin')
        device = operator.get('/devices')['devices'][0]['id']
        for enabled in (False, True):
            operator.ask('PATCH', f'/devices/{device}', {'enabled': enabled})
            (*_, (service, _, data)) = self.until(device, 'device.update')
            self.assertEqual(('accelpool-api', enabled), (service, data['enabled']))
            self.assertIn('enabled', data['changed'])
