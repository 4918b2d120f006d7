# SPDX-License-Identifier: Apache-2.0
"""The whole service as it is deployed: a Keystone user, uWSGI or gunicorn, RabbitMQ, MariaDB, agents."""

import re
import subprocess
import sys
import unittest
import uuid

from tests.integration import support
from tests.integration.support.client import Client
from tests.support.agent import admit
from tools.integration import bus, identity, layout, pool, process

setUpModule = support.up


class Deployed(unittest.TestCase):
    """One allocation from request to release."""

    def test_allocation_of_a_keystone_user_is_attached_used_and_released(self) -> None:
        self._whole_life(Client())

    def test_the_same_through_gunicorn(self) -> None:
        gunicorn = support.service('accelpool-gunicorn')
        gunicorn.start()
        self.addCleanup(gunicorn.stop)
        self._whole_life(Client(url=layout.url('accelpool-gunicorn', '/v1')))

    def _whole_life(self, user: Client) -> None:
        made = user.allocate(locality='any')
        self.assertEqual('pending', made['state'])
        active = user.wait(made['id'], 'active')
        (device,) = user.get(f'/allocations/{made["id"]}/attachment')['devices']
        self.assertEqual(active['slices'][0]['id'], device['slice'])
        admit(device['urls'][0]['url'], device['credential']).close()  # the agent takes the credential
        user.release(made['id'])
        user.wait(made['id'], 'released')

    def test_a_program_takes_the_network_that_its_profile_names(self) -> None:
        for network, status in ((pool.DATA_NETWORK, 0), ('nowhere', 1)):
            profile = f'{network}-{uuid.uuid4()}'
            answer = Client('admin', 'admin').ask('POST', '/profiles', {
                'name': profile, 'compute': 10, 'memory': 512, 'data_network': network}, microversion='1.3')
            self.assertEqual(201, answer.status_code, answer.text)
            done = subprocess.run(
                [layout.OURS / 'bin/accelpool', 'run', '--profile', profile, '--', 'sh', '-c',
                 f'cat "$ACCELPOOL_ATTACHMENT"; exec {sys.executable} examples/numba_vector.py'],
                cwd=layout.ROOT, env=process.environment() | identity.openrc(), capture_output=True, text=True)
            self.assertEqual(status, done.returncode, done.stderr)
            self.assertEqual(4 if status == 0 else 0, done.stdout.count(': ok'), done.stdout)
            labels = re.findall('"network": *"(.*?)"', done.stdout)
            self.assertEqual({network} if status == 0 else set(), set(labels))
        self.assertIn('not on the network nowhere', done.stderr)

    def test_services_register_by_name(self) -> None:
        found = {(one['binary'], one['host']) for one in Client('admin', 'admin').get('/services')['services']}
        self.assertLessEqual(
            {('accelpool-scheduler', 'scheduler1'), ('accelpool-scheduler', 'scheduler2'),
             ('accelpool-conductor', 'compute1'), ('accelpool-conductor', 'compute2')}, found)

    def test_queues_of_services_are_kept_by_a_quorum(self) -> None:
        """In the virtual host that is accelpool's alone.  Queues of one process, for answers and fanout, die with it."""
        found = dict(line.split('\t') for line in bus.ctl(
            'list_queues', '-p', bus.VHOST, '--no-table-headers', 'name', 'type').splitlines())
        kept = {name: kind for name, kind in found.items() if not name.startswith('reply_') and '_fanout_' not in name}
        self.assertLessEqual({'accelpool.scheduler', 'accelpool.conductor.compute1', 'accelpool.conductor.compute2'},
                             set(kept))
        self.assertEqual({'quorum'}, set(kept.values()), kept)

    def test_a_stranger_gets_401(self) -> None:
        answer = Client().ask('GET', '/allocations', authenticated=False)
        self.assertEqual(401, answer.status_code, answer.text)

    def test_another_project_sees_nothing(self) -> None:
        made = Client().allocate()
        self.addCleanup(Client().release, made['id'])
        self.assertEqual(404, Client('other', 'other').ask('GET', f'/allocations/{made["id"]}').status_code)
