# SPDX-License-Identifier: Apache-2.0
"""The whole service as it is deployed: a Keystone user, uWSGI or gunicorn, RabbitMQ, MariaDB, agents."""

import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
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


class Reports(support.Case):
    """What an operator does when something stands still."""

    #: Parts of a Guru meditation report, in their order.
    PARTS = re.compile(r'Guru Meditation.*Threads.*Configuration.*transport_url', re.DOTALL)
    SECRET = f'[:=] ?{layout.PASSWORD}\\b'

    def said(self, name: str) -> str:
        """Return what a service has said since it was started."""
        return support.service(name).log.read_text(errors='replace').rpartition(process.MARK)[2]

    def pid(self, name: str) -> int:
        found = support.service(name).pid
        assert found is not None
        return found

    def test_schedulers_and_conductors_report_on_a_signal(self) -> None:
        for name in ('accelpool-scheduler1', 'accelpool-conductor-compute1'):
            with self.subTest(name):
                before = self.pid(name)
                os.kill(before, signal.SIGUSR2)
                process.wait_for(lambda name=name: bool(self.PARTS.search(self.said(name))), 'a report')
                self.assertNotRegex(self.said(name), self.SECRET)
                self.assertEqual(before, self.pid(name))

    def test_each_process_of_a_wsgi_server_reports_when_the_file_is_touched(self) -> None:
        """The signal is the server's own."""
        for name, url in (('accelpool', None), ('accelpool-gunicorn', layout.url('accelpool-gunicorn', '/v1'))):
            with self.subTest(name):
                place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
                touched = layout.write(place / 'touched', '')
                self.configured(name, f'[oslo_reports]\nfile_event_handler = {touched}\nlog_dir = {place}\n')
                user = Client(url=url)

                def reports(user: Client = user, touched: pathlib.Path = touched) -> dict[str, str]:
                    # A process looks after the file from its first request on; so many at once are more than one serves.
                    with concurrent.futures.ThreadPoolExecutor(32) as threads:
                        list(threads.map(lambda _: user.ask('GET', '/devices', headers={'Connection': 'close'}), range(96)))
                    os.utime(touched)
                    return {path.name.partition('_')[0]: path.read_text()
                            for path in touched.parent.glob('accelpool-api-*_gurumeditation_*')}

                process.wait_for(lambda reports=reports: len(reports()) == 2, 'reports of both processes')
                for report in reports().values():
                    self.assertRegex(report, self.PARTS)
                    self.assertNotRegex(report, self.SECRET)

    def test_agents_say_where_their_threads_are(self) -> None:
        name = 'accelpool-agent-compute1'
        before = self.pid(name)
        os.kill(before, signal.SIGUSR2)
        process.wait_for(lambda: 'Current thread' in self.said(name), 'its threads')
        self.assertEqual(before, self.pid(name))
