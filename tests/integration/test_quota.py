# SPDX-License-Identifier: Apache-2.0
"""Quotas of the deployed service, and unified limits that a real Keystone has."""

import concurrent.futures
import unittest
import uuid
from typing import Any
from unittest import mock

from keystoneauth1 import exceptions, loading
from oslo_config import cfg, fixture

from accelpool import conf, errors
from accelpool.conf import quota as options
from accelpool.quota import keystone
from accelpool.quota.amounts import UNSAID, Limits
from tests.integration import support
from tests.integration.support.client import Client
from tools.integration import identity, layout


def setUpModule() -> None:
    support.up()


class Quotas(unittest.TestCase):
    """Limits that an operator sets hold, however many ask at once through several API processes."""

    def setUp(self) -> None:
        self.operator, self.user = Client('admin', 'admin'), Client('other', 'other')
        project = identity.Api().find('projects', name='other')
        assert project is not None
        self.path = f'/quotas/{project["id"]}'
        self.version = {'OpenStack-API-Version': 'accelpool latest'}
        self.addCleanup(self.limit, slices=None, memory=None)

    def limit(self, **limits: int | None) -> None:
        answer = self.operator.ask('PATCH', self.path, limits, headers=self.version)
        self.assertEqual(200, answer.status_code, answer.text)

    def used(self) -> dict[str, Any]:
        found: dict[str, Any] = self.user.ask('GET', self.path, headers=self.version).json()
        return {name: found[name]['used'] for name in ('slices', 'compute', 'memory')}

    def test_a_limit_is_never_overdrawn(self) -> None:
        before = self.used()['slices']
        self.limit(slices=before + 3)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(
                lambda _: self.user.ask('POST', '/allocations', {'compute': 1, 'memory': 1}), range(16)))
        made = [answer.json()['id'] for answer in answers if answer.status_code == 202]
        for identifier in made:
            self.addCleanup(self.user.ask, 'DELETE', f'/allocations/{identifier}')
        self.assertEqual(3, len(made))
        self.assertEqual({202, 403}, {answer.status_code for answer in answers})
        self.assertEqual({'quota-exceeded'}, {
            answer.json()['errors'][0]['code'] for answer in answers if answer.status_code == 403})
        self.assertEqual(before + 3, self.used()['slices'])
        self.user.wait(made[0], 'active')
        self.user.release(made[0])
        self.user.wait(made[0], 'released')
        self.assertEqual(before + 2, self.used()['slices'])
        self.user.release(self.user.allocate(compute=1, memory=1)['id'])


class UnifiedLimits(unittest.TestCase):
    """Limits registered in Keystone."""

    def setUp(self) -> None:
        conf.register_all()
        self.conf = self.enterContext(fixture.Config(cfg.CONF))
        keystone._reader.cache_clear()
        self.addCleanup(keystone._reader.cache_clear)
        self.keystone = identity.Api()
        self.service = self.keystone.ensure('services', {'name': f'limited-{uuid.uuid4()}', 'type': f'l{uuid.uuid4()}'})
        self.addCleanup(self.keystone.ask, 'DELETE', f'/services/{self.service["id"]}')
        user = self.keystone.find('users', name='accelpool')
        reader = self.keystone.find('roles', name='reader')
        assert user is not None and reader is not None
        self.keystone.ask('PUT', f'/system/users/{user["id"]}/roles/{reader["id"]}')
        self.project = self.keystone.ensure('projects', {'name': 'demo'})['id']
        self.conf.register_opts(loading.get_auth_plugin_conf_options('password'), group=options.GROUP)
        self.conf.config(
            group=options.GROUP, auth_type='password', limited_service_type=self.service['type'], cache_time=0,
            auth_url=layout.url('keystone', '/v3'), username='accelpool', password=layout.PASSWORD,
            user_domain_name='Default', system_scope='all', endpoint_override=layout.url('keystone'))

    def register(self, **limits: int) -> None:
        made = self.keystone.ask('POST', '/registered_limits', {'registered_limits': [
            {'service_id': self.service['id'], 'resource_name': name, 'default_limit': value}
            for name, value in limits.items()]})
        for one in made['registered_limits']:
            self.addCleanup(self.keystone.ask, 'DELETE', f'/registered_limits/{one["id"]}')

    def test_what_is_registered_counts_and_a_projects_own_limit_before_it(self) -> None:
        self.assertEqual(UNSAID, keystone.limits(self.project))
        self.register(slices=4, memory=1000)
        self.assertEqual(Limits(slices=4, memory=1000), keystone.limits(self.project))
        made = self.keystone.ask('POST', '/limits', {'limits': [
            {'service_id': self.service['id'], 'project_id': self.project, 'resource_name': 'slices',
             'resource_limit': 9}]})
        self.addCleanup(self.keystone.ask, 'DELETE', f'/limits/{made["limits"][0]["id"]}')
        self.assertEqual(Limits(slices=9, memory=1000), keystone.limits(self.project))
        self.assertEqual(Limits(slices=4, memory=1000), keystone.limits('another'))

    def test_without_keystone_the_limits_of_before_stay_in_force(self) -> None:
        self.register(slices=4)
        self.assertEqual(4, keystone.limits(self.project).slices)
        self.conf.config(group=options.GROUP, endpoint_override='http://127.0.0.1:1')
        with mock.patch.object(keystone._reader(), '_read', side_effect=exceptions.ConnectFailure('gone')), \
                self.assertLogs('accelpool.quota.keystone', 'WARNING'):
            self.assertEqual(4, keystone.limits(self.project).slices)

    def test_without_keystone_ever_there_is_no_answer(self) -> None:
        self.conf.config(group=options.GROUP, endpoint_override='http://127.0.0.1:1', auth_url='http://127.0.0.1:1/v3')
        with self.assertRaises(errors.ServiceUnavailable):
            keystone.limits(self.project)
