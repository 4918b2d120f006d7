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
from tests.integration.support import accounts, fault
from tests.integration.support.arq import Instances
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


class Registered(support.Case):
    """A service of its own in Keystone, for which limits can be registered."""

    def setUp(self) -> None:
        super().setUp()
        self.keystone = identity.Api()
        self.service = self.keystone.ensure('services', {'name': f'limited-{uuid.uuid4()}', 'type': f'l{uuid.uuid4()}'})
        self.addCleanup(self.keystone.ask, 'DELETE', f'/services/{self.service["id"]}')
        user = self.keystone.find('users', name='accelpool')
        reader = self.keystone.find('roles', name='reader')
        assert user is not None and reader is not None
        self.keystone.ask('PUT', f'/system/users/{user["id"]}/roles/{reader["id"]}')
        self.project = self.keystone.ensure('projects', {'name': 'demo'})['id']
        #: Section [quota].
        self.options = {
            'auth_type': 'password', 'limited_service_type': self.service['type'], 'cache_time': 0,
            'auth_url': layout.url('keystone', '/v3'), 'username': 'accelpool', 'password': layout.PASSWORD,
            'user_domain_name': 'Default', 'system_scope': 'all', 'endpoint_override': layout.url('keystone')}

    def register(self, **limits: int) -> None:
        made = self.keystone.ask('POST', '/registered_limits', {'registered_limits': [
            {'service_id': self.service['id'], 'resource_name': name, 'default_limit': value}
            for name, value in limits.items()]})
        for one in made['registered_limits']:
            self.addCleanup(self.keystone.ask, 'DELETE', f'/registered_limits/{one["id"]}')


class Deployed(Registered):
    """The API asks Keystone what projects may have."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(accounts.connected())
        self.user = Client()
        self.instances = Instances(self)
        self.addCleanup(self.instances.end)

    def asks_keystone(self, **changes: str) -> None:
        self.configured('accelpool', '[quota]\n' + ''.join(
            f'{name} = {value}\n' for name, value in (self.options | changes).items()))

    def test_nobody_gets_more_than_keystone_says(self) -> None:
        self.register(slices=1)
        self.asks_keystone()
        made = self.user.allocate(compute=1, memory=1)
        refused = self.user.ask('POST', '/allocations', {'compute': 1, 'memory': 1})
        self.assertEqual(403, refused.status_code, refused.text)
        (error,) = refused.json()['errors']
        self.assertEqual(('quota-exceeded', 'slices'), (error['code'], error['field']))
        _, bound = self.instances.boot(403)
        self.assertEqual(403, None if bound is None else bound.status_code)
        self.user.release(made['id'])
        self.user.wait(made['id'], 'released')
        _, bound = self.instances.boot()
        self.assertEqual(202, None if bound is None else bound.status_code)

    def test_what_keystone_says_is_not_set_here(self) -> None:
        self.register(slices=4)
        self.asks_keystone()
        version = {'OpenStack-API-Version': 'accelpool latest'}
        path, operator = f'/quotas/{self.project}', Client('admin', 'admin')
        self.addCleanup(operator.ask, 'PATCH', path, {'memory': None}, headers=version)
        answer = operator.ask('PATCH', path, {'slices': 5}, headers=version)
        self.assertEqual(409, answer.status_code, answer.text)
        self.assertIn('openstack limit create', answer.text)
        shown = operator.ask('PATCH', path, {'memory': 10_000}, headers=version).json()
        self.assertEqual([(4, 'keystone'), (10_000, 'project')],
                         [(shown[name]['limit'], shown[name]['source']) for name in ('slices', 'memory')])

    def test_who_has_never_heard_of_keystone_gives_nothing(self) -> None:
        self.asks_keystone(endpoint_override='http://127.0.0.1:1')
        answer = fault.right_or_503(self, self.user, 'POST', '/allocations', {'compute': 1, 'memory': 1})
        self.assertEqual(503, None if answer is None else answer.status_code)
        answer = self.instances.boot()[-1]
        self.assertEqual(503, None if answer is None else answer.status_code)


class Reader(Registered):
    """What the limits are."""

    def setUp(self) -> None:
        super().setUp()
        conf.register_all()
        self.conf = self.enterContext(fixture.Config(cfg.CONF))
        keystone._reader.cache_clear()
        self.addCleanup(keystone._reader.cache_clear)
        self.conf.register_opts(loading.get_auth_plugin_conf_options('password'), group=options.GROUP)
        self.conf.config(group=options.GROUP, **self.options)

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
