# SPDX-License-Identifier: Apache-2.0
"""Who did what: CADF events of requests to the real application."""

import json
import logging
import unittest
from typing import Any

import webob
from oslo_config import cfg, fixture

from accelpool import conf
from tests.functional import pool

IDENTIFIER = '11111111-1111-4111-8111-111111111111'


class Audit(unittest.TestCase):
    def setUp(self) -> None:
        conf.register_all()
        self.conf = self.enterContext(fixture.Config(cfg.CONF))
        self.pool = pool.Pool()
        self.addCleanup(self.pool.close)

    def ask(self, who: str, method: str, path: str, body: Any = None) -> list[dict[str, Any]]:
        """Send a request; returns the events that it left."""
        request = webob.Request.blank(path, method=method, headers={'X-Auth-Token': who}, remote_addr='192.0.2.7')
        if body is not None:
            request.content_type = 'application/json'
            request.body = json.dumps(body).encode()
        with self.assertLogs('accelpool.audit') as logs:
            # assertLogs wants one line at least
            logging.getLogger('accelpool.audit').info('{}')
            self.status = request.get_response(self.pool.application).status_int
        return [event for event in map(json.loads, (line.split(':', 2)[2] for line in logs.output)) if event]

    def test_a_change_tells_who_what_and_how_it_ended(self) -> None:
        (event,) = self.ask('member', 'POST', '/v1/allocations', {'profile': 'small', 'id': IDENTIFIER})
        self.assertEqual('http://schemas.dmtf.org/cloud/audit/1.0/event', event['typeURI'])
        self.assertEqual(('activity', 'create', 'success'), (event['eventType'], event['action'], event['outcome']))
        self.assertEqual('202', event['reason']['reasonCode'])
        self.assertEqual(('user-member', 'project-1'), (event['initiator']['id'], event['initiator']['project_id']))
        self.assertEqual('192.0.2.7', event['initiator']['host']['address'])
        self.assertTrue(event['initiator']['request_id'].startswith('req-'))
        self.assertEqual((IDENTIFIER, 'service/accelerator/v1/allocations'),
                         (event['target']['id'], event['target']['typeURI']))

    def test_a_refusal_is_told_as_well(self) -> None:
        (event,) = self.ask('reader', 'DELETE', f'/v1/pools/{self.pool.variables["default"]}')
        self.assertEqual(403, self.status)
        self.assertEqual(('delete', 'failure', '403'), (event['action'], event['outcome'], event['reason']['reasonCode']))
        self.assertEqual(self.pool.variables['default'], event['target']['id'])

    def test_so_is_one_who_is_nobody(self) -> None:
        (event,) = self.ask('nobody', 'POST', '/v1/allocations', {})
        self.assertEqual(401, self.status)
        self.assertEqual(('unknown', 'failure'), (event['initiator']['id'], event['outcome']))

    def test_credentials_are_told_and_not_shown(self) -> None:
        self.ask('member', 'POST', '/v1/allocations', {'profile': 'small', 'id': IDENTIFIER})
        (event,) = self.ask('member', 'GET', f'/v1/allocations/{IDENTIFIER}/attachment')
        self.assertEqual(200, self.status)
        self.assertEqual(('read', IDENTIFIER, 'service/accelerator/v1/allocations/attachment'),
                         (event['action'], event['target']['id'], event['target']['typeURI']))
        self.assertNotIn('v2:', json.dumps(event))

    def test_looking_is_not_told(self) -> None:
        self.assertEqual([], self.ask('member', 'GET', '/v1/allocations'))
        self.assertEqual([], self.ask('member', 'POST', '/v1/candidates', {'compute': 10, 'memory': 64}))

    def test_what_nova_asks_is_told(self) -> None:
        (event,) = self.ask('member', 'POST', '/v2/accelerator_requests', {'device_profile_name': 'small'})
        self.assertEqual(201, self.status)
        self.assertEqual(('create', 'service/accelerator/v2/accelerator_requests'),
                         (event['action'], event['target']['typeURI']))

    def test_it_can_be_switched_off(self) -> None:
        self.pool.close()
        self.conf.config(destination='none', group='audit')
        self.pool = pool.Pool()
        self.assertEqual([], self.ask('member', 'POST', '/v1/allocations', {'profile': 'small'}))
