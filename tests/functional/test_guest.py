# SPDX-License-Identifier: Apache-2.0
"""``accelpool-guest`` against a running service: enrolment, renewal, crashes, reboots."""

import json
import pathlib
import subprocess
import tempfile
import time
import unittest
import uuid
from typing import Any

from accelpool.runtime.guest import keeper
from tests.support import guest
from tests.support.wiretap import Wiretap
from tools.bench import service

#: Short lives, so that renewals happen while a test waits for them.
OPTIONS = """
[agent]
credential_lifetime = 10
[conductor]
heartbeat_interval = 0.5
[enrolment]
renewal = 1
lapse = 4
"""


class GuestCase(unittest.TestCase):
    """One service for all; every test leaves the pool whole."""

    @classmethod
    def setUpClass(cls) -> None:
        running = service.running(OPTIONS)
        cls.service = running.__enter__()
        cls.addClassCleanup(running.__exit__, None, None, None)

    def setUp(self) -> None:
        self.metadata = guest.Metadata()
        self.addCleanup(self.metadata.close)
        self.instance = str(uuid.uuid4())

    def cli(self, *arguments: str) -> Any:
        result = subprocess.run(self.service.accelpool(*arguments, '-f', 'json'), env=self.service.environment,
                                cwd=guest.ROOT, text=True, capture_output=True, timeout=60)
        self.assertEqual(0, result.returncode, result.stderr)
        return json.loads(result.stdout) if result.stdout.strip() else None

    @property
    def url(self) -> str:
        found: str = json.loads((self.service.place / 'state/endpoint.json').read_text())['url']
        return found

    def allocate(self, consumer_type: str = 'instance', consumer: str = '', memory: int = 256) -> str:
        found = self.cli('allocation', 'create', '--compute', '10', '--memory', str(memory), '--wait',
                         '--consumer-type', consumer_type, '--consumer-id', consumer or self.instance)
        self.addCleanup(self.release, found['id'])
        identifier: str = found['id']
        return identifier

    def release(self, identifier: str) -> None:
        subprocess.run(self.service.accelpool('allocation', 'delete', identifier, '--wait'), check=True, timeout=60,
                       env=self.service.environment, cwd=guest.ROOT, capture_output=True)

    def token(self, allocation: str, *options: str) -> str:
        found: str = self.cli('allocation', 'enrol', allocation, *options)['token']
        return found

    def offer(self, allocation: str, url: str = '') -> None:
        """Put a token where the guest finds it, as vendordata does.

        :param url: of the API, where it is not the usual one
        """
        self.metadata.document = {'static': {}, 'pool': {'accelpool': {
            'url': url or self.url, 'token': self.token(allocation), 'consumer': self.instance}}}

    def guest(self, sections: str = '') -> guest.Guest:
        made = guest.Guest(pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix='accelpool-guest-'))),
                           self.metadata.url, sections)
        self.addCleanup(made.stop)
        return made


class Instances(GuestCase):
    def test_token_of_the_metadata_becomes_a_device(self) -> None:
        allocation = self.allocate()
        self.offer(allocation)
        here = self.guest()
        here.start()
        status = here.wait()
        self.assertEqual([allocation], [one['id'] for one in status['allocations']])
        self.assertEqual('right', here.compute())
        said = here.call('status')
        self.assertEqual(0, said.returncode)
        self.assertIn('state:       attached', said.stdout)
        self.assertIn('cuda at tcp://', said.stdout)
        self.assertEqual(0o600, here.attachment.stat().st_mode & 0o777)

    def test_nothing_is_left_for_programs_when_it_stops(self) -> None:
        self.offer(self.allocate())
        here = self.guest()
        here.start()
        here.wait()
        here.stop()
        self.assertEqual([], sorted(path.name for path in here.run_dir.glob('*.json')))
        self.assertFalse((here.run_dir / 'environment').exists())
        said = here.call('status')
        self.assertEqual(1, said.returncode)
        self.assertIn('systemctl start', said.stdout)

    def test_key_survives_reboots_without_metadata(self) -> None:
        self.offer(self.allocate())
        here = self.guest()
        here.start()
        here.wait()
        self.metadata.document = None
        for _ in range(2):
            here.reboot()
            here.wait()
        self.assertEqual('right', here.compute())

    def test_killed_whenever_a_step_has_been_done(self) -> None:
        """Killed as soon as each of its files appears, and again and again at random points before that."""
        self.offer(self.allocate())
        here = self.guest()
        # The first one gives way to the second as soon as the service has answered: either will do for the first time.
        for names in (('state/pending.json', 'state/enrolment.json'), ('state/enrolment.json',),
                      (f'run/{here.attachment.name}',), ('run/environment',), ('run/status.json',)):
            here.start()
            guest.until(lambda names=names: any((here.place / name).exists() for name in names), names[0])
            here.kill()
        here.start()
        here.wait()
        self.assertEqual('right', here.compute())
        self.assertEqual([], [path.name for path in here.state.glob('*.new')])

    def test_credentials_are_renewed_before_they_expire(self) -> None:
        self.offer(self.allocate())
        here = self.guest()
        here.start()
        first = here.wait()['devices'][0]['expires']
        guest.until(lambda: json.loads(here.attachment.read_text())['devices'][0]['expires'] > first + 10,
                    'a credential that is good for longer than the first one was')
        self.assertEqual('right', here.compute())

    def cut_off(self, allocation: str) -> guest.Guest:
        """Return an allocation's guest, which has reached the API once and reaches it no more."""
        tap = Wiretap(self.url.replace('http:', 'tcp:'))
        self.offer(allocation, tap.url.replace('tcp:', 'http:'))
        here = self.guest()
        here.start()
        here.wait()
        tap.close()
        return here

    def test_agents_renew_while_the_api_is_unreachable(self) -> None:
        here = self.cut_off(self.allocate())
        first = here.status()['devices'][0]['expires']
        guest.until(lambda: here.status()['warnings'], 'a warning that the API is unreachable')
        guest.until(lambda: json.loads(here.attachment.read_text())['devices'][0]['expires'] > first + 10,
                    'a credential that is good for longer than the first one was')
        self.assertEqual('right', here.compute())
        said = here.call('status')
        self.assertEqual(0, said.returncode)
        self.assertIn('the agents renew, but the API is unreachable', said.stdout)
        here.reboot()  # it has no credential that could be renewed
        here.wait('unreachable')

    def test_what_was_released_is_renewed_no_more(self) -> None:
        allocation = self.allocate()
        here = self.cut_off(allocation)
        self.release(allocation)
        here.wait('unreachable')
        self.assertNotEqual('right', here.python('p = c.allocate(8); print("right")', check=False))

    def test_api_is_asked_for_little_between_renewals(self) -> None:
        allocation = self.allocate()
        with Wiretap(self.url.replace('http:', 'tcp:')) as tap:
            self.offer(allocation, tap.url.replace('tcp:', 'http:'))
            here = self.guest()
            here.start()
            here.wait()
            expiries: set[float] = set()
            while len(expiries) < 2 * keeper.ASK_EVERY:
                expiries.add(json.loads(here.attachment.read_text())['devices'][0]['expires'])
                time.sleep(0.1)
        self.assertLessEqual(tap.said.count(b'/attachment HTTP'), 4)

    def test_renewing_is_a_sign_of_life(self) -> None:
        """The agents tell it: the place, and an allocation with a time to live, are kept without the API."""
        allocation = self.cli('allocation', 'create', '--compute', '10', '--memory', '64', '--wait', '--ttl', '3',
                              '--consumer-type', 'instance', '--consumer-id', self.instance)['id']
        self.addCleanup(self.release, allocation)
        here = self.cut_off(allocation)
        first = here.status()['devices'][0]['expires']
        guest.until(lambda: json.loads(here.attachment.read_text())['devices'][0]['expires'] > first + 10, 'ten seconds')
        self.assertEqual('active', self.cli('allocation', 'show', allocation)['state'])
        self.offer(allocation)
        thief = self.guest()
        thief.start()
        self.assertIn('alive', thief.wait('refused')['detail'])

    def test_running_programs_and_files_outlive_the_service(self) -> None:
        self.offer(self.allocate())
        here = self.guest()
        here.start()
        here.wait()
        self.service.process.kill()
        self.service.process.wait()
        here.wait('unreachable')
        self.assertTrue(here.attachment.exists())
        self.service.start()
        here.wait()
        self.assertEqual('right', here.compute())

    def test_devices_come_and_go_with_allocations(self) -> None:
        first = self.allocate()
        self.offer(first)
        here = self.guest()
        here.start()
        here.wait()
        second = self.allocate(memory=64)
        guest.until(lambda: len(here.status()['devices']) == 2, 'two devices')
        self.release(first)
        guest.until(lambda: [one['id'] for one in here.status()['allocations']] == [second], 'one allocation')
        self.release(second)
        self.assertIn('nothing is allocated', here.wait('waiting')['detail'])
        self.assertFalse(here.attachment.exists())
        self.assertFalse((here.run_dir / 'environment').exists())

    def test_users_of_the_guest_cannot_take_its_place(self) -> None:
        allocation = self.allocate()
        self.offer(allocation)
        here = self.guest()
        here.start()
        here.wait()
        self.offer(allocation)  # the metadata have a fresh token, which every user can read
        thief = self.guest()
        thief.start()
        self.assertIn('alive', thief.wait('refused')['detail'])
        self.assertEqual('right', here.compute())
        here.kill()  # the instance is rebuilt: its disk is gone
        thief.wait()

    def test_used_token_says_what_to_do_and_a_fresh_one_by_hand_helps(self) -> None:
        allocation = self.allocate()
        self.offer(allocation)
        former = self.guest()
        former.start()
        former.wait()
        former.kill()
        here = self.guest()
        here.start()
        self.assertIn('accelpool allocation enrol', here.wait('refused')['advice'])
        given = here.call('enrol', '--url', self.url, '--consumer', self.instance, input=self.token(allocation) + '\n')
        self.assertEqual(0, given.returncode, given.stderr)
        here.wait()

    def test_config_drive(self) -> None:
        self.offer(self.allocate())
        drive = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()), 'drive')
        (drive / 'openstack/latest').mkdir(parents=True)
        (drive / 'openstack/latest/vendor_data2.json').write_text(json.dumps(self.metadata.document))
        self.metadata.document = None
        here = self.guest(f'config_drive = {drive}\n')
        here.start()
        here.wait()

    def test_one_keeper_at_a_time(self) -> None:
        here = self.guest()
        here.start()
        guest.until(lambda: here.status()['state'] != 'stopped', 'a keeper')
        second = here.call('run')
        self.assertEqual(1, second.returncode)
        self.assertIn('another one runs', second.stdout)


class Nodes(GuestCase):
    """A host with an account of its own."""

    def node(self, allocation: str) -> guest.Guest:
        return self.guest(f'[account]\nendpoint = {self.url}\nusername = admin\n'
                          f'password_file = {self.service.place}/state/password\n[allocation]\nttl = 30\n{allocation}\n')

    def of_nodes(self) -> list[dict[str, Any]]:
        return [one for one in self.cli('allocation', 'list') if one['consumer_type'] == 'node']

    def test_it_makes_one_allocation_whenever_it_is_killed_and_gives_it_back(self) -> None:
        here = self.node('profile = small')
        for name in ('state/allocation.json', 'run/status.json', f'run/{here.attachment.name}'):
            here.start()
            guest.until((here.place / name).exists, name)
            here.kill()
        here.start()
        here.wait()
        self.assertEqual('right', here.compute())
        self.assertEqual(['active'], [one['state'] for one in self.of_nodes()])
        here.stop()
        self.assertEqual(1, len(self.of_nodes()))
        self.assertIn('Released', here.call('release').stdout)
        guest.until(lambda: not self.of_nodes(), 'released')

    def test_allocation_that_exists_is_used_and_kept(self) -> None:
        allocation = self.allocate('node', 'bm-1')
        here = self.node(f'id = {allocation}')
        here.start()
        here.wait()
        self.assertEqual('right', here.compute())
        here.stop()
        self.assertEqual('active', self.cli('allocation', 'show', allocation)['state'])

    def test_what_cannot_be_had_is_said(self) -> None:
        here = self.node('profile = no-such-profile')
        here.start()
        self.assertIn('no-such-profile', here.wait('refused')['detail'])
        wrong = self.guest('[allocation]\nsize = 3\n')
        said = wrong.call('status')
        self.assertEqual(1, said.returncode)
        self.assertIn('size', said.stderr)


if __name__ == '__main__':
    unittest.main()
